"""One row per run: when it worked, and the outcomes that add up to what it read."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import update

from ml_connector.store.database import Database
from ml_connector.store.schema import run


async def start(db: Database, run_id: str, *, connection: str, direction: str, now: datetime) -> None:
    """Note that a run began; a retry of the same run keeps its first start."""
    row = {"id": run_id, "connection": connection, "direction": direction, "started_at": now, "counts": {}}
    async with db.write() as tx:
        await tx.execute(db.insert(run).values(**row).on_conflict_do_nothing())


async def finish(db: Database, run_id: str, *, counts: dict[str, int], now: datetime) -> None:
    """Note how a run ended."""
    async with db.write() as tx:
        await tx.execute(update(run).where(run.c.id == run_id).values(ended_at=now, counts=counts))
