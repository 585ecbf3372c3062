"""From an approved Coupa invoice to a QAD supplier invoice: pure, exact, nothing looked up."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from ml_connector.domain.documents import is_credit, sign
from ml_connector.domain.money import ZERO, plain, rounded
from ml_connector.domain.outcomes import READY, Allotment
from ml_connector.domain.records import SupplierInvoice
from ml_connector.domain.text import shortened
from ml_connector.pairs.coupa_qad.accounts import Cents, bookings
from ml_connector.pairs.coupa_qad.settings import Coding, CoupaQadSettings
from ml_connector.sync.seams import Facts, Turn

# Every field that the check or this mapping reads: a change of anything else is not a new version of the invoice.
READS = frozenset(
    {
        "number",
        "kind",
        "status",
        "supplier_number",
        "currency",
        "invoice_date",
        "total",
        "tax",
        "lines",
        "charges",
        "payment_channel",
    }
)
CLOCK_FIELDS = frozenset({"posting_date"})


def turn(payload: Mapping[str, Any]) -> Turn:
    """Creates for one (supplier, reference) go one after another, and a credit after the invoices of its orders."""
    orders = frozenset(order["number"] for order in payload["purchase_orders"])
    credit = payload["type"] == "credit_note"
    lane = f"{payload['supplier']}|{payload['reference']}"
    paper = f"{lane}|{payload['type']}|{payload['invoice_date']}"
    return Turn(lane, paper, waits_for=orders) if credit else Turn(lane, paper, touches=orders)


def supplier_invoice(facts: Facts[SupplierInvoice], settings: CoupaQadSettings) -> Mapping[str, Any]:
    """The document for QAD's supplier invoice target; amounts are positive, the type says invoice or credit note."""
    invoice, decision = facts.record, facts.decision or READY
    rules, qad = settings.invoices, settings.qad
    initial = qad.invoice.mode == "initial_invoice"
    matched = () if initial else decision.allotments
    extra = decision.extra or {}
    names = extra.get("orders", {})
    numbers = {names.get(line.po_number, line.po_number) for line in invoice.lines if line.po_number}
    credit = is_credit(invoice)
    invoice_date = invoice.invoice_date.isoformat() if invoice.invoice_date else ""
    posting_date = invoice_date if rules.posting_date == "invoice_date" else facts.today.isoformat()
    return {
        "entity": qad.entity,
        "daybook": (credit and qad.invoice.credit_note_daybook) or qad.invoice.daybook,
        "supplier": invoice.supplier_number,
        "reference": invoice.number,
        "type": "credit_note" if credit else "invoice",
        "invoice_date": invoice_date,
        "posting_date": posting_date,
        "currency": invoice.currency,
        "amount": plain(rounded(abs(invoice.total), invoice.currency)),
        "status_code": (rules.non_po_status_code if not numbers else "") or qad.invoice.status_code,
        "credit_terms": rules.credit_terms or extra.get("credit_terms", ""),
        "description": shortened(f"Coupa invoice {invoice.key}", rules.description_length),
        "token": facts.token,
        "purchase_orders": [{"domain": qad.domain, "number": number} for number in sorted(numbers)],
        "matches": [_match(part) for part in matched if part.receiver],
        "lines": [] if initial else list(_lines(invoice, matched, settings)),
    }


def _match(part: Allotment) -> Mapping[str, Any]:
    return {
        "po": part.po_number,
        "line": part.po_line,
        "receiver": part.receiver,
        "quantity": plain(part.quantity),
        "unit_price": plain(part.unit_price),
        "finished": part.finished,
    }


def _lines(
    invoice: SupplierInvoice, parts: Sequence[Allotment], settings: CoupaQadSettings
) -> Iterable[Mapping[str, Any]]:
    """What has no receiver: lines without an order, charges, tax, and credits for goods that never came back."""
    rules, direction = settings.invoices, sign(invoice)
    texts = {line.number: line.description for line in invoice.lines}
    on_receivers = sum((part.quantity * part.unit_price for part in parts if part.receiver), ZERO)
    cents = Cents(invoice.currency, on_receivers)
    for part in parts:
        if not part.receiver and rules.accounts.credit is not None:
            amount = cents.take(part.quantity * part.unit_price)
            yield _line(rules.accounts.credit, amount, texts.get(part.line, ""), settings)
    for one in bookings(invoice, rules):
        if one.amount and one.coding is not None:
            yield _line(one.coding, cents.take(one.amount * direction), one.text, settings)


def _line(coding: Coding, amount: Decimal, text: str, settings: CoupaQadSettings) -> Mapping[str, Any]:
    return {
        "account": coding.account,
        "sub_account": coding.sub_account,
        "cost_center": coding.cost_center,
        "project": coding.project,
        "amount": plain(amount),
        "description": shortened(text, settings.invoices.description_length),
    }
