"""Reading the audit trail: one record's whole history, an export for auditors, and retention of details."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson
from sqlalchemy import Row, func, null, or_, select, tuple_, update

from ml_connector.clock import Clock
from ml_connector.store.audit import ADMIN_CHAIN, Audit, AuditEvent, about
from ml_connector.store.crypto import Keys
from ml_connector.store.database import Database
from ml_connector.store.schema import audit, ledger

EMPTIED = "details_emptied"
_BATCH = 1000


@dataclass(frozen=True, slots=True)
class PastEvent:
    """An event as it was recorded; `detail` is None when it had none or `emptied` by retention."""

    chain: str
    seq: int
    at: datetime
    kind: str
    external_id: str
    data: Mapping[str, Any]
    detail: Mapping[str, Any] | None
    emptied: bool


async def history(db: Database, keys: Keys, name: str) -> list[PastEvent]:
    """Everything that happened to a record, oldest first; `name` is its external id or its label (invoice number)."""
    labelled = select(ledger.c.external_id).where(ledger.c.label == name)
    query = (
        select(audit)
        .where(or_(audit.c.external_id == name, audit.c.external_id.in_(labelled)))
        .order_by(audit.c.at, audit.c.chain, audit.c.seq)
    )
    async with db.read() as tx:
        rows = (await tx.execute(query)).all()
    return [_opened(keys, row) for row in rows]


async def export(
    db: Database,
    keys: Keys,
    *,
    chain: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    details: bool = False,
) -> AsyncIterator[bytes]:
    """The trail as JSON lines in chain order, with signatures; details are opened only on request."""
    place = tuple_(audit.c.chain, audit.c.seq)
    query = select(audit).order_by(audit.c.chain, audit.c.seq).limit(_BATCH)
    if chain is not None:
        query = query.where(audit.c.chain == chain)
    if since is not None:
        query = query.where(audit.c.at >= since)
    if until is not None:
        query = query.where(audit.c.at < until)
    async with db.read() as tx:
        batch = (await tx.execute(query)).all()
    while batch:
        for row in batch:
            yield _line(keys, row, details=details)
        last = batch[-1]
        async with db.read() as tx:
            batch = (await tx.execute(query.where(place > tuple_(last.chain, last.seq)))).all()


async def empty_details(db: Database, keys: Keys, clock: Clock, before: datetime) -> int:
    """Delete the sealed details of events older than `before`, audited; returns how many. The chain stays provable."""
    old = (audit.c.at < before) & audit.c.blob.is_not(None)
    async with db.write() as tx:
        if not (await tx.execute(select(func.count()).where(old))).scalar_one():
            return 0
        count = (await tx.execute(update(audit).where(old).values(blob=null()))).rowcount
        data = {"before": before.astimezone(UTC).isoformat(), "count": count}
        await Audit(db, keys, clock).append(tx, ADMIN_CHAIN, [AuditEvent(EMPTIED, data=data)])
    return count


def _opened(keys: Keys, row: Row[Any]) -> PastEvent:
    detail = None
    if row.blob is not None:
        detail = orjson.loads(keys.open(row.blob, about=about(row.chain, row.seq)))
    emptied = row.blob is None and row.digest != ""
    return PastEvent(row.chain, row.seq, row.at, row.kind, row.external_id, row.data, detail, emptied)


def _line(keys: Keys, row: Row[Any], *, details: bool) -> bytes:
    shown = {str(column.name): row._mapping[column] for column in audit.c if column is not audit.c.blob}
    if details:
        past = _opened(keys, row)
        shown |= {"detail": past.detail, "detail_emptied": past.emptied}
    return orjson.dumps(shown) + b"\n"
