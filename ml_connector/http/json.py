"""JSON without lost digits: fractions are read as Decimal and a Decimal is written digit by digit."""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import orjson

from ml_connector.errors import ContractError


def loads(content: bytes, *, system: str = "", operation: str = "") -> Any:
    """Parse an answer; ContractError when it is not JSON, with a plain word when it is an HTML page or empty."""
    try:
        return json.loads(content, parse_float=Decimal, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise ContractError(f"the answer is {_described(content)}, not JSON", system=system, operation=operation) from (
            None if isinstance(error, json.JSONDecodeError) else error
        )


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _described(content: bytes) -> str:
    start = content.lstrip(b"\xef\xbb\xbf \t\r\n")[:200].lower()
    if not start:
        return "empty"
    if start.startswith((b"<!doctype html", b"<html")) or b"<html" in start:
        return "an HTML page"
    return "XML" if start.startswith(b"<") else "unreadable"


def dumps(value: Any) -> bytes:
    """Write JSON; a Decimal becomes a JSON number with exactly its digits, a float is refused."""
    return orjson.dumps(_exact(value))


def _exact(value: Any) -> Any:
    if isinstance(value, Decimal):
        if not value.is_finite():
            raise ValueError(f"{value} cannot be written as a JSON number")
        return orjson.Fragment(format(value, "f").encode())
    if isinstance(value, float):
        raise TypeError("a float has no exact value; use Decimal")
    if isinstance(value, Mapping):
        return {name: _exact(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_exact(item) for item in value]
    return value
