"""Rounds: contenders take turns on the same documents in the same tenants, and each is asked for its time."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.quiet import Quiet
from benchmarks.scenes import Json
from benchmarks.tenants import Tenants
from deployments.home import child_environment
from deployments.stack import Stack


@dataclass(frozen=True)
class Bench:
    """What every round needs: the tenants and the Prefect server."""

    tenants: Tenants
    stack: Stack

    async def round(self, size: int, *, delay_s: float = 0.0) -> Round:
        """Engine alone, through Prefect and bare loop, one after another, each on fresh tenants and a fresh store."""
        with TemporaryDirectory() as folder:
            engine, engine_idle = await self._contend("engine", size, folder, delay_s)
            prefect, idle = await self._contend("prefect", size, folder, delay_s)
            (bare,) = await self._contend("bare", size, folder, delay_s, steps=["there"])
        for one in (engine, prefect):
            complete(one, size)
        return Round(size, engine, prefect, bare, engine_idle, idle)

    async def layers(self, kind: str, size: int) -> dict[str, float]:
        """The shares of the layers in a flow run, or in a run of the engine alone."""
        with TemporaryDirectory() as folder:
            (found,) = await self._contend(kind, size, folder, 0.0, steps=["layers"])
        shares: dict[str, float] = found["layers"]
        return shares

    async def _contend(
        self, kind: str, size: int, folder: str, delay_s: float, *, steps: Sequence[str] = ("there", "there")
    ) -> list[Json]:
        self.fresh()
        async with self.process(kind, folder, steps) as go:
            # The first document made the ledger an old one; numbers go on with the next order.
            self.tenants.seed(11, size)
            self.tenants.slow_down(delay_s)
            found = [await self.step(go)]
            self.tenants.slow_down(0.0)
            return found + [await self.step(go) for _ in steps[1:]]

    def fresh(self) -> None:
        """New tenants with one record in them."""
        self.tenants.slow_down(0.0)
        self.tenants.reset()
        self.tenants.seed(1, 1)

    async def step(self, go: Contender) -> Json:
        """What the next step of a contender took, and the calls that each tenant had meanwhile."""
        before, quiet = self.tenants.calls(), Quiet()
        found = await go.step()
        calls = {name: count - before[name] for name, count in self.tenants.calls().items()}
        return found | {"foreign": quiet.foreign(), "calls": calls}

    @asynccontextmanager
    async def process(
        self, kind: str, folder: str, steps: Sequence[str], *, shift_s: float = 0.0, old: bool = False
    ) -> AsyncIterator[Contender]:
        """A contender with its own store in `folder`, ready for its first step.

        `shift_s` is how much its clock is ahead; with `old` the store is there and the tenants are known.
        """
        job = {"pair": self.tenants.scene.pair, "urls": self.tenants.urls, "folder": folder, "steps": list(steps)}
        store = Path(folder) / f"{kind}.db"
        ours = {"ML_CONNECTOR_DATABASE_URL": f"sqlite:///{store}", "ML_CONNECTOR_CLOCK_SHIFT_S": str(shift_s)}
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "benchmarks.contender", kind, json.dumps(job | {"old": old})),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env=_environment(self.stack.environment | ours),
        )
        contender = Contender(kind, process)
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

    def calls(self, contender: str, system: str = "") -> int:
        """Calls of a contender, to one system or to both."""
        counted: Mapping[str, int] = getattr(self, contender)["calls"]
        return counted[system] if system else sum(counted.values())

    def speed(self, contender: str) -> float:
        """Records per second."""
        return self.size / float(getattr(self, contender)["seconds"])


class Contender:
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


def complete(work: Json, size: int) -> None:
    """Refuse a run that did not make every record."""
    """Numbers of a run that left something out are worth nothing."""
    told = work.get("counts") or _counts(str(work.get("message")))
    # Of a day that QAD's lists show whole, what was there before comes once more.
    if {name: count for name, count in told.items() if name != "unchanged"} != {"created": size}:
        raise SystemExit(f"benchmark: {size} records were seeded, the run says {told or work}")


def _counts(message: str) -> dict[str, int]:
    """The outcomes that a flow run's final message tells, as `501 read: 500 created, 1 unchanged`."""
    parts = [part.split(maxsplit=1) for part in message.partition(": ")[2].split(", ") if part]
    return {name: int(count) for count, name in parts}
