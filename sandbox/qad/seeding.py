"""Turns partial seed records into whole ones; what a record leaves out gets a fixed default, so runs repeat exactly."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from sandbox.kit.app import BadRequest, Document
from sandbox.qad import defaults, invoices, masters, matching, payments, purchasing
from sandbox.qad.metadata import BROWSES, RESOURCES
from sandbox.qad.outcome import Context
from sandbox.qad.records import Row, clone
from sandbox.qad.values import Record, WireError, complete, read

if TYPE_CHECKING:
    from sandbox.qad.tenant import QadTenant

TABLE_OF = {
    "glAccounts": "glAccount",
    "costCenters": "costCenter",
    "projects": "project",
    "items": "item",
    "businessRelations": "businessRelation",
    "suppliers": "supplier",
    "purchaseOrders": "purchaseOrder",
    "purchaseOrderLines": "purchaseOrderLine",
    "receipts": "receipt",
    "supplierInvoices": "supplierInvoice",
    "supplierPayments": "supplierPayment",
}
_ORDER = (
    "invoiceStatusCodes",
    "daybooks",
    "creditTerms",
    *TABLE_OF,
    "closedPeriods",
)
_CLASSIC = {"receipt": "urn:browse:mfg:po501", "purchaseOrderLine": "urn:browse:mfg:po804"}


def seed(tenant: QadTenant, document: Document) -> Document:
    """Load a seed document; an existing key is changed in the members that are given. Raises BadRequest."""
    strange = sorted(set(document) - set(_ORDER) - {"_note"})
    if strange:
        raise BadRequest(f"unknown collections {strange}; there are {list(_ORDER)}")
    counts = {}
    for name in _ORDER:
        if name in document:
            counts[name] = sum(_seed_one(tenant, name, item) for item in document[name])
    return counts


def _seed_one(tenant: QadTenant, collection: str, item: Any) -> int:
    if collection == "closedPeriods":
        tenant.closed_periods.add(defaults.period(item))
        return 1
    if not isinstance(item, dict):
        raise BadRequest(f"records of {collection} must be objects")
    if collection in tenant.masters:
        record = defaults.MASTERS[collection](item)
        tenant.masters[collection][record["code"]] = tenant.masters[collection].get(record["code"], {}) | record
        return 1
    _LOADERS[collection](tenant, item)
    return 1


def typed(name: str, item: Record) -> Record:
    """The members of a seed record, also under the column names of a classic browse; raises BadRequest."""
    aliases: dict[str, str] = {}
    for column, member in BROWSES[_CLASSIC[name]].columns.items() if name in _CLASSIC else ():
        aliases |= {column: member.name, column.rpartition(".")[2]: member.name}
    try:
        sent = read(RESOURCES[name].fields, {aliases.get(key, key): item[key] for key in item}, lenient=True)
    except WireError as error:
        raise BadRequest(error.message) from error
    if sent.unknown:
        raise BadRequest(f"{name} has no members {sent.unknown}")
    return sent.values


def _existing(tenant: QadTenant, name: str, given: Record) -> Row | None:
    keys = RESOURCES[name].keys
    return tenant.find(name, *(given.get(key) for key in keys))


def _put(context: Context, name: str, given: Record, standard: Record) -> Record:
    """Merge given members over the stored record, or over the defaults, and keep the result."""
    row = _existing(context.tenant, name, standard | given)
    base = row.record if row else complete(RESOURCES[name].fields, standard)
    record: Record = clone(base) | given
    context.tenant.table(name).put(record, context.stamp())
    return record


def _plain(name: str) -> Callable[[QadTenant, Record], None]:
    def load(tenant: QadTenant, item: Record) -> None:
        given = typed(name, item)
        _put(tenant.system_context(), name, given, defaults.PLAIN[name](tenant, given))

    return load


def _supplier(tenant: QadTenant, item: Record) -> None:
    given = typed("supplier", item)
    context = tenant.system_context()
    standard = defaults.supplier(tenant, given)
    record = _put(context, "supplier", given, standard)
    code = record["businessRelationCode"]
    relation = tenant.find("businessRelation", code)
    if relation is None:
        given = {"businessRelationCode": code, "businessRelationName": record["addressName"]}
        _put(context, "businessRelation", given, defaults.relation(tenant, given))
        relation = tenant.find("businessRelation", code)
    masters.attach_relation(record, relation.record if relation else {})


def _order(tenant: QadTenant, item: Record) -> None:
    lines = item.get("lines") or item.get("purchaseOrderLines") or []
    given = typed("purchaseOrder", {key: item[key] for key in item if key not in ("lines", "purchaseOrderLines")})
    context = tenant.system_context()
    standard = defaults.order(tenant, given)
    record = _put(context, "purchaseOrder", given, standard)
    _ensure_supplier(tenant, record["supplierCode"])
    for line in lines:
        place = {name: record[name] for name in ("domainCode", "purchaseOrderNumber")}
        _line(tenant, place | line)


def _line(tenant: QadTenant, item: Record) -> None:
    given = typed("purchaseOrderLine", item)
    if "quantityReceived" in given:
        raise BadRequest("quantityReceived follows from receipts; seed receipts instead")
    standard = defaults.line(tenant, given)
    if tenant.find("purchaseOrder", standard["domainCode"], standard["purchaseOrderNumber"]) is None:
        raise BadRequest(f"no purchase order {standard['purchaseOrderNumber']}")
    record = _put(tenant.system_context(), "purchaseOrderLine", given, standard)
    tenant.number_taken(("line", *purchasing.line_key(record)[:2]), record["purchaseOrderLine"])


def _receipt(tenant: QadTenant, item: Record) -> None:
    receive(tenant, typed("receipt", item))


def receive(tenant: QadTenant, given: Record) -> Record:
    """Post a receipt with defaults taken from its order line; raises BadRequest when there is no such line."""
    standard = defaults.receipt(tenant, given)
    row = _existing(tenant, "receipt", standard | given)
    record = (clone(row.record) if row else complete(RESOURCES["receipt"].fields, standard)) | given
    line = tenant.find("purchaseOrderLine", *purchasing.line_key(record))
    if line is None:
        raise BadRequest(f"no line {record['purchaseOrderLine']} on purchase order {record['purchaseOrderNumber']}")
    purchasing.store_receipt(tenant.system_context(), record)
    return record


def _invoice(tenant: QadTenant, item: Record) -> None:
    given = typed("supplierInvoice", item)
    context = tenant.system_context(given.get("entityCode", ""))
    row = _existing(tenant, "supplierInvoice", given)
    if row is not None:
        key = tenant.table("supplierInvoice").key(row.record)
        matching.book(tenant, row.record, -1)
        tenant.references[invoices.reference_key(row.record)].discard(key)
        invoices.store(context, row.record | given)
        return
    record = complete(RESOURCES["supplierInvoice"].fields, defaults.invoice(tenant, given) | given)
    _ensure_supplier(tenant, record["supplierCode"])
    invoices.assign_numbers(tenant, record)
    _ensure_status(tenant, record["invoiceStatusCode"])
    invoices.apply_status(tenant, record)
    record |= {name: value for name, value in given.items() if name.startswith("is") or name == "allocationStatus"}
    excess = matching.note_variances(context, record)
    if _given_variances(record, item):
        parts = (line[name] for line in record[matching.LINES] for name in matching.VARIANCES)
        excess = max(sum(parts, Decimal(0)), Decimal(0))
    record["holdAmountTC"] = given.get("holdAmountTC", excess)
    invoices.store(context, record)


def _given_variances(record: Record, item: Record) -> bool:
    """Put back the variances that a seed names itself, in place of those that follow from the prices."""
    typed_lines = typed("supplierInvoice", {matching.LINES: item.get(matching.LINES, [])})[matching.LINES]
    named = False
    for line, given, raw in zip(record[matching.LINES], typed_lines, item.get(matching.LINES, []), strict=True):
        for name in matching.VARIANCES:
            if name in raw:
                line[name], named = given[name], True
    return named


def _payment(tenant: QadTenant, item: Record) -> None:
    allocation = {name: item[name] for name in _ALLOCATION if name in item}
    header = {name: value for name, value in item.items() if name not in allocation}
    if allocation:
        header["supplierPaymentAllocations"] = [allocation]
    given = typed("supplierPayment", header)
    standard = defaults.payment(tenant, given)
    row = _existing(tenant, "supplierPayment", standard | given)
    if row is not None:
        # A second row of the same payment is a further allocation, as the browse would show it.
        added = given.pop("supplierPaymentAllocations", [])
        given["supplierPaymentAllocations"] = row.record["supplierPaymentAllocations"] + added
    base = clone(row.record) if row else complete(RESOURCES["supplierPayment"].fields, standard)
    record = base | given
    payments.check_status(record["paymentStatus"])
    if row is None and "paymentAmountTC" not in given:
        parts = (part["allocatedAmountTC"] for part in record["supplierPaymentAllocations"])
        record["paymentAmountTC"] = sum(parts, Decimal(0))
    payments.store(tenant.system_context(record["entityCode"]), record)


def _ensure_supplier(tenant: QadTenant, code: str) -> None:
    if masters.supplier(tenant, code) is None:
        _supplier(tenant, {"supplierCode": code})


def _ensure_status(tenant: QadTenant, code: str) -> None:
    known = tenant.masters["invoiceStatusCodes"]
    known.setdefault(code, defaults.MASTERS["invoiceStatusCodes"]({"code": code}))


_ALLOCATION = [item.name for item in payments.ALLOCATION]
_LOADERS: dict[str, Callable[[QadTenant, Record], None]] = {
    "glAccounts": _plain("glAccount"),
    "costCenters": _plain("costCenter"),
    "projects": _plain("project"),
    "items": _plain("item"),
    "businessRelations": _plain("businessRelation"),
    "suppliers": _supplier,
    "purchaseOrders": _order,
    "purchaseOrderLines": _line,
    "receipts": _receipt,
    "supplierInvoices": _invoice,
    "supplierPayments": _payment,
}
