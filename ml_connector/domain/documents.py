"""What any supplier invoice must satisfy before another system is asked about it."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from ml_connector.domain.money import ZERO, exponent, plain, rounded
from ml_connector.domain.reasons import Reason, reason
from ml_connector.domain.records import DocumentKind, InvoiceLine, SupplierInvoice

_LIMIT = Decimal("1E15")


def sign(invoice: SupplierInvoice) -> int:
    """1, or -1 for a document whose amounts are written negative (a credit, however it is labelled)."""
    return -1 if invoice.total < 0 else 1


def is_credit(invoice: SupplierInvoice) -> bool:
    """Credit notes and invoices with a negative total both become credits in the ERP."""
    return invoice.kind is DocumentKind.CREDIT_NOTE or invoice.total < 0


@dataclass(frozen=True, slots=True)
class DocumentRules:
    """Limits of the target that a document has to fit; None means no limit."""

    number_length: int | None = None


def flaws(invoice: SupplierInvoice, rules: DocumentRules) -> list[Reason]:
    """Everything wrong with the document by itself; empty when it may be matched."""
    found = _missing(invoice, rules)
    if exponent(invoice.currency) is None:
        return [*found, reason("currency_unknown", currency=invoice.currency or "(none)")]
    if odd := _out_of_range(invoice):
        return [*found, reason("number_out_of_range", field=odd)]
    for line in invoice.lines:
        found += _line_flaws(invoice, line)
    return found + _total_flaws(invoice)


def _missing(invoice: SupplierInvoice, rules: DocumentRules) -> list[Reason]:
    found: list[Reason] = []
    if not invoice.number.strip():
        found.append(reason("number_missing"))
    elif rules.number_length is not None and len(invoice.number) > rules.number_length:
        found.append(reason("number_too_long", limit=rules.number_length))
    if not invoice.supplier_number.strip():
        found.append(reason("supplier_number_missing"))
    if invoice.invoice_date is None:
        found.append(reason("date_missing"))
    if not invoice.lines:
        found.append(reason("no_lines"))
    if not invoice.total:
        found.append(reason("zero_total"))
    return found


def _out_of_range(invoice: SupplierInvoice) -> str:
    """The first number that no ERP can hold, so that arithmetic with it would fail; empty when all are sane."""
    numbers = {"total": invoice.total, "tax": invoice.tax}
    for line in invoice.lines:
        own = {"total": line.total, "quantity": line.quantity, "price": line.price, "tax": line.tax}
        numbers |= {f"line {line.number} {name}": value for name, value in own.items() if value is not None}
    numbers |= {charge.kind: charge.amount for charge in invoice.charges}
    return next((name for name, value in numbers.items() if not value.is_finite() or abs(value) >= _LIMIT), "")


def _line_flaws(invoice: SupplierInvoice, line: InvoiceLine) -> list[Reason]:
    direction = sign(invoice)
    if line.total * direction < 0 or (line.quantity or ZERO) * direction < 0:
        return [reason("mixed_signs", line=line.number)]
    if line.quantity is None or (line.quantity and line.price is None):
        return []
    expected = rounded(line.quantity * (line.price or ZERO), invoice.currency)
    if expected == rounded(line.total, invoice.currency):
        return []
    return [reason("line_total_differs", line=line.number, expected=plain(expected), found=plain(line.total))]


def _total_flaws(invoice: SupplierInvoice) -> list[Reason]:
    parts = [line.total for line in invoice.lines] + [charge.amount for charge in invoice.charges] + [invoice.tax]
    expected = rounded(sum(parts, ZERO), invoice.currency)
    if expected == rounded(invoice.total, invoice.currency):
        return []
    return [reason("total_differs", expected=plain(expected), found=plain(invoice.total))]
