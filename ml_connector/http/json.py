"""JSON without lost digits: fractions are read as Decimal and a Decimal is written digit by digit."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import orjson

from ml_connector.errors import ContractError

_HALF_PAIR = re.compile(rb"\\u[dD][89a-fA-F]")


def loads(content: bytes, *, system: str = "", operation: str = "") -> Any:
    """Parse an answer; ContractError when it is not JSON, with a plain word when it is an HTML page or empty."""
    try:
        found = json.loads(content, parse_float=Decimal, parse_constant=_refuse_constant)
        # Half of a surrogate pair is valid JSON but no text that could be stored or sent on.
        return _whole_text(found) if _HALF_PAIR.search(content) else found
    except (ValueError, RecursionError) as error:
        raise ContractError(f"the answer is {_described(content)}, not JSON", system=system, operation=operation) from (
            None if isinstance(error, json.JSONDecodeError) else error
        )


def _whole_text(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, list):
        return [_whole_text(item) for item in value]
    if isinstance(value, dict):
        return {_whole_text(name): _whole_text(item) for name, item in value.items()}
    return value


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
