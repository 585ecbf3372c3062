"""JSON in and out without floats: numbers are read as Decimal and written exactly as they stand."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import orjson


def loads(text: bytes | str) -> Any:
    """Parse JSON, keeping every number with a fraction as Decimal; raises ValueError on bad text."""
    return json.loads(text, parse_float=Decimal)


def dumps(value: Any) -> bytes:
    """Render JSON; a Decimal becomes a JSON number with the digits it has."""
    return orjson.dumps(value, default=_plain)


def _plain(value: object) -> Any:
    if isinstance(value, Decimal):
        return orjson.Fragment(format(value, "f"))
    raise TypeError(f"cannot be written as JSON: {type(value).__name__}")
