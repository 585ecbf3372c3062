"""Supplier payments in our words: what each payment gives to each invoice, summed, with the payment's state."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from ml_connector.domain.keys import digest
from ml_connector.domain.records import PaymentAllocation, Unreadable
from ml_connector.errors import ContractError
from ml_connector.systems.qad.browse import same
from ml_connector.systems.qad.config import StatusWords
from ml_connector.systems.qad.documents import DocumentError, invoice_key, key_parts
from ml_connector.systems.qad.errors import SYSTEM
from ml_connector.systems.qad.models import AllocationRow, read_row
from ml_connector.systems.qad.resources import Resource

Row = Mapping[str, Any]
Allocation = PaymentAllocation | Unreadable
PAYMENT = ("entity", "year", "number")
_INVOICE = ("invoice_year", "invoice_daybook", "invoice_voucher")
# How the list shows a payment that gives to no invoice.
_NO_INVOICE: Row = {"invoice_voucher": 0, "invoice_daybook": ""}
# Without these a row says too little, so the whole payment is read instead.
NEEDED = (*PAYMENT, *_INVOICE, "status", "supplier", "currency", "value_date", "allocated", "discount")


def payment_of(row: Row) -> tuple[str, ...] | None:
    """The key members of the payment that a row belongs to; None when the row does not show them."""
    parts = tuple(str(row.get(name) or "") for name in PAYMENT)
    return parts if all(parts) else None


def payment_in(key: str) -> tuple[str, ...] | None:
    """The payment inside an allocation's key; None for a text that is no such key."""
    head, arrow, _ = key.partition(">")
    parts = tuple(head.split("/", 2))
    return parts if arrow and len(parts) == len(PAYMENT) and all(parts) and parts[1].isdecimal() else None


def document_in(key: str) -> str:
    """The key of the paid document inside an allocation's key; empty where it is none as documents have."""
    text = key.partition(">")[2]
    try:
        parts = key_parts(text)
    except DocumentError:
        return ""
    return text if "/".join(parts.values()) == text else ""


def whole_payment(resource: Resource, record: Mapping[str, Any]) -> list[Row]:
    """A payment read by its key, as the rows that the list shows of it."""
    values = resource.logical(record)
    inside = values.pop("allocations", None)
    if inside is None:
        path = f"data.{resource.collection}[0].{resource.children['allocations'].collection}"
        raise ContractError(f"{path}: a list is expected", system=SYSTEM, operation="get supplierPayment")
    return [{**values, **row} for row in inside or [_NO_INVOICE]]


def allocations(resource: Resource, rows: Iterable[Row], words: StatusWords) -> dict[str, Allocation]:
    """What the rows of a payment give, by key; a row without an invoice gives nothing, broken ones are named."""
    found: dict[str, Allocation] = {}
    for row in rows:
        if not gives(row):
            continue
        one = _allocation(resource, row, _state(str(row.get("status")), words))
        known = found.get(one.key)
        if isinstance(known, PaymentAllocation) and isinstance(one, PaymentAllocation):
            one = replace(known, amount=known.amount + one.amount, discount=known.discount + one.discount)
        # A sum with a part that nobody can read is no sum.
        found[one.key] = known if isinstance(known, Unreadable) else one
    return found


def taken_off(resource: Resource, row: Row, key: str, reference: str) -> Allocation:
    """What a payment gives to an invoice that it does not show (any more): nothing, which counts as taken back."""
    parts = key_parts(document_in(key))
    invoice = dict(zip(_INVOICE, (parts["year"], parts["daybook"], parts["voucher"]), strict=True))
    gives = {"reference": reference, "allocated": 0, "discount": 0}
    return _allocation(resource, {**row, **invoice, **gives}, "reversed")


def key_of(row: Row) -> str:
    """The key of a row's allocation; of a row that does not show it, a name that no allocation has."""
    payment = payment_of(row)
    invoice = [str(row.get(name) or "") for name in _INVOICE]
    if payment is None or not all(invoice):
        return f"row/{digest(dict(row))}"
    return f"{'/'.join(payment)}>{'/'.join([payment[0], *invoice])}"


def gives(row: Row) -> bool:
    """Whether a row is about an invoice, or does not show whether it is."""
    voucher, daybook = row.get("invoice_voucher", "?"), row.get("invoice_daybook", "?")
    return str(voucher or "0") != "0" and bool(str(daybook or "").strip())


def _allocation(resource: Resource, row: Row, state: str) -> Allocation:
    try:
        one = read_row(AllocationRow, resource, row, "list supplierPayment")
    except ContractError as error:
        return Unreadable(key_of(row), error.message)
    payment = f"{one.entity}/{one.year}/{one.number}"
    document = invoice_key(one.entity, one.invoice_year, one.invoice_daybook, one.invoice_voucher)
    return PaymentAllocation(
        key=f"{payment}>{document}",
        payment=payment,
        document=document,
        reference=one.reference,
        supplier_number=one.supplier,
        state=state,
        amount=one.allocated + one.discount,
        discount=one.discount,
        currency=one.currency,
        paid_on=one.value_date,
        instrument=one.instrument,
    )


def _state(status: str, words: StatusWords) -> str:
    if same(status) in {same(one) for one in words.paid_statuses}:
        return "paid"
    return "reversed" if same(status) in {same(one) for one in words.reversed_statuses} else "open"
