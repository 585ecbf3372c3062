"""An issue between our words and Jira's: what a payload becomes on the wire, and what a fetched issue shows of it.

A payload is a flat mapping: `summary`, `description` (a document, best as the text that `adf.packed` makes of it),
`field:<field id>` for custom fields as plain text, `priority` (name or id), `assignee` (account id) and `labels`;
members of other names are none of the issue's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

import orjson

from ml_connector.domain.money import plain as plain_number
from ml_connector.domain.text import shortened
from ml_connector.errors import ConfigurationError, RecordRejectedError
from ml_connector.systems.jira import adf
from ml_connector.systems.jira.models import CreateField, Issue

FIELD = "field:"
SUMMARY_LENGTH = 254
TEXT_LENGTH = 255
_SYSTEM = ("summary", "description", "priority", "assignee", "labels")
# What Jira stores in binary fractions keeps this many digits.
_DIGITS = 15
# A URL field takes nothing but addresses; this one leads nowhere.
_TOKEN_URL = "https://ml-connector.invalid/"

# Field id -> what it holds: the kinds of `kind_of`.
Shapes = Mapping[str, str]
Payload = Mapping[str, Any]


def kind_of(schema: Mapping[str, Any]) -> str:
    """What a field holds: text, document, url, number, option, options, date, datetime, user or labels."""
    kind, custom = str(schema.get("type") or ""), str(schema.get("custom") or "").rpartition(":")[2]
    if custom in ("textarea", "url"):
        return "document" if custom == "textarea" else "url"
    if kind == "array":
        return {"option": "options", "string": "labels"}.get(str(schema.get("items") or ""), "text")
    return kind if kind in ("number", "option", "date", "datetime", "user") else "text"


def shapes_of(fields: Mapping[str, CreateField]) -> dict[str, str]:
    """What the fields of a create screen hold."""
    return {field_id: kind_of(field.schema) for field_id, field in fields.items()}


def members(payload: Payload) -> tuple[str, ...]:
    """The members of a payload that an issue shows."""
    return tuple(name for name in payload if name in _SYSTEM or name.startswith(FIELD))


def wire_names(payloads: Iterable[Payload]) -> list[str]:
    """The fields of an issue that have to be read to compare these payloads."""
    return sorted({name.removeprefix(FIELD) for payload in payloads for name in members(payload)})


def fields_to_write(payload: Payload, names: Iterable[str], shapes: Shapes) -> dict[str, Any]:
    """These members as Jira takes them, an empty value as null; RecordRejectedError names a value that is none."""
    return {name.removeprefix(FIELD): _wire(name, payload.get(name), shapes) for name in names}


def token_text(token: str, kind: str) -> str:
    """The token as it reads in a field of that kind; ConfigurationError for a field that cannot hold one."""
    if kind not in ("text", "labels", "url"):
        text = f"token_field: a field that holds a {kind} takes no token; use a short text, URL or labels field"
        raise ConfigurationError(text, system="jira")
    return _TOKEN_URL + token if kind == "url" else token


def carried(token: str, kind: str) -> Any:
    """The token as a field of that kind takes it."""
    return _shaped(token_text(token, kind), kind)


def carries(value: Any, text: str) -> bool:
    """Whether a field shows exactly this text, alone or among its labels."""
    return text in [plain(one).strip() for one in (value if isinstance(value, list | tuple) else [value])]


def new_issue(
    payload: Payload, shapes: Shapes, *, where: Mapping[str, Any], property_key: str, mark: Mapping[str, str]
) -> dict[str, Any]:
    """The document that creates an issue; `where` are project, type and token field, `mark` says whose it is."""
    fields = fields_to_write(payload, members(payload), shapes)
    filled = {name: value for name, value in fields.items() if value is not None}
    filled["summary"] = filled.get("summary") or _short(mark["record"], SUMMARY_LENGTH) or mark["token"]
    return {"fields": {**filled, **where}, "properties": [{"key": property_key, "value": dict(mark)}]}


def token_in(issue: Issue, property_key: str) -> str:
    """The token in the property that was set with the issue's creation; empty for an issue that is not ours."""
    mark = issue.properties.get(property_key)
    return str(mark.get("token") or "") if isinstance(mark, Mapping) else ""


def differing(payload: Payload, issue: Issue, shapes: Shapes, names: Iterable[str] | None = None) -> tuple[str, ...]:
    """The members (of `names`, else all) that the issue does not show as the payload has them."""
    wanted = members(payload) if names is None else names
    return tuple(name for name in wanted if not _same(name, payload.get(name), issue, shapes))


