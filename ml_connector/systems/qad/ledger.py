"""Supplier invoices in QAD: finding, posting, and what other people's invoices use of the receipts."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, Protocol

from ml_connector.domain.keys import digest
from ml_connector.domain.records import ReceiptMatch
from ml_connector.errors import ContractError, RecordRejectedError, UnknownOutcomeError
from ml_connector.systems.qad.browse import Filter, Rows, same
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
    takes_again,
    to_wire,
)
from ml_connector.systems.qad.errors import SYSTEM
from ml_connector.systems.qad.lookups import among, side_by_side
from ml_connector.systems.qad.models import InvoiceRow, PostedRow, read_matches, read_row
from ml_connector.systems.qad.reader import Reader, Row

_SEEN = ("supplier", "reference", "type", "amount", "token", "invoice_date")
_LOOKBACK = timedelta(days=1)
_FRESH_S = 60.0
_MOST_REMEMBERED = 20_000
_BACK, _AGAIN = -1, 1


# Which of these tokens are on documents that the connector itself keeps account of.
Ours = Callable[[frozenset[str]], Awaitable[frozenset[str]]]


class Memory(Protocol):
    """What other people's invoices use of receipts, by a digest of the row that the list shows of each."""

    async def get(self, row: str) -> tuple[ReceiptMatch, ...] | None:
        """What the invoice with this row uses, or None when that is not remembered."""
        ...

    async def put(self, row: str, matches: tuple[ReceiptMatch, ...]) -> None:
        """Remember it."""
        ...


class ProcessMemory:
    """Remembers for as long as the process lives, and starts afresh when it holds too much."""

    def __init__(self, most: int = _MOST_REMEMBERED) -> None:
        self._most = most
        self._matches: dict[str, tuple[ReceiptMatch, ...]] = {}

    async def get(self, row: str) -> tuple[ReceiptMatch, ...] | None:
        """What the invoice with this row uses, or None when that is not remembered."""
        return self._matches.get(row)

    async def put(self, row: str, matches: tuple[ReceiptMatch, ...]) -> None:
        """Remember it."""
        if len(self._matches) >= self._most:
            self._matches.clear()
        self._matches[row] = matches


class Ledger(Reader):
    """Reads and posts supplier invoices."""

    def __init__(self, client: QadClient, memory: Memory | None = None) -> None:
        super().__init__(client)
        # An invoice whose row has not changed is not read again.
        self._memory = memory or ProcessMemory()
        self._recent_lists: dict[str, tuple[date, float, Rows]] = {}

    async def receipt_matches(self, supplier: str, since: date, ours: Ours) -> tuple[ReceiptMatch, ...]:
        """What invoices of a supplier changed since then use of receipts, less those whose token `ours` knows."""
        rows = await self._changed_invoices(supplier, since)
        matched = [row for row in rows if row.get("receiver_matching") is not False]
        known = await ours(frozenset(_token(row) for row in matched) - {""})
        used = await side_by_side(self._used_by, [row for row in matched if _token(row) not in known], self.workers)
        matches = [match for one in used for match in one]
        # A list may leave the token out, and then only the invoice itself shows whose it is.
        known |= await ours(frozenset(match.token for match in matches) - {""})
        return tuple(match for match in matches if match.token not in known)

    async def _changed_invoices(self, supplier: str, since: date) -> Rows:
        """QAD filters by day in its server's time zone, so the read begins one day earlier.

        Pages that follow each other fast share one read: it is no older than what a page of posts takes anyway.
        """
        now = self.client.http.clock.monotonic()
        before = self._recent_lists.get(supplier)
        if before is not None and before[0] <= since and now - before[1] < _FRESH_S:
            return before[2]
        where = [
            Filter("entity", "eq", self.tenant.entity),
            Filter("supplier", "eq", supplier),
            Filter("last_modified", "ge", since - _LOOKBACK),
        ]
        rows = self.whole(await self.client.browse("supplierInvoice", where))
        self._recent_lists[supplier] = (since, now, rows)
        return rows

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
        # The signs depend on the settings, so a memory that outlives them must not answer for others.
        words = self.tenant.invoice
        named = digest({"row": dict(row), "back": words.negative_types, "types": words.types})
        known = await self._memory.get(named) if row.get("last_modified") else None
        if known is not None:
            return known
        record = await self.client.get("supplierInvoice", keys)
        if record is None:
            return ()
        values = resource.logical(record)
        sign = self._sign(str(values.get("type") or ""))
        token = str(values.get("token") or "").strip()
        matches = tuple(
            ReceiptMatch(one.po, one.line, _signed(one.quantity, sign), one.receiver, token)
            for one in read_matches(resource, record, "get supplierInvoice")
        )
        if row.get("last_modified"):
            await self._memory.put(named, matches)
        return matches

    def _sign(self, wire_type: str) -> int:
        if gives_back(wire_type, self.tenant.invoice):
            return _BACK
        return _AGAIN if takes_again(wire_type, self.tenant.invoice) else 0

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


def _token(row: Row) -> str:
    return str(row.get("token") or "").strip()


def _signed(quantity: Decimal, sign: int) -> Decimal:
    """A credit's quantity is negative and its correction's positive however QAD writes them; else the sign stays."""
    return abs(quantity) * sign if sign else quantity
