"""Child processes of the command line: started with a log, waited for with a bound, ended by their process id."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import IO

import httpx

from ml_connector.errors import ConnectorError

LOOPBACK = "127.0.0.1"
POLL_SECONDS = 0.1
TAIL_LINES = 12

Probe = Callable[[], Awaitable[bool]]


class ProcessError(ConnectorError):
    """A child process did not start, did not answer in time or ended by itself; the message ends with its log."""


class Child:
    """One running child process, leader of its own group, so that Ctrl-C reaches only its parent."""

    def __init__(self, name: str, process: asyncio.subprocess.Process, log: Path) -> None:
        self.name = name
        self.log = log
        self._process = process

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """None while it runs."""
        return self._process.returncode

    async def ended(self) -> int:
        """Wait until it ends; gives the exit code."""
        return await self._process.wait()

    async def ready(self, probe: Probe, *, within: float) -> None:
        """Ask until the probe says yes; ProcessError when it ends first or `within` seconds have passed."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + within
        while not await probe():
            if self.exit_code is not None:
                raise self.failure(f"ended with code {self.exit_code} before it was ready")
            if loop.time() > deadline:
                raise self.failure(f"did not answer within {within:g} s")
            with suppress(TimeoutError):
                await asyncio.wait_for(self._process.wait(), POLL_SECONDS)

    async def stop(self, *, grace: float = 10.0) -> None:
        """Ask it to end, and after `grace` seconds end it and all that it started."""
        if self.exit_code is None:
            with suppress(ProcessLookupError):
                self._process.terminate()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._process.wait(), grace)
        # What it started may outlive it: the group is named by its leader's id.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        await self._process.wait()

    def failure(self, what: str) -> ProcessError:
        """An error about this process that quotes the last lines of its log."""
        tail = _tail(self.log, TAIL_LINES)
        quoted = "".join(f"\n  | {line}" for line in tail) or "\n  | (empty)"
        return ProcessError(f"{self.name} {what}; end of {self.log}:{quoted}")


async def start(name: str, command: Sequence[str], *, environment: Mapping[str, str], logs: Path) -> Child:
    """Start a process; its output goes to `logs`/`name`.log, the log of the run before is kept beside it."""
    log = logs / f"{name}.log"
    with _fresh_log(log) as output:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-P",  # a folder of the same name where the user stands must not be taken for ours
            "-m",
            "deployments.child",
            str(os.getpid()),
            *command,
            env=dict(environment),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
        )
    return Child(name, process, log)


@asynccontextmanager
async def running(
    name: str, command: Sequence[str], *, environment: Mapping[str, str], logs: Path, grace: float = 10.0
) -> AsyncIterator[Child]:
    """A child process for the length of the block."""
    child = await start(name, command, environment=environment, logs=logs)
    try:
        yield child
    finally:
        await child.stop(grace=grace)


async def run(name: str, command: Sequence[str], *, environment: Mapping[str, str], logs: Path, within: float) -> None:
    """Run a command to its end; ProcessError when it fails or takes longer than `within` seconds."""
    async with running(name, command, environment=environment, logs=logs) as child:
        try:
            code = await asyncio.wait_for(child.ended(), within)
        except TimeoutError:
            raise child.failure(f"did not end within {within:g} s") from None
        if code:
            raise child.failure(f"ended with code {code}")


def answers(url: str) -> Probe:
    """A probe: does the address answer 200?"""

    async def probe() -> bool:
        try:
            async with httpx.AsyncClient(trust_env=False, timeout=2.0) as client:
                return (await client.get(url)).status_code == httpx.codes.OK
        except httpx.TransportError:
            return False

    return probe


def free_port(preferred: int = 0) -> int:
    """The preferred port of this machine's loopback address when nobody listens there, else any free one."""
    for port in (preferred, 0):
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listener, suppress(OSError):
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((LOOPBACK, port))
            return int(listener.getsockname()[1])
    raise ProcessError("this machine has no free port on its loopback address")


def _fresh_log(log: Path) -> IO[bytes]:
    if log.exists():
        log.replace(log.with_suffix(".previous.log"))
    return log.open("wb")


def _tail(log: Path, lines: int) -> list[str]:
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - 8192))
        return file.read().decode("utf-8", errors="replace").splitlines()[-lines:]
