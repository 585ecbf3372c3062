"""What a person changed about a source record for its replay: one sealed value per field, apart from the record."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncConnection

from ml_connector.store.database import Database
from ml_connector.store.schema import overlay

_CHUNK = 400


async def put(db: Database, tx: AsyncConnection, *, row: str, path: str, blob: bytes, now: datetime) -> None:
    """Lay a value over a field of a ledger row's record; a repeat replaces it."""
    statement = db.insert(overlay).values(ledger_id=row, path=path, blob=blob, created_at=now)
    changed = {"blob": blob, "created_at": now}
    await tx.execute(statement.on_conflict_do_update(index_elements=["ledger_id", "path"], set_=changed))


async def load(db: Database, rows: Iterable[str]) -> dict[str, dict[str, bytes]]:
    """Sealed values by ledger row and path."""
    found: dict[str, dict[str, bytes]] = {}
    ids = sorted(set(rows))
    async with db.read() as tx:
        for start in range(0, len(ids), _CHUNK):
            query = select(overlay).where(overlay.c.ledger_id.in_(ids[start : start + _CHUNK]))
            for one in await tx.execute(query):
                found.setdefault(one.ledger_id, {})[one.path] = one.blob
    return found


async def any_at_all(db: Database) -> bool:
    """Whether there is any; mostly there is none, and then no page needs to ask."""
    async with db.read() as tx:
        return (await tx.execute(select(overlay.c.path).limit(1))).first() is not None


async def drop(tx: AsyncConnection, row: str, path: str) -> None:
    """Take a value away again."""
    await tx.execute(delete(overlay).where(overlay.c.ledger_id == row, overlay.c.path == path))
