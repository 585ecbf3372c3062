"""What people do in the tenant by hand: approve, void, edit, dispute, pay, and what an administrator switches."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from sandbox.coupa import seeding
from sandbox.coupa.errors import ApiError
from sandbox.coupa.schema import COLLECTIONS
from sandbox.coupa.store import Record
from sandbox.coupa.values import hyphen_keys
from sandbox.kit.app import Action, BadRequest, Document, UnknownRecord

if TYPE_CHECKING:
    from sandbox.coupa.tenant import CoupaTenant


def table(tenant: CoupaTenant) -> dict[str, Action]:
    """The admin verbs of this tenant by name."""
    verbs: dict[str, Callable[[CoupaTenant, Document], Document]] = {
        "approve_invoice": lambda tenant, given: _set_status(tenant, given, "approved"),
        "dispute_invoice": lambda tenant, given: _set_status(tenant, given, "disputed"),
        "void_invoice": void_invoice,
        "edit_invoice": edit_invoice,
        "remove_invoice": remove_invoice,
        "edit_supplier": lambda tenant, given: _edited(tenant, "suppliers", given),
        "edit_purchase_order": lambda tenant, given: _edited(tenant, "purchase_orders", given),
        "reset_exported": reset_exported,
        "add_payment_by_hand": add_payment_by_hand,
        "refuse_updates": refuse_updates,
        "expire_tokens": lambda tenant, given: {"expired": tenant.tokens.expire_all()},
        "set_option": set_option,
        "revoke_client": revoke_client,
    }
    return {name: _bound(tenant, verb) for name, verb in verbs.items()}


def _bound(tenant: CoupaTenant, verb: Callable[[CoupaTenant, Document], Document]) -> Action:
    def act(given: Document) -> Document:
        try:
            return verb(tenant, given)
        except ApiError as error:
            raise BadRequest(str(error)) from error

    return act


def _set_status(tenant: CoupaTenant, given: Document, status: str) -> Document:
    record = tenant.find("invoices", given.get("id"))
    record["status"] = status
    tenant.touch("invoices", record)
    return record


def void_invoice(tenant: CoupaTenant, given: Document) -> Document:
    """Void {id}; the void shows as not exported unless keep_exported is given."""
    record = _set_status(tenant, given, "voided")
    record["canceled"] = True
    if not given.get("keep_exported", False):
        record["exported"] = False
    return record


def edit_invoice(tenant: CoupaTenant, given: Document) -> Document:
    """Edit {id, changes} as a person in the UI; reset_exported overrides the tenant's switch."""
    record = _edited(tenant, "invoices", given)
    if given.get("reset_exported", tenant.options.ui_edit_resets_exported):
        record["exported"] = False
    return record


def _edited(tenant: CoupaTenant, collection: str, given: Document) -> Record:
    record = tenant.find(collection, given.get("id"))
    changes = hyphen_keys(given.get("changes") or {})
    if "id" in changes:
        raise BadRequest("an id cannot be edited")
    respelled = tenant.writer.record(COLLECTIONS[collection], changes | {"id": record["id"]}, seeding=True)
    custom = record.get("custom-fields", {}) | respelled.get("custom-fields", {})
    record.update(respelled)
    if custom:
        record["custom-fields"] = custom
    seeding.complete(tenant, collection, record)
    tenant.touch(collection, record)
    return record


def remove_invoice(tenant: CoupaTenant, given: Document) -> Document:
    """Make {id} vanish, as when a login loses sight of a business group."""
    record = tenant.find("invoices", given.get("id"))
    tenant.tables["invoices"].remove(record["id"])
    return {"removed": record["id"]}


def reset_exported(tenant: CoupaTenant, given: Document) -> Document:
    """Set exported of {id} to false, as a UI edit may."""
    record = tenant.find("invoices", given.get("id"))
    record["exported"] = False
    tenant.touch("invoices", record)
    return record


def add_payment_by_hand(tenant: CoupaTenant, given: Document) -> Document:
    """Append a payment {id, amount-paid, notes, payment-date} that no integration wrote."""
    record = tenant.find("invoices", given.get("id"))
    entry = {key: value for key, value in hyphen_keys(given).items() if key != "id"}
    payment = tenant.writer.record("payment", entry, seeding=True)
    tenant.stamp(payment)
    record["payments"].append(payment)
    tenant.touch("invoices", record)
    tenant.webhooks.paid(record, payment)
    return record


def refuse_updates(tenant: CoupaTenant, given: Document) -> Document:
    """Make every API update of invoice {id} fail with {message}; a null message ends it."""
    number = tenant.find("invoices", given.get("id"))["id"]
    message: Any = given.get("message")
    if message:
        tenant.refusals[number] = str(message)
    else:
        tenant.refusals.pop(number, None)
    return {"id": number, "message": message}


def set_option(tenant: CoupaTenant, given: Document) -> Document:
    """Change switches given as {name: value, ...}."""
    tenant.change_options(given)
    return tenant.options.model_dump(mode="json", include=set(given))


def revoke_client(tenant: CoupaTenant, given: Document) -> Document:
    """Take the OAuth client {client_id} away, and its tokens with it."""
    client_id = given.get("client_id")
    left = [client for client in tenant.options.clients if client.client_id != client_id]
    if len(left) == len(tenant.options.clients):
        raise UnknownRecord(f"no client {client_id!r}")
    tenant.change_options({"clients": left})
    return {"revoked": client_id, "tokens": tenant.tokens.revoke(str(client_id))}
