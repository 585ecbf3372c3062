"""High-water marks: how far a stream of a connection has been fully processed. They only move forward."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from ml_connector.store.database import Database
from ml_connector.store.schema import mark


async def get_mark(db: Database, connection: str, stream: str) -> str | None:
    """The mark's value, an order-preserving text (an ISO instant, say), or None before the first run."""
    query = select(mark.c.value).where(mark.c.connection == connection, mark.c.stream == stream)
    async with db.read() as tx:
        value: str | None = (await tx.execute(query)).scalar_one_or_none()
    return value


async def advance(db: Database, tx: AsyncConnection, *, where: tuple[str, str], value: str, now: datetime) -> bool:
    """Move (connection, stream) to a later value by compare-and-set; an earlier or equal one changes nothing."""
    connection, stream = where
    row = {"connection": connection, "stream": stream, "value": value, "version": 1, "updated_at": now}
    created = await tx.execute(db.insert(mark).values(**row).on_conflict_do_nothing())
    if created.rowcount:
        return True
    newer = (mark.c.connection == connection) & (mark.c.stream == stream) & (mark.c.value < value)
    changed = update(mark).where(newer).values(value=value, version=mark.c.version + 1, updated_at=now)
    return bool((await tx.execute(changed)).rowcount)
