"""Questions in Jira's query language: values quoted for good, and the operator that a field's index understands.

README: Searching. A short text field is indexed word by word and knows no `=`, so that what it finds is compared again.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Literal

from ml_connector.errors import ConfigurationError

Operator = Literal["in", "~"]

MOST_VALUES = 100
MOST_CHARACTERS = 8_000

_EXACT = frozenset({"exacttextsearcher", "labelsearcher", "exactnumber"})
_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
_TEXT_SPECIAL = re.compile(r'([+\-&|!(){}\[\]^~*?\\:"])')
_WORD = re.compile(r"[0-9A-Za-z]+")
_ISSUE_NAME = re.compile(r"[0-9]{1,18}|[A-Za-z][A-Za-z0-9_]{1,254}-[0-9]{1,18}")
_RESERVED_WORDS = frozenset({"AND", "OR", "NOT", "TO"})


def quote(value: str) -> str:
    """The value as a quoted text that reads back as exactly this value."""
    return '"' + "".join(_escaped(one) for one in value) + '"'


def text_query(value: str) -> str:
    """What stands behind `~` to find a value: the text index has special characters of its own, escaped first."""
    if _WORD.fullmatch(value) and value not in _RESERVED_WORDS:
        return quote(value)
    return quote('"' + _TEXT_SPECIAL.sub(r"\\\1", value) + '"')


def operator_for(searcher_key: str) -> Operator:
    """`in` where a field's index is exact, `~` where it holds words; ConfigurationError for any other index."""
    kind = searcher_key.rpartition(":")[2]
    if kind in _EXACT:
        return "in"
    if kind == "textsearcher":
        return "~"
    shown = kind or "no index"
    text = f"token_field: Jira cannot look up a text in a field with {shown}; use a short text, URL or labels field"
    raise ConfigurationError(text, system="jira")


def field_clause(field_id: str) -> str:
    """How a query names a field: custom fields by number, which stays when the name changes."""
    number = field_id.removeprefix("customfield_")
    return f"cf[{number}]" if number != field_id and number.isdecimal() else field_id


def carrying(field_id: str, values: Iterable[str], searcher_key: str) -> list[str]:
    """Queries for the issues that carry one of the values in a field, none of them too long.

    In any project: a rule or a person may have moved one before we knew of it.
    """
    operator, field = operator_for(searcher_key), field_clause(field_id)
    room = MOST_CHARACTERS - len(field) - 20
    found = []
    for lot in _lots(list(dict.fromkeys(values)), operator, field, room):
        if operator == "in":
            found.append(f"{field} in ({', '.join(quote(value) for value in lot)})")
        else:
            found.append(f"({' OR '.join(f'{field} ~ {text_query(value)}' for value in lot)})")
    return found


def changed_within(project: str, token_field: str, minutes: int) -> str:
    """Issues that changed in the last so many minutes, oldest change first: the project's, and those of ours that
    people have moved to another one.

    Absolute times would be read in the time zone of the login's profile (README: Searching).
    """
    whose = f"project = {quote(project)}"
    if token_field.startswith("customfield_"):
        whose = f"({whose} OR {field_clause(token_field)} IS NOT EMPTY)"
    return f'{whose} AND updated >= "-{minutes}m" ORDER BY updated ASC, key ASC'


def is_issue_name(text: str) -> bool:
    """Whether a text can be the id or key of an issue."""
    return _ISSUE_NAME.fullmatch(text) is not None


def _escaped(one: str) -> str:
    if one in _ESCAPES:
        return _ESCAPES[one]
    code = ord(one)
    control = code < 0x20 or 0x7F <= code < 0xA0 or one in "\u2028\u2029"
    return f"\\u{code:04x}" if control or 0xD800 <= code < 0xE000 else one


def _lots(values: Sequence[str], operator: Operator, field: str, room: int) -> Iterator[list[str]]:
    lot: list[str] = []
    length = 0
    for value in values:
        one = len(quote(value)) + 2 if operator == "in" else len(f" OR {field} ~ {text_query(value)}")
        if lot and (len(lot) == MOST_VALUES or length + one > room):
            yield lot
            lot, length = [], 0
        lot.append(value)
        length += one
    if lot:
        yield lot
