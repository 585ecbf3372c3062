"""Supplier invoices in our words: the document we post, what QAD shows of one, and the way between both.

A document is plain data: amounts and quantities as decimal text, dates as YYYY-MM-DD.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any

from ml_connector.systems.qad.browse import same
from ml_connector.systems.qad.config import InvoiceSettings
from ml_connector.systems.qad.models import InvoiceRow
from ml_connector.systems.qad.resources import Resource

_REQUIRED_TEXTS = ("entity", "daybook", "supplier", "reference", "currency", "token")
_NUMBERS = frozenset({"amount", "quantity", "unit_price"})
_MIDNIGHT = "T00:00:00.000Z"


class DocumentError(ValueError):
    """The document cannot be written; the text names the member, never its value."""


@dataclass(frozen=True, slots=True)
class InvoiceSeen:
    """A supplier invoice as QAD shows it; `key` is entity/year/daybook/voucher, `kind` our word where we know QAD's.

    `open` and `balance` (what is still owed, in the invoice's currency) are None where QAD does not show them.
    """

    key: str
    token: str
    supplier: str
    reference: str
    kind: str
    amount: Decimal
    currency: str
    status: str
    hold_amount: Decimal
    open: bool | None
    invoice_date: str = ""
    balance: Decimal | None = None

    @property
    def untouched(self) -> bool:
        """QAD shows it as open, and nothing of it as paid."""
        return self.open is True and self.balance is not None and abs(self.balance) == abs(self.amount)


@dataclass(frozen=True, slots=True)
class InvoiceQuery:
    """The natural key of a supplier's document. QAD does not keep it unique."""

    entity: str
    supplier: str
    reference: str


@dataclass(frozen=True, slots=True)
class Posted:
    """An invoice that QAD has posted; `warnings` are its (member, text), `kept_token` whether it shows our token."""

    key: str
    voucher: int
    registration: str
    hold_amount: Decimal
    status: str
    matching_status: str
    warnings: tuple[tuple[str, str], ...] = ()
    kept_token: bool = True


def invoice_key(entity: str, year: int, daybook: str, voucher: int) -> str:
    """The key of an invoice as one text."""
    return f"{entity}/{year}/{daybook}/{voucher}"


def key_parts(key: str) -> dict[str, str]:
    """The members of such a key."""
    try:
        entity, year, rest = key.split("/", 2)
        daybook, voucher = rest.rsplit("/", 1)
        return {"entity": entity, "year": str(int(year)), "daybook": daybook, "voucher": str(int(voucher))}
    except ValueError:
        raise DocumentError("an invoice key reads entity/year/daybook/voucher") from None


def kind_of(wire_type: str, settings: InvoiceSettings) -> str:
    """Our word for an invoice type, else QAD's own."""
    for kind, word in settings.types.items():
        if _plain(word) == _plain(wire_type):
            return kind
    return wire_type


def gives_back(wire_type: str, settings: InvoiceSettings) -> bool:
    """Whether an invoice type returns the quantities it is matched with."""
    return _plain(wire_type) in {_plain(word) for word in settings.negative_types}


def takes_again(wire_type: str, settings: InvoiceSettings) -> bool:
    """Whether an invoice type takes up again what a credit note gave back."""
    return _plain(wire_type) == _plain(settings.types["credit_note_correction"])


def seen(row: InvoiceRow, settings: InvoiceSettings) -> InvoiceSeen:
    """What QAD shows, in our words."""
    return InvoiceSeen(
        key=invoice_key(row.entity, row.year, row.daybook, row.voucher),
        token=row.token.strip(),
        supplier=row.supplier,
        reference=row.reference,
        kind=kind_of(row.type, settings),
        amount=row.amount,
        currency=row.currency,
        status=row.status,
        hold_amount=row.hold_amount,
        open=row.open,
        invoice_date=row.invoice_date.partition("T")[0],
        balance=row.balance,
    )


def differences(document: Mapping[str, Any], invoice: InvoiceSeen) -> tuple[str, ...]:
    """Which of supplier, reference, type and amount QAD shows otherwise than intended."""
    found = []
    if same(invoice.supplier) != same(document["supplier"]):
        found.append("supplier")
    if same(invoice.reference) != same(document["reference"]):
        found.append("reference")
    if invoice.kind != document["type"]:
        found.append("type")
    if abs(invoice.amount) != abs(_decimal(document["amount"], "amount")):
        found.append("amount")
    return tuple(found)


def to_wire(document: Mapping[str, Any], resource: Resource, settings: InvoiceSettings) -> dict[str, Any]:
    """The new invoice as the tenant calls its members; year and voucher 0 ask QAD to assign them."""
    values: dict[str, Any] = {"year": 0, "voucher": 0, "taxable": False}
    for name in _REQUIRED_TEXTS:
        values[name] = _needed(document, name)
    try:
        values["type"] = settings.types[document.get("type", "")]
    except KeyError:
        raise DocumentError(f"type: none of {', '.join(settings.types)}") from None
    values["invoice_date"] = _instant(document, "invoice_date")
    values["posting_date"] = _instant(document, "posting_date")
    values["amount"] = _decimal(_needed(document, "amount"), "amount")
    values["status"] = _needed(document, "status_code")
    values["description"] = document.get("description") or ""
    if document.get("credit_terms"):
        values["credit_terms"] = document["credit_terms"]
    wire: dict[str, Any] = {resource.fields[name]: value for name, value in values.items()}
    lines = [{"line": number, **line} for number, line in enumerate(document.get("lines") or (), start=1)]
    for name, rows in (
        ("purchase_orders", document.get("purchase_orders") or ()),
        ("matches", document.get("matches") or ()),
        ("lines", lines),
    ):
        child = resource.children[name]
        wire[child.collection] = [_row(row, child.fields, f"{name}[{index}]") for index, row in enumerate(rows)]
    return wire


def _row(row: Mapping[str, Any], fields: Mapping[str, str], path: str) -> dict[str, Any]:
    wire = {}
    for name, value in row.items():
        if name not in fields:
            raise DocumentError(f"{path}.{name}: the tenant has no member for it")
        wire[fields[name]] = _decimal(value, f"{path}.{name}") if name in _NUMBERS else _text(value)
    return wire


def _text(value: Any) -> Any:
    return "" if value is None else value


def _needed(document: Mapping[str, Any], name: str) -> Any:
    value = document.get(name)
    if value is None or value == "":
        raise DocumentError(f"{name}: is empty")
    return value


def _decimal(value: Any, path: str) -> Decimal:
    if isinstance(value, float | bool):
        raise DocumentError(f"{path}: is not exact")
    try:
        number = Decimal(value)
    except (InvalidOperation, TypeError, ValueError):
        raise DocumentError(f"{path}: is not a number") from None
    if not number.is_finite():
        raise DocumentError(f"{path}: is not a number")
    return number


def _instant(document: Mapping[str, Any], name: str) -> str:
    try:
        return date.fromisoformat(str(_needed(document, name))).isoformat() + _MIDNIGHT
    except ValueError as error:
        raise error if isinstance(error, DocumentError) else DocumentError(f"{name}: is not a date") from None


def _plain(word: str) -> str:
    return word.replace(" ", "").casefold()
