"""Reads wire values into typed ones and back: JSON numbers as Decimal, dates as midnight stamps, unset text as ""."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from sandbox.qad.metadata import Field, Resource

Record = dict[str, Any]
_STAMP = re.compile(r"(\d{4}-\d\d-\d\d)T\d\d:\d\d:\d\d(\.\d+)?Z")
_TECHNICAL = {
    "uri",
    "dataOperation",
    "concurrencyHash",
    "disallowedActions",
    "disallowedActionsMessage",
    "changeStatus",
    "isPredefaulted",
    "supplementaryMessages",
}
_CURRENCIES = {
    0: "JPY KRW CLP",
    2: "USD EUR GBP CAD AUD CHF CNY INR MXN BRL SEK NOK DKK PLN SGD HKD ZAR CZK",
    3: "KWD BHD JOD TND OMR",
}
_EXPONENTS = {code: places for places, codes in _CURRENCIES.items() for code in codes.split()}
CURRENCIES = frozenset(_EXPONENTS)


class WireError(Exception):
    """A value has the wrong JSON type or form; the whole request is malformed."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(message)
        self.name, self.message = name, message


@dataclass
class Sent:
    """What a caller sent for one record: typed members, and the names nobody knows."""

    values: Record = field(default_factory=dict)
    unknown: list[str] = field(default_factory=list)


def exponent(currency: str) -> int | None:
    """Decimal places of a currency; None when the tenant does not know it."""
    return _EXPONENTS.get(currency)


def fits(amount: Decimal, places: int) -> bool:
    """Whether an amount has no more decimals than its currency."""
    return amount == quantize(amount, places)


def quantize(amount: Decimal, places: int) -> Decimal:
    """The amount rounded half up to so many decimals."""
    return amount.quantize(Decimal(1).scaleb(-places), rounding=ROUND_HALF_UP)


def blank(item: Field) -> Any:
    """The value of a member that was never set."""
    return {
        "character": "",
        "integer": 0,
        "decimal": Decimal(0),
        "logical": False,
        "date": None,
        "table": [],
    }[item.kind]


def _text(item: Field, raw: Any) -> str:
    if not isinstance(raw, str):
        raise WireError(item.name, f"{item.name} must be text")
    return raw


def _number(item: Field, raw: Any) -> Decimal:
    if isinstance(raw, bool) or not isinstance(raw, int | Decimal):
        raise WireError(item.name, f"{item.name} must be a number")
    return Decimal(raw)


def _integer(item: Field, raw: Any) -> int:
    number = _number(item, raw)
    if number != number.to_integral_value():
        raise WireError(item.name, f"{item.name} must be an integer")
    return int(number)


def _logical(item: Field, raw: Any) -> bool:
    if not isinstance(raw, bool):
        raise WireError(item.name, f"{item.name} must be true or false")
    return raw


def parse_day(text: str, *, stamp_only: bool = True) -> date:
    """The day of a wire date; raises ValueError for another form."""
    found = _STAMP.fullmatch(text)
    if found is None and stamp_only:
        raise ValueError(f"not a date stamp: {text}")
    return date.fromisoformat(found[1] if found else text)


def _day(item: Field, raw: Any, stamp_only: bool) -> date | None:
    if raw == "":
        return None
    try:
        return parse_day(_text(item, raw), stamp_only=stamp_only)
    except ValueError as error:
        raise WireError(item.name, f"{item.name} must look like 2026-02-01T00:00:00.000Z") from error


def coerce(item: Field, raw: Any, *, lenient: bool = False) -> Any:
    """The typed value of a wire value; lenient also takes plain dates (seeds). Raises WireError."""
    if raw is None:
        return blank(item)
    if item.kind == "date":
        return _day(item, raw, not lenient)
    if item.kind == "table":
        if not isinstance(raw, list) or not all(isinstance(row, dict) for row in raw):
            raise WireError(item.name, f"{item.name} must be a list of objects")
        return [complete(item.children, read(item.children, row, lenient=lenient).values) for row in raw]
    readers = {"character": _text, "integer": _integer, "decimal": _number, "logical": _logical}
    return readers[item.kind](item, raw)


def read(fields: Iterable[Field], raw: Record, *, lenient: bool = False) -> Sent:
    """Type the members of a sent object; only members that were sent appear."""
    by_name = {item.name: item for item in fields}
    sent = Sent()
    for name, value in raw.items():
        item = by_name.get(name)
        if item is not None:
            sent.values[name] = coerce(item, value, lenient=lenient)
            if item.kind == "table" and isinstance(value, list):
                known = {child.name for child in item.children} | _TECHNICAL
                strange = {key for row in value for key in row} - known
                sent.unknown += sorted(f"{name}.{key}" for key in strange)
        elif name not in _TECHNICAL:
            sent.unknown.append(name)
    return sent


def complete(fields: Iterable[Field], values: Record) -> Record:
    """A whole record: the given members, everything else blank."""
    return {item.name: values.get(item.name, blank(item)) for item in fields}


def wire(value: Any) -> Any:
    """A typed value as it travels."""
    if isinstance(value, date):
        return f"{value.isoformat()}T00:00:00.000Z"
    if isinstance(value, list):
        return [{name: wire(child) for name, child in row.items()} for row in value]
    return value


def instance_uri(resource: Resource, record: Record) -> str:
    """The address of a record: entity URI and key parts, dots inside a part escaped."""
    parts = (str(record[name]).replace(".", "%2E") for name in resource.keys)
    return f"{resource.entity_uri}:{'.'.join(parts)}"
