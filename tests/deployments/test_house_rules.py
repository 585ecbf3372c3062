"""The project's own linter: each rule finds the offence planted for it, and nothing in a tidy project."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "house_rules.py"


def _load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("house_rules", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


house_rules = _load()

UNFINISHED = "TO" + "DO"
REGISTRY = "py" + "pi.org"
WORKPLACE = "/wor" + "k/main"

# (file, content, what the rule says)
OFFENCES = [
    ("flows/long.py", '"""Job."""\n' + "x = 1\n" * 400, "401 lines, more than 400"),
    ("tasks/a.py", '"""Job."""\nprint("x")\n', "print() outside deployments and sandbox"),
    ("ml_connector/domain/a.py", '"""Job."""\nRATE = 0.5\n', "float literal 0.5"),
    ("ml_connector/pairs/coupa_qad/a.py", '"""Job."""\nRATE = 1e3\n', "float literal 1000.0"),
    ("blocks/a.py", '"""Job."""\nfrom .b import c\n', "relative import"),
    ("tests/test_a.py", "import time\ntime.sleep(1)\n", "time.sleep blocks"),
    ("sandbox/a.py", '"""Job."""\nfrom time import sleep\n', "time.sleep blocks"),
    ("deployments/a.py", "x = 1\n", "module docstring missing"),
    ("tasks/b.py", '"""Job."""\ndef fetch() -> None:\n    pass\n', "fetch is public and has no docstring"),
    ("ml_connector/c.py", '"""Job."""\nclass Keys:\n    pass\n', "Keys is public and has no docstring"),
    ("flows/json.py", '"""Job."""\n', "file name hides the package json"),
    ("flows/tasks.py", '"""Job."""\n', "file name hides the package tasks"),
    ("blocks/nested/httpx.py", '"""Job."""\n', "file name hides the package httpx"),
    ("README.md", f"Later: {UNFINISHED} this\n", "unfinished work"),
    ("scripts/a.py", f"# {UNFINISHED}\n", "unfinished work"),
    ("requirements.lock", f"--index-url https://{REGISTRY}/simple\n", "not for this project"),
    ("docs/a.md", f"see {WORKPLACE}/README.md\n", "not for this project"),
    (".ci/run", f"cd {WORKPLACE}\n", "not for this project"),
]

TIDY = {
    "flows/coupa_to_qad.py": '"""Job."""\n\n\ndef flow() -> None:\n    """Do it."""\n\n\ndef _helper() -> None: ...\n',
    "deployments/a.py": '"""Job."""\nprint("x")\nHALF = 0.5\n\n\ndef main() -> None: ...\n',
    "ml_connector/http/transport.py": '"""Job."""\nTIMEOUT = 0.5\n',
    "ml_connector/http/__init__.py": "",
    "tasks/auth.py": '"""Job."""\nimport asyncio\nWAIT = asyncio.sleep\n',
    "tests/test_a.py": "def test_long() -> None:\n    assert 0.5\n",
    "docs/network.md": "A network/main switch.\n",
}


def write(root: Path, path: str, content: str) -> None:
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(content)


@pytest.mark.parametrize(("path", "content", "says"), OFFENCES, ids=[f"{item[0]}-{item[2]}" for item in OFFENCES])
def test_a_planted_offence_is_found(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], path: str, content: str, says: str
) -> None:
    write(tmp_path, path, content)
    assert house_rules.main(tmp_path) == 1
    (offence, count) = capsys.readouterr().out.splitlines()
    assert offence.startswith(f"{path}:")
    assert says in offence
    assert count == "house rules: 1 offences"


def test_a_tidy_project_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for path, content in TIDY.items():
        write(tmp_path, path, content)
    assert house_rules.main(tmp_path) == 0
    assert capsys.readouterr().out == "house rules: kept\n"


@pytest.mark.parametrize("folder", [".venv", ".git", ".ml-connector", ".ruff_cache", "flows/__pycache__"])
def test_what_is_not_ours_is_not_read(tmp_path: Path, folder: str) -> None:
    write(tmp_path, f"{folder}/a.md", f"{UNFINISHED}\n")
    assert house_rules.main(tmp_path) == 0


def test_the_rules_find_nothing_in_their_own_source() -> None:
    text = SCRIPT.read_text()
    assert not house_rules.UNFINISHED.search(text)
    assert not house_rules.FORBIDDEN.search(text)
