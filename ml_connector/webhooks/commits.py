"""Keeps deliveries: those that arrive together share one transaction, because every commit waits for the disk."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence

from ml_connector.clock import Clock
from ml_connector.errors import TransientError
from ml_connector.store import inbox, wakes
from ml_connector.store.database import Database
from ml_connector.store.inbox import Arrival, DeliveryKey
from ml_connector.store.wakes import Asked

# Within this time a sender gets its answer; one that hears "not now" comes again.
PATIENCE_S = 20.0
MOST_WAITING = 2000
_MOST_TOGETHER = 250

_log = logging.getLogger(__name__)

Rouse = Callable[[Mapping[tuple[str, str], Asked]], None]


class Commits:
    """Stores each delivery durably before its sender is told; `rouse` learns whose flags went up with it."""

    def __init__(self, db: Database, clock: Clock, rouse: Rouse) -> None:
        self._db = db
        self._clock = clock
        self._rouse = rouse
        self._queue: list[tuple[Sequence[Arrival], asyncio.Future[bool]]] = []
        self._task: asyncio.Task[None] | None = None

    async def put(self, rows: Sequence[Arrival]) -> bool:
        """Keep the rows of one delivery; returns whether any is new, TransientError when the store is away."""
        if len(self._queue) >= MOST_WAITING:
            raise TransientError("too many deliveries wait for the store")
        kept: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._queue.append((rows, kept))
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._work())
        try:
            async with asyncio.timeout(PATIENCE_S):
                return await kept
        except TimeoutError:
            raise TransientError("the store did not keep the delivery in time") from None

    async def settled(self) -> None:
        """Wait until everything that was taken is kept or refused."""
        while self._task is not None and not self._task.done():
            await asyncio.wait([self._task])

    async def _work(self) -> None:
        while self._queue:
            batch, self._queue = self._queue[:_MOST_TOGETHER], self._queue[_MOST_TOGETHER:]
            # Whoever has stopped waiting was told to come again.
            batch = [(rows, kept) for rows, kept in batch if not kept.done()]
            try:
                fresh, asked = await self._store([row for rows, _ in batch for row in rows])
            except Exception as error:
                _log.warning("%d deliveries were refused for now: %s", len(batch), type(error).__name__)
                for _, kept in batch:
                    if not kept.done():
                        kept.set_exception(TransientError("the store cannot keep deliveries now"))
                continue
            for rows, kept in batch:
                mine = fresh.intersection(row.key for row in rows)
                # Of equal deliveries in one batch the first is the new one.
                fresh -= mine
                if not kept.done():
                    kept.set_result(bool(mine))
            self._rouse(asked)

    async def _store(self, rows: Sequence[Arrival]) -> tuple[set[DeliveryKey], dict[tuple[str, str], Asked]]:
        if not rows:
            return set(), {}
        async with self._db.write() as tx:
            fresh = await inbox.put(self._db, tx, rows)
            pairs = sorted({(key.connection, key.direction) for key in fresh})
            now = self._clock.now()
            asked = {pair: await wakes.ask(self._db, *pair, now, tx=tx) for pair in pairs}
        return fresh, asked
