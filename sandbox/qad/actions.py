"""The admin verbs: what people and processes inside QAD do while the tests watch from outside."""

from __future__ import annotations

from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter

from sandbox.kit.app import Action, BadRequest, Document, UnknownRecord
from sandbox.qad import defaults, finding, invoices, matching, payments, people, seeding, truth
from sandbox.qad.auth import Account, Auth
from sandbox.qad.options import User
from sandbox.qad.records import Row
from sandbox.qad.values import Record

if TYPE_CHECKING:
    from sandbox.qad.tenant import QadTenant


def bind(tenant: QadTenant) -> dict[str, Action]:
    """Every verb by name, bound to the tenant."""
    verbs = (
        post_receipt,
        cancel_po,
        close_po,
        reopen_po,
        pay,
        set_payment_status,
        move_allocation,
        people.submit_for_approval,
        people.select_for_payment,
        people.edit_invoice,
        people.edit_order,
        people.edit_order_line,
        people.fail_match,
        people.clear_match,
        key_invoice_by_hand,
        delete_initial_invoice,
        close_period,
        open_period,
        lock_user,
        unlock_user,
        change_password,
        expire_tokens,
        set_option,
    )
    return {verb.__name__: partial(verb, tenant) for verb in verbs}


def post_receipt(tenant: QadTenant, body: Document) -> Document:
    """Post a receipt (negative: a return or correction) under a given or the next receiver number."""
    names = {"quantity": "quantityReceived", "date": "receiptDate"}
    given = seeding.typed("receipt", {names.get(key, key): value for key, value in body.items()})
    order = finding.order(tenant, given)
    if order.record["orderStatus"] == "X":
        raise BadRequest("the purchase order is cancelled")
    place = (order.record["domainCode"], given["purchaseOrderNumber"], given.get("purchaseOrderLine", 1))
    line = tenant.find("purchaseOrderLine", *place)
    if line is None:
        raise UnknownRecord(f"no line {place[2]} on purchase order {place[1]}")
    if given.get("receiverNumber") and tenant.find("receipt", place[0], given["receiverNumber"], *place[1:]):
        raise BadRequest(f"receiver {given['receiverNumber']} already has this line")
    if line.record["quantityReceived"] + given.get("quantityReceived", Decimal(0)) < 0:
        raise BadRequest("more would be returned than was received")
    record = seeding.receive(tenant, given)
    return {"receiverNumber": record["receiverNumber"], "quantityReceived": line.record["quantityReceived"]}


def cancel_po(tenant: QadTenant, body: Document) -> Document:
    """Cancel a purchase order."""
    return _order_status(tenant, body, "X")


def close_po(tenant: QadTenant, body: Document) -> Document:
    """Close a purchase order."""
    return _order_status(tenant, body, "C")


def reopen_po(tenant: QadTenant, body: Document) -> Document:
    """Open a purchase order again."""
    return _order_status(tenant, body, "O")


def _order_status(tenant: QadTenant, body: Document, status: str) -> Document:
    row = finding.order(tenant, body)
    row.record["orderStatus"] = status
    tenant.table("purchaseOrder").touch(row, tenant.system_context().stamp())
    return {"purchaseOrderNumber": row.record["purchaseOrderNumber"], "orderStatus": status}


def pay(tenant: QadTenant, body: Document) -> Document:
    """Pay one invoice (its key, amount) or several (invoices: [...]); the amount defaults to the balance."""
    asked = body.get("invoices") or [body]
    parts = []
    for item in asked:
        row = finding.invoice(tenant, item.get("invoice", item) | _shared(body))
        discount = _amount(item.get("discount", 0))
        parts.append((row, _amount(item.get("amount", row.record["balanceTC"] - discount)), discount))
    details: Record = {name: body[name] for name in ("paymentInstrument", "paymentReference") if name in body}
    context = tenant.system_context(parts[0][0].record["entityCode"])
    paid = payments.pay(context, parts, status=body.get("status", "Paid"), details=details).record
    return _payment_key(paid) | {"paymentStatus": paid["paymentStatus"]}


def _shared(body: Document) -> Document:
    return {"entityCode": body["entityCode"]} if "entityCode" in body else {}


def _amount(value: Any) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise BadRequest(f"not an amount: {value!r}")
    return Decimal(value)


def _payment_key(payment: Record) -> Document:
    return {name: payment[name] for name in ("entityCode", "paymentYear", "paymentNumber")}


def set_payment_status(tenant: QadTenant, body: Document) -> Document:
    """Move a payment on (Initial, Allocated, For Collection, Paid, Bounced, Void); invoices given are allocated."""
    row = _payment(tenant, body)
    context = tenant.system_context(row.record["entityCode"])
    for item in body.get("invoices", []):
        found = finding.invoice(tenant, item)
        amount = _amount(item.get("amount", found.record["balanceTC"]))
        payments.allocate(context, row, found, amount)
    payments.set_status(context, row, str(body.get("status")))
    return _payment_key(row.record) | {"paymentStatus": row.record["paymentStatus"]}


