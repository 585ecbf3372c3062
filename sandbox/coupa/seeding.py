"""Loads records in wire spelling and fills what is missing, always in the same way; given totals stay as they are."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from sandbox.coupa.errors import invalid
from sandbox.coupa.schema import COLLECTIONS
from sandbox.coupa.store import Record
from sandbox.coupa.values import decimal_text, hyphen_keys

if TYPE_CHECKING:
    from sandbox.coupa.tenant import CoupaTenant

_PLACES = {"JPY": 0, "KRW": 0, "KWD": 3, "BHD": 3, "OMR": 3, "JOD": 3}
_EXTRAS = ("shipping-amount", "handling-amount", "misc-amount")
_DERIVED = ("purchase_order_lines",)

_DEFAULTS: dict[str, dict[str, Any]] = {
    "invoices": {
        "status": "approved",
        "document-type": "Invoice",
        "payment-channel": "ERP",
        "exported": False,
        "paid": False,
        "canceled": False,
        "compliant": False,
        "line-level-taxation": True,
        "lock-version-key": 0,
    }
    | dict.fromkeys(_EXTRAS, "0.0000"),
    "purchase_orders": {
        "status": "issued",
        "type": "ExternalOrderHeader",
        "exported": False,
        "version": 1,
        "internal-revision": 0,
    },
    "suppliers": {"status": "active", "on-hold": False},
    "currencies": {"enabled": True},
    "payment_terms": {"active": True, "type": "DaysAfterNetPaymentTerm"},
    "account_types": {"active": True},
    "accounts": {"active": True},
    "lookups": {"active": True},
    "lookup_values": {"active": True, "is-default": False},
    "integrations": {"direction": "from_coupa", "end-system-type": "erp", "integration-type": "api"},
    "integration_runs": {"status": "pending"},
    "receiving_transactions": {"status": "created", "exported": False},
    "integration_history_records": {"resolved": False},
    "integration_errors": {"resolved": False},
}


def seed(tenant: CoupaTenant, document: dict[str, Any]) -> dict[str, int]:
    """Add the records of a seed document, masters first; returns how many of each collection."""
    given = {key.replace("-", "_"): records for key, records in document.items()}
    unknown = [key for key in given if key not in COLLECTIONS or key in _DERIVED]
    if unknown:
        raise invalid("seed", f"no collection {unknown[0]}")
    for collection in COLLECTIONS:
        for record in given.get(collection, []):
            add(tenant, collection, record)
    return {collection: len(records) for collection, records in given.items()}


def add(tenant: CoupaTenant, collection: str, given: Record) -> Record:
    """Add one record, completed; raises ApiError for attributes that do not exist."""
    record = tenant.writer.record(COLLECTIONS[collection], hyphen_keys(given), seeding=True)
    complete(tenant, collection, record)
    return tenant.add(collection, record)


def complete(tenant: CoupaTenant, collection: str, record: Record) -> None:
    """Fill what a record does not say; whatever it says stays."""
    for name, value in _DEFAULTS.get(collection, {}).items():
        record.setdefault(name, value)
    if collection in _COMPLETE:
        _COMPLETE[collection](tenant, record)


def _supplier(tenant: CoupaTenant, record: Record) -> None:
    record.setdefault("name", f"Supplier {record.get('number') or record['id']}")
    record.setdefault("display-name", record["name"])


def _currency(tenant: CoupaTenant, record: Record) -> None:
    record.setdefault("code", "USD")
    record.setdefault("name", record["code"])
    record.setdefault("decimals", _PLACES.get(record["code"], 2))


def _account(tenant: CoupaTenant, record: Record) -> None:
    segments = [record[f"segment-{number}"] for number in range(1, 21) if record.get(f"segment-{number}")]
    record.setdefault("code", "-".join(segments))
    record.setdefault("name", record["code"])


def _lookup_value(tenant: CoupaTenant, record: Record) -> None:
    if not record.get("lookup"):
        raise invalid("lookup_value", "a lookup value needs its lookup")
    record.setdefault("name", record.get("external-ref-num") or f"Value {record['id']}")
    ref_code(tenant, record)


def ref_code(tenant: CoupaTenant, record: Record) -> None:
    """Compute the external-ref-code of a lookup value: the ref nums from the root, joined."""
    own = record.get("external-ref-num") or record["name"]
    parent = record.get("parent")
    above = parent.get("external-ref-code") if parent else None
    record["external-ref-code"] = f"{above}{tenant.options.ref_code_separator}{own}" if above else own
    record["lookup-id"] = record["lookup"]["id"]
    record["parent-id"] = parent["id"] if parent else None


def _order(tenant: CoupaTenant, record: Record) -> None:
    record.setdefault("po-number", str(record["id"]))
    for position, line in enumerate(record.setdefault("order-lines", []), start=1):
        line.setdefault("line-num", str(position))
        line.setdefault("type", "OrderQuantityLine" if line.get("quantity") else "OrderAmountLine")
        line.setdefault("status", "created")
        line.setdefault("received", "0.0")
        line.setdefault("invoiced", "0.0")
        _line_total(line)
        line["order-header-id"], line["order-header-number"] = record["id"], record["po-number"]
        for name in ("supplier", "currency"):
            if record.get(name):
                line.setdefault(name, record[name])
        tenant.add("purchase_order_lines", line)


def _invoice(tenant: CoupaTenant, record: Record) -> None:
    record.setdefault("invoice-number", f"INV-{record['id']}")
    record.setdefault("invoice-date", tenant.writer.time(tenant.clock.now().date().isoformat()))
    for position, line in enumerate(record.setdefault("invoice-lines", []), start=1):
        line.setdefault("line-num", position)
        tenant.stamp(line)
        line.setdefault("type", "InvoiceQuantityLine" if line.get("quantity") else "InvoiceAmountLine")
        _line_total(line)
        _link_order_line(tenant, line)
        if record.get("currency"):
            line.setdefault("currency", record["currency"])
    record.setdefault("payments", [])
    record.setdefault("total-with-taxes", decimal_text(_total(record).normalize(), 2))
    record.setdefault("gross-total", record["total-with-taxes"])


def _line_total(line: Record) -> None:
    price = Decimal(line.get("price") or 0)
    quantity = Decimal(line["quantity"]) if line.get("quantity") else Decimal(1)
    line.setdefault("total", decimal_text((price * quantity).normalize(), 2))


def _link_order_line(tenant: CoupaTenant, line: Record) -> None:
    """Fill the order line id from PO number and line number when that order is known."""
    number = line.get("po-number") or line.get("order-header-num")
    order = next(tenant.tables["purchase_orders"].where("po-number", number), None) if number else None
    if order is None:
        return
    line.setdefault("po-number", order["po-number"])
    line.setdefault("order-header-num", order["po-number"])
    wanted = str(line.get("order-line-num", ""))
    found = next((one for one in order["order-lines"] if one["line-num"] == wanted), None)
    if found is not None:
        line.setdefault("order-line-id", found["id"])


def _total(record: Record) -> Decimal:
    lines = record["invoice-lines"]
    charges = record.get("invoice-charges") or []
    extras = [one.get("total") for one in charges] or [record.get(name) for name in _EXTRAS]
    taxes = [line.get("tax-amount") for line in lines] if record["line-level-taxation"] else [record.get("tax-amount")]
    given = [line["total"] for line in lines] + extras + taxes
    return sum((Decimal(value) for value in given if value), Decimal(0))


_COMPLETE: dict[str, Callable[[CoupaTenant, Record], None]] = {
    "suppliers": _supplier,
    "currencies": _currency,
    "accounts": _account,
    "lookup_values": _lookup_value,
    "purchase_orders": _order,
    "invoices": _invoice,
}
