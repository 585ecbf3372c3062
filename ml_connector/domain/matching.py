"""The three-way match: an invoice may be posted when its purchase order exists and its goods receipt covers it.

Quantity decides here; price is the ERP's to judge (it puts an excess on hold). A quantity of a PO line is usable
when it was received, is not reserved by another document of ours and is not matched by a document that is not ours.
Quantities are in the PO line's unit; an amount line counts as amount / PO price.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import ROUND_DOWN, Decimal, localcontext

from ml_connector.domain.documents import is_credit
from ml_connector.domain.money import ZERO, plain
from ml_connector.domain.outcomes import Allotment, Claim, Decision, Verdict, held, rejected, worst
from ml_connector.domain.reasons import reason
from ml_connector.domain.records import (
    GoodsReceipt,
    InvoiceLine,
    PurchaseOrder,
    PurchaseOrderLine,
    ReceiptMatch,
    SupplierInvoice,
)

# Enough for the largest amount over the smallest price.
_DIGITS = 60
_QUANTUM = Decimal("1E-10")
# What rounding leaves of an amount line is no open quantity.
_REST = Decimal("1E-8")
LineKey = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Reserved:
    """What documents of ours use of one PO line: signed, in total, posted or about to be, and per receiver."""

    total: Decimal = ZERO
    posted: Decimal = ZERO
    receivers: Mapping[str, Decimal] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class MatchContext:
    """Orders and receipts as the ERP shows them, with what is already used; `domain` names the ERP's partition."""

    domain: str
    orders: Mapping[str, PurchaseOrder]
    receipts: Mapping[LineKey, tuple[GoodsReceipt, ...]]
    reserved: Mapping[LineKey, Reserved]
    foreign: Mapping[LineKey, tuple[ReceiptMatch, ...]]


def match_invoice(invoice: SupplierInvoice, context: MatchContext) -> Decision:
    """Decide one invoice against the orders and receipts of its lines; lines without a PO are not looked at."""
    wanted: dict[LineKey, Decimal] = {}
    with localcontext(prec=_DIGITS):
        lines = [line for line in invoice.lines if line.po_number is not None]
        return _merged(worst(_match_line(invoice, line, context, wanted) for line in lines))


def _match_line(
    invoice: SupplierInvoice, line: InvoiceLine, context: MatchContext, wanted: dict[LineKey, Decimal]
) -> Decision:
    po_number = line.po_number or ""
    order = context.orders.get(po_number)
    if order is None:
        return held(reason("po_missing", po=po_number))
    if refusal := _order_refusal(invoice, order):
        return refusal
    ordered = order.line(line.po_line) if line.po_line is not None else None
    if ordered is None:
        return held(reason("po_line_missing", po=po_number, line=line.po_line or "?"))
    quantity = billed_quantity(line, ordered)
    if quantity is None:
        return rejected(reason("po_price_missing", po=po_number, line=ordered.number))
    key = (po_number, ordered.number)
    taken_before = wanted.get(key, ZERO)
    wanted[key] = taken_before + quantity
    usage = _Usage.of(key, context, taken_before if not is_credit(invoice) else -taken_before)
    price = _unit_price(line, ordered)
    if is_credit(invoice):
        return _credit(line, quantity, price, usage)
    return _receive(line, quantity, price, usage, closed=order.status == "closed")


def _order_refusal(invoice: SupplierInvoice, order: PurchaseOrder) -> Decision | None:
    if order.status == "cancelled":
        return rejected(reason("po_cancelled", po=order.number))
    if order.supplier and order.supplier != invoice.supplier_number:
        found = reason("po_other_supplier", po=order.number, found=order.supplier, supplier=invoice.supplier_number)
        return rejected(found)
    if order.currency and order.currency != invoice.currency:
        return rejected(reason("po_other_currency", po=order.number, found=order.currency, currency=invoice.currency))
    return None


def billed_quantity(line: InvoiceLine, ordered: PurchaseOrderLine) -> Decimal | None:
    """The billed quantity without the document's sign; an amount line at the PO price, None when there is no price.

    Rounded down, so that parts of an amount never add up to more than the whole.
    """
    if line.quantity is not None:
        return abs(line.quantity)
    if ordered.price <= 0:
        return None
    return (abs(line.total) / ordered.price).quantize(_QUANTUM, rounding=ROUND_DOWN)


def _unit_price(line: InvoiceLine, ordered: PurchaseOrderLine) -> Decimal:
    if not line.quantity:
        return ordered.price
    return abs(line.price if line.price is not None else line.total / line.quantity)


