"""Purchase orders: headers, the conversation that makes a line, receipts and their corrections."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from sandbox.qad import masters, truth
from sandbox.qad.metadata import RESOURCES
from sandbox.qad.outcome import Context, Outcome, Problem, fresh, mandatory, missing, overlay, refused, too_long
from sandbox.qad.records import Key, Row
from sandbox.qad.values import Record

if TYPE_CHECKING:
    from sandbox.qad.tenant import QadTenant

HEADER = RESOURCES["purchaseOrder"]
LINE = RESOURCES["purchaseOrderLine"]
RECEIPT = RESOURCES["receipt"]
TALKED = ("siteCode", "itemCode", "quantityOrdered", "purchaseCost")  # members that must pass through fieldChangeV2
STATUSES = ("", "O", "C", "X")


def closed(order: Record) -> Problem | None:
    """Why nobody may change this order now."""
    word = {"C": "closed", "X": "cancelled"}.get(order["orderStatus"])
    return Problem("", f"Purchase order is {word} and cannot be modified") if word else None


def create_header(context: Context, sent: Record) -> Outcome:
    """Create an order without lines."""
    record = fresh(HEADER.fields, sent)
    if context.tenant.find("purchaseOrder", record["domainCode"], record["purchaseOrderNumber"]):
        text = "Purchase order already exists"
        return refused(Problem("purchaseOrderNumber", text, record["purchaseOrderNumber"]))
    return _store_header(context, record)


def update_header(context: Context, row: Row, sent: Record) -> Outcome:
    """Replace an order's header."""
    return _store_header(context, overlay(HEADER.fields, row.record, sent))


def _store_header(context: Context, record: Record) -> Outcome:
    fields = HEADER.by_name
    problems = missing(HEADER.fields, record) + too_long(HEADER.fields, record)
    problems += masters.unresolved(context.tenant, fields, record)
    if record["domainCode"] and record["domainCode"] != context.domain:
        problems.append(mandatory(fields["domainCode"], record["domainCode"]))
    supplier = masters.supplier(context.tenant, record["supplierCode"])
    if record["supplierCode"] and supplier is None:
        problems.append(mandatory(fields["supplierCode"], record["supplierCode"]))
    if record["orderStatus"] not in STATUSES:
        problems.append(mandatory(fields["orderStatus"], record["orderStatus"]))
    if problems:
        return refused(*problems)
    return Outcome([context.tenant.table("purchaseOrder").put(record, context.stamp())])


def lines_of(tenant: QadTenant, domain: str, number: str) -> list[Row]:
    """The lines of an order by line number."""
    order = tenant.find("purchaseOrder", domain, number)
    if order is None:
        return []
    last = tenant.numbers.get(("line", domain, number), 0)
    found = (tenant.find("purchaseOrderLine", domain, number, line) for line in range(1, last + 1))
    return [row for row in found if row is not None]


def start_line(context: Context, number: str) -> Record | Problem | None:
    """Open the conversation on a new line; None when there is no such order."""
    tenant = context.tenant
    order = tenant.find("purchaseOrder", context.domain, number)
    if order is None:
        return None
    problem = closed(order.record)
    if problem:
        return problem
    last = tenant.numbers.get(("line", context.domain, number), 0)
    line = fresh(LINE.fields, {"domainCode": context.domain, "purchaseOrderNumber": number, "lineStatus": "O"})
    line |= {"purchaseOrderLine": last + 1, "dueDate": order.record["dueDate"]}
    # A line that was begun and never committed is begun again under the same number.
    tenant.drafts[(context.domain, number, last + 1)] = {}
    return line


def change_field(context: Context, name: str, sent: Record) -> Record | Problem:
    """Let the server take one changed member of a line and fill in what follows from it."""
    tenant = context.tenant
    line = fresh(LINE.fields, sent)
    key = line_key(line)
    row = tenant.find("purchaseOrderLine", *key)
    if key not in tenant.drafts and row is None:
        return Problem("purchaseOrderLine", "Purchase order line was not initialized", line["purchaseOrderLine"])
    problem = _bad_value(context, line, name)
    if problem:
        return problem
    if name == "itemCode":
        _fill_from_item(tenant, line)
    if row is not None:
        line["quantityReceived"] = row.record["quantityReceived"]
    tenant.drafts.setdefault(key, {})[name] = line[name]
    return line


def _bad_value(context: Context, line: Record, name: str) -> Problem | None:
    item = LINE.by_name[name]
    value = line[name]
    if name in ("siteCode", "itemCode") and not value:
        return mandatory(item)
    if name == "siteCode" and value not in context.tenant.options.sites:
        return mandatory(item, value)
    known = context.tenant.find("item", line["domainCode"], line["itemCode"]) is not None
    if name == "itemCode" and not known and line["itemType"] != "M":
        return mandatory(item, value)
    if name == "quantityOrdered" and value <= 0:
        return mandatory(item, value)
    if name == "purchaseCost" and value < 0:
        return Problem(name, "Unit price cannot be negative", value)
    return None


