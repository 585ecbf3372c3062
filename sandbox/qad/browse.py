"""The browse query: flat rows with dotted keys, silent about missing paging parameters, strict about filters."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from itertools import islice
from typing import Any

from sandbox.qad import payments
from sandbox.qad.auth import BareError
from sandbox.qad.entities import in_scope
from sandbox.qad.metadata import BROWSES, LOOKUP_BROWSE, PAYMENT_BROWSE, RESOURCES, Browse, Field
from sandbox.qad.outcome import Context
from sandbox.qad.values import Record, parse_day, wire

MAX_PAGE = 1000
DEFAULT_PAGE = 100
Test = Callable[[Any], bool]
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "eq": lambda value, wanted: bool(value == wanted),
    "gt": lambda value, wanted: bool(value > wanted),
    "ge": lambda value, wanted: bool(value >= wanted),
    "lt": lambda value, wanted: bool(value < wanted),
    "le": lambda value, wanted: bool(value <= wanted),
}
_TEXT: dict[str, Callable[[str, str], bool]] = {
    "sw": str.startswith,
    "ew": str.endswith,
    "cn": lambda value, wanted: wanted in value,
}


@dataclass(frozen=True)
class Page:
    """The asked page, and whether the request was complete enough to be served at all."""

    number: int
    size: int
    served: bool


def query(context: Context, parameters: list[tuple[str, str]]) -> Record:
    """Answer a browse; raises BareError 404 for an unknown browse and 400 for a filter it does not understand."""
    single = dict(parameters)
    filters = [value for name, value in parameters if name == "filter"]
    uri = single.get("browseId", "")
    if uri.startswith("mfg:"):
        uri = f"urn:browse:{uri}"
    if uri == LOOKUP_BROWSE:
        rows: Iterable[Record] = _lookup(filters)
    elif uri in BROWSES:
        browse = BROWSES[uri]
        if browse.resource in context.tenant.options.denied:
            raise BareError(403, "Access is denied")
        rows = _rows(context, browse, _tests(browse, filters))
    else:
        raise BareError(404, f"Browse {uri} not found", "browseId")
    page = _page(context, uri, single)
    if not page.served:
        return _answer([], more=False)
    start = (page.number - 1) * page.size
    found = list(islice(rows, start, start + page.size + 1))
    return _answer(found[: page.size], more=len(found) > page.size)


def _answer(rows: list[Record], *, more: bool) -> Record:
    return {"data": rows, "auxillaryData": {"HasMoreParams": "true" if more else "false"}}


def _page(context: Context, uri: str, single: dict[str, str]) -> Page:
    """Read the paging parameters; only (1, first) and then (n, next) under the same callId are served."""
    number, action, call = single.get("page", ""), single.get("pageAction"), single.get("callId", "")
    size = single.get("pageSize", str(DEFAULT_PAGE))
    if not size.isdigit() or int(size) == 0:
        raise BareError(400, "pageSize must be a positive number", "pageSize")
    calls = context.tenant.page_calls
    begun = number == "1" and action == "first"
    if begun and call:
        calls.add((call, uri))
    further = number.isdigit() and int(number) > 1 and action == "next" and (call, uri) in calls
    return Page(int(number) if begun or further else 0, min(int(size), MAX_PAGE), begun or further)


def _lookup(filters: list[str]) -> Iterator[Record]:
    """The fields of the browse named by the browseURI filter; none for an unknown browse."""
    wanted = [part[2] for part in (text.split(",") for text in filters) if len(part) == 4 and part[0] == "browseURI"]
    if len(wanted) != 1 or len(filters) != 1:
        raise BareError(400, "Filter browseURI,eq,<uri>,literal is required", "filter")
    browse = BROWSES.get(wanted[0])
    columns = browse.columns if browse else {}
    return ({"fieldName": column, "fieldLabel": item.label} for column, item in columns.items())


def _rows(context: Context, browse: Browse, tests: list[tuple[str, Test]]) -> Iterator[Record]:
    resource = RESOURCES[browse.resource]
    tenant = context.tenant
    if browse.uri == PAYMENT_BROWSE:
        records: Iterable[Record] = payments.rows(tenant)
    else:
        records = (row.record for row in tenant.table(browse.resource).visible(tenant.clock))
    for record in records:
        if in_scope(context, resource, record) and all(test(record[name]) for name, test in tests):
            yield {column: wire(record[item.name]) for column, item in browse.columns.items()}


def _tests(browse: Browse, filters: list[str]) -> list[tuple[str, Test]]:
    return [_test(browse, text) for text in filters]


def _test(browse: Browse, text: str) -> tuple[str, Test]:
    """One filter `field,operator,value,literal` (rg has two values); a comma in a value breaks it."""
    parts = text.split(",")
    item = browse.columns.get(parts[0])
    if item is None:
        raise BareError(400, f"Unknown field {parts[0]}", "filter")
    operator = parts[1] if len(parts) > 1 else ""
    ranged = operator == "rg" and len(parts) == 6 and parts[3] == parts[5] == "literal"
    plain = operator != "rg" and len(parts) == 4 and parts[3] == "literal"
    if not (ranged or plain):
        raise BareError(400, f"Filter cannot be read: {text}", "filter")
    if ranged:
        low, high = _operand(item, parts[2]), _operand(item, parts[4])
        return item.name, lambda value: value is not None and bool(low <= value <= high)
    return item.name, _compare(item, operator, parts[2])


def _compare(item: Field, operator: str, text: str) -> Test:
    if operator in _TEXT and item.kind == "character":
        matches = _TEXT[operator]
        return lambda value: matches(value, text)
    compare = _COMPARE.get(operator)
    if compare is None or (item.kind == "logical" and operator != "eq"):
        raise BareError(400, f"Unknown operator {operator} for {item.name}", "filter")
    wanted = _operand(item, text)
    return lambda value: value is not None and compare(value, wanted)


def _operand(item: Field, text: str) -> Any:
    """The typed value of a filter; dates count by the day whatever time is given."""
    try:
        if item.kind == "date":
            return parse_day(text) if "T" in text else date.fromisoformat(text)
        if item.kind in ("integer", "decimal"):
            return Decimal(text)
        if item.kind == "logical":
            return {"true": True, "false": False}[text]
    except (ValueError, KeyError, InvalidOperation) as error:
        raise BareError(400, f"Value {text} does not suit {item.name}", "filter") from error
    return text
