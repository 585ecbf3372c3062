"""Coupa in business terms: the invoices to read, what to leave on them once they are posted, payments and masters."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from ml_connector.domain.records import DocumentKind, InvoiceCharge, InvoiceLine, SupplierInvoice, Unreadable
from ml_connector.errors import ContractError
from ml_connector.sync.seams import Batch
from ml_connector.systems.coupa import models as wire
from ml_connector.systems.coupa.client import CoupaClient
from ml_connector.systems.coupa.lookups import lookups_known, order_field_known, order_fields, order_states
from ml_connector.systems.coupa.models import Unparsed
from ml_connector.systems.coupa.payments import InvoicePayments, InvoiceToPay, PaidFlag, PaymentEntry, invoices_to_pay
from ml_connector.systems.coupa.targets import ExportedFlag, InvoiceCustomFields, InvoiceHistory
from ml_connector.systems.coupa.upserts import LookupValues, Suppliers
from ml_connector.systems.coupa.validate import ping

__all__ = [
    "ApprovedInvoices",
    "ExportedFlag",
    "InvoiceCustomFields",
    "InvoiceHistory",
    "InvoicePayments",
    "InvoiceToPay",
    "LookupValues",
    "PaidFlag",
    "PaymentEntry",
    "Suppliers",
    "Unreadable",
    "VoidedInvoices",
    "invoices_to_pay",
    "lookups_known",
    "order_field_known",
    "order_fields",
    "order_states",
    "ping",
    "to_supplier_invoice",
]

ZERO = Decimal(0)
VOIDED = ("voided",)
# Further back than any clock of the instance is off, and than a change needs to show.
# Longer than the sheet's two minutes: Coupa may take five to show a change.
LOOKBACK = timedelta(minutes=10)


def to_supplier_invoice(invoice: wire.Invoice) -> SupplierInvoice:
    """The invoice in our words, amounts signed exactly as Coupa shows them; ContractError names what cannot be read."""
    total = invoice.total_with_taxes if invoice.total_with_taxes is not None else invoice.gross_total
    if total is None:
        raise ContractError("total-with-taxes: missing", system="coupa", operation="read invoice")
    lines = tuple(_line(line, invoice, number) for number, line in enumerate(invoice.invoice_lines))
    credit = total < 0 or invoice.document_type.strip().lower() == "credit note"
    supplier = invoice.supplier or wire.SupplierRef()
    return SupplierInvoice(
        key=str(invoice.id),
        number=invoice.invoice_number.strip(),
        kind=DocumentKind.CREDIT_NOTE if credit else DocumentKind.INVOICE,
        status=invoice.status,
        supplier_number=supplier.number,
        supplier_name=supplier.name,
        currency=invoice.currency.code if invoice.currency else "",
        invoice_date=invoice.invoice_date,
        total=total,
        tax=sum((line.tax for line in lines), ZERO) if invoice.line_level_taxation else invoice.tax_amount or ZERO,
        lines=lines,
        charges=_charges(invoice),
        due_date=invoice.net_due_date,
        payment_channel=invoice.payment_channel,
        chart=invoice.account_type.name if invoice.account_type else "",
        exported=invoice.exported,
        updated_at=invoice.updated_at,
    )


def _line(line: wire.InvoiceLine, invoice: wire.Invoice, number: int) -> InvoiceLine:
    po_number = line.po_number or line.order_header_num or None
    if po_number and not line.order_line_num.isdecimal():
        path = f"invoice-lines.{number}.order-line-num: not a whole number"
        raise ContractError(path, system="coupa", operation="read invoice")
    return InvoiceLine(
        number=line.line_num,
        description=line.description,
        total=line.total,
        quantity=None if line.type == "InvoiceAmountLine" else line.quantity,
        price=line.price,
        po_number=po_number,
        po_line=int(line.order_line_num) if po_number else None,
        account=_account(line),
        tax=(line.tax_amount or ZERO) if invoice.line_level_taxation else ZERO,
        tax_code=line.tax_code.code if line.tax_code else "",
    )


def _account(line: wire.InvoiceLine) -> str | None:
    """The one account of a line; a split over several has none of its own."""
    split = line.account_allocations or ()
    chosen = line.account if line.account and not split else split[0].account if len(split) == 1 else None
    return chosen.code or None if chosen else None


def _charges(invoice: wire.Invoice) -> tuple[InvoiceCharge, ...]:
    # README: Surprises, "Charges twice". The two forms repeat each other, so only one may count.
    listed = [
        InvoiceCharge(charge.type.removeprefix("Invoice").removesuffix("Charge").lower() or "misc", charge.total)
        for charge in invoice.invoice_charges or ()
        if charge.total
    ]
    if listed:
        return tuple(listed)
    header = {"shipping": invoice.shipping_amount, "handling": invoice.handling_amount, "misc": invoice.misc_amount}
    return tuple(InvoiceCharge(kind, amount) for kind, amount in header.items() if amount)


class ApprovedInvoices:
    """Source: invoices that are ready to be posted and not yet marked exported.

    What was read and is held stays unexported, so each drain begins at the lowest id again.
    """

    stream = "coupa.invoices"

    def __init__(
        self,
        client: CoupaClient,
        *,
        statuses: Sequence[str] = ("approved",),
        exported: bool | None = False,
        filters: Iterable[tuple[str, str]] = (),
    ) -> None:
        self._client = client
        self._statuses = tuple(statuses)
        self._exported = exported
        self._filters = tuple(filters)

    async def pages(self, start: str | None, since: str | None) -> AsyncIterator[Batch[SupplierInvoice]]:
        """Page by page, each with the cursor to go on from; there is no mark, because the flag is the memory."""
        last = int(start) if start else None
        size = self._client.tenant.page_size
        while True:
            page = await self._client.invoices(
                after_id=last, statuses=self._statuses, exported=self._exported, filters=self._filters
            )
            if not page:
                return
            last = page[-1].id
            yield Batch(*_records(page), str(last))
            if len(page) < size:
                return

    async def by_key(self, keys: Sequence[str]) -> dict[str, SupplierInvoice | Unreadable]:
        """The invoices with these ids whatever their state; one that Coupa does not show is absent."""
        return await _by_key(self._client, keys)


class VoidedInvoices:
    """Source: invoices that were voided, whatever their exported flag says, by the time of their last change.

    A void that comes while its invoice is being marked would leave every query for unexported ones. `first` is where
    the stream begins before there is a mark.
    """

    stream = "coupa.voided_invoices"

    def __init__(self, client: CoupaClient, *, first: datetime, filters: Iterable[tuple[str, str]] = ()) -> None:
        self._client = client
        self._first = first
        self._filters = tuple(filters)

    async def pages(self, start: str | None, since: str | None) -> AsyncIterator[Batch[SupplierInvoice]]:
        """Page by page in id order, which is not the order of time: only the last batch brings the new mark."""
        low = datetime.fromisoformat(since) - LOOKBACK if since else self._first
        filters = (("updated_at[gt_or_eq]", low.astimezone(UTC).isoformat(timespec="seconds")), *self._filters)
        last, reached = _position(start)
        size = self._client.tenant.page_size
        page = await self._page(last, filters)
        if start is None:
            if len(page) == size:
                # While later pages are read, an invoice behind us may be voided: the mark must not pass this moment.
                reached = await self._client.newest_invoice(statuses=VOIDED, filters=filters)
                page = await self._page(last, filters)
            else:
                seen = (one.updated_at for one in page if isinstance(one, wire.Invoice))
                reached = max((moment for moment in seen if moment), default=None)
        mark = max(_mark(reached), since or "")
        while page or last is not None:
            last = page[-1].id if page else last
            complete = len(page) < size
            yield Batch(*_records(page), f"{last} {_mark(reached)}".strip(), mark if complete else "")
            if complete:
                return
            page = await self._page(last, filters)

    async def by_key(self, keys: Sequence[str]) -> dict[str, SupplierInvoice | Unreadable]:
        """The invoices with these ids whatever their state; one that Coupa does not show is absent."""
        return await _by_key(self._client, keys)

    async def _page(self, last: int | None, filters: Iterable[tuple[str, str]]) -> list[wire.Invoice | Unparsed]:
        return await self._client.invoices(after_id=last, statuses=VOIDED, filters=filters)


def _record(one: wire.Invoice | Unparsed) -> SupplierInvoice | Unreadable:
    if isinstance(one, Unparsed):
        return Unreadable(str(one.id), one.path)
    try:
        return to_supplier_invoice(one)
    except ContractError as error:
        return Unreadable(str(one.id), error.message)


def _records(page: Sequence[wire.Invoice | Unparsed]) -> tuple[list[SupplierInvoice], list[Unreadable]]:
    read = [_record(one) for one in page]
    good = [one for one in read if isinstance(one, SupplierInvoice)]
    return good, [one for one in read if isinstance(one, Unreadable)]


async def _by_key(client: CoupaClient, keys: Sequence[str]) -> dict[str, SupplierInvoice | Unreadable]:
    found = await client.get_invoices(int(key) for key in keys if key.isdecimal())
    records = (_record(one) for one in found)
    return {record.key: record for record in records}


def _position(start: str | None) -> tuple[int | None, datetime | None]:
    """The last id of a cursor and the mark that the stream may reach, both None at the beginning."""
    if start is None:
        return None, None
    last, _, reached = start.partition(" ")
    return int(last), datetime.fromisoformat(reached) if reached else None


def _mark(moment: datetime | None) -> str:
    """An instant of fixed width, so that text order is time order."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds") if moment else ""
