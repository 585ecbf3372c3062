"""Child processes: ready in a bounded time or a clear error, and gone afterwards."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from deployments import processes
from deployments.processes import ProcessError

PATIENCE = 20.0
WAITS = "import signal; print('up', flush=True); signal.pause()"
DEAF = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\nwhile True:\n {WAITS}"


def python(script: str, *arguments: str) -> list[str]:
    return [sys.executable, "-c", script, *arguments]


def has_written(child: processes.Child, text: str) -> processes.Probe:
    async def probe() -> bool:
        return text in child.log.read_text()

    return probe


async def never() -> bool:
    return False


async def started(script: str, logs: Path, *arguments: str) -> processes.Child:
    child = await processes.start(
        "child", python(script, *arguments), environment=dict(os.environ), logs=logs
    )
    await child.ready(has_written(child, "up"), within=PATIENCE)
    return child


async def gone(pid: int) -> bool:
    for _ in range(200):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        if _is_zombie(pid):
            return True
        await asyncio.sleep(0.05)
    return False


def _is_zombie(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except (OSError, IndexError):
        return False


async def test_a_child_that_ends_before_it_is_ready_shows_the_end_of_its_log(tmp_path: Path) -> None:
    script = "import sys; print('line 1'); sys.exit('the port is taken')"
    async with processes.running("server", python(script), environment=dict(os.environ), logs=tmp_path) as child:
        with pytest.raises(ProcessError) as error:
            await child.ready(never, within=PATIENCE)
    assert "server ended with code 1 before it was ready" in str(error.value)
    assert "the port is taken" in str(error.value)


async def test_a_child_that_never_answers_is_given_up_in_time(tmp_path: Path) -> None:
    child = await started(WAITS, tmp_path)
    with pytest.raises(ProcessError, match=r"did not answer within 0\.3 s; end of .*child\.log:\n  \| up"):
        await child.ready(never, within=0.3)
    await child.stop()
    assert child.exit_code == -signal.SIGTERM


async def test_a_deaf_child_and_all_it_started_are_ended(tmp_path: Path) -> None:
    script = f"import subprocess, sys; print(subprocess.Popen([sys.executable, '-c', {WAITS!r}]).pid, flush=True)\n"
    child = await started(script + DEAF, tmp_path)
    grandchild = int(child.log.read_text().split()[0])
    await asyncio.wait_for(child.stop(grace=0.3), PATIENCE)
    assert child.exit_code == -signal.SIGKILL
    assert await gone(grandchild)


async def test_a_child_ends_when_the_block_fails(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        async with processes.running("x", python(WAITS), environment=dict(os.environ), logs=tmp_path) as child:
            _ = 1 / 0
    assert child.exit_code is not None


async def test_a_child_hears_ctrl_c_even_when_its_parent_was_started_deaf(tmp_path: Path) -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        child = await started(WAITS, tmp_path)
    finally:
        signal.signal(signal.SIGINT, before)
    os.kill(child.pid, signal.SIGINT)
    assert await asyncio.wait_for(child.ended(), PATIENCE) != 0


if sys.platform == "linux":

    async def test_children_die_with_a_parent_that_is_killed(tmp_path: Path) -> None:
        script = """
import asyncio, os, pathlib, sys
from deployments import processes
async def main():
    logs = pathlib.Path(sys.argv[1])
    child = await processes.start("inner", sys.argv[2:], environment=dict(os.environ), logs=logs)
    while "up" not in child.log.read_text(): await asyncio.sleep(0.05)
    print(child.pid, "up", flush=True)
    await child.ended()
asyncio.run(main())
"""
        parent = await started(script, tmp_path, str(tmp_path), *python(WAITS))
        inner = int(parent.log.read_text().split()[0])
        os.kill(parent.pid, signal.SIGKILL)
        assert await gone(inner)
        await parent.stop()


async def test_a_failed_command_is_an_error_with_its_log(tmp_path: Path) -> None:
    with pytest.raises(ProcessError, match=r"register ended with code 3; end of .*:\n  \| \(empty\)"):
        await _run(python("raise SystemExit(3)"), tmp_path)


async def test_a_command_without_end_is_ended(tmp_path: Path) -> None:
    with pytest.raises(ProcessError, match=r"register did not end within 0\.5 s"):
        await _run(python(WAITS), tmp_path, within=0.5)


async def test_a_folder_named_like_ours_where_the_user_stands_is_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "deployments").mkdir()
    (tmp_path / "deployments" / "__init__.py").write_text("raise SystemExit('a stranger')")
    monkeypatch.chdir(tmp_path)
    await _run(python("pass"), tmp_path)


async def test_the_log_of_the_run_before_is_kept(tmp_path: Path) -> None:
    for text in ("first", "second"):
        await _run(python(f"print({text!r})"), tmp_path)
    assert (tmp_path / "register.log").read_text() == "second\n"
    assert (tmp_path / "register.previous.log").read_text() == "first\n"


async def _run(command: Sequence[str], logs: Path, within: float = PATIENCE) -> None:
    await processes.run("register", command, environment=dict(os.environ), logs=logs, within=within)


def test_the_preferred_port_is_taken_when_it_is_free_and_another_when_not() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        taken = listener.getsockname()[1]
        other = processes.free_port(taken)
        assert other not in (0, taken)
    assert processes.free_port(taken) == taken


async def test_nobody_listening_is_no_answer() -> None:
    assert await processes.answers(f"http://127.0.0.1:{processes.free_port()}/health")() is False
