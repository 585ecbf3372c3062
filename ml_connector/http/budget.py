"""Permission to send: the rate of a tenant is shared by all processes that talk to it."""

from __future__ import annotations

import asyncio
import math
from datetime import datetime
from typing import Protocol

from ml_connector.clock import Clock


class Budget(Protocol):
    """Whoever sends a request asks here first."""

    async def acquire(self) -> None:
        """Return once one more request may be sent."""
        ...


class Unlimited:
    """A budget without a limit, for systems and tests that need none."""

    async def acquire(self) -> None:
        """Return at once."""


class PermitSource(Protocol):
    """Where the processes of an installation share out a tenant's rate."""

    async def draw(self, tenant: str, per_second: float, wanted: int, now: datetime) -> int:
        """How many of the wanted permits are granted for the wall-clock second of `now` (0: none are left)."""
        ...


class SharedBudget:
    """Draws permits for the current second in lots of half the rate and spends them in this process.

    Permits of a past second are dropped: spending them late would exceed the rate of the second they fall into.
    """

    def __init__(self, tenant: str, per_second: float, source: PermitSource, clock: Clock) -> None:
        self._tenant = tenant
        self._per_second = per_second
        self._source = source
        self._clock = clock
        self._lot = max(1, math.ceil(per_second / 2))
        self._second = -1
        self._left = 0
        self._turn = asyncio.Lock()

    async def acquire(self) -> None:
        """Spend one permit, in the order of asking; sleeps into the next second while none is granted."""
        async with self._turn:
            while not await self._granted():
                now = self._clock.now().timestamp()
                await self._clock.sleep(max(self._second + 1 - now, 0.001))
            self._left -= 1

    async def _granted(self) -> bool:
        now = self._clock.now()
        second = int(now.timestamp())
        if second != self._second:
            self._second, self._left = second, 0
        if self._left == 0:
            self._left = await self._source.draw(self._tenant, self._per_second, self._lot, now)
        return self._left > 0
