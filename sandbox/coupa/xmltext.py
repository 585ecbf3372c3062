"""The XML that Coupa answers with unless JSON was asked for; enough of it to show a client its missing header."""

from __future__ import annotations

from typing import Any
from xml.sax.saxutils import escape

DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>\n'


def element(name: str, value: Any) -> str:
    """One value as an element; objects and lists nest."""
    if isinstance(value, dict):
        inside = "".join(element(key, item) for key, item in value.items())
    elif isinstance(value, list):
        return listing(name, name.removesuffix("s"), value)
    else:
        inside = _text(value)
    return f"<{name}>{inside}</{name}>"


def listing(name: str, singular: str, items: list[Any]) -> str:
    """A list as an element with one child for each item."""
    return f'<{name} type="array">' + "".join(element(singular, item) for item in items) + f"</{name}>"


def errors(texts: list[str]) -> str:
    """A refusal."""
    return "<errors>" + "".join(element("error", text) for text in texts) + "</errors>"


def _text(value: object) -> str:
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else escape(str(value))
