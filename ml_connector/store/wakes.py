"""Who has news waiting: a flag per direction, raised by the receiver, lowered by the run before it reads its inbox.

Whoever raises it (or finds it raised for more than 10 s and renews it) tells Prefect, and nobody else does.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import IntEnum

from sqlalchemy import ColumnElement, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from ml_connector.store.database import Database
from ml_connector.store.schema import wake

# After this long nobody has acted on a flag: the event may be lost, or its run waits for its turn.
STALE = timedelta(seconds=10)


class Asked(IntEnum):
    """Whether the caller has to tell Prefect; true for the flag's first raising and for its renewal."""

    NO = 0
    FIRST = 1
    AGAIN = 2


async def ask(
    db: Database, connection: str, direction: str, now: datetime, *, tx: AsyncConnection | None = None
) -> Asked:
    """Raise the flag, or renew one that is older than 10 s; of callers at the same time exactly one is told to emit.

    Inside the caller's transaction when there is one: rows stored with it are then seen by the run that lowers the
    flag, whichever of the two comes first.
    """
    if tx is not None:
        return await _ask(db, tx, (connection, direction), now)
    async with db.write() as own:
        return await _ask(db, own, (connection, direction), now)


async def clear(db: Database, connection: str, direction: str) -> None:
    """Lower the flag: from here on the caller reads the inbox, and what arrives later raises it anew."""
    async with db.write() as tx:
        await tx.execute(update(wake).where(*_at(connection, direction)).values(pending_since=None))


async def overdue(db: Database, now: datetime) -> list[tuple[str, str]]:
    """The (connection, direction) whose flag nobody has lowered for more than 10 s."""
    query = select(wake.c.connection, wake.c.direction).where(_stale(now)).order_by(*wake.primary_key)
    async with db.read() as tx:
        return [(row.connection, row.direction) for row in (await tx.execute(query)).all()]


async def _ask(db: Database, tx: AsyncConnection, where: tuple[str, str], now: datetime) -> Asked:
    flag = _at(*where)
    # The lock keeps `clear` out until the caller has committed, or else its rows and the flag could miss each other.
    found = (await tx.execute(select(wake.c.pending_since).where(*flag).with_for_update())).one_or_none()
    if found is None:
        row = {"connection": where[0], "direction": where[1], "pending_since": now}
        if (await tx.execute(db.insert(wake).values(row).on_conflict_do_nothing())).rowcount:
            return Asked.FIRST
        found = (await tx.execute(select(wake.c.pending_since).where(*flag).with_for_update())).one()
    free = wake.c.pending_since.is_(None) if found.pending_since is None else _stale(now)
    renewed = await tx.execute(update(wake).where(*flag, free).values(pending_since=now))
    if not renewed.rowcount:
        return Asked.NO
    return Asked.FIRST if found.pending_since is None else Asked.AGAIN


def _at(connection: str, direction: str) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return wake.c.connection == connection, wake.c.direction == direction


def _stale(now: datetime) -> ColumnElement[bool]:
    # A flag from the future was raised by a wrong clock and must not silence its direction.
    return or_(wake.c.pending_since <= now - STALE, wake.c.pending_since > now + STALE)
