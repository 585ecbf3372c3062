"""What may be wrong with posted documents of an ERP: invoices that fail the match or are held, orders that are late.

The records tell what the ERP shows; what of it counts as an exception is the customer's rule.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class InvoiceMatch:
    """A receipt that an invoice is matched with; `variance` is what price and quantity cost beyond the order."""

    po_number: str
    po_line: int
    receiver: str
    quantity: Decimal
    unit_price: Decimal
    variance: Decimal


@dataclass(frozen=True, slots=True)
class PostedInvoice:
    """A supplier invoice after it was posted, with all that may keep it from being paid; amounts are in `currency`.

    `key` is entity/year/daybook/voucher. `initial` is not accounted for yet, `submitted` waits for an approval,
    `selected` stands in a payment run. `slots` are its filled custom members by the ERP's names.
    """

    key: str
    reference: str
    type: str
    supplier_number: str
    supplier_name: str
    currency: str
    amount: Decimal
    balance: Decimal
    hold_amount: Decimal
    payment_locked: bool
    status: str
    open: bool
    receiver_matching: bool
    matching_status: str
    initial: bool
    invoice_date: date | None
    posted_on: date | None
    due_on: date | None
    orders: tuple[str, ...]
    cost_code: str
    matches: tuple[InvoiceMatch, ...]
    slots: Mapping[str, str] = field(default_factory=dict)
    submitted: bool = False
    selected: bool = False


@dataclass(frozen=True, slots=True)
class OrderLineDue:
    """A line of an order with what was received of it; `status` is open, closed or cancelled."""

    number: int
    item: str
    description: str
    ordered: Decimal
    received: Decimal
    price: Decimal
    unit: str
    due_on: date | None
    status: str
    cost_code: str


@dataclass(frozen=True, slots=True)
class OpenOrder:
    """A purchase order with the due dates of its lines; `key` is domain/number, `status` as for a line."""

    key: str
    number: str
    supplier_number: str
    supplier_name: str
    currency: str
    status: str
    lines: tuple[OrderLineDue, ...]
    cost_code: str
    slots: Mapping[str, str] = field(default_factory=dict)