def _fill_from_item(tenant: QadTenant, line: Record) -> None:
    row = tenant.find("item", line["domainCode"], line["itemCode"])
    item = row.record if row else {}
    line["itemDescription"] = line["itemDescription"] or item.get("description1", "")
    line["unitOfMeasure"] = line["unitOfMeasure"] or item.get("unitOfMeasure", "EA")


def line_key(line: Record) -> Key:
    """The key of an order line."""
    return (line["domainCode"], line["purchaseOrderNumber"], line["purchaseOrderLine"])


def commit_line(context: Context, sent: Record, sent_hash: str) -> Outcome:
    """Keep a line whose conversation is complete; new lines come from init, changed ones carry their lock hash."""
    tenant = context.tenant
    key = line_key(fresh(LINE.fields, sent))
    row = tenant.find("purchaseOrderLine", *key)
    order = tenant.find("purchaseOrder", *key[:2])
    problem = _uncommittable(context, order, key, row, sent_hash)
    if problem:
        return refused(problem)
    record = fresh(LINE.fields, sent) if row is None else overlay(LINE.fields, row.record, sent)
    problems = _check_line(context, record, row)
    if problems:
        return refused(*problems)
    tenant.drafts.pop(key, None)
    tenant.number_taken(("line", *key[:2]), key[2])
    record["lineStatus"] = record["lineStatus"] or "O"
    if row is not None:
        truth.note_update(tenant, LINE, row.record, record)
    return Outcome([tenant.table("purchaseOrderLine").put(record, context.stamp())])


def _uncommittable(context: Context, order: Row | None, key: Key, row: Row | None, sent_hash: str) -> Problem | None:
    if order is None or key[0] != context.domain:
        return mandatory(LINE.by_name["purchaseOrderNumber"], key[1])
    if row is None:
        if key not in context.tenant.drafts:
            return Problem("purchaseOrderLine", "Purchase order line was not initialized", key[2])
    elif not sent_hash:
        return Problem("purchaseOrderLine", "Purchase order line already exists", key[2])
    elif sent_hash != row.concurrency_hash:
        return Problem("concurrencyHash", "Record was changed by another user", sent_hash)
    return closed(order.record)


def _check_line(context: Context, record: Record, row: Row | None) -> list[Problem]:
    talked = context.tenant.drafts.get(line_key(record), {})
    kept = row.record if row else {}
    problems = []
    for name in TALKED:
        if record[name] != kept.get(name) and record[name] != talked.get(name):
            problems.append(Problem(name, "Value was not validated by a field change", record[name]))
    problems += missing(LINE.fields, record) + too_long(LINE.fields, record)
    problems += masters.account_problems(context.tenant, LINE.by_name, record, account="purchaseAccountCode")
    if row is not None and row.record["quantityReceived"]:
        problems += _received_limits(record, row.record)
    return problems


def _received_limits(record: Record, old: Record) -> list[Problem]:
    problems = []
    if record["quantityOrdered"] < old["quantityReceived"]:
        text = "Quantity ordered cannot be less than quantity received"
        problems.append(Problem("quantityOrdered", text, record["quantityOrdered"]))
    for name in ("itemCode", "siteCode"):
        if record[name] != old[name]:
            text = "Field cannot be changed because receipts exist for this line"
            problems.append(Problem(name, text, record[name]))
    return problems


def update_receipt(context: Context, row: Row, sent: Record) -> Outcome:
    """Replace the custom slots of a receipt; everything else belongs to the warehouse."""
    record = overlay(RECEIPT.fields, row.record, sent)
    problems = too_long(RECEIPT.fields, record)
    if problems:
        return refused(*problems)
    return Outcome([context.tenant.table("receipt").put(record, context.stamp())])


def store_receipt(context: Context, record: Record) -> Row:
    """Post a receipt and move the received quantity of its order line; the line's own stamps stay as they are."""
    tenant = context.tenant
    digits = record["receiverNumber"].removeprefix("RC")
    if digits.isdecimal():
        tenant.number_taken("receiver", int(digits))
    old = tenant.table("receipt").find(*tenant.table("receipt").key(record))
    before = old.record["quantityReceived"] if old else Decimal(0)
    place = (record["domainCode"], record["purchaseOrderNumber"], record["purchaseOrderLine"])
    line = tenant.find("purchaseOrderLine", *place)
    if line is not None:
        line.record["quantityReceived"] += record["quantityReceived"] - before
    return tenant.table("receipt").put(record, context.stamp())
