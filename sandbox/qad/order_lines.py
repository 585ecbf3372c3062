"""The order line conversation on the wire: init, fieldChangeV2, commit, and the check for receipts."""

from __future__ import annotations

from sandbox.qad import entities, purchasing
from sandbox.qad.auth import BareError
from sandbox.qad.entities import Query
from sandbox.qad.outcome import Context, Problem, refused
from sandbox.qad.purchasing import LINE
from sandbox.qad.records import Row
from sandbox.qad.values import Record


def get(context: Context, query: Query) -> Record:
    """Read the lines of an order (or one of them), or with initialize=true open a new one."""
    domain, number, line = entities.line_key_of(query)
    if domain != context.domain:
        return {"data": {LINE.collection: []}}
    if query.get("initialize") == "true":
        return _started(context, number)
    rows = [row for row in purchasing.lines_of(context.tenant, domain, number) if not line or _number(row) == line]
    return {"data": {LINE.collection: [entities.render(LINE, row) for row in rows]}}


def _number(row: Row) -> int:
    return int(row.record["purchaseOrderLine"])


def _started(context: Context, number: str) -> Record:
    line = purchasing.start_line(context, number)
    if line is None:
        return {"data": {LINE.collection: []}}
    return _conversation(line)


def _conversation(line: Record | Problem, concurrency_hash: str = "") -> Record:
    """An answer within the conversation: nothing is stored yet, so it does not count as a write."""
    if isinstance(line, Problem):
        return {"submitResult": {"success": False, "errorSeverity": 1, "errors": [line.wire()]}}
    return {
        "data": {LINE.collection: [entities.render_record(LINE, line, concurrency_hash)]},
        "submitResult": {"success": True, "errorSeverity": 0, "errors": []},
    }


def field_change(context: Context, query: Query, body: bytes) -> Record:
    """Take one changed member; raises BareError 400 for a member lines do not have."""
    name = query.get("fieldName", "")
    item = LINE.by_name.get(name)
    if item is None or item.key or item.server:
        raise BareError(400, f"Unknown field {name}", "fieldName")
    raw = entities.one_record(LINE, body)
    sent = entities.typed(context, LINE, raw)
    return _conversation(purchasing.change_field(context, name, sent.values), str(raw.get("concurrencyHash") or ""))


def commit(context: Context, body: bytes) -> Record:
    """Keep one line of the grid."""
    raw = entities.one_record(LINE, body)
    sent = entities.typed(context, LINE, raw)
    problem = entities.bad_operation(raw)
    if problem:
        outcome = refused(problem)
    else:
        outcome = purchasing.commit_line(context, sent.values, str(raw.get("concurrencyHash") or ""))
    return entities.envelope(context, LINE, outcome)


def is_received(context: Context, query: Query) -> Record:
    """Whether receipts exist for an order line."""
    domain, number, line = entities.line_key_of(query)
    receipts = context.tenant.table("receipt").records()
    found = any(purchasing.line_key(record) == (domain, number, line) for record in receipts)
    return {"data": {"isReceivedPurchaseOrderLineV2": found}}
