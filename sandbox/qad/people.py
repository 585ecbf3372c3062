"""What people do at QAD's screens to posted invoices and to orders, and how an invoice comes to be an exception."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from sandbox.kit.app import BadRequest, Document
from sandbox.qad import finding, invoices, matching, purchasing, seeding, truth
from sandbox.qad.metadata import RESOURCES
from sandbox.qad.records import Row, clone
from sandbox.qad.values import Record

if TYPE_CHECKING:
    from sandbox.qad.tenant import QadTenant

CLERK = "apclerk"
_FOLLOWING = ("balanceTC", "isOpen", "quantityReceived")  # these follow from payments and receipts


def edit_invoice(tenant: QadTenant, body: Document) -> Document:
    """Change members (`changes`: hold, lock, status code, slots, ...) and lines (`lines`: [{"line": 1, ...}])."""
    row = finding.invoice(tenant, body)
    changes = _changes(tenant, "supplierInvoice", body)
    record = clone(row.record) | changes
    if "invoiceStatusCode" in changes:
        if changes["invoiceStatusCode"] not in tenant.masters["invoiceStatusCodes"]:
            raise BadRequest(f"no invoice status code {changes['invoiceStatusCode']}")
        invoices.apply_status(tenant, record)
        record |= changes  # a flag that was named itself stays as it was named
    for given in body.get("lines", []):
        _edit_line(record, given)
    _check_hold(record)
    _keep(tenant, row, record)
    return _shown(record)


def _changes(tenant: QadTenant, name: str, body: Document) -> Record:
    given = seeding.typed(name, body.get("changes", {}))
    fields = RESOURCES[name].by_name
    fixed = sorted(one for one in given if fields[one].key or fields[one].kind == "table" or one in _FOLLOWING)
    if fixed:
        raise BadRequest(f"{fixed} cannot be edited")
    return given


def _edit_line(record: Record, given: Any) -> None:
    number = given.get("line") if isinstance(given, dict) else None
    found = [line for line in record["supplierInvoiceLines"] if line["line"] == number]
    if not found:
        raise BadRequest(f"the invoice has no line {number!r}")
    typed = seeding.typed("supplierInvoice", {"supplierInvoiceLines": [given]})["supplierInvoiceLines"][0]
    found[0].update({name: typed[name] for name in given})


def _check_hold(record: Record) -> None:
    if not 0 <= record["holdAmountTC"] <= record["originalAmountTC"]:
        raise BadRequest("the hold amount must lie within the invoice amount")


def _keep(tenant: QadTenant, row: Row, record: Record) -> None:
    """Store what a person changed; its receipts and its place among the supplier's references follow."""
    matching.book(tenant, row.record, -1)
    tenant.references[invoices.reference_key(row.record)].discard(tenant.table("supplierInvoice").key(record))
    invoices.store(tenant.system_context(record["entityCode"], CLERK), record)


def _shown(record: Record) -> Document:
    names = ("holdAmountTC", "isLockPayment", "invoiceStatusCode", "receiverMatchingStatus")
    return {"key": truth.invoice_key(record)} | {name: record[name] for name in names}


def fail_match(tenant: QadTenant, body: Document) -> Document:
    """Make a posted invoice an exception: `variance` (25) and `usage` (0) on its first match, `hold` their sum."""
    row = finding.invoice(tenant, body)
    record = clone(row.record)
    if not record[matching.LINES]:
        raise BadRequest("nothing of this invoice is matched")
    rate, usage = (_amount(body, name, standard) for name, standard in (("variance", 25), ("usage", 0)))
    record[matching.LINES][0] |= {"varianceRateTC": rate, "varianceUsageTC": usage}
    record["holdAmountTC"] = _amount(body, "hold", max(rate + usage, Decimal(0)))
    _check_hold(record)
    _keep(tenant, row, record)
    return _shown(record)


def clear_match(tenant: QadTenant, body: Document) -> Document:
    """Let a person settle an exception: no variance is left, nor a hold."""
    row = finding.invoice(tenant, body)
    record = clone(row.record)
    for line in record[matching.LINES]:
        line |= {"varianceRateTC": Decimal(0), "varianceUsageTC": Decimal(0)}
    record["holdAmountTC"] = Decimal(0)
    _keep(tenant, row, record)
    return _shown(record)


def _amount(body: Document, name: str, standard: Decimal | int) -> Decimal:
    value = body.get(name, standard)
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise BadRequest(f"{name} is not an amount: {value!r}")
    return Decimal(value)


def submit_for_approval(tenant: QadTenant, body: Document) -> Document:
    """Submit an invoice for approval; {"submitted": false} takes it back."""
    return _flag(tenant, body, "isSubmittedForApproval", body.get("submitted", True))


def select_for_payment(tenant: QadTenant, body: Document) -> Document:
    """Select an invoice in a payment run; {"selected": false} takes it back."""
    return _flag(tenant, body, "isSelected", body.get("selected", True))


def _flag(tenant: QadTenant, body: Document, name: str, value: Any) -> Document:
    row = finding.invoice(tenant, body)
    row.record[name] = bool(value)
    tenant.table("supplierInvoice").touch(row, tenant.system_context().stamp())
    return {"key": truth.invoice_key(row.record), name: row.record[name]}


def edit_order(tenant: QadTenant, body: Document) -> Document:
    """Change members of an order's header: remarks, slots, due date, status."""
    return _edit(tenant, "purchaseOrder", finding.order(tenant, body), body)


def edit_order_line(tenant: QadTenant, body: Document) -> Document:
    """Change members of an order line: due date, cost centre, status, slots; the header's stamps stay as they are."""
    return _edit(tenant, "purchaseOrderLine", finding.order_line(tenant, body), body)


def _edit(tenant: QadTenant, name: str, row: Row, body: Document) -> Document:
    changes = _changes(tenant, name, body)
    if name == "purchaseOrder" and changes.get("orderStatus", "") not in purchasing.STATUSES:
        raise BadRequest(f"no order status {changes['orderStatus']}")
    tenant.table(name).put(clone(row.record) | changes, tenant.system_context(user=CLERK).stamp())
    return {"changed": sorted(changes)}
