"""The time of a stand-in tenant: real time plus an offset, or frozen so that a test decides when it passes."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta


class Clock:
    """Gives the tenant's time; with a start it stands still except for advance()."""

    def __init__(self, start: datetime | None = None) -> None:
        if start is not None and start.tzinfo is None:
            raise ValueError("start must carry a time zone")
        self._start = start.astimezone(UTC) if start is not None else None
        self._advanced = 0.0
        self._waiters: set[asyncio.Event] = set()

    @property
    def frozen(self) -> bool:
        """Whether time passes only by advance()."""
        return self._start is not None

    def now(self) -> datetime:
        """The tenant's present instant in UTC."""
        base = self._start if self._start is not None else datetime.now(UTC)
        return base + timedelta(seconds=self._advanced)

    def elapsed(self) -> float:
        """Seconds on a steady counter that always follows real time and also jumps with advance(); for rate limits."""
        return time.monotonic() + self._advanced

    def advance(self, seconds: float) -> None:
        """Move the tenant's time forward by so many seconds and wake whoever waits for it."""
        if seconds < 0:
            raise ValueError("time does not run backwards")
        self._advanced += seconds
        for waiter in self._waiters:
            waiter.set()

    async def sleep(self, seconds: float) -> None:
        """Wait until so many seconds have passed, by advance() or in reality, whichever comes first."""
        until = self.elapsed() + seconds
        waiter = asyncio.Event()
        self._waiters.add(waiter)
        try:
            while (left := until - self.elapsed()) > 0:
                waiter.clear()
                try:
                    async with asyncio.timeout(left):
                        await waiter.wait()
                except TimeoutError:
                    continue
        finally:
            self._waiters.discard(waiter)
