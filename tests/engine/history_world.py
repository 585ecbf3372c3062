"""The world of a random history: several processes on one store, struck wires, and a note of every document sent."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

import httpx

from ml_connector.installation import Installation
from tests.engine.faults import Faults, FaultyTransport, Killed
from tests.engine.histories import Meanwhile, Strike
from tests.engine.history_store import SharedDatabase, Store
from tests.engine.world import KEYS, Json, World

_PROCESS: ContextVar[int] = ContextVar("process", default=0)
Act = Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Sent:
    """A supplier invoice that reached QAD: by a run that began then, at that instant, and whether QAD took it."""

    run_began: datetime
    arrived: datetime
    document: Json
    taken: bool


class Strikes(Faults):
    """Faults of one process: each strikes at its own count of calls, writing calls, posts of documents or commits."""

    def __init__(self, strikes: tuple[Strike, ...], late: list[tuple[float, Callable[[], Awaitable[object]]]]) -> None:
        super().__init__(late=late)
        self.strikes = list(strikes)
        self.counts = {"call": 0, "write": 0, "post": 0}
        self.now: dict[str, int] = {}
        self.down = False

    def count(self, request: httpx.Request) -> dict[str, int]:
        """Count a call before it is made: its number among all calls, and among those of its kinds."""
        kinds = ["call"]
        kinds += ["write"] if request.method != "GET" and "/oauth" not in request.url.path else []
        kinds += ["post"] if _posts(request) else []
        for kind in kinds:
            self.counts[kind] += 1
        return {kind: self.counts[kind] for kind in kinds}

    def call(self) -> str:
        """The fault of the call that was counted."""
        self._alive()
        self.calls += 1
        return "status_503" if self.down else self._hit(self.now)

    def commit(self) -> str:
        """The fault of a commit."""
        self._alive()
        self.commits += 1
        return self._hit({"commit": self.commits})

    def _hit(self, counts: dict[str, int]) -> str:
        hit = next((one for one in self.strikes if counts.get(one.at) == one.number), None)
        if hit is None:
            return ""
        self.strikes.remove(hit)
        self.struck = True
        self.dead = hit.kind.startswith("kill")
        self.down = hit.kind == "down"
        return "status_503" if self.down else hit.kind


def _posts(request: httpx.Request) -> bool:
    return request.method == "POST" and request.url.path.endswith("/supplierInvoices")


class _Wire(httpx.AsyncBaseTransport):
    """The outer end of a process's way to a system: counts calls, and lets others act while one is under way."""

    def __init__(self, inner: httpx.AsyncBaseTransport, faults: Strikes, hooks: list[tuple[Meanwhile, Act]]) -> None:
        self._inner, self._faults, self._hooks = inner, faults, hooks

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        counts = self._faults.count(request)
        hook = next((one for one in self._hooks if counts.get(one[0].at) == one[0].number), None)
        if hook is not None:
            self._hooks.remove(hook)
            if not hook[0].after:
                await hook[1]()
        self._faults.now = counts
        answer = await self._inner.handle_async_request(request)
        if hook is not None and hook[0].after:
            await hook[1]()
        return answer


class _Notes(httpx.AsyncBaseTransport):
    """The inner end, at the system's door: notes what arrives there, however late."""

    def __init__(self, inner: httpx.AsyncBaseTransport, world: HistoryWorld) -> None:
        self._inner, self._world, self._began = inner, world, world.clock.now()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        answer = await self._inner.handle_async_request(request)
        if _posts(request):
            document = json.loads(request.content, parse_float=Decimal)["supplierInvoices"][0]
            shown = json.loads(await answer.aread()) if answer.status_code == 200 else {}
            taken = shown.get("submitResult", {}).get("success") in (True, "true")
            self._world.sent.append(Sent(self._began, self._world.clock.now(), document, taken))
        return answer


class HistoryWorld(World):
    """Two tenants, one clock, and as many processes of the connector as a history starts, even within each other."""

    def __init__(self, store: Store, apps: dict[str, Any]) -> None:
        super().__init__(store.folder, store.template, apps)
        self._engine = store.engine
        self.late: list[tuple[float, Callable[[], Awaitable[object]]]] = []
        self.faults = Strikes((), self.late)
        self.hooks: list[tuple[Meanwhile, Act]] = []
        self.sent: list[Sent] = []
        self._processes = 0
        self._tasks: dict[int, list[asyncio.Task[Any]]] = {}
        asyncio.get_running_loop().set_task_factory(self._new_task)

    def _new_task(self, loop: asyncio.AbstractEventLoop, work: Any, **more: Any) -> asyncio.Task[Any]:
        task: asyncio.Task[Any] = asyncio.Task(work, loop=loop, **more)
        self._tasks.setdefault(_PROCESS.get(), []).append(task)
        return task

    @asynccontextmanager
    async def installation(self) -> AsyncIterator[Installation]:
        """One process of the connector, or a person at its command line; its workers end with it."""
        database = SharedDatabase(self.url, self._engine, self.faults)
        try:
            yield Installation.assemble(self.settings, database, KEYS, self.clock)
        finally:
            me = asyncio.current_task()
            others = [task for task in self._tasks.pop(_PROCESS.get(), []) if task is not me and not task.done()]
            for task in others:
                task.cancel()
            await asyncio.gather(*others, return_exceptions=True)

    @contextmanager
    def _armed(self, strikes: tuple[Strike, ...], hooks: list[tuple[Meanwhile, Act]]) -> Iterator[None]:
        before = self.faults, self.hooks
        self.faults, self.hooks = Strikes(strikes, self.late), hooks
        try:
            yield
        finally:
            self.faults, self.hooks = before

    async def apart(
        self,
        work: Callable[[], Awaitable[Any]],
        strikes: tuple[Strike, ...] = (),
        hooks: list[tuple[Meanwhile, Act]] | None = None,
    ) -> tuple[str, str]:
        """Work of a process of its own; the name and text of what ended it, both empty when it came to its end."""
        self._processes += 1
        number = self._processes

        async def process() -> tuple[str, str]:
            _PROCESS.set(number)
            try:
                await work()
            except Killed:
                return "Killed", ""
            except Exception as error:
                return type(error).__name__, str(error)
            return "", ""

        with self._armed(strikes, hooks or []):
            return await asyncio.create_task(process())

    async def pass_time(self, seconds: float) -> None:
        """Let time pass; requests that were given up arrive when theirs has come."""
        until = self.clock.monotonic() + seconds
        while self.late and (first := min(self.late, key=lambda one: one[0]))[0] <= until:
            self.late.remove(first)
            self.clock.advance(max(0.0, first[0] - self.clock.monotonic()))
            await first[1]()
        self.clock.advance(max(0.0, until - self.clock.monotonic()))

    def transports(self) -> dict[str, httpx.AsyncBaseTransport]:
        """Ways into the tenants with the troubles of the process that opens them."""
        faults, hooks = self.faults, self.hooks
        assert isinstance(faults, Strikes)
        ways: dict[str, httpx.AsyncBaseTransport] = {}
        for name, app in self.apps.items():
            noted = _Notes(httpx.ASGITransport(app=app), self)
            ways[name] = _Wire(FaultyTransport(noted, faults, self.clock.monotonic), faults, hooks)
        return ways
