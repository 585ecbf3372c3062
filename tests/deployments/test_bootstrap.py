"""The start script, run by a plain shell with a path that holds nothing but what the test put there."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "bootstrap.sh"
TOOLS = ("sh", "dirname", "cat", "cp", "chmod", "mkdir", "mv", "rm", "tail")

# Stands for an interpreter that suits: makes environments whose pip only notes what it was asked.
GOOD = """#!/bin/sh
case "$*" in
    *version_info*) echo "$0" ;;
    *"-m venv"*) mkdir -p .venv/bin; cp "$0-of-venv" .venv/bin/python ;;
    *) echo "Python 3.12.0" ;;
esac
"""
OF_VENV = """#!/bin/sh
case "$*" in
    *"-m pip"*) echo "$*" >>pip-calls; echo "Collecting a-package"; exit "${FAKE_PIP_EXIT:-0}" ;;
    *) exec '%s' "$@" ;;
esac
"""
# The real interpreter, but it believes to be another version.
PRETENDS = """#!/bin/sh
exec '%s' -E -s -c 'import sys; sys.version_info = (%s, "final", 0); exec(sys.argv[-1])' "$4"
"""
BROKEN_SHIM = """#!/bin/sh
echo "pyenv: command not found" >&2
exit 127
"""


class Desk:
    """A clone in a folder with a space in its name, and the search path of its user."""

    def __init__(self, folder: Path) -> None:
        self.clone, self.path = folder / "a clone", folder / "bin"
        (self.clone / "scripts").mkdir(parents=True)
        self.path.mkdir()
        shutil.copy(SCRIPT, self.clone / "scripts")
        (self.clone / "requirements.lock").write_text("a-package==1\n")
        (self.clone / "pyproject.toml").write_text("[project]\n")
        for tool in TOOLS:
            found = shutil.which(tool)
            assert found is not None
            (self.path / tool).symlink_to(found)

    def put(self, name: str, script: str) -> Path:
        file = self.path / name
        file.write_text(script)
        file.chmod(0o755)
        return file

    def put_good_python(self, name: str = "python3") -> None:
        self.put(name, GOOD)
        self.put(f"{name}-of-venv", OF_VENV % sys.executable)

    def bootstrap(self, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(self.path / "sh"), "scripts/bootstrap.sh"],
            cwd=self.clone,
            env={"PATH": str(self.path), "HOME": "", **environment},
            capture_output=True,
            text=True,
            check=False,
        )

    def pip_calls(self) -> list[str]:
        """What pip was asked since the last look."""
        calls = self.clone / "pip-calls"
        lines = calls.read_text().splitlines() if calls.exists() else []
        calls.unlink(missing_ok=True)
        return lines


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_an_old_python_is_refused_in_one_line(desk: Desk) -> None:
    desk.put("python3", PRETENDS % (sys.executable, "3, 9, 18"))
    ended = desk.bootstrap()
    assert ended.returncode == 1
    assert ended.stdout == ""
    assert ended.stderr == (
        "bootstrap: needs Python 3.11, 3.12, 3.13 or 3.14 on the PATH; found: python3 is 3.9.18\n"
    )


def test_a_python_that_is_too_new_is_refused(desk: Desk) -> None:
    desk.put("python3", PRETENDS % (sys.executable, "3, 15, 0"))
    assert "found: python3 is 3.15.0\n" in desk.bootstrap().stderr


def test_names_that_do_not_run_are_told(desk: Desk) -> None:
    desk.put("python3", BROKEN_SHIM)
    desk.put("python3.12", BROKEN_SHIM)
    ended = desk.bootstrap()
    assert ended.returncode == 1
    assert ended.stderr.endswith("found: python3 does not run, python3.12 does not run\n")


def test_a_machine_without_python_is_told_so(desk: Desk) -> None:
    assert desk.bootstrap().stderr.endswith("found: no Python at all\n")


def test_a_python_that_runs_is_taken_after_shims_that_do_not(desk: Desk) -> None:
    desk.put("python3", BROKEN_SHIM)
    desk.put("python3.14", BROKEN_SHIM)
    desk.put_good_python("python3.12")
    ended = desk.bootstrap()
    assert ended.returncode == 0, ended.stderr
    assert (desk.clone / ".venv/bin/python").exists()


def test_installs_by_hash_first_and_the_project_after_it(desk: Desk) -> None:
    desk.put_good_python()
    ended = desk.bootstrap()
    assert ended.returncode == 0, ended.stderr
    locked, project = desk.pip_calls()
    assert "install --require-hashes --no-deps -r requirements.lock" in locked
    assert "install --no-deps --no-build-isolation -e ." in project


def test_an_environment_that_matches_is_left_alone(desk: Desk) -> None:
    desk.put_good_python()
    desk.bootstrap()
    desk.pip_calls()
    again = desk.bootstrap()
    assert (again.returncode, again.stdout, again.stderr, desk.pip_calls()) == (0, "", "", [])


def test_a_changed_lock_makes_the_environment_anew(desk: Desk) -> None:
    desk.put_good_python()
    desk.bootstrap()
    desk.pip_calls()
    marker = desk.clone / ".venv/old"
    marker.touch()
    (desk.clone / "requirements.lock").write_text("a-package==2\n")
    desk.bootstrap()
    assert len(desk.pip_calls()) == 2
    assert not marker.exists()


def test_a_changed_project_file_installs_the_project_alone(desk: Desk) -> None:
    desk.put_good_python()
    desk.bootstrap()
    desk.pip_calls()
    (desk.clone / "pyproject.toml").write_text("[project]\n# a new command\n")
    desk.bootstrap()
    (call,) = desk.pip_calls()
    assert "-e ." in call


def test_a_half_made_environment_is_made_anew(desk: Desk) -> None:
    desk.put_good_python()
    failed = desk.bootstrap(FAKE_PIP_EXIT="1")
    assert failed.returncode == 1
    assert "installing failed; the whole log: .venv/install.log" in failed.stderr
    assert "Collecting a-package" in failed.stderr
    desk.pip_calls()
    assert desk.bootstrap().returncode == 0
    assert len(desk.pip_calls()) == 2


def test_an_environment_made_elsewhere_is_made_anew(desk: Desk) -> None:
    desk.put_good_python()
    desk.bootstrap()
    desk.pip_calls()
    desk.clone = desk.clone.rename(desk.clone.with_name("another place"))
    desk.bootstrap()
    assert len(desk.pip_calls()) == 2


def test_an_environment_whose_python_has_gone_is_made_anew(desk: Desk) -> None:
    desk.put_good_python()
    desk.bootstrap()
    desk.pip_calls()
    (desk.clone / ".venv/bin/python").unlink()
    (desk.clone / ".venv/bin/python").symlink_to("/nowhere/python3.12")
    desk.bootstrap()
    assert len(desk.pip_calls()) == 2


def test_the_script_is_plain_shell() -> None:
    checked = subprocess.run(["sh", "-n", str(SCRIPT)], capture_output=True, text=True, check=False)
    assert (checked.returncode, checked.stderr) == (0, "")
    assert os.access(SCRIPT, os.X_OK)
