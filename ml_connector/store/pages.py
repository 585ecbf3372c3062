"""Fetched pages, sealed: tasks pass a handle, and a retry finds the page here when its process is gone."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncConnection

from ml_connector.store.database import Database
from ml_connector.store.schema import page


async def put(
    db: Database, tx: AsyncConnection, *, where: tuple[str, str, int, str], blob: bytes, now: datetime
) -> None:
    """Keep one stage of a page under (run, route, number, stage); a repeat replaces it."""
    run, route, number, stage = where
    statement = db.insert(page).values(run=run, route=route, number=number, stage=stage, blob=blob, created_at=now)
    await tx.execute(
        statement.on_conflict_do_update(
            index_elements=["run", "route", "number", "stage"], set_={"blob": blob, "created_at": now}
        )
    )


async def get(db: Database, where: tuple[str, str, int, str]) -> bytes | None:
    """The sealed page, or None when it was swept."""
    run, route, number, stage = where
    query = select(page.c.blob).where(
        page.c.run == run, page.c.route == route, page.c.number == number, page.c.stage == stage
    )
    async with db.read() as tx:
        blob: bytes | None = (await tx.execute(query)).scalar_one_or_none()
    return blob


async def sweep(tx: AsyncConnection, before: datetime) -> int:
    """Delete pages of runs that nobody will retry any more."""
    return (await tx.execute(delete(page).where(page.c.created_at < before))).rowcount
