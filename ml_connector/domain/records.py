"""The business records that cross between systems, in our own words and frozen.

Quantities and amounts are signed Decimals in the document's currency; dates are plain dates as the document
shows them; instants are aware UTC. A system's ports translate its wire shapes into these and back.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A source record that cannot be understood: its key, and the path that is missing or malformed."""

    key: str
    path: str


class DocumentKind(StrEnum):
    """What a supplier's document asks of the buyer."""

    INVOICE = "invoice"
    CREDIT_NOTE = "credit_note"


@dataclass(frozen=True, slots=True)
class Supplier:
    """A business we buy from; `number` is the key both systems share, `key` its id where a system has another one."""

    number: str
    name: str
    active: bool = True
    currency: str = ""
    credit_terms: str = ""
    key: str = ""


@dataclass(frozen=True, slots=True)
class PurchaseOrderLine:
    """One ordered item or service; `quantity` and `price` in the order's unit and currency."""

    number: int
    item: str
    quantity: Decimal
    price: Decimal
    unit: str = ""
    status: str = "open"


@dataclass(frozen=True, slots=True)
class PurchaseOrder:
    """An order to a supplier; `status` is open, closed or cancelled."""

    number: str
    supplier: str
    currency: str
    status: str
    lines: tuple[PurchaseOrderLine, ...]

    def line(self, number: int) -> PurchaseOrderLine | None:
        """The line with that number, if the order has it."""
        # Orders number their lines one by one, so the line is nearly always where its number says.
        if 0 < number <= len(self.lines) and self.lines[number - 1].number == number:
            return self.lines[number - 1]
        return next((line for line in self.lines if line.number == number), None)


@dataclass(frozen=True, slots=True)
class GoodsReceipt:
    """One posted receipt of one PO line; a return or correction has a negative quantity."""

    receiver: str
    po_number: str
    po_line: int
    quantity: Decimal
    received_on: date
    supplier: str = ""


@dataclass(frozen=True, slots=True)
class ReceiptMatch:
    """A quantity of a PO line that some invoice in the ERP already uses (credit notes negative)."""

    po_number: str
    po_line: int
    quantity: Decimal
    receiver: str = ""
    token: str = ""


@dataclass(frozen=True, slots=True)
class InvoiceLine:
    """One billed line. `quantity` None means the line bills an amount (a service), not pieces."""

    number: int
    description: str
    total: Decimal
    quantity: Decimal | None = None
    price: Decimal | None = None
    po_number: str | None = None
    po_line: int | None = None
    account: str | None = None
    tax: Decimal = Decimal(0)
    tax_code: str = ""


@dataclass(frozen=True, slots=True)
class InvoiceCharge:
    """Freight, handling or another cost beside the lines."""

    kind: str
    amount: Decimal


@dataclass(frozen=True, slots=True)
class SupplierInvoice:
    """A supplier's invoice or credit note as the source system shows it; `key` is its id there."""

    key: str
    number: str
    kind: DocumentKind
    status: str
    supplier_number: str
    supplier_name: str
    currency: str
    invoice_date: date | None
    total: Decimal
    tax: Decimal
    lines: tuple[InvoiceLine, ...]
    charges: tuple[InvoiceCharge, ...] = ()
    due_date: date | None = None
    payment_channel: str = ""
    chart: str = ""
    exported: bool = False
    updated_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class PaymentAllocation:
    """What one supplier payment gives to one document in the ERP; `key` names payment and document.

    `state` is paid, reversed (void or bounced) or open (not paid yet). `amount` and `discount` are in `currency`,
    signed as the ERP shows them; `document` is the paid document's key there.
    """

    key: str
    payment: str
    document: str
    reference: str
    supplier_number: str
    state: str
    amount: Decimal
    discount: Decimal
    currency: str
    paid_on: date | None
    instrument: str = ""


@dataclass(frozen=True, slots=True)
class ReferenceCode:
    """A code of the ERP that documents are coded with, such as a cost centre or a project."""

    code: str
    description: str
    active: bool = True
