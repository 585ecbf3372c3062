"""Suppliers: unique by name and by number, never deleted, validated in Coupa's words."""

from __future__ import annotations

import re

from sandbox.coupa import changes
from sandbox.coupa.api import Call, Operation, Reply, reading
from sandbox.coupa.errors import invalid
from sandbox.coupa.schema import MODELS
from sandbox.coupa.store import Record

READ, WRITE = "core.supplier.read", "core.supplier.write"
NAME_LENGTH = 100
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
_WRITABLE = (
    "name",
    "display-name",
    "number",
    "status",
    "account-number",
    "tax-id",
    "duns",
    "website",
    "po-method",
    "po-email",
    "payment-method",
    "payment-term",
    "shipping-term",
    "invoice-matching-level",
    "on-hold",
    "business-groups",
    "remit-to-addresses",
)
_PARTS = ("primary-address", "primary-contact")
_CHOICES: dict[str, tuple[str, str]] = {
    "status": ("active|inactive|onboarding", "Supplier status must be one of active, inactive, onboarding."),
    "po-method": (
        "cxml|xml|email|integration|prompt|buy_online",
        "PO method must be one of cxml, xml, email, integration, prompt or buy_online.",
    ),
    "payment-method": (
        "invoice|pcard|invoice_only|pcard_only|virtual_card",
        "Payment method must be one of invoice, pcard, invoice_only, pcard_only or virtual_card.",
    ),
    "invoice-matching-level": (
        "2-way|3-way|3-way-direct|none",
        "Invoice matching level must be one of 2-way, 3-way, 3-way-direct or none.",
    ),
}


def create(call: Call) -> Reply:
    """Create a supplier; without a status it is a draft."""
    tenant = call.tenant
    record = changes.taken(call, "suppliers", _WRITABLE)
    changes.required("supplier", record, ["name"])
    _check(call, record, own_id=None)
    record["id"] = tenant.ids.of("supplier", {})
    record["status"] = record.get("status") or "draft"
    record.setdefault("display-name", record["name"])
    record.setdefault("on-hold", False)
    _parts(call, record)
    changes.custom_fields(call, "suppliers", record)
    return Reply(tenant.add("suppliers", record), 201)


def update(call: Call) -> Reply:
    """Update a supplier; primary address and contact are edited in place, never exchanged."""
    record = call.record("suppliers")
    fresh = changes.taken(call, "suppliers", _WRITABLE)
    if "name" in fresh:
        changes.required("supplier", fresh, ["name"])
    _check(call, fresh, own_id=record["id"])
    record.update(fresh)
    _parts(call, record)
    changes.custom_fields(call, "suppliers", record)
    if any(name in call.body for name in (*_WRITABLE, *_PARTS, "custom-fields")):
        call.tenant.touch("suppliers", record)
    return Reply(record)


def _check(call: Call, fresh: Record, *, own_id: int | None) -> None:
    texts = []
    if len(fresh.get("name") or "") > NAME_LENGTH:
        texts.append(f"Name is too long (maximum is {NAME_LENGTH} characters)")
    for name, (choices, text) in _CHOICES.items():
        if fresh.get(name) and fresh[name] not in choices.split("|"):
            texts.append(text)
    contact = call.body.get("primary-contact")
    email = call.body.get("po-email") or (contact.get("email") if isinstance(contact, dict) else None)
    if email and not _EMAIL.fullmatch(str(email)):
        texts.append("Supplier email is not a valid email address.")
    for name in ("name", "number"):
        if fresh.get(name) and _taken(call, name, fresh[name], own_id):
            texts.append(f"{name.capitalize()} has already been taken")
    if texts:
        raise invalid("supplier", *texts)


def _taken(call: Call, name: str, value: str, own_id: int | None) -> bool:
    # The database that Coupa runs on compares without case.
    return any(one["id"] != own_id for one in call.tenant.tables["suppliers"].like(name, value))


def _parts(call: Call, record: Record) -> None:
    for name in _PARTS:
        given = call.body.get(name)
        if isinstance(given, dict):
            edited = {key: value for key, value in given.items() if key != "id"}
            model = MODELS["supplier"][name].model or ""
            held = record.get(name) or {}
            kept = {"id": held["id"]} if "id" in held else {}
            record[name] = held | call.tenant.writer.record(model, edited | kept)


OPERATIONS: list[Operation] = [
    *reading("suppliers", READ),
    Operation("POST", "/api/suppliers", WRITE, "suppliers", create),
    Operation("PUT", "/api/suppliers/{id}", WRITE, "suppliers", update),
    Operation("PATCH", "/api/suppliers/{id}", WRITE, "suppliers", update),
]
