"""Rounds: contenders take turns on the same documents in the same tenants, and each is asked for its time."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.quiet import Quiet
from benchmarks.tenants import Tenants
from deployments.home import child_environment
from deployments.stack import Stack

Json = dict[str, Any]


@dataclass(frozen=True)
class Bench:
    """What every round needs: the tenants and the Prefect server."""

    tenants: Tenants
    stack: Stack

    async def round(self, size: int, *, delay_s: float = 0.0) -> Round:
        """Engine alone, through Prefect and bare loop, one after another, each on fresh tenants and a fresh store."""
        with TemporaryDirectory() as folder:
            engine = await self._contend("engine", size, folder, delay_s)
            prefect = await self._contend("prefect", size, folder, delay_s)
            bare = await self._contend("bare", size, folder, delay_s)
        for one in (engine, prefect):
            _complete(one.work, size)
        return Round(size, engine.work, prefect.work, bare.work, engine.idle, prefect.idle)

    async def layers(self, size: int) -> dict[str, float]:
        """The shares of the layers in a flow run."""
        with TemporaryDirectory() as folder:
            found = await self._contend("prefect", size, folder, 0.0, layers=True)
        shares: dict[str, float] = found.work["layers"]
        return shares

    async def _contend(self, kind: str, size: int, folder: str, delay_s: float, **more: Any) -> _Found:
        job = {"urls": self.tenants.urls, "folder": folder, **more}
        self.tenants.slow_down(0.0)
        self.tenants.reset()
        self.tenants.seed(1, 1)
        async with self._process(kind, job) as go:
            # The first document made the ledger an old one; numbers go on with the next order.
            self.tenants.seed(11, size)
            self.tenants.slow_down(delay_s)
            work = await self._step(go)
            self.tenants.slow_down(0.0)
            idle = await self._step(go) if kind != "bare" else {}
        return _Found(work, idle)

    async def _step(self, go: _Contender) -> Json:
        before, quiet = self.tenants.calls(), Quiet()
        found = await go.step()
        return found | {"foreign": quiet.foreign(), "calls": self.tenants.calls() - before}

    @asynccontextmanager
    async def _process(self, kind: str, job: Json) -> AsyncIterator[_Contender]:
        store = Path(job["folder"]) / f"{kind}.db"
        ours = {"ML_CONNECTOR_DATABASE_URL": f"sqlite:///{store}"}
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "benchmarks.contender", kind, json.dumps(job)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env=_environment(self.stack.environment | ours),
        )
        contender = _Contender(kind, process)
        try:
            await contender.told()
            yield contender
            process.stdin.close()  # type: ignore[union-attr]
            await process.wait()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()


@dataclass(frozen=True)
class Round:
    """One turn of every contender."""

    size: int
    engine: Json
    prefect: Json
    bare: Json
    engine_idle: Json
    idle: Json

    def ratio(self, contender: str) -> float:
        """Speed of a contender as a share of the bare loop's."""
        seconds: float = getattr(self, contender)["seconds"]
        return float(self.bare["seconds"]) / seconds

    @property
    def foreign(self) -> float:
        """The most that other programs took of the machine while one of the contenders was at work, in processors."""
        return max(float(one["foreign"]) for one in (self.engine, self.prefect, self.bare))

    def speed(self, contender: str) -> float:
        """Records per second."""
        return self.size / float(getattr(self, contender)["seconds"])


@dataclass(frozen=True)
class _Found:
    work: Json
    idle: Json = field(default_factory=dict)


class _Contender:
    """A contender's process and what it tells."""

    def __init__(self, kind: str, process: asyncio.subprocess.Process) -> None:
        self._kind, self._process = kind, process

    async def step(self) -> Json:
        """Let it do its next step."""
        self._process.stdin.write(b"go\n")  # type: ignore[union-attr]
        return await self.told()

    async def told(self) -> Json:
        """Its next report; it may print other lines in between."""
        while line := await self._process.stdout.readline():  # type: ignore[union-attr]
            if line.startswith(b"contender "):
                found: Json = json.loads(line.removeprefix(b"contender "))
                return found
        raise SystemExit(f"benchmark: {self._kind} ended before it was done")


def _environment(ours: Mapping[str, str]) -> dict[str, str]:
    # Task runs are logged at INFO as in production, but not onto the terminal.
    return child_environment(ours, os.environ) | {"PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "ERROR"}


def _complete(work: Json, size: int) -> None:
    """Numbers of a run that left something out are worth nothing."""
    told = work.get("counts", work.get("message"))
    if told not in ({"created": size}, f"{size} read: {size} created"):
        raise SystemExit(f"benchmark: {size} invoices were seeded, the run says {told}")
