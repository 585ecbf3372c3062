"""Invoices: reading, the export flag, appended payments, custom fields, and the few documented status changes."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from sandbox.coupa import changes
from sandbox.coupa.api import Call, Handler, Operation, Reply, reading
from sandbox.coupa.errors import invalid
from sandbox.coupa.store import Record

READ, WRITE, DELETE = "core.invoice.read", "core.invoice.write", "core.invoice.delete"
NOTES_LENGTH = 255
_WRITABLE = (
    "invoice-number",
    "invoice-date",
    "original-invoice-number",
    "original-invoice-date",
    "delivery-number",
    "internal-note",
    "supplier-note",
    "image-scan-url",
    "paid",
    "payment-date",
    "payment-notes",
    "payment-term",
    "account-type",
    "currency",
)
# Action in the address -> the status it leads to and those it may start from (None = any but the end states).
_ACTIONS: dict[str, tuple[str, str, frozenset[str] | None]] = {
    "submit": (WRITE, "pending_approval", frozenset({"new", "draft", "ap_hold", "on_hold", "rejected", "disputed"})),
    "dispute": (WRITE, "disputed", None),
    "withdraw_dispute": (WRITE, "pending_approval", frozenset({"disputed"})),
    "void": (DELETE, "voided", frozenset({"approved"})),
    "abandon": (DELETE, "abandoned", None),
}
_END_STATES = frozenset({"voided", "abandoned"})


def update(call: Call) -> Reply:
    """Update one invoice; marking exported is a request of its own and then nothing else is looked at."""
    record = call.record("invoices")
    refusal = call.tenant.refusals.get(record["id"])
    if refusal is not None:
        raise invalid("invoice", refusal)
    flag = call.argument("exported")
    if flag is None and "exported" in call.body:
        flag = str(call.body["exported"])
    if flag is not None:
        return _mark_exported(call, record, flag)
    fresh = changes.taken(call, "invoices", _WRITABLE)
    entries = _payments(call, record)
    record.update(fresh)
    record["payments"].extend(entries)
    changes.custom_fields(call, "invoices", record)
    if fresh or entries or "custom-fields" in call.body:
        call.tenant.touch("invoices", record)
    for payment in entries:
        call.tenant.webhooks.paid(record, payment)
    return Reply(record)


def _mark_exported(call: Call, record: Record, flag: str) -> Reply:
    if not changes.flag("exported", flag):
        return Reply(record)  # only an edit in the UI resets the flag
    tenant = call.tenant
    tenant.exported_calls[record["id"]] += 1
    if not record["exported"]:
        tenant.exported[record["id"]] += 1
    record["exported"] = True
    record["last-exported-at"] = tenant.now()
    if tenant.options.export_bumps_updated_at:
        tenant.touch("invoices", record)
    return Reply(record)


def _payments(call: Call, record: Record) -> list[Record]:
    """The payments of the body, in any of the documented forms, ready to be appended; never compared with old ones."""
    given = call.body.get("payments")
    if given is None:
        return []
    if isinstance(given, dict):
        given = given.get("payment", given)
        given = given if isinstance(given, list) else [given]
    if not isinstance(given, list) or not all(isinstance(entry, dict) for entry in given):
        raise invalid("payments", "Payments is invalid.")
    return [_payment(call, record, entry) for entry in given]


def _payment(call: Call, record: Record, entry: dict[str, Any]) -> Record:
    if entry.get("amount-paid") in (None, ""):
        raise invalid("payments", "Amount paid can't be blank")
    notes = entry.get("notes") or entry.get("check-number")
    if notes is not None and len(str(notes)) > NOTES_LENGTH:
        raise invalid("payments", f"Notes is too long (maximum is {NOTES_LENGTH} characters)")
    names = ("amount-paid", "payment-date", "category")
    payment = call.tenant.writer.record("payment", {name: entry[name] for name in names if name in entry})
    exponent = Decimal(payment["amount-paid"]).as_tuple().exponent
    if isinstance(exponent, int) and exponent < -4:
        raise invalid("payments", "Amount paid has more than 4 decimal places")
    call.tenant.stamp(payment)
    payment["notes"] = None if notes is None else str(notes)
    return payment | {"payable-id": record["id"], "payable-type": "InvoiceHeader"}


def _action(name: str, target: str, starts: frozenset[str] | None) -> Handler:
    def act(call: Call) -> Reply:
        record = call.record("invoices")
        status = record["status"]
        if status in _END_STATES or (starts is not None and status not in starts):
            raise invalid("invoice", f"Cannot {name.replace('_', ' ')} an invoice with status {status}.")
        record["status"] = target
        if target == "voided":
            record["canceled"], record["exported"] = True, False
        call.tenant.touch("invoices", record)
        return Reply(record)

    return act


OPERATIONS: list[Operation] = [
    *reading("invoices", READ),
    Operation("PUT", "/api/invoices/{id}", WRITE, "invoices", update),
    Operation("PATCH", "/api/invoices/{id}", WRITE, "invoices", update),
    *(
        Operation("PUT", f"/api/invoices/{{id}}/{name}", scope, "invoices", _action(name, target, starts))
        for name, (scope, target, starts) in _ACTIONS.items()
    ),
    *reading("matching_allocations", READ),
]
