"""What both directions of a pair last agreed on, field by field: whoever differs from it has changed something."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from ml_connector.store.crypto import Keys
from ml_connector.store.database import Database
from ml_connector.store.schema import agreed

_CHUNK = 400


async def load(db: Database, keys: Keys, records: Iterable[str]) -> dict[str, dict[str, str]]:
    """The agreed values of these ledger rows by name; a row or field that was never agreed on is left out."""
    found: dict[str, dict[str, str]] = {}
    ordered = sorted(set(records))
    async with db.read() as tx:
        for start in range(0, len(ordered), _CHUNK):
            query = select(agreed).where(agreed.c.record.in_(ordered[start : start + _CHUNK]))
            for one in await tx.execute(query):
                value = keys.open(one.blob, about=_about(one.record, one.name)).decode()
                found.setdefault(one.record, {})[one.name] = value
    return found


async def changed_since(db: Database, records: Iterable[str], since: datetime) -> frozenset[str]:
    """Those of these ledger rows about which something was agreed after an instant."""
    found: set[str] = set()
    ordered = sorted(set(records))
    async with db.read() as tx:
        for start in range(0, len(ordered), _CHUNK):
            these = agreed.c.record.in_(ordered[start : start + _CHUNK]) & (agreed.c.updated_at > since)
            # Names with a slash are notes beside the fields.
            these &= agreed.c.name.not_like("/%")
            found.update((await tx.execute(select(agreed.c.record).where(these))).scalars())
    return frozenset(found)


async def put(
    db: Database, keys: Keys, tx: AsyncConnection, values: Mapping[tuple[str, str], str], now: datetime
) -> None:
    """Both sides show these values now, by (ledger row, name)."""
    rows = [
        {
            "record": record,
            "name": name,
            "blob": keys.seal(value.encode(), about=_about(record, name), schema="agreed", version=1),
            "updated_at": now,
        }
        for (record, name), value in values.items()
    ]
    if not rows:
        return
    statement = db.insert(agreed)
    newer = {"blob": statement.excluded.blob, "updated_at": statement.excluded.updated_at}
    await tx.execute(statement.on_conflict_do_update(index_elements=["record", "name"], set_=newer), rows)


def _about(record: str, name: str) -> str:
    return f"agreed/{record}/{name}"
