"""Purchase orders and their lines, and the receipts taken against them."""

from __future__ import annotations

from decimal import Decimal

from sandbox.coupa import changes
from sandbox.coupa.api import Call, Operation, Reply, reading
from sandbox.coupa.errors import invalid, unknown_reference
from sandbox.coupa.store import Record
from sandbox.coupa.values import decimal_text

ORDERS, RECEIPTS = "core.purchase_order.read", "core.inventory.receiving"
RECEIPT_TYPES = (
    "InventoryReceipt",
    "ReceivingQuantityConsumption",
    "ReceivingAmountConsumption",
    "ReceivingQuantityReturnToSupplier",
    "ReceivingAmountReturnToSupplier",
    "ReceivingQuantityDisposal",
    "ReceivingAmountDisposal",
)
_WRITABLE = ("type", "quantity", "price", "total", "transaction-date", "match-reference", "notes", "barcode")


def receive(call: Call) -> Reply:
    """Create a receipt and count it on its order line."""
    tenant = call.tenant
    record = changes.taken(call, "receiving_transactions", _WRITABLE)
    kind = str(record.get("type") or "")
    if kind not in RECEIPT_TYPES:
        raise invalid("receiving_transaction", f"Type must be one of {', '.join(RECEIPT_TYPES)}.")
    line = _order_line(call)
    changes.required("receiving_transaction", record, ["total" if "Amount" in kind else "quantity"])
    if kind == "InventoryReceipt":
        changes.required("receiving_transaction", call.body, ["to-warehouse", "to-warehouse-location"])
        record |= changes.taken(call, "receiving_transactions", ("to-warehouse", "to-warehouse-location"))
    record["id"] = tenant.ids.of("receiving-transaction", record)
    record |= {"status": "created", "exported": False}
    record["order-line"] = tenant.writer.record("order-line-ref", {"id": line["id"]})
    record.setdefault("transaction-date", tenant.now())
    record.setdefault("price", line.get("price"))
    _count(call, line, record, sign=1)
    return Reply(tenant.add("receiving_transactions", record), 201)


def _order_line(call: Call) -> Record:
    given = call.body.get("order-line") or {"id": call.body.get("order-line-id")}
    found = call.tenant.named("order-line-ref", given) if isinstance(given, dict) else None
    if found is None:
        raise unknown_reference("order-line", {"id": given.get("id") if isinstance(given, dict) else given}, ["id"])
    return found


def _count(call: Call, line: Record, record: Record, *, sign: int) -> None:
    outward = any(word in record["type"] for word in ("ReturnToSupplier", "Disposal"))
    moved = Decimal(record.get("quantity") or record.get("total") or 0) * (-sign if outward else sign)
    line["received"] = decimal_text(Decimal(line.get("received") or 0) + moved, 1)
    line["status"] = "received" if Decimal(line["received"]) > 0 else "created"
    call.tenant.touch("purchase_order_lines", line)


def mark_exported(call: Call) -> Reply:
    """Set the export flag of a receipt; nothing else of it can be updated."""
    record = call.record("receiving_transactions")
    flag = call.argument("exported") or call.body.get("exported")
    if flag is not None and changes.flag("exported", flag):
        record["exported"], record["last-exported-at"] = True, call.tenant.now()
    return Reply(record)


def void(call: Call) -> Reply:
    """Void a receipt and take its quantity off the order line."""
    record = call.record("receiving_transactions")
    if record["status"] == "voided":
        raise invalid("receiving_transaction", "The transaction is already voided.")
    line = call.tenant.named("order-line-ref", record.get("order-line") or {})
    record["status"] = "voided"
    if line is not None:
        _count(call, line, record, sign=-1)
    call.tenant.touch("receiving_transactions", record)
    return Reply(record)


OPERATIONS: list[Operation] = [
    *reading("purchase_orders", ORDERS),
    *reading("purchase_order_lines", ORDERS),
    *reading("receiving_transactions", f"{RECEIPTS}.read"),
    Operation("POST", "/api/receiving_transactions", f"{RECEIPTS}.write", "receiving_transactions", receive),
    Operation("PUT", "/api/receiving_transactions/{id}", f"{RECEIPTS}.write", "receiving_transactions", mark_exported),
    Operation("PUT", "/api/receiving_transactions/{id}/void", f"{RECEIPTS}.write", "receiving_transactions", void),
]
