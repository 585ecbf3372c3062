"""The receiver's memory of ingresses and subscriptions: a few seconds old at most, and read anew before it says no."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ml_connector.store.ingresses import Ingress, Ingresses, Subscription

# A removed ingress or a dropped secret is still good for this many seconds.
FRESH_S = 5.0


@dataclass(frozen=True, slots=True)
class Door:
    """An ingress and whom its deliveries concern."""

    ingress: Ingress
    subscriptions: Sequence[Subscription]


class Directory:
    """Finds the door that a delivery comes in by without asking the database each time."""

    def __init__(self, ingresses: Ingresses) -> None:
        self._ingresses = ingresses
        self._doors: Mapping[str, Door] = {}
        self._read_at = float("-inf")
        self._turn = asyncio.Lock()

    async def find(self, system: str, name: str) -> Door | None:
        """The door with this address, as it was a few seconds ago."""
        await self._read(since=_now() - FRESH_S)
        door = self._door(system, name)
        return door if door is not None else await self.find_now(system, name)

    async def find_now(self, system: str, name: str) -> Door | None:
        """The door as it is now: for whoever is about to refuse, because a secret or a subscription may be new."""
        await self._read(since=_now())
        return self._door(system, name)

    def _door(self, system: str, name: str) -> Door | None:
        door = self._doors.get(name)
        return door if door is not None and door.ingress.system == system else None

    async def _read(self, *, since: float) -> None:
        """Read all doors unless somebody has begun to since; requests that wait together share one reading."""
        if self._read_at >= since:
            return
        async with self._turn:
            if self._read_at >= since:
                return
            began = _now()
            subscriptions = await self._ingresses.subscriptions()
            doors = [
                Door(one, [sub for sub in subscriptions if sub.ingress == one.name])
                for one in await self._ingresses.list()
            ]
            self._doors = {door.ingress.name: door for door in doors}
            self._read_at = began


def _now() -> float:
    """How old a memory is has nothing to do with the clock that a rehearsal moves."""
    return asyncio.get_running_loop().time()
