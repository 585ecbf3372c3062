"""Faults at the Nth call or commit: whatever can go wrong between us and another system, or with our own process."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import httpx
from sqlalchemy.ext.asyncio import AsyncConnection

from ml_connector.store.database import Database

CALL_FAULTS = (
    "reset_before",
    "reset_after",
    "late",
    "timeout",
    "status_500",
    "status_500_after",
    "status_503",
    "status_429",
    "malformed_after",
    "kill_before",
    "kill_after",
)
COMMIT_FAULTS = ("kill_before_commit", "kill_after_commit")
LATE_S = 100.0


class Killed(BaseException):
    """The process ends here: nothing of it runs any more."""


@dataclass(slots=True)
class Faults:
    """Counts calls and commits, and strikes once at the chosen one."""

    kind: str = ""
    at: int = 0
    calls: int = 0
    commits: int = 0
    dead: bool = False
    struck: bool = False
    late: list[tuple[float, Callable[[], Awaitable[object]]]] = field(default_factory=list)

    def call(self) -> str:
        """Count a call; the fault it gets, if it is its turn."""
        self._alive()
        self.calls += 1
        return self._strike(CALL_FAULTS, self.calls)

    def commit(self) -> str:
        """Count a commit; the fault it gets, if it is its turn."""
        self._alive()
        self.commits += 1
        return self._strike(COMMIT_FAULTS, self.commits)

    def _alive(self) -> None:
        if self.dead:
            raise Killed

    def _strike(self, kinds: tuple[str, ...], number: int) -> str:
        if self.kind in kinds and number == self.at:
            self.struck = True
            self.dead = self.kind.startswith("kill")
            return self.kind
        return ""


class FaultyTransport(httpx.AsyncBaseTransport):
    """Passes requests to a sandbox app and lets one of them fail."""

    def __init__(self, inner: httpx.AsyncBaseTransport, faults: Faults, now: Callable[[], float]) -> None:
        self.inner = inner
        self._faults = faults
        self._now = now

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        content = await request.aread()
        match self._faults.call():
            case "kill_before":
                raise Killed
            case "kill_after":
                await self.inner.handle_async_request(request)
                raise Killed
            case "reset_before":
                raise httpx.ReadError("connection reset", request=request)
            case "reset_after":
                await self.inner.handle_async_request(request)
                raise httpx.ReadError("connection reset", request=request)
            case "timeout":
                raise httpx.ReadTimeout("no answer", request=request)
            case "late":
                again = httpx.Request(request.method, request.url, headers=request.headers, content=content)
                self._faults.late.append((self._now() + LATE_S, lambda: self.inner.handle_async_request(again)))
                raise httpx.ReadTimeout("no answer", request=request)
            case "status_500":
                return httpx.Response(500, text="internal error", request=request)
            case "status_503":
                return httpx.Response(503, text="maintenance", request=request)
            case "status_500_after":
                await self.inner.handle_async_request(request)
                return httpx.Response(500, text="internal error", request=request)
            case "status_429":
                return httpx.Response(429, text="slow down", request=request)
            case "malformed_after":
                answer = await self.inner.handle_async_request(request)
                whole = await answer.aread()
                return httpx.Response(answer.status_code, content=whole[: len(whole) // 2], request=request)
        return await self.inner.handle_async_request(request)


class FaultyDatabase(Database):
    """A store whose process can end right before or right after a commit."""

    faults: Faults | None = None

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        if self.faults is not None and self.faults.dead:
            raise Killed
        async with super().read() as tx:
            yield tx

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        struck = ""
        async with super().write() as tx:
            yield tx
            struck = self.faults.commit() if self.faults is not None else ""
            if struck == "kill_before_commit":
                raise Killed
        if struck == "kill_after_commit":
            raise Killed
