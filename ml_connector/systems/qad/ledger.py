"""Supplier invoices in QAD: finding, posting, and what other people's invoices use of the receipts."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from ml_connector.domain.records import ReceiptMatch
from ml_connector.errors import ContractError, RecordRejectedError, UnknownOutcomeError
from ml_connector.systems.qad.browse import Filter, same
from ml_connector.systems.qad.client import QadClient, Written
from ml_connector.systems.qad.documents import (
    DocumentError,
    InvoiceQuery,
    InvoiceSeen,
    Posted,
    gives_back,
    invoice_key,
    key_parts,
    seen,
    to_wire,
)
from ml_connector.systems.qad.errors import SYSTEM
from ml_connector.systems.qad.lookups import among, side_by_side
from ml_connector.systems.qad.models import InvoiceRow, PostedRow, read_matches, read_row
from ml_connector.systems.qad.reader import Reader, Row

_SEEN = ("supplier", "reference", "type", "amount", "token", "invoice_date")
_LOOKBACK = timedelta(days=1)
_MOST_REMEMBERED = 20_000


class Ledger(Reader):
    """Reads and posts supplier invoices."""

    def __init__(self, client: QadClient) -> None:
        super().__init__(client)
        # Rows of other people's invoices as last seen, with what they use; an unchanged row is not read again.
        self._matches: dict[str, tuple[Row, tuple[ReceiptMatch, ...]]] = {}

    async def receipt_matches(self, supplier: str, since: date, leave_out: frozenset[str]) -> tuple[ReceiptMatch, ...]:
        """What invoices of a supplier changed since then use of receipts, less those with a token in `leave_out`.

        QAD filters by day in its server's time zone, so the read begins one day earlier.
        """
        where = [
            Filter("entity", "eq", self.tenant.entity),
            Filter("supplier", "eq", supplier),
            Filter("last_modified", "ge", since - _LOOKBACK),
        ]
        rows = self.whole(await self.client.browse("supplierInvoice", where))
        foreign = [
            row
            for row in rows
            if str(row.get("token") or "").strip() not in leave_out and row.get("receiver_matching") is not False
        ]
        used = await side_by_side(self._used_by, foreign, self.workers)
        return tuple(match for matches in used for match in matches if match.token not in leave_out)

    async def find_invoices(self, supplier: str, reference: str) -> tuple[InvoiceSeen, ...]:
        """All documents of a supplier with this reference, of every type."""
        query = InvoiceQuery(self.tenant.entity, supplier, reference)
        return (await self.look_up_invoices([query]))[query]

    async def look_up_invoices(self, queries: Collection[InvoiceQuery]) -> dict[InvoiceQuery, tuple[InvoiceSeen, ...]]:
        """The same for many at once, each supplier's neighbouring references in one question."""
        asked: list[tuple[str, str, tuple[str, ...]]] = []
        for entity, supplier in dict.fromkeys((query.entity, query.supplier) for query in queries):
            references = [one.reference for one in queries if (one.entity, one.supplier) == (entity, supplier)]
            asked += [(entity, supplier, group) for group in self.groups(references)]
        found: dict[tuple[str, str, str], tuple[InvoiceSeen, ...]] = {}
        answers = await side_by_side(self._references, asked, self.workers)
        for (entity, supplier, _), answer in zip(asked, answers, strict=True):
            found |= {(entity, supplier, reference): shown for reference, shown in answer.items()}
        return {query: found[query.entity, query.supplier, same(query.reference)] for query in queries}

    async def find_by_token(self, token: str) -> tuple[InvoiceSeen, ...]:
        """All documents that carry a token of ours."""
        rows = self.whole(await self.client.browse("supplierInvoice", [Filter("token", "eq", token)]))
        shown = [await self._seen(row) for row in rows]
        return tuple(one for one in shown if one.token == token)

    async def get_invoice(self, key: str) -> InvoiceSeen | None:
        """The document with this key as it is now, or None."""
        resource = self.client.resource("supplierInvoice")
        record = await self.client.get("supplierInvoice", key_parts(key))
        if record is None:
            return None
        row = read_row(InvoiceRow, resource, resource.logical(record), "get supplierInvoice")
        return seen(row, self.tenant.invoice)

    async def post_invoice(self, document: Mapping[str, Any], external_id: str) -> Posted:
        """Post one document; RecordRejectedError when QAD refuses it, UnknownOutcomeError when nobody can tell."""
        resource = self.client.resource("supplierInvoice")
        try:
            wire = to_wire(document, resource, self.tenant.invoice)
        except DocumentError as error:
            text = "the document was not sent"
            raise RecordRejectedError(text, code="document_incomplete", detail=str(error), system=SYSTEM) from error
        written = await self.client.create("supplierInvoice", wire, external_id=external_id)
        return self._posted(written, str(document["token"]), external_id)

    def _posted(self, written: Written, token: str, external_id: str) -> Posted:
        resource = self.client.resource("supplierInvoice")
        values = resource.logical(written.record)
        try:
            row = read_row(PostedRow, resource, values, "write supplierInvoice")
        except ContractError as error:
            raise UnknownOutcomeError(
                error.message, system=SYSTEM, operation=error.operation, external_id=external_id
            ) from error
        return Posted(
            key=invoice_key(row.entity, row.year, row.daybook, row.voucher),
            voucher=row.voucher,
            registration=row.registration,
            hold_amount=row.hold_amount,
            status=row.status,
            matching_status=row.matching_status,
            warnings=written.warnings,
            kept_token=str(values.get("token", token) or "").strip() == token,
        )

    async def _used_by(self, row: Row) -> tuple[ReceiptMatch, ...]:
        resource = self.client.resource("supplierInvoice")
        keys = {name: self.member("supplierInvoice", row, name) for name in resource.key}
        address = "/".join(str(value) for value in keys.values())
        known = self._matches.get(address)
        if known is not None and known[0] == row and row.get("last_modified"):
            return known[1]
        record = await self.client.get("supplierInvoice", keys)
        if record is None:
            return ()
        values = resource.logical(record)
        sign = -1 if gives_back(str(values.get("type") or ""), self.tenant.invoice) else 1
        token = str(values.get("token") or "").strip()
        matches = tuple(
            ReceiptMatch(one.po, one.line, _signed(one.quantity, sign), one.receiver, token)
            for one in read_matches(resource, record, "get supplierInvoice")
        )
        if len(self._matches) >= _MOST_REMEMBERED:
            self._matches.clear()
        self._matches[address] = (row, matches)
        return matches

    async def _references(self, asked: tuple[str, str, tuple[str, ...]]) -> dict[str, tuple[InvoiceSeen, ...]]:
        entity, supplier, group = asked
        where = [Filter("entity", "eq", entity), Filter("supplier", "eq", supplier), *among("reference", group)]
        wanted: dict[str, list[InvoiceSeen]] = {same(reference): [] for reference in group}
        for row in self.whole(await self.client.browse("supplierInvoice", where)):
            place = wanted.get(same(self.member("supplierInvoice", row, "reference")))
            if place is not None:
                place.append(await self._seen(row))
        return {reference: tuple(found) for reference, found in wanted.items()}

    async def _seen(self, row: Row) -> InvoiceSeen:
        values = await self.completed("supplierInvoice", row, _SEEN)
        resource = self.client.resource("supplierInvoice")
        return seen(read_row(InvoiceRow, resource, values, "list supplierInvoice"), self.tenant.invoice)


def _signed(quantity: Decimal, sign: int) -> Decimal:
    """A credit's quantity is negative however QAD writes it; an invoice's keeps its own sign."""
    return -abs(quantity) if sign < 0 else quantity
