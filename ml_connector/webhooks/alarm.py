"""Sees to it that every raised flag is heard: at once where it was raised here, again while nobody has lowered it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass

from ml_connector.clock import Clock
from ml_connector.errors import ConnectorError
from ml_connector.store import wakes
from ml_connector.store.database import Database
from ml_connector.store.wakes import Asked
from ml_connector.webhooks.wake import Waker

LOOK_S = 5.0
# A run that works for long answers to none of its wakes; telling Prefect ever again would only queue more runs.
_FIRST_PAUSE_S = 10.0
_LONGEST_PAUSE_S = 300.0
_AT_ONCE = 8

_log = logging.getLogger(__name__)

Pair = tuple[str, str]


@dataclass(frozen=True, slots=True)
class _Told:
    """When Prefect last heard of a direction, and how often since its flag went up."""

    at: float
    times: int

    @property
    def pause_s(self) -> float:
        return min(_FIRST_PAUSE_S * 2.0 ** min(self.times - 1, 10), _LONGEST_PAUSE_S)


class Alarm:
    """Emits wakes in the background; what waits is a set of directions, however long Prefect is away."""

    def __init__(self, db: Database, clock: Clock, waker: Waker) -> None:
        self._db = db
        self._clock = clock
        self._waker = waker
        self._due: set[Pair] = set()
        self._told: dict[Pair, _Told] = {}
        self._task: asyncio.Task[None] | None = None
        self._heard = True
        self._readable = True

    def rouse(self, asked: Mapping[Pair, Asked]) -> None:
        """Emit, soon, for the directions whose flag the caller has raised or renewed."""
        for pair, how in asked.items():
            if how is Asked.FIRST:
                self._told.pop(pair, None)
            told = self._told.get(pair)
            if how and (told is None or self._clock.monotonic() - told.at >= told.pause_s):
                self._due.add(pair)
        if self._due and (self._task is None or self._task.done()):
            self._task = asyncio.create_task(self._emit())

    async def keep(self) -> None:
        """Look for flags that stay up, until cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(LOOK_S)

    async def look(self) -> None:
        """Renew the flags that nobody has lowered for 10 s, and emit for those that were ours to renew."""
        try:
            now = self._clock.now()
            asked = {pair: await wakes.ask(self._db, *pair, now) for pair in await wakes.overdue(self._db, now)}
        except Exception as error:
            if self._readable:
                _log.warning("the store cannot be read for waiting webhooks: %s", type(error).__name__)
            self._readable = False
            return
        self._readable = True
        self.rouse(asked)

    async def settled(self) -> None:
        """Wait for what is on its way to Prefect."""
        while self._task is not None and not self._task.done():
            await asyncio.wait([self._task])

    async def close(self) -> None:
        """Drop what is on its way: its flag stays up, so the next receiver tells it."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _emit(self) -> None:
        while self._due:
            pairs = sorted(self._due)[:_AT_ONCE]
            self._due.difference_update(pairs)
            heard = await asyncio.gather(*(self._tell(pair) for pair in pairs))
            self._report(heard)

    async def _tell(self, pair: Pair) -> str:
        """Emit for one direction; returns what went wrong, empty when it was heard."""
        try:
            await self._waker.wake(*pair)
        except ConnectorError as error:
            return error.message
        except Exception as error:
            return type(error).__name__
        before = self._told.get(pair)
        self._told[pair] = _Told(self._clock.monotonic(), before.times + 1 if before else 1)
        return ""

    def _report(self, problems: list[str]) -> None:
        """One line when Prefect goes away, one when it is back."""
        problem = next((one for one in problems if one), "")
        if problem and self._heard:
            _log.warning("new deliveries are kept, but no run was started for them: %s", problem)
        if not problem and not self._heard:
            _log.warning("Prefect is told about new deliveries again")
        self._heard = not problem
