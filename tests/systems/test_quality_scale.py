"""The quality scale of every system is complete and honest, and all systems have the same files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
SYSTEMS = sorted(path.parent for path in (ROOT / "ml_connector" / "systems").glob("*/client.py"))
FILES = {
    "__init__.py",
    "auth.py",
    "client.py",
    "config.py",
    "errors.py",
    "models.py",
    "ports.py",
    "quality_scale.yaml",
    "README.md",
    "targets.py",
    "validate.py",
}
RULES = {
    "bronze": {
        "same-files",
        "check-before-save",
        "pinned-api-version",
        "typed-models",
        "standard-block-suite",
        "readme-surprises",
        "sandbox-covers-every-endpoint-used",
    },
    "silver": {
        "refresh-once-on-401",
        "retry-after-honoured",
        "bounded-retries",
        "paging-to-the-end",
        "high-water-mark-with-lookback",
        "run-twice-writes-once",
        "secrets-never-logged",
        "request-parallelism-declared",
        "contract-drift-stops-the-run",
    },
    "gold": {
        "outcome-in-audit-for-every-record",
        "replay-after-downstream-failure",
        "fault-then-recover",
        "abnormal-state",
        "signature-tests",
        "documented-limits-and-waivers",
        "diagnostics-redacted",
    },
}


def _scale(system: Path) -> dict[str, dict[str, Any]]:
    scale: dict[str, dict[str, Any]] = yaml.safe_load((system / "quality_scale.yaml").read_text())
    return scale


@pytest.mark.parametrize("system", SYSTEMS, ids=lambda path: path.name)
def test_every_system_has_the_same_files(system: Path) -> None:
    assert {path.name for path in system.iterdir() if path.is_file()} >= FILES


@pytest.mark.parametrize("system", SYSTEMS, ids=lambda path: path.name)
def test_every_rule_of_the_scale_has_its_status(system: Path) -> None:
    assert {tier: set(rules) for tier, rules in _scale(system).items()} == RULES


@pytest.mark.parametrize("system", SYSTEMS, ids=lambda path: path.name)
def test_a_done_rule_names_tests_that_exist_and_any_other_its_reason(system: Path) -> None:
    for rules in _scale(system).values():
        for rule, entry in rules.items():
            if entry["status"] == "done":
                assert entry.get("tests"), f"{rule} is done by no test"
                for test in entry["tests"]:
                    path, name = test.split("::")
                    assert f"def {name}(" in (ROOT / path).read_text(), f"{rule}: {test} does not exist"
            else:
                assert entry["status"] in ("todo", "exempt"), rule
                assert entry.get("reason"), f"{rule} is {entry['status']} without a reason"