@dataclass(frozen=True, slots=True)
class _Usage:
    """One PO line: signed receipts and what already uses them."""

    key: LineKey
    domain: str
    receipts: tuple[GoodsReceipt, ...]
    reserved: Reserved
    foreign: tuple[ReceiptMatch, ...]
    taken_before: Decimal

    @classmethod
    def of(cls, key: LineKey, context: MatchContext, taken_before: Decimal) -> _Usage:
        receipts = context.receipts.get(key, ())
        reserved, foreign = context.reserved.get(key, Reserved()), context.foreign.get(key, ())
        return cls(key, context.domain, receipts, reserved, foreign, taken_before)

    @property
    def limit(self) -> Decimal:
        """All that documents of ours may use of this line: signed receipts less the matches of others."""
        return sum((one.quantity for one in self.receipts), ZERO) - sum((one.quantity for one in self.foreign), ZERO)

    @property
    def available(self) -> Decimal:
        return self.limit - self.reserved.total - self.taken_before

    def untouched(self) -> frozenset[str]:
        """Receivers that no document uses yet."""
        used = {name for name, quantity in self.reserved.receivers.items() if quantity}
        used |= {match.receiver for match in self.foreign}
        return frozenset(one.receiver for one in self.receipts) - used

    def open_receivers(self, *, returns: bool) -> list[tuple[str, Decimal]]:
        """Receivers with what is left of each, oldest first; for credits the returns, as positive quantities."""
        used = dict(self.reserved.receivers)
        for match in self.foreign:
            used[match.receiver] = used.get(match.receiver, ZERO) + match.quantity
        received: dict[str, Decimal] = {}
        for receipt in sorted(self.receipts, key=lambda one: (one.received_on, one.receiver)):
            received[receipt.receiver] = received.get(receipt.receiver, ZERO) + receipt.quantity
        left = [(receiver, quantity - used.get(receiver, ZERO)) for receiver, quantity in received.items()]
        sign = -1 if returns else 1
        return [(receiver, rest * sign) for receiver, rest in left if rest * sign > 0]


def _receive(line: InvoiceLine, quantity: Decimal, price: Decimal, usage: _Usage, *, closed: bool) -> Decision:
    po_number, po_line = usage.key
    parts = _allot(line, quantity, price, usage, returns=False)
    if usage.available < quantity or parts is None:
        available = plain(max(usage.available, ZERO))
        names = {"po": po_number, "line": po_line, "billed": plain(quantity), "available": available}
        return rejected(reason("po_closed", **names)) if closed else held(reason("receipt_missing", **names))
    return Decision(Verdict.READY, claims=(_claim(usage, quantity),), allotments=parts)


def _credit(line: InvoiceLine, quantity: Decimal, price: Decimal, usage: _Usage) -> Decision:
    po_number, po_line = usage.key
    posted = usage.reserved.posted + usage.taken_before
    if quantity > posted:
        names = {"po": po_number, "line": po_line, "billed": plain(quantity), "available": plain(max(posted, ZERO))}
        return held(reason("credit_exceeds_posted", **names))
    parts = _allot(line, quantity, price, usage, returns=True)
    if parts is None:
        parts = (Allotment(line.number, po_number, po_line, "", quantity, price, finished=False),)
    return Decision(Verdict.READY, claims=(_claim(usage, -quantity),), allotments=parts)


def _claim(usage: _Usage, quantity: Decimal) -> Claim:
    return Claim(usage.domain, usage.key[0], usage.key[1], quantity, usage.limit)


def _allot(
    line: InvoiceLine, quantity: Decimal, price: Decimal, usage: _Usage, *, returns: bool
) -> tuple[Allotment, ...] | None:
    """Spread a quantity over receivers, oldest first; None when they do not hold it."""
    parts: list[Allotment] = []
    skip, rest = abs(usage.taken_before), quantity
    untouched = usage.untouched()
    for receiver, left in usage.open_receivers(returns=returns):
        skipped = min(skip, left)
        skip -= skipped
        take = min(left - skipped, rest)
        if take > 0:
            # Only who takes a whole receipt may close it: of several invoices over one the last may overtake others.
            finished = not skipped and left - take < _REST and receiver in untouched
            parts.append(Allotment(line.number, usage.key[0], usage.key[1], receiver, take, price, finished))
            rest -= take
    return tuple(parts) if not rest else None


def _merged(decision: Decision) -> Decision:
    """One claim per PO line, because reservations are kept per line."""
    merged: dict[tuple[str, str, int], Claim] = {}
    for claim in decision.claims:
        key = (claim.domain, claim.po_number, claim.po_line)
        before = merged[key].quantity if key in merged else ZERO
        merged[key] = Claim(*key, before + claim.quantity, claim.limit)
    return Decision(
        decision.verdict, decision.reasons, tuple(merged.values()), decision.allotments, decision.extra, decision.detail
    )
