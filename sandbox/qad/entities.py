"""The entity API: reading one record by key, and the envelopes of create and update."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sandbox.kit import jsontext
from sandbox.qad import invoices, masters, purchasing, truth
from sandbox.qad.auth import BareError
from sandbox.qad.metadata import Resource
from sandbox.qad.outcome import Context, Outcome, Problem, refused
from sandbox.qad.records import Key, Row, clone
from sandbox.qad.values import Record, Sent, WireError, instance_uri, read, wire

Query = dict[str, str]


@dataclass(frozen=True)
class Writer:
    """How a resource is written, and when it refuses to be changed."""

    create: Callable[[Context, Record], Outcome] | None
    update: Callable[[Context, Row, Record], Outcome]
    locked: Callable[[Record], Problem | None] = lambda record: None


WRITERS = {
    "supplier": Writer(masters.create_supplier, masters.update_supplier),
    "businessRelation": Writer(masters.create_relation, masters.update_relation),
    "purchaseOrder": Writer(purchasing.create_header, purchasing.update_header, purchasing.closed),
    "receipt": Writer(None, purchasing.update_receipt),
    "supplierInvoice": Writer(invoices.create, invoices.update, invoices.locked),
}


def get(context: Context, resource: Resource, query: Query) -> Record:
    """Answer GET by key; nothing found is an empty collection, never a 404."""
    _check_view(resource, query)
    row = _find(context, resource, query)
    return {"data": {resource.collection: [render(resource, row)] if row else []}}


def post(context: Context, resource: Resource, query: Query, body: bytes) -> Record:
    """Answer a create or update; business errors are a 200 whose submitResult says no."""
    _check_view(resource, query)
    writer = WRITERS.get(resource.name)
    if writer is None:
        raise BareError(403, "Access is denied")
    raw = one_record(resource, body)
    sent = typed(context, resource, raw)
    if any(name in query for name in resource.keys):
        outcome = _update(context, resource, _find(context, resource, query), (sent, raw))
    elif writer.create is None:
        outcome = refused(Problem("", "Action CREATE is not allowed"))
    else:
        outcome = _create(context, resource, writer.create, (sent, raw))
    return envelope(context, resource, outcome)


def _create(
    context: Context, resource: Resource, create: Callable[[Context, Record], Outcome], sent: tuple[Sent, Record]
) -> Outcome:
    values, raw = sent[0].values, sent[1]
    problem = bad_operation(raw)
    key = tuple(values.get(name, 0 if resource.by_name[name].kind == "integer" else "") for name in resource.keys)
    row = context.tenant.table(resource.name).find(*key)
    offered = raw.get("concurrencyHash") or ""
    if row is not None and offered and resource.name == "supplierInvoice" and offered != row.concurrency_hash:
        problem = stale(offered)
    if problem:
        return refused(problem)
    return create(context, values) if row is None else _noted(context, resource, row, lambda: create(context, values))


def _update(context: Context, resource: Resource, row: Row | None, sent: tuple[Sent, Record]) -> Outcome:
    values, raw = sent[0].values, sent[1]
    if row is None:
        return refused(Problem("", "Record not found"))
    writer = WRITERS[resource.name]
    changed = [name for name in resource.keys if values.get(name, row.record[name]) != row.record[name]]
    offered = raw.get("concurrencyHash") or ""
    problem = bad_operation(raw) or (Problem(changed[0], "Key cannot be changed") if changed else None)
    problem = problem or writer.locked(row.record)
    if problem is None and offered != row.concurrency_hash:
        problem = stale(offered)
    if problem:
        return refused(problem)
    return _noted(context, resource, row, lambda: writer.update(context, row, values))


def _noted(context: Context, resource: Resource, row: Row, change: Callable[[], Outcome]) -> Outcome:
    """Carry an update out and, if it was taken, count what it changed."""
    old = clone(row.record)
    outcome = change()
    if not outcome.problems:
        truth.note_update(context.tenant, resource, old, row.record)
    return outcome


def stale(offered: str) -> Problem:
    """The refusal of an outdated lock hash."""
    return Problem("concurrencyHash", "Record was changed by another user", offered)


def bad_operation(raw: Record) -> Problem | None:
    """The refusal of a record that says neither create nor update."""
    operation = raw.get("dataOperation", "")
    return None if operation in ("C", "U") else Problem("dataOperation", "Data operation must be C or U", operation)


def _check_view(resource: Resource, query: Query) -> None:
    if resource.has_view and query.get("viewUri") != resource.entity_uri:
        raise BareError(400, f"viewUri must be {resource.entity_uri}", "viewUri")


def _find(context: Context, resource: Resource, query: Query) -> Row | None:
    """The visible row of a complete key within the workspace."""
    key: list[Any] = []
    for name in resource.keys:
        text = query.get(name, "")
        if resource.by_name[name].kind == "integer":
            key.append(int(text) if text.isdigit() else -1)
        else:
            key.append(text)
    table = context.tenant.table(resource.name)
    row = table.find_visible(context.tenant.clock, tuple(key))
    return row if row is not None and in_scope(context, resource, row.record) else None


def in_scope(context: Context, resource: Resource, record: Record) -> bool:
    """Whether the workspace may see a record."""
    if resource.scope == "domain":
        return bool(record["domainCode"] == context.domain)
    return resource.scope == "shared" or bool(record["entityCode"] == context.entity)


def parse_body(body: bytes) -> Any:
    """The JSON of a request; raises BareError 400."""
    try:
        return jsontext.loads(body)
    except ValueError as error:
        raise BareError(400, "Request body is not valid JSON") from error


def one_record(resource: Resource, body: bytes) -> Record:
    """The single record of an envelope; raises BareError 400 for another shape or number."""
    envelope = parse_body(body)
    rows = envelope.get(resource.collection) if isinstance(envelope, dict) else None
    if not isinstance(rows, list) or not rows or not all(isinstance(row, dict) for row in rows):
        raise BareError(400, f"Request body needs a list named {resource.collection}", resource.collection)
    if len(rows) != 1:
        raise BareError(400, "One record per request", resource.collection)
    record: Record = rows[0]
    return record


def typed(context: Context, resource: Resource, raw: Record) -> Sent:
    """Type a record; members nobody knows are dropped and counted. Raises BareError 400 on a wrong JSON type."""
    try:
        sent = read(resource.fields, raw)
    except WireError as error:
        raise BareError(400, error.message, error.name) from error
    context.tenant.ignored.update(f"{resource.collection}.{name}" for name in sent.unknown)
    return sent


def envelope(context: Context, resource: Resource, outcome: Outcome) -> Record:
    """The answer of a write; a success counts as one applied request."""
    if outcome.problems:
        errors = [problem.wire() for problem in outcome.problems]
        return {"submitResult": {"success": False, "errorSeverity": 1, "errors": errors}}
    context.tenant.writes += 1
    answer: Record = {
        "data": {resource.collection: [render(resource, row) for row in outcome.rows]},
        "submitResult": {"success": True, "errorSeverity": 0, "errors": []},
    }
    if outcome.warnings:
        answer["supplementaryMessages"] = outcome.warnings
    return answer


def render(resource: Resource, row: Row) -> Record:
    """A stored record as it travels, with its technical members."""
    return render_record(resource, row.record, row.concurrency_hash)


def render_record(resource: Resource, record: Record, concurrency_hash: str) -> Record:
    """A record as it travels."""
    writer = WRITERS.get(resource.name)
    problem = writer.locked(record) if writer else Problem("", "Record is read only")
    return {
        "uri": instance_uri(resource, record),
        **{item.name: wire(record[item.name]) for item in resource.fields},
        "changeStatus": "",
        "isPredefaulted": False,
        "dataOperation": "",
        "concurrencyHash": concurrency_hash,
        "disallowedActions": "MODIFY" if problem else "",
        "disallowedActionsMessage": problem.message if problem else "",
    }


def line_key_of(query: Query) -> Key:
    """Order and line named in a query; line 0 when it names none."""
    text = query.get("purchaseOrderLine", "")
    return (query.get("domainCode", ""), query.get("purchaseOrderNumber", ""), int(text) if text.isdigit() else 0)
