"""Coupa's filter language: conditions on attributes and associations, all of which must hold."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from sandbox.coupa.errors import invalid
from sandbox.coupa.schema import MODELS, Attribute
from sandbox.coupa.store import Record, Table
from sandbox.coupa.values import hyphened, read_time, truth_of

OPERATORS = frozenset(
    "contains starts_with ends_with gt lt gt_or_eq lt_or_eq not_eq in not_in blank".split()  # noqa: SIM905
)
_KEY = re.compile(r"^(?:\[[^\[\]]+\]|[^\[\]]+)(?:\[[^\[\]]+\])*$")
_NOT_FOR_TIMES = frozenset({"ends_with", "blank"})
_TEXT_OPERATORS: dict[str, Callable[[str, str], bool]] = {
    "contains": lambda stored, asked: asked in stored,
    "starts_with": str.startswith,
    "ends_with": str.endswith,
}
_ORDER_OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "eq": lambda stored, asked: bool(stored == asked),
    "not_eq": lambda stored, asked: bool(stored != asked),
    "gt": lambda stored, asked: bool(stored > asked),
    "lt": lambda stored, asked: bool(stored < asked),
    "gt_or_eq": lambda stored, asked: bool(stored >= asked),
    "lt_or_eq": lambda stored, asked: bool(stored <= asked),
}


@dataclass(frozen=True)
class Condition:
    """One condition: where to look, how to compare, and the text that was asked for."""

    path: tuple[str, ...]
    operator: str
    asked: str
    holds: Callable[[Any], bool]

    def met_by(self, record: Record) -> bool:
        """Whether the record, or any element of an associated collection, meets the condition."""
        return any(self.holds(value) for value in _values(record, self.path))


def _values(node: Any, path: tuple[str, ...]) -> Iterator[Any]:
    if isinstance(node, list) and path:
        for item in node:
            yield from _values(item, path)
    elif not path:
        yield node
    elif isinstance(node, dict):
        yield from _values(node.get(path[0]), path[1:])
    else:
        yield None


def parse(model: str, key: str, asked: str) -> Condition:
    """Read one query argument; raises ApiError 400 for an unknown attribute or operator."""
    if not _KEY.match(key):
        raise _unknown(key)
    words = re.findall(r"[^\[\]]+", key)
    operator = words[-1].replace("-", "_")
    if len(words) > 1 and operator in OPERATORS:
        words.pop()
    else:
        operator = "eq"
    path = tuple(hyphened(word) for word in words)
    attribute = _attribute(model, path, key)
    if attribute.model is not None and operator != "blank":
        raise _unknown(key)
    return Condition(path, operator, asked, _test(attribute, operator, key, asked))


def _attribute(model: str, path: tuple[str, ...], key: str) -> Attribute:
    attributes, found = MODELS[model], None
    if len(path) > 3:  # an attribute of an association of an association is as deep as it goes
        raise _unknown(key)
    for position, name in enumerate(path):
        found = attributes.get(name)
        if found is None:
            raise _unknown(key)
        rest = path[position + 1 :]
        if found.kind == "custom" and len(rest) == 1:
            return Attribute("text")
        if rest and found.model is None:
            raise _unknown(key)
        attributes = MODELS[found.model] if found.model is not None else {}
    if found is None:
        raise _unknown(key)
    return found


def _test(attribute: Attribute, operator: str, key: str, asked: str) -> Callable[[Any], bool]:
    if attribute.kind == "time" and operator in _NOT_FOR_TIMES:
        raise invalid("base", f"Operator {operator} cannot be used with {key}.")
    if operator == "blank":
        wanted = _read(Attribute("bool"), key, asked)
        return lambda stored: (stored in (None, "", [])) is wanted
    if operator in _TEXT_OPERATORS:
        compare_text = _TEXT_OPERATORS[operator]
        return lambda stored: stored is not None and compare_text(str(stored), asked)
    if operator in ("in", "not_in"):
        many = [_read(attribute, key, item.strip()) for item in asked.split(",")]
        inside = operator == "in"
        return lambda stored: stored is not None and (typed(attribute, stored) in many) is inside
    one, compare = _read(attribute, key, asked), _ORDER_OPERATORS[operator]
    return lambda stored: stored is not None and compare(typed(attribute, stored), one)


def typed(attribute: Attribute, stored: Any) -> Any:
    """A stored value as something that compares by meaning; raises ValueError."""
    if attribute.places is not None:
        return Decimal(str(stored))
    match attribute.kind:
        case "time":
            return read_time(str(stored))
        case "bool":
            return truth_of(stored)
        case "int":
            return int(stored)
        case _:
            return str(stored)


def _read(attribute: Attribute, key: str, asked: str) -> Any:
    try:
        return typed(attribute, asked)
    except (ValueError, InvalidOperation) as error:
        raise invalid("base", f"Value {asked!r} is invalid for {key}.") from error


def _unknown(key: str) -> Exception:
    return invalid("base", f"Invalid attribute or operator: {key}")


def candidates(table: Table, conditions: list[Condition]) -> Iterator[Record]:
    """Records in id order that may meet the conditions, by the narrowest way there is."""
    start = 0
    for condition in conditions:
        if len(condition.path) != 1:
            continue
        name, asked = condition.path[0], condition.asked
        listed = [item.strip() for item in asked.split(",")] if condition.operator == "in" else [asked]
        if name == "id" and condition.operator in ("eq", "in"):
            found = (table.get(int(item)) for item in set(listed))
            return iter(sorted((one for one in found if one is not None), key=_by_id))
        if table.indexes(name) and condition.operator in ("eq", "in"):
            return iter(sorted((one for item in set(listed) for one in table.where(name, item)), key=_by_id))
        if name == "id" and condition.operator in ("gt", "gt_or_eq"):
            start = max(start, int(asked) - (condition.operator == "gt_or_eq"))
    return table.after(start)


def _by_id(record: Record) -> int:
    return int(record["id"])
