"""Goods receipts are reserved: one signed row per PO line and document, so that no receipt pays two invoices.

Written at Intend under a lock on the PO, permanent once the document exists in the target, removed in the
transaction that ends the row without effect.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from ml_connector.store.database import Database
from ml_connector.store.schema import ledger, reservation

_CHUNK = 400


@dataclass(frozen=True, slots=True)
class LineUse:
    """What documents of ours use of one PO line: in total, posted, per receiver, and the tokens that do so.

    `posted` is what a credit may take back: what exists in the target, less every credit that is on its way.
    """

    total: Decimal = Decimal(0)
    posted: Decimal = Decimal(0)
    receivers: Mapping[str, Decimal] = field(default_factory=dict)
    tokens: frozenset[str] = frozenset()


async def lock_orders(db: Database, tx: AsyncConnection, tenant: str, po_numbers: Iterable[str]) -> None:
    """Make this transaction the only one that changes reservations of these POs (SQLite writers are alone anyway)."""
    if db.is_sqlite:
        return
    for number in sorted(set(po_numbers)):
        await tx.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(f"{tenant}/{number}", 0))))


async def uses(
    tx: AsyncConnection, tenant: str, po_numbers: Iterable[str], *, leave_out: frozenset[str] = frozenset()
) -> dict[tuple[str, int], LineUse]:
    """Use per (PO, line), without the ledger rows to leave out."""
    numbers = sorted(set(po_numbers))
    found: dict[tuple[str, int], LineUse] = {}
    for start in range(0, len(numbers), _CHUNK):
        query = (
            select(reservation, ledger.c.token)
            .join(ledger, ledger.c.id == reservation.c.ledger_id)
            .where(reservation.c.tenant == tenant, reservation.c.po_number.in_(numbers[start : start + _CHUNK]))
        )
        for row in await tx.execute(query):
            if row.ledger_id not in leave_out:
                key = (row.po_number, row.po_line)
                found[key] = _with(found.get(key, LineUse()), row)
    return found


def _with(use: LineUse, row: Any) -> LineUse:
    receivers = dict(use.receivers)
    for receiver, quantity in row.receivers.items():
        receivers[receiver] = receivers.get(receiver, Decimal(0)) + Decimal(quantity)
    posted = use.posted + row.quantity if row.permanent or row.quantity < 0 else use.posted
    return LineUse(use.total + row.quantity, posted, receivers, use.tokens | {row.token})


async def reserve(tx: AsyncConnection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Replace the reservations of the ledger rows named in `rows` (columns of the table)."""
    if rows:
        await release(tx, {row["ledger_id"] for row in rows})
        await tx.execute(insert(reservation), [dict(row) for row in rows])


async def make_permanent(tx: AsyncConnection, ledger_ids: Iterable[str]) -> None:
    """The documents exist in the target now, so what they use stays used."""
    for chunk in _chunks(ledger_ids):
        await tx.execute(update(reservation).where(reservation.c.ledger_id.in_(chunk)).values(permanent=True))


async def release(tx: AsyncConnection, ledger_ids: Iterable[str]) -> None:
    """Free what documents without effect had reserved; permanent ones stay."""
    for chunk in _chunks(ledger_ids):
        gone = reservation.c.ledger_id.in_(chunk) & reservation.c.permanent.is_(False)
        await tx.execute(delete(reservation).where(gone))


def _chunks(ids: Iterable[str]) -> list[list[str]]:
    ordered = sorted(set(ids))
    return [ordered[start : start + _CHUNK] for start in range(0, len(ordered), _CHUNK)]
