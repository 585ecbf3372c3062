"""The inbox: what systems told us and nobody has read yet. One row per delivery and direction, ids only, no content."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import String, case, cast, delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from ml_connector.store.database import Database
from ml_connector.store.schema import inbox

# Deliveries without an id of their own are known by the hash of their body, which may well come a second time.
BODY = "body:"
_CHUNK = 500


class DeliveryKey(NamedTuple):
    """What makes a delivery the same one when it comes again."""

    connection: str
    direction: str
    ingress: str
    delivery: str


class Arrival(NamedTuple):
    """A delivery on its way into the inbox of one direction."""

    connection: str
    direction: str
    ingress: str
    delivery: str
    topic: str
    object_id: str
    received_at: datetime

    @property
    def key(self) -> DeliveryKey:
        """What it is told from others by."""
        return DeliveryKey(self.connection, self.direction, self.ingress, self.delivery)


class Waiting(NamedTuple):
    """A row that no run has drained."""

    id: int
    topic: str
    object_id: str


class Backlog(NamedTuple):
    """How much waits for one direction, and since when."""

    connection: str
    direction: str
    waiting: int
    oldest: datetime


async def put(db: Database, tx: AsyncConnection, rows: Iterable[Arrival]) -> set[DeliveryKey]:
    """Keep deliveries once; returns the keys that are new."""
    unique = {row.key: row for row in rows}
    if not unique:
        return set()
    # In one order everywhere, so that two receivers with the same deliveries wait for each other and never in a ring.
    values = [unique[key]._asdict() for key in sorted(unique)]
    columns = (inbox.c.connection, inbox.c.direction, inbox.c.ingress, inbox.c.delivery)
    stored = await tx.execute(db.insert(inbox).on_conflict_do_nothing().returning(*columns), values)
    return {DeliveryKey(*row) for row in stored.all()}


async def waiting(db: Database, connection: str, direction: str, limit: int, *, after: int = 0) -> list[Waiting]:
    """Rows of one direction that wait, in the order of their ids, from the one after `after` on."""
    query = (
        select(inbox.c.id, inbox.c.topic, inbox.c.object_id)
        .where(inbox.c.connection == connection, inbox.c.direction == direction)
        .where(inbox.c.drained_at.is_(None), inbox.c.id > after)
        .order_by(inbox.c.id)
        .limit(limit)
    )
    async with db.read() as tx:
        return [Waiting(*row) for row in (await tx.execute(query)).all()]


async def drained(tx: AsyncConnection, ids: Sequence[int], now: datetime) -> None:
    """Mark rows as read. One known by its body gets a name of its own, so that an equal body counts again."""
    apart = inbox.c.delivery + "#" + cast(inbox.c.id, String)
    name = case((inbox.c.delivery.startswith(BODY), apart), else_=inbox.c.delivery)
    for start in range(0, len(ids), _CHUNK):
        these = inbox.c.id.in_(ids[start : start + _CHUNK]) & inbox.c.drained_at.is_(None)
        await tx.execute(update(inbox).where(these).values(drained_at=now, delivery=name))


async def recent(
    db: Database, connection: str, direction: str, topic: str, *, since: datetime, limit: int = 500
) -> list[str]:
    """Ids of the objects that deliveries of a topic were about since an instant, newest first, drained or not."""
    query = (
        select(inbox.c.object_id)
        .where(inbox.c.connection == connection, inbox.c.direction == direction)
        .where(inbox.c.topic == topic, inbox.c.received_at >= since)
        .group_by(inbox.c.object_id)
        .order_by(func.max(inbox.c.id).desc())
        .limit(limit)
    )
    async with db.read() as tx:
        return list((await tx.execute(query)).scalars())


async def sweep(tx: AsyncConnection, before: datetime) -> int:
    """Forget rows drained before an instant; keep those of the last 8 days, or an old delivery would count again."""
    return (await tx.execute(delete(inbox).where(inbox.c.drained_at < before))).rowcount


async def counts(db: Database) -> list[Backlog]:
    """What waits, per direction that has anything waiting."""
    query = (
        select(inbox.c.connection, inbox.c.direction, func.count(), func.min(inbox.c.received_at))
        .where(inbox.c.drained_at.is_(None))
        .group_by(inbox.c.connection, inbox.c.direction)
        .order_by(inbox.c.connection, inbox.c.direction)
    )
    async with db.read() as tx:
        return [Backlog(*row) for row in (await tx.execute(query)).all()]
