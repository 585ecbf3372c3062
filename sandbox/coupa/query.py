"""A list call as Coupa reads it: conditions, paging, order, and the shape of the answer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from sandbox.coupa import filters
from sandbox.coupa.errors import invalid
from sandbox.coupa.schema import MODELS
from sandbox.coupa.shape import Shape, read_shape
from sandbox.coupa.store import Record, Table
from sandbox.coupa.values import hyphened

MAX_LIMIT = 50
_SHAPING = frozenset({"fields", "return_object", "filter"})
_PAGING = frozenset({"limit", "offset", "order_by", "dir"})
_IGNORED = frozenset({"show_deleted_lines"})

Pairs = list[tuple[str, str]]


@dataclass(frozen=True)
class Query:
    """What a list call asks for."""

    model: str
    conditions: list[filters.Condition] = field(default_factory=list)
    limit: int = MAX_LIMIT
    offset: int = 0
    order_by: str = "id"
    descending: bool = False

    def pick(self, table: Table) -> list[Record]:
        """One page of the table."""
        found: Iterator[Record] = (
            record
            for record in filters.candidates(table, self.conditions)
            if all(condition.met_by(record) for condition in self.conditions)
        )
        if self.order_by != "id" or self.descending:
            found = iter(sorted(found, key=self._sort_key, reverse=self.descending))
        return list(islice(found, self.offset, self.offset + self.limit))

    def _sort_key(self, record: Record) -> tuple[bool, Any, int]:
        value = record.get(self.order_by)
        attribute = MODELS[self.model][self.order_by]
        return value is not None, filters.typed(attribute, value) if value is not None else 0, record["id"]


def read_query(model: str, pairs: Pairs) -> Query:
    """Read the arguments of a list call; raises ApiError 400 for what Coupa does not know."""
    paging = {_spelled(key): value for key, value in pairs if _spelled(key) in _PAGING}
    known = _SHAPING | _PAGING | _IGNORED
    conditions = [filters.parse(model, key, value) for key, value in pairs if _spelled(key) not in known]
    order_by = hyphened(paging.get("order_by", "id"))
    attribute = MODELS[model].get(order_by)
    if attribute is None or attribute.model is not None or attribute.kind in ("json", "custom"):
        raise invalid("base", f"Invalid attribute: {order_by}")
    direction = paging.get("dir", "asc").lower()
    if direction not in ("asc", "desc"):
        raise invalid("base", "dir must be asc or desc")
    return Query(
        model,
        conditions,
        limit=min(_whole(paging, "limit", MAX_LIMIT, least=1), MAX_LIMIT),
        offset=_whole(paging, "offset", 0, least=0),
        order_by=order_by,
        descending=direction == "desc",
    )


def shape_of(model: str, pairs: Pairs, *, writing: bool) -> Shape:
    """How the answer of this call is to look."""
    given = {_spelled(key): value for key, value in pairs if _spelled(key) in _SHAPING}
    return read_shape(model, given, writing=writing)


def _spelled(key: str) -> str:
    return key.replace("-", "_")


def _whole(paging: dict[str, str], name: str, default: int, *, least: int) -> int:
    text = paging.get(name, str(default))
    if not text.isdigit() or int(text) < least:
        raise invalid("base", f"{name} must be a whole number of at least {least}")
    return int(text)