def move_allocation(tenant: QadTenant, body: Document) -> Document:
    """Move what a payment gives from one invoice ("from") to another ("to"); without "to" it is taken off."""
    row = _payment(tenant, body)
    context = tenant.system_context(row.record["entityCode"])
    target = finding.invoice(tenant, body["to"]) if "to" in body else None
    amount, discount = payments.take_off(context, row, finding.invoice(tenant, body.get("from", {})))
    if target is not None:
        payments.allocate(context, row, target, amount, discount=discount)
    return _payment_key(row.record) | {"allocations": len(row.record["supplierPaymentAllocations"])}


def _payment(tenant: QadTenant, body: Document) -> Row:
    """The payment with the number given, and the entity and year where they are given; raises UnknownRecord."""
    for row in tenant.table("supplierPayment").visible(tenant.clock):
        record = row.record
        alike = all(record[name] == body.get(name, record[name]) for name in ("entityCode", "paymentYear"))
        if alike and record["paymentNumber"] == body.get("paymentNumber"):
            return row
    raise UnknownRecord(f"no payment {body.get('paymentNumber')}")


def key_invoice_by_hand(tenant: QadTenant, body: Document) -> Document:
    """Somebody keys an invoice at the screen, without our token; QAD's rules apply."""
    given = seeding.typed("supplierInvoice", body)
    context = tenant.system_context(given.get("entityCode", ""), "apclerk")
    standard = defaults.invoice(tenant, given)
    standard = {
        name: standard[name] for name in standard if name not in ("receiverMatchingStatus", "invoiceStatusCode")
    }
    outcome = invoices.create(context, {"invoiceStatusCode": "AP-NOALLOC"} | standard | given)
    if outcome.problems:
        raise BadRequest("; ".join(f"{item.field_name}: {item.message}" for item in outcome.problems))
    record = outcome.rows[0].record
    names = ("entityCode", "postingYear", "daybookCode", "voucher", "invoiceReference")
    return {name: record[name] for name in names} | {"key": truth.invoice_key(record)}


def delete_initial_invoice(tenant: QadTenant, body: Document) -> Document:
    """Delete an invoice; only one with an initial status can go."""
    record = finding.invoice(tenant, body).record
    if not record["isInitialStatus"]:
        raise BadRequest("only an initial invoice can be deleted")
    table = tenant.table("supplierInvoice")
    key = table.key(record)
    matching.book(tenant, record, -1)
    tenant.references[invoices.reference_key(record)].discard(key)
    del table.rows[key]
    return {"deleted": truth.invoice_key(record)}


def close_period(tenant: QadTenant, body: Document) -> Document:
    """Close a period: {"period": "2026/02"} or {"year": 2026, "period": 2}."""
    tenant.closed_periods.add(_period(body))
    return {"closed": [f"{year}/{month:02d}" for year, month in sorted(tenant.closed_periods)]}


def open_period(tenant: QadTenant, body: Document) -> Document:
    """Open a closed period again."""
    tenant.closed_periods.discard(_period(body))
    return {"closed": [f"{year}/{month:02d}" for year, month in sorted(tenant.closed_periods)]}


def _period(body: Document) -> tuple[int, int]:
    return defaults.period(body if "year" in body else body.get("period"))


def _account(tenant: QadTenant, body: Document) -> Account:
    name = body.get("username", tenant.options.users[0].username)
    account = tenant.auth.accounts.get(name)
    if account is None:
        raise UnknownRecord(f"no user {name}")
    return account


def lock_user(tenant: QadTenant, body: Document) -> Document:
    """Lock a user (by default the first)."""
    account = _account(tenant, body)
    account.locked = True
    return {"username": account.user.username, "locked": True}


def unlock_user(tenant: QadTenant, body: Document) -> Document:
    """Unlock a user and forget the failures."""
    account = _account(tenant, body)
    account.locked, account.failures = False, 0
    return {"username": account.user.username, "locked": False}


def change_password(tenant: QadTenant, body: Document) -> Document:
    """Give a user another password; refresh tokens of that user end."""
    account = _account(tenant, body)
    account.password = str(body.get("password", ""))
    auth: Auth = tenant.auth
    name = account.user.username
    auth.refreshes = {token: item for token, item in auth.refreshes.items() if item.username != name}
    return {"username": name}


def expire_tokens(tenant: QadTenant, body: Document) -> Document:
    """End every access token now; {"refresh": true} ends refresh tokens too."""
    return {"expired": tenant.auth.expire(refresh_too=bool(body.get("refresh")))}


def set_option(tenant: QadTenant, body: Document) -> Document:
    """Change options: {"policy_variance": "reject"} or {"name": "policy_variance", "value": "reject"}."""
    changes = {body["name"]: body.get("value")} if "name" in body else body
    for name, value in changes.items():
        if name not in type(tenant.options).model_fields or name == "context_root":
            raise BadRequest(f"no option {name} can be set")
        setattr(tenant.options, name, TypeAdapter(list[User]).validate_python(value) if name == "users" else value)
        if name == "users":
            tenant.auth.accounts = {
                item.username: Account(item, item.password.get_secret_value()) for item in tenant.options.users
            }
        if name == "closed_periods":
            tenant.closed_periods = {defaults.period(text) for text in tenant.options.closed_periods}
    return {"set": sorted(changes)}
