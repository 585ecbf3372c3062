"""Goods receipts are reserved: one signed row per PO line and document, so that no receipt pays two invoices.

Written at Intend under a lock on the PO, permanent once the document exists in the target, removed in the
transaction that ends the row without effect.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from sqlalchemy import ARRAY, Text, delete, func, insert, literal, select, update
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
    names = sorted(f"{tenant}/{number}" for number in set(po_numbers))
    # One round trip for all; sorted, because two writers that lock in different orders wait for each other for ever.
    name = func.unnest(literal(names, ARRAY(Text))).column_valued("name")
    in_order = select(name).order_by(name).subquery()
    await tx.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(in_order.c.name, 0))))


async def uses(
    tx: AsyncConnection, tenant: str, po_numbers: Iterable[str], *, leave_out: frozenset[str] = frozenset()
) -> dict[tuple[str, int], LineUse]:
    """Use per (PO, line), without the ledger rows to leave out."""
    numbers = sorted(set(po_numbers))
    found: dict[tuple[str, int], _Sum] = {}
    for start in range(0, len(numbers), _CHUNK):
        query = (
            select(reservation, ledger.c.token)
            .join(ledger, ledger.c.id == reservation.c.ledger_id)
            .where(reservation.c.tenant == tenant, reservation.c.po_number.in_(numbers[start : start + _CHUNK]))
        )
        for row in await tx.execute(query):
            if row.ledger_id not in leave_out:
                found.setdefault((row.po_number, row.po_line), _Sum()).add(row)
    return {key: one.use() for key, one in found.items()}


class _Sum:
    """Adds up one PO line; a blanket order may have thousands of documents."""

    def __init__(self) -> None:
        self._total = self._posted = Decimal(0)
        self._receivers: dict[str, Decimal] = {}
        self._tokens: set[str] = set()

    def add(self, row: Any) -> None:
        """One document's reservation."""
        for receiver, quantity in row.receivers.items():
            self._receivers[receiver] = self._receivers.get(receiver, Decimal(0)) + Decimal(quantity)
        self._total += row.quantity
        if row.permanent or row.quantity < 0:
            self._posted += row.quantity
        self._tokens.add(row.token)

    def use(self) -> LineUse:
        """The line's use."""
        return LineUse(self._total, self._posted, self._receivers, frozenset(self._tokens))


async def known_tokens(db: Database, tenant: str, tokens: Iterable[str]) -> frozenset[str]:
    """Which of these tokens belong to documents that hold a reservation."""
    found: set[str] = set()
    async with db.read() as tx:
        for chunk in _chunks(tokens):
            query = (
                select(ledger.c.token)
                .join(reservation, ledger.c.id == reservation.c.ledger_id)
                .where(reservation.c.tenant == tenant, ledger.c.token.in_(chunk))
            )
            found |= set((await tx.execute(query)).scalars())
    return frozenset(found)


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
