"""One writer per (connection, direction): a lease with an epoch, so that a run that hung past its end is fenced off.

180 s long; a run renews it while it works and reads it again before each chunk. The epoch rises with every owner, and
whatever an older epoch left unfinished is found by the next.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from ml_connector.clock import Clock
from ml_connector.errors import BusyError, LeaseLostError
from ml_connector.store.database import Database
from ml_connector.store.schema import lease

LENGTH_S = 180.0
RENEW_AFTER_S = 60.0
WAIT_S = 30.0
_POLL_S = 1.0
_BEAT_S = 20.0


class Lease:
    """The right to write for one direction, held by one run."""

    def __init__(self, db: Database, clock: Clock, *, name: str, owner: str) -> None:
        self.name = name
        self.owner = owner
        self.epoch = 0
        self._db = db
        self._clock = clock
        self._renewed_wall = clock.now()
        self._renewed_mono = clock.monotonic()
        self._turn = asyncio.Lock()

    async def acquire(self, *, wait_s: float = WAIT_S) -> Lease:
        """Take the lease, waiting a little for the run that holds it; `BusyError` when it keeps it."""
        give_up = self._clock.monotonic() + wait_s
        while not await self._try():
            if self._clock.monotonic() >= give_up:
                raise BusyError(f"another run holds {self.name}; its work is left for the next run", operation="lease")
            await self._clock.sleep(_POLL_S)
        return self

    async def _try(self) -> bool:
        started_wall, started_mono = self._clock.now(), self._clock.monotonic()
        until = started_wall + timedelta(seconds=LENGTH_S)
        async with self._db.write() as tx:
            first = self._db.insert(lease).values(name=self.name, owner="", epoch=0, until=started_wall)
            await tx.execute(first.on_conflict_do_nothing())
            row = (await tx.execute(select(lease).where(lease.c.name == self.name).with_for_update())).one()
            if row.owner and row.until > started_wall:
                return False
            self.epoch = row.epoch + 1
            changed = {"owner": self.owner, "epoch": self.epoch, "until": until}
            await tx.execute(update(lease).where(lease.c.name == self.name).values(**changed))
        self._renewed_wall, self._renewed_mono = started_wall, started_mono
        return True

    def remaining(self) -> float:
        """Seconds left by whichever clock has gone further, so that a stopped clock adds none."""
        by_wall = (self._clock.now() - self._renewed_wall).total_seconds()
        by_mono = self._clock.monotonic() - self._renewed_mono
        return LENGTH_S - max(by_wall, by_mono)

    def deadline(self) -> float:
        """The monotonic instant after which nothing may be on its way."""
        return self._clock.monotonic() + self.remaining()

    async def keep(self) -> None:
        """Prove that the lease is still ours, and renew it when it is a minute old; one that has ended is lost."""
        # Two renewals at once would wait for each other in the database.
        async with self._turn:
            await self._keep()

    async def _keep(self) -> None:
        if LENGTH_S - self.remaining() < RENEW_AFTER_S:
            async with self._db.read() as tx:
                await self.verify(tx)
            return
        wall, mono = self._clock.now(), self._clock.monotonic()
        async with self._db.write() as tx:
            await self.verify(tx)
            until = wall + timedelta(seconds=LENGTH_S)
            await tx.execute(update(lease).where(lease.c.name == self.name).values(until=until))
        self._renewed_wall, self._renewed_mono = wall, mono

    async def beat(self) -> None:
        """Renew until cancelled, beside the work, by real time: a long page must not outlive its lease."""
        while True:
            await asyncio.sleep(_BEAT_S)
            await self.keep()

    async def verify(self, tx: AsyncConnection, *, ended_is_lost: bool = True) -> None:
        """Refuse to go on inside a transaction when another run has taken over (or our time is over).

        What is known already may be recorded after the end as long as nobody took over.
        """
        query = select(lease.c.owner, lease.c.epoch).where(lease.c.name == self.name).with_for_update(read=True)
        row = (await tx.execute(query)).one_or_none()
        if row is None or (row.owner, row.epoch) != (self.owner, self.epoch):
            raise LeaseLostError(f"{self.name} belongs to another run now", operation="lease")
        if ended_is_lost and self.remaining() <= 0:
            raise LeaseLostError(f"the lease on {self.name} has ended", operation="lease")

    async def release(self) -> None:
        """Give it back; the epoch stays, so the next owner is a new one."""
        mine = (lease.c.name == self.name) & (lease.c.owner == self.owner) & (lease.c.epoch == self.epoch)
        async with self._db.write() as tx:
            await tx.execute(update(lease).where(mine).values(owner=""))
