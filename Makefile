# Two commands for a newcomer: `make demo` and `make test`. Each first makes the environment it needs.
.POSIX:
.PHONY: help env demo up test check bench clean

help:
	@echo 'make demo    play the whole story against stand-in tenants'
	@echo 'make up      keep server, UI, worker and stand-in tenants running; Ctrl-C ends them'
	@echo 'make test    run the tests; needs no service'
	@echo 'make check   lint, types, import rules, house rules'
	@echo 'make bench   speed beside a bare loop that makes the same calls'
	@echo 'make env     make or refresh the environment in .venv'
	@echo 'make clean   remove the environment and the caches; local state in .ml-connector stays'

env:
	@sh scripts/bootstrap.sh

demo: env
	@.venv/bin/ml-connector demo

up: env
	@.venv/bin/ml-connector up

test: env
	.venv/bin/python -m pytest -q -p no:cacheprovider -n auto --maxprocesses 4 --dist worksteal

check: env
	.venv/bin/ruff check .
	.venv/bin/mypy
	.venv/bin/mypy scripts/house_rules.py
	.venv/bin/lint-imports
	.venv/bin/python scripts/house_rules.py

bench: env
	@.venv/bin/python -m benchmarks

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
