"""Small builders, so that a test on invoices and receipts reads like the story it tells."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from decimal import Decimal

from hypothesis import settings

from ml_connector.domain.matching import MatchContext, Reserved
from ml_connector.domain.outcomes import Decision
from ml_connector.domain.records import (
    DocumentKind,
    GoodsReceipt,
    InvoiceCharge,
    InvoiceLine,
    PurchaseOrder,
    PurchaseOrderLine,
    ReceiptMatch,
    SupplierInvoice,
)

PO = "PO100001"
KEY = (PO, 1)
# An invoice of ours over 50 pieces of line 1, matched with receiver RC1 and posted.
POSTED_50 = Reserved(Decimal(50), Decimal(50), {"RC1": Decimal(50)})
INVOICE, CREDIT_NOTE = DocumentKind.INVOICE, DocumentKind.CREDIT_NOTE
# The same examples in every run: a busy machine must not decide whether a build passes.
steady = settings(deadline=None, derandomize=True, database=None)


def pieces(
    quantity: str | int | Decimal,
    price: str | None = "12",
    *,
    number: int = 1,
    po: str | None = PO,
    po_line: int | None = 1,
) -> InvoiceLine:
    """A line that bills pieces; its total is quantity x price (x the order price 12 when it shows none)."""
    count = Decimal(quantity)
    return InvoiceLine(
        number=number,
        description="Bolts",
        total=count * Decimal(price if price is not None else "12"),
        quantity=count,
        price=None if price is None else Decimal(price),
        po_number=po,
        po_line=po_line,
    )


def amount(total: str | int | Decimal, *, number: int = 1, po: str | None = PO, po_line: int | None = 1) -> InvoiceLine:
    """A line that bills an amount for a service."""
    return InvoiceLine(number, "Maintenance", Decimal(total), po_number=po, po_line=po_line)


def invoice(
    *lines: InvoiceLine,
    kind: DocumentKind = INVOICE,
    currency: str = "USD",
    tax: str = "0",
    charges: Mapping[str, str] | None = None,
) -> SupplierInvoice:
    """An approved document of supplier SUP1 whose total is the sum of its parts."""
    extra = tuple(InvoiceCharge(name, Decimal(value)) for name, value in (charges or {}).items())
    return SupplierInvoice(
        key="20418",
        number="INV-20418",
        kind=kind,
        status="approved",
        supplier_number="SUP1",
        supplier_name="Bolt Works",
        currency=currency,
        invoice_date=date(2026, 2, 9),
        total=sum((line.total for line in lines), Decimal(tax)) + sum((one.amount for one in extra), Decimal(0)),
        tax=Decimal(tax),
        lines=lines,
        charges=extra,
    )


def credit(*lines: InvoiceLine) -> SupplierInvoice:
    """A credit note, written with positive amounts."""
    return invoice(*lines, kind=CREDIT_NOTE)


def receipt(receiver: str, quantity: str | int | Decimal, *, day: int = 1, po_line: int = 1) -> GoodsReceipt:
    """A posted receipt; negative when goods went back."""
    return GoodsReceipt(receiver, PO, po_line, Decimal(quantity), date(2026, 2, day), "SUP1")


def foreign(quantity: str | int | Decimal, receiver: str = "") -> ReceiptMatch:
    """What an invoice that is not ours uses of line 1."""
    return ReceiptMatch(PO, 1, Decimal(quantity), receiver)


def order(
    *, price: str = "12", status: str = "open", supplier: str = "SUP1", currency: str = "USD", lines: int = 1
) -> PurchaseOrder:
    """A purchase order with equal lines, numbered from 1."""
    ordered = (PurchaseOrderLine(number, "BOLT", Decimal(1000), Decimal(price)) for number in range(1, lines + 1))
    return PurchaseOrder(PO, supplier, currency, status, tuple(ordered))


def world(
    *receipts: GoodsReceipt,
    purchase_order: PurchaseOrder | None = None,
    reserved: Reserved | None = None,
    others: Iterable[ReceiptMatch] = (),
) -> MatchContext:
    """What the ERP shows of the one purchase order, with what already uses its line 1."""
    return MatchContext(
        domain="10USA",
        orders={PO: purchase_order or order()},
        receipts={
            (PO, line): tuple(one for one in receipts if one.po_line == line) for line in {r.po_line for r in receipts}
        },
        reserved={} if reserved is None else {KEY: reserved},
        foreign={KEY: tuple(others)},
    )


def used_by(*decisions: Decision, posted: bool = True) -> Reserved:
    """The use of line 1 after documents with these decisions were written."""
    total, receivers = Decimal(0), dict[str, Decimal]()
    for decision in decisions:
        (claim,) = decision.claims
        total += claim.quantity
        for part in decision.allotments:
            if part.receiver:
                signed = part.quantity if claim.quantity > 0 else -part.quantity
                receivers[part.receiver] = receivers.get(part.receiver, Decimal(0)) + signed
    return Reserved(total, total if posted else Decimal(0), receivers)


def allotted(decision: Decision) -> list[tuple[int, str, str, bool]]:
    """The allotments in short: line, receiver, quantity, finished."""
    return [(part.line, part.receiver, f"{part.quantity:f}", part.finished) for part in decision.allotments]


def codes(decision: Decision) -> list[str]:
    """The reason codes of a decision."""
    return [why.code for why in decision.reasons]


def texts(decision: Decision) -> list[str]:
    """The reasons as an analyst reads them."""
    return [why.text for why in decision.reasons]
