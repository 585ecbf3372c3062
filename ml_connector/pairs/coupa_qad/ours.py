"""Which QAD vouchers are ours, and what of the ledger of the way there the way back and corrections need."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sqlalchemy import select

from ml_connector.domain.keys import ExternalId
from ml_connector.store import ledger
from ml_connector.store.ledger import LedgerRow
from ml_connector.store.schema import ledger as ledger_table
from ml_connector.store.schema import reservation
from ml_connector.store.tenants import ConnectionRow, Connections
from ml_connector.sync.run import Store
from ml_connector.sync.writing import stored_payload

FORWARD = "coupa_to_qad"


@dataclass(frozen=True, slots=True)
class PostedDocument:
    """A voucher of ours as it was sent, with what it holds of receipts: (PO, line) -> quantity and receivers."""

    voucher: str
    payload: Mapping[str, Any]
    held: Mapping[tuple[str, int], tuple[Decimal, Mapping[str, str]]]


class OurVouchers:
    """Reads the ledger of one connection's way there.

    Vouchers of a connection that is gone belong to the first by name of those that join the same tenants now.
    """

    def __init__(self, store: Store, connections: Connections, row: ConnectionRow) -> None:
        self._store = store
        self._connections = connections
        self._row = row

    async def invoices(self, vouchers: Iterable[str]) -> dict[str, str]:
        """Coupa's invoice id per voucher; vouchers of others are left out."""
        wanted = sorted(set(vouchers))
        owners = await ledger.owners(self._store.db, self._row.target_tenant, "supplier_invoice", wanted)
        rows = await ledger.load(self._store.db, owners.values())
        mine = await self._mine()
        found = {}
        for voucher, row_id in owners.items():
            row = rows[row_id]
            if row.direction == FORWARD and row.route == "invoices" and self._is_mine(row, mine):
                found[voucher] = ExternalId.parse(row.external_id).key
        return found

    async def unconfirmed(self) -> frozenset[str]:
        """Numbers of invoices whose posting is in doubt: a voucher that nobody knows yet may be theirs."""
        query = select(ledger_table.c.label).where(
            ledger_table.c.connection == self._row.name,
            ledger_table.c.direction == FORWARD,
            ledger_table.c.outcome == "in_doubt",
            ledger_table.c.target_id.is_(None),
        )
        async with self._store.db.read() as tx:
            return frozenset((await tx.execute(query)).scalars())

    async def posted(self, keys: Sequence[str]) -> dict[str, PostedDocument]:
        """The vouchers of invoices by their Coupa id, exactly as they were sent; those never posted are left out."""
        rows = await self.rows(keys)
        held = await self._held([row.id for row in rows.values()])
        return {
            key: PostedDocument(
                row.target_id, stored_payload(self._store.keys, row, row.effects[0]), held.get(row.id, {})
            )
            for key, row in rows.items()
            if row.target_id and row.posted
        }

    async def rows(
        self, keys: Sequence[str], *, route: str = "invoices", kind: str = "invoice"
    ) -> dict[str, LedgerRow]:
        """Ledger rows of Coupa ids."""
        source, target = self._row.source_tenant, self._row.target_tenant
        ids = {ledger.row_id(FORWARD, str(ExternalId(source, kind, key)), target): key for key in keys}
        found = await ledger.load(self._store.db, ids)
        return {ids[row_id]: row for row_id, row in found.items() if row.route == route}

    async def _held(self, rows: Sequence[str]) -> dict[str, dict[tuple[str, int], tuple[Decimal, Mapping[str, str]]]]:
        found: dict[str, dict[tuple[str, int], tuple[Decimal, Mapping[str, str]]]] = {}
        async with self._store.db.read() as tx:
            for one in await tx.execute(select(reservation).where(reservation.c.ledger_id.in_(rows))):
                found.setdefault(one.ledger_id, {})[one.po_number, one.po_line] = (one.quantity, one.receivers)
        return found

    async def _mine(self) -> tuple[frozenset[str], bool]:
        """Names of all connections, and whether this one is the heir of those that are gone."""
        rows = await self._connections.list()
        tenants = (self._row.pair, self._row.source_tenant, self._row.target_tenant)
        alike = [one.name for one in rows if (one.pair, one.source_tenant, one.target_tenant) == tenants]
        return frozenset(one.name for one in rows), min(alike, default="") == self._row.name

    def _is_mine(self, row: LedgerRow, mine: tuple[frozenset[str], bool]) -> bool:
        known, heir = mine
        if row.connection in known:
            return row.connection == self._row.name
        return heir and ExternalId.parse(row.external_id).tenant == self._row.source_tenant
