"""Where the time of a run goes: a look at the main thread every two milliseconds, each counted for one layer.

What computes is found by the innermost of our (or Prefect's) modules on the stack. While nothing computes, the wait
is for the tenants when a request is under way, else for the store, else for the Prefect server. So the shares never
overlap and make up the whole; work that hides behind a wait for the tenants counts as work.
"""

from __future__ import annotations

import functools
import signal
from collections import Counter
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any, Self

import aiosqlite

from ml_connector.http.transport import Gate

EVERY_S = 0.002
WAITING = "waiting for the tenants"
_OWNERS = (
    ("/ml_connector/store/crypto.py", "encryption"),
    ("/cryptography/", "encryption"),
    ("/ml_connector/store/", "store"),
    ("/ml_connector/http/", "HTTP"),
    ("/ml_connector/systems/", "reading and building messages"),
    ("/ml_connector/pairs/", "mapping and checks"),
    ("/ml_connector/domain/", "mapping and checks"),
    ("/ml_connector/sync/", "engine"),
    ("/prefect/", "Prefect"),
    ("/tasks/", "Prefect"),
    ("/flows/", "Prefect"),
)
# Where SQLAlchemy switches stacks, or the event loop calls, no module of ours is in sight.
_LIBRARIES = (
    ("/sqlalchemy/", "store"),
    ("/aiosqlite/", "store"),
    ("/httpx/", "HTTP"),
    ("/httpcore/", "HTTP"),
    ("/anyio/", "HTTP"),
)


class Layers:
    """Counts looks per layer for the length of a block."""

    def __init__(self) -> None:
        self._looks: Counter[str] = Counter()
        self._under_way: Counter[str] = Counter()
        self._restore: list[Callable[[], None]] = []

    def __enter__(self) -> Self:
        self._count(Gate, "handle_async_request", "http")
        self._count(aiosqlite.Connection, "_execute", "store")
        before = signal.signal(signal.SIGALRM, self._look)
        self._restore.append(lambda: _ignore(signal.signal(signal.SIGALRM, before)))
        signal.setitimer(signal.ITIMER_REAL, EVERY_S, EVERY_S)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)
        for undo in self._restore:
            undo()

    def shares(self) -> dict[str, float]:
        """The share of each layer in the whole time, largest first."""
        total = sum(self._looks.values()) or 1
        return {name: looks / total for name, looks in self._looks.most_common()}

    def _look(self, _signal: int, frame: FrameType | None) -> None:
        if frame is not None and frame.f_code.co_filename.endswith("selectors.py"):
            self._looks[self._wait()] += 1
        else:
            self._looks[_layer(frame)] += 1

    def _wait(self) -> str:
        if self._under_way["http"]:
            return WAITING
        return "store" if self._under_way["store"] else "Prefect"

    def _count(self, kind: type[Any], method: str, what: str) -> None:
        """Know how many calls of a method are under way."""
        inner = getattr(kind, method)

        @functools.wraps(inner)
        async def counted(*given: Any, **named: Any) -> Any:
            self._under_way[what] += 1
            try:
                return await inner(*given, **named)
            finally:
                self._under_way[what] -= 1

        setattr(kind, method, counted)
        self._restore.append(lambda: setattr(kind, method, inner))


def _ignore(_value: object) -> None:
    return None


@functools.cache
def _owner(filename: str) -> tuple[str, str]:
    known = next((name for part, name in _OWNERS if part in filename), "")
    return known, next((name for part, name in _LIBRARIES if part in filename), "")


def _layer(frame: FrameType | None) -> str:
    library = ""
    while frame is not None:
        owner, lent = _owner(frame.f_code.co_filename)
        if owner:
            return owner
        library = library or lent
        frame = frame.f_back
    return library or "event loop and rest"