def shown(payload: Payload, issue: Issue) -> dict[str, str]:
    """What the issue shows of a payload's members as plain text, the long description aside."""
    names = (name for name in members(payload) if name != "description")
    return {name: plain(issue.fields.get(name.removeprefix(FIELD))) for name in names}


def plain(value: Any) -> str:
    """Any value of an issue's field as plain text: an option by its value, a person by account id, a list by commas."""
    if value is None or value == "":
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | Decimal):
        return plain_number(Decimal(value))
    if isinstance(value, list | tuple):
        return ", ".join(text for one in value if (text := plain(one)))
    if not isinstance(value, Mapping):
        return str(value)
    if value.get("type") == "doc":
        return adf.plain(value)
    found = next((value[name] for name in ("value", "accountId", "name", "key", "id") if value.get(name)), "")
    child = plain(value.get("child"))
    return f"{plain(found)} / {child}" if child else plain(found)


def _wire(name: str, value: Any, shapes: Shapes) -> Any:
    if name == "description":
        return _packed(value) if isinstance(value, str) and value else value or None
    if name == "summary":
        return _short(value, SUMMARY_LENGTH) or None
    if name == "labels":
        return ["_".join(str(one).split()) for one in value or ()]
    text = _bare(value)
    if not text:
        return None
    if name == "assignee":
        return {"accountId": text}
    if name == "priority":
        return {"id" if text.isdecimal() else "name": text}
    field = name.removeprefix(FIELD)
    try:
        return _shaped(text, shapes.get(field, "text"))
    except (ValueError, InvalidOperation) as error:
        detail = f"{field} takes a {shapes.get(field)}, not {text[:100]!r}"
        raise RecordRejectedError(detail, code=f"invalid_value:{field}", detail=detail, system="jira") from error


def _packed(text: str) -> orjson.Fragment:
    """A packed document goes on the wire as it is, once it has shown that it is one."""
    return orjson.Fragment(adf.packed(adf.unpacked(text)))


def _shaped(text: str, kind: str) -> Any:
    match kind:
        case "number":
            number = Decimal(text)
            if not number.is_finite():
                raise ValueError("not finite")
            return number
        case "option":
            return {"value": text}
        case "options":
            return [{"value": text}]
        case "labels":
            return text.split()
        case "user":
            return {"accountId": text}
        case "date":
            return date.fromisoformat(text).isoformat()
        case "datetime":
            return _instant(text).strftime("%Y-%m-%dT%H:%M:%S.000+0000")
        case "document":
            return adf.doc(adf.paragraph(text))
        case "url":
            return text
        case _:
            return _short(text, TEXT_LENGTH)


def _same(name: str, value: Any, issue: Issue, shapes: Shapes) -> bool:
    there = issue.fields.get(name.removeprefix(FIELD))
    try:
        wanted = _wire(name, value, shapes)
    except RecordRejectedError:
        return False
    if name == "labels":
        # People add labels of their own.
        return set(wanted) <= {str(one) for one in there or ()}
    if wanted is None:
        return not plain(there)
    if name == "description":
        wanted = adf.unpacked(value)
    if isinstance(wanted, Mapping) and wanted.get("type") == "doc":
        return bool(adf.normalised(wanted) == adf.normalised(there))
    if name == "priority":
        return isinstance(there, Mapping) and _folded(value) in (_folded(there.get("id")), _folded(there.get("name")))
    return _comparable(there, shapes.get(name.removeprefix(FIELD), "")) == _comparable(wanted, "")


def _comparable(value: Any, kind: str) -> str:
    if isinstance(value, Decimal | int) and not isinstance(value, bool):
        return plain_number(Decimal(f"{Decimal(value):.{_DIGITS}g}"))
    text = plain(value).strip()
    if kind == "datetime":
        try:
            return _instant(text).strftime("%Y-%m-%dT%H:%M:%S.000+0000")
        except ValueError:
            return text
    return text


def _instant(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)


def _bare(value: Any) -> str:
    return adf.clean(plain(value)).strip()


def _folded(value: Any) -> str:
    return plain(value).strip().casefold()


def _short(value: Any, limit: int) -> str:
    """One line of so many characters as Java counts them: one beyond the first plane is two."""
    text = shortened(_bare(value), limit)
    while (over := len(text.encode("utf-16-le")) // 2 - limit) > 0:
        text = shortened(text, len(text) - max(over // 2, 1))
    return text
