"""From an approved Coupa invoice to a QAD supplier invoice: pure, exact, nothing looked up."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from ml_connector.domain.documents import is_credit, sign
from ml_connector.domain.money import plain, rounded
from ml_connector.domain.outcomes import READY, Allotment
from ml_connector.domain.records import InvoiceLine, SupplierInvoice
from ml_connector.domain.text import shortened
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
    return Turn(lane, waits_for=orders) if credit else Turn(lane, touches=orders)


def supplier_invoice(facts: Facts[SupplierInvoice], settings: CoupaQadSettings) -> Mapping[str, Any]:
    """The document for QAD's supplier invoice target; amounts are positive, the type says invoice or credit note."""
    invoice, decision = facts.record, facts.decision or READY
    rules, qad = settings.invoices, settings.qad
    initial = qad.invoice.mode == "initial_invoice"
    matched = () if initial else decision.allotments
    numbers = {line.po_number for line in invoice.lines if line.po_number}
    credit = is_credit(invoice)
    return {
        "entity": qad.entity,
        "daybook": (credit and qad.invoice.credit_note_daybook) or qad.invoice.daybook,
        "supplier": invoice.supplier_number,
        "reference": invoice.number,
        "type": "credit_note" if credit else "invoice",
        "invoice_date": invoice.invoice_date.isoformat() if invoice.invoice_date else "",
        "posting_date": facts.today.isoformat(),
        "currency": invoice.currency,
        "amount": plain(rounded(abs(invoice.total), invoice.currency)),
        "status_code": qad.invoice.status_code,
        "credit_terms": rules.credit_terms or (decision.extra or {}).get("credit_terms", ""),
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
    invoice: SupplierInvoice, parts: Iterable[Allotment], settings: CoupaQadSettings
) -> Iterable[Mapping[str, Any]]:
    """What has no receiver: charges, tax, and credits for goods that never came back."""
    accounts, direction = settings.invoices.accounts, sign(invoice)
    texts = {line.number: line.description for line in invoice.lines}
    for part in parts:
        if not part.receiver and accounts.credit is not None:
            amount = rounded(part.quantity * part.unit_price, invoice.currency)
            yield _line(accounts.credit, amount, texts.get(part.line, ""), settings)
    for charge in invoice.charges:
        if (coding := accounts.coding(charge.kind)) is not None:
            yield _line(coding, charge.amount * direction, charge.kind, settings)
    if invoice.tax and accounts.tax is not None:
        yield _line(accounts.tax, invoice.tax * direction, "tax", settings)


def _line(coding: Coding, amount: Decimal, text: str, settings: CoupaQadSettings) -> Mapping[str, Any]:
    return {
        "account": coding.account,
        "sub_account": coding.sub_account,
        "cost_center": coding.cost_center,
        "project": coding.project,
        "amount": plain(amount),
        "description": shortened(text, settings.invoices.description_length),
    }


def without_po(invoice: SupplierInvoice) -> list[InvoiceLine]:
    """Lines that name no purchase order."""
    return [line for line in invoice.lines if line.po_number is None]
