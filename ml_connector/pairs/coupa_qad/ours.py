"""Which QAD vouchers are ours, and what of the ledger of the way there the way back and corrections need."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sqlalchemy import func, or_, select

from ml_connector.domain.keys import ExternalId, digest
from ml_connector.domain.outcomes import Outcome
from ml_connector.pairs.base import responsible
from ml_connector.store import ledger
from ml_connector.store.ledger import IN_DOUBT, INTENDED, LedgerRow
from ml_connector.store.schema import effect, reservation
from ml_connector.store.schema import ledger as ledger_table
from ml_connector.store.tenants import ConnectionRow, Connections
from ml_connector.sync.payloads import stored_payload
from ml_connector.sync.run import Store

FORWARD, BACK = "coupa_to_qad", "qad_to_coupa"
# What the records of the way there are called in their external ids.
INVOICE, VOID = "invoice", "invoice_void"
# Values that one question compares with; SQLite and PostgreSQL take many more.
_MOST = 400


@dataclass(frozen=True, slots=True)
class PostedDocument:
    """A voucher of ours as it was sent, with what it holds of receipts: (PO, line) -> quantity and receivers."""

    voucher: str
    payload: Mapping[str, Any]
    held: Mapping[tuple[str, int], tuple[Decimal, Mapping[str, str]]]


class OurVouchers:
    """Reads the ledger of one connection's way there.

    Vouchers of a connection that is gone belong to its heir (`store.ledger.is_heir`).
    """

    def __init__(self, store: Store, connections: Connections, row: ConnectionRow) -> None:
        self._store = store
        self._connections = connections
        self._row = row
        self._names: frozenset[str] | None = None

    async def invoices(self, vouchers: Iterable[str]) -> dict[str, str]:
        """Coupa's invoice id per voucher; vouchers of others are left out."""
        wanted = sorted(set(vouchers))
        owners = await ledger.owners(self._store.db, self._row.target_tenant, "supplier_invoice", wanted)
        rows = await ledger.load(self._store.db, owners.values())
        names = await self._responsible()
        found = {}
        for voucher, row_id in owners.items():
            row, name = rows[row_id], ExternalId.parse(rows[row_id].external_id)
            forward = row.direction == FORWARD and row.route == "invoices"
            if forward and row.connection in names and name.tenant == self._row.source_tenant:
                found[voucher] = name.key
        return found

    async def unconfirmed(self) -> frozenset[str]:
        """Numbers of invoices that may have been posted and nobody knows: a voucher of no known row may be theirs.

        Whatever became of the record since: a person may still settle it as written.
        """
        query = select(ledger_table.c.label).join_from(ledger_table, effect, effect.c.ledger_id == ledger_table.c.id)
        creating = (effect.c.ordinal == 0) & effect.c.state.in_([INTENDED, IN_DOUBT])
        # No row with an open effect stands at anything else, and the index finds these few among all rows.
        standing = ledger_table.c.outcome.in_([Outcome.IN_DOUBT, Outcome.REJECTED, Outcome.HELD])
        mine = ledger_table.c.connection.in_(await self._responsible())
        async with self._store.db.read() as tx:
            return frozenset((await tx.execute(query.where(self._forward(), mine, standing, creating))).scalars())

    async def whose(self) -> str:
        """Names the connections whose vouchers are ours now; more of them sort later than fewer."""
        names = sorted(await self._responsible())
        return f"{len(names):04d}-{digest(names)[:12]}"

    async def told(self, payments: Sequence[str]) -> dict[str, str]:
        """Allocations of these payments that the ledger has: their keys and the documents' references."""
        start = f"{self._row.target_tenant}:payment:"
        found: dict[str, str] = {}
        async with self._store.db.read() as tx:
            for first in range(0, len(payments), _MOST):
                heads: dict[int, list[str]] = {}
                for payment in payments[first : first + _MOST]:
                    heads.setdefault(len(start) + len(payment) + 1, []).append(f"{start}{payment}>")
                query = select(ledger_table.c.external_id, ledger_table.c.label).where(
                    ledger_table.c.direction == BACK,
                    ledger_table.c.target_tenant == self._row.source_tenant,
                    # Equal beginnings of equal length: exact in every collation, which a range of texts is not.
                    or_(*(func.substr(ledger_table.c.external_id, 1, size).in_(some) for size, some in heads.items())),
                )
                for external_id, label in await tx.execute(query):
                    key = ExternalId.parse(external_id).key
                    found[key] = label.removesuffix(f" {key.partition('>')[0]}")
        return found

    async def posted(self, rows: Mapping[str, LedgerRow]) -> dict[str, PostedDocument]:
        """The vouchers of ledger rows by Coupa id, exactly as they were sent; those never posted are left out."""
        held = await self._held([row.id for row in rows.values()])
        return {
            key: PostedDocument(
                row.target_id, stored_payload(self._store.keys, row, row.effects[0]), held.get(row.id, {})
            )
            for key, row in rows.items()
            if row.target_id and row.posted
        }

    async def rows(
        self, keys: Sequence[str], *, route: str = "invoices", kind: str = INVOICE
    ) -> dict[str, LedgerRow]:
        """Ledger rows of Coupa ids."""
        source, target = self._row.source_tenant, self._row.target_tenant
        ids = {ledger.row_id(FORWARD, str(ExternalId(source, kind, key)), target): key for key in keys}
        found = await ledger.load(self._store.db, ids)
        return {ids[row_id]: row for row_id, row in found.items() if row.route == route}

    async def corrected(self, keys: Sequence[str]) -> dict[str, str]:
        """The correction of each voided invoice by its Coupa id; those without one are left out."""
        rows = await self.rows(keys, route="corrections", kind=VOID)
        return {key: row.target_id for key, row in rows.items() if row.target_id and row.posted}

    async def _held(self, rows: Sequence[str]) -> dict[str, dict[tuple[str, int], tuple[Decimal, Mapping[str, str]]]]:
        found: dict[str, dict[tuple[str, int], tuple[Decimal, Mapping[str, str]]]] = {}
        async with self._store.db.read() as tx:
            for one in await tx.execute(select(reservation).where(reservation.c.ledger_id.in_(rows))):
                found.setdefault(one.ledger_id, {})[one.po_number, one.po_line] = (one.quantity, one.receivers)
        return found

    async def _responsible(self) -> frozenset[str]:
        """The connections whose rows are ours: this one and, for their heir, those that are gone; once for a run."""
        if self._names is None:
            self._names = await responsible(self._store.db, self._connections, self._row.name, self._forward())
        return self._names

    def _forward(self) -> Any:
        """Invoices on the way between the two tenants."""
        table = ledger_table.c
        return (
            (table.direction == FORWARD)
            & (table.route == "invoices")
            & (table.target_tenant == self._row.target_tenant)
            & table.external_id.startswith(f"{self._row.source_tenant}:")
        )

