"""What really took effect in the tenant, counted per external key: the referee's view, free of read lag."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from sandbox.qad import matching
from sandbox.qad.metadata import Resource
from sandbox.qad.values import Record

if TYPE_CHECKING:
    from sandbox.qad.tenant import QadTenant


def report(tenant: QadTenant) -> dict[str, Any]:
    """The truth counters of the admin API."""
    found = list(tenant.table("supplierInvoice").records())
    references = Counter(f"{item['supplierCode']}/{item['invoiceType']}/{item['invoiceReference']}" for item in found)
    return {
        "writes": tenant.writes,
        "invoices_by_token": dict(Counter(item["customShort0"] for item in found if item["customShort0"])),
        "invoices_by_reference": dict(references),
        "invoices": [_invoice(item) for item in found],
        "matched": _matched(found),
        "suppliers": {item["supplierCode"]: _supplier(item) for item in tenant.table("supplier").records()},
        "purchaseOrders": _orders(tenant),
        "payments": [_payment(item) for item in tenant.table("supplierPayment").records()],
        "updates": {name: {key: dict(found) for key, found in keys.items()} for name, keys in tenant.updates.items()},
        "logins": dict(tenant.auth.counts),
        "ignored_members": dict(tenant.ignored),
    }


def note_update(tenant: QadTenant, resource: Resource, old: Record, new: Record) -> None:
    """Count an update by the API: the call itself, every member whose value it changed, and a hold it released."""
    key = ".".join(str(new[name]) for name in resource.keys)
    counts = tenant.updates.setdefault(resource.name, {}).setdefault(key, Counter())
    counts["calls"] += 1
    counts.update(item.name for item in resource.fields if not item.server and old[item.name] != new[item.name])
    if resource.name == "supplierInvoice" and old["holdAmountTC"] > 0 == new["holdAmountTC"]:
        counts["releases"] += 1


def invoice_key(item: Record) -> str:
    """An invoice's key in one text: entity.year.daybook.voucher."""
    return f"{item['entityCode']}.{item['postingYear']}.{item['daybookCode']}.{item['voucher']}"


def _invoice(item: Record) -> Record:
    return {
        "key": invoice_key(item),
        "token": item["customShort0"],
        "supplier": item["supplierCode"],
        "reference": item["invoiceReference"],
        "type": item["invoiceType"],
        "amount": item["originalAmountTC"],
        "currency": item["currencyCode"],
        "status": item["invoiceStatusCode"],
        "holdAmountTC": item["holdAmountTC"],
        "receiverMatchingStatus": item["receiverMatchingStatus"],
        "balanceTC": item["balanceTC"],
        "isOpen": item["isOpen"],
    }


def _matched(found: list[Record]) -> dict[str, Decimal]:
    totals: dict[str, Decimal] = {}
    for item in found:
        for line in item[matching.LINES]:
            place = f"{line['purchaseOrderNumber']}/{line['purchaseOrderLine']}"
            totals[place] = totals.get(place, Decimal(0)) + matching.signed_quantity(item, line)
    return totals


def _supplier(item: Record) -> Record:
    names = ("businessRelationCode", "addressName", "isActive", "currencyCode", "customShort0")
    return {name: item[name] for name in names}


def _orders(tenant: QadTenant) -> dict[str, Record]:
    orders: dict[str, Record] = {}
    for item in tenant.table("purchaseOrder").records():
        orders[item["purchaseOrderNumber"]] = {"status": item["orderStatus"], "lines": {}}
    names = ("itemCode", "quantityOrdered", "quantityReceived", "purchaseCost")
    for line in tenant.table("purchaseOrderLine").records():
        lines = orders[line["purchaseOrderNumber"]]["lines"]
        lines[str(line["purchaseOrderLine"])] = {name: line[name] for name in names}
    return orders


def _payment(item: Record) -> Record:
    return {
        "key": f"{item['entityCode']}.{item['paymentYear']}.{item['paymentNumber']}",
        "status": item["paymentStatus"],
        "amount": item["paymentAmountTC"],
        "allocations": len(item["supplierPaymentAllocations"]),
    }
