"""The values of fields: what each kind takes when written, and how it is kept."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from sandbox.jira import adf, adf_text
from sandbox.jira.errors import classic
from sandbox.jira.masters import PRIORITIES, RESOLUTIONS, FieldDef

if TYPE_CHECKING:
    from sandbox.jira.tenant import JiraTenant

NOT_ADF = "Operation value must be an Atlassian Document (see the Atlassian Document Format)"
TOO_LONG = "The entered text is too long. It exceeds the allowed limit of {} characters."
NO_SUMMARY = "You must specify a summary of the issue."
_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,3})?([+-]\d\d:?\d\d|Z)")


class BadValue(ValueError):
    """A field cannot take a value; the text is what Jira says about that field."""


def stored(tenant: JiraTenant, field: FieldDef, value: Any, version: int) -> Any:
    """The value in the form that is kept; None clears. Raises BadValue, or ApiError for broken rich text."""
    if field.kind == "summary":
        return _summary(value)
    if value is None:
        return None
    if field.kind == "rich":
        return rich_text(value, version)
    if field.kind == "user":
        return _user(tenant, field, value)
    if field.kind in ("select", "multiselect"):
        return _option(field, value) if field.kind == "select" else _options(field, value)
    return _PLAIN[field.kind](value)


def rich_text(value: Any, version: int) -> dict[str, Any] | None:
    """A document of the site; raises BadValue for what is none, ApiError for a broken one."""
    if version == 2:
        if not isinstance(value, str):
            raise BadValue("Operation value must be a string")
        value = adf_text.rich(value)
    if not adf.is_document(value):
        raise BadValue(NOT_ADF)
    if not adf.is_valid(value):
        raise classic(400, ["INVALID_INPUT"])
    if len(adf_text.plain(value) or "") > adf.LIMIT:
        raise BadValue(TOO_LONG.format("32,767"))
    found: dict[str, Any] = value
    return found


def _summary(value: Any) -> str:
    if value is not None and not isinstance(value, str):
        raise BadValue("Operation value must be a string")
    if value is None or not value.strip():
        raise BadValue(NO_SUMMARY)
    if "\n" in value or "\r" in value:
        raise BadValue("The summary is invalid because it contains newline characters.")
    if len(value) >= 255:
        raise BadValue("Summary must be less than 255 characters.")
    return str(value.strip())


def _text(value: Any) -> str | None:
    if not isinstance(value, str):
        raise BadValue("Operation value must be a string")
    if len(value) > 255:
        raise BadValue(TOO_LONG.format(255))
    return value or None


def _url(value: Any) -> str | None:
    text = _text(value)
    if text is not None and not re.fullmatch(r"(https?|ftp|mailto|file)://?\S+", text):
        raise BadValue("Not a valid URL")
    return text


def _number(value: Any) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise BadValue("Operation value must be a number")
    # The site keeps numbers as doubles, so that is what comes back.
    return Decimal(repr(float(value)))


def _labels(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise BadValue("Operation value must be an array")
    for one in value:
        if not isinstance(one, str):
            raise BadValue("Operation value must be an array of strings")
        if any(letter.isspace() for letter in one):
            raise BadValue(f"The label '{one}' contains spaces which is invalid.")
        if len(one) > 255:
            raise BadValue(f"The label '{one}' exceeds 255 characters.")
    return tuple(sorted(dict.fromkeys(filter(None, value))))


def _date(value: Any) -> str:
    try:
        if not isinstance(value, str) or date.fromisoformat(value).isoformat() != value:
            raise ValueError
    except ValueError as error:
        raise BadValue("Operation value must be a string in the format 'yyyy-MM-dd'") from error
    return value


def _datetime(value: Any) -> str:
    if not isinstance(value, str) or not _INSTANT.fullmatch(value):
        raise BadValue("Operation value must be a string in the format 'yyyy-MM-dd''T''HH:mm:ss.SSSZ'")
    return instant(datetime.fromisoformat(value))


def instant(at: datetime) -> str:
    """An instant as the site writes it."""
    return at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03d}" + at.strftime("%z")


def _user(tenant: JiraTenant, field: FieldDef, value: Any) -> str | None:
    if not isinstance(value, dict) or not value.keys() <= {"accountId", "id"} or len(value) != 1:
        raise BadValue(f"Specify a valid accountId for {field.name}")
    account = next(iter(value.values()))
    if account is None:
        return None
    user = tenant.users.get(account) if isinstance(account, str) else None
    if user is None:
        raise BadValue(f"Specify a valid accountId for {field.name}")
    if field.id == "assignee" and not (user.active and user.assignable):
        raise BadValue(f"User '{account}' cannot be assigned issues.")
    return user.account


def _option(field: FieldDef, value: Any) -> str:
    if not isinstance(value, dict) or not value or not value.keys() <= {"id", "value", "self"}:
        raise BadValue("Specify a valid 'id' or 'name' for " + field.name)
    key = "id" if "id" in value else "value"
    found = field.option(key, value.get(key))
    if found is None:
        word = "id" if key == "id" else "value"
        raise BadValue(f"Option {word} '{value.get(key)}' is not valid")
    return found[0]


def _options(field: FieldDef, value: Any) -> tuple[str, ...] | None:
    if not isinstance(value, list):
        raise BadValue("data was not an array")
    return tuple(dict.fromkeys(_option(field, one) for one in value)) or None


def _named(table: dict[str, str], what: str) -> Callable[[Any], str]:
    def find(value: Any) -> str:
        if not isinstance(value, dict):
            raise BadValue("data was not an object")
        for identifier, name in table.items():
            if value.get("id") == identifier or ("id" not in value and value.get("name") == name):
                return identifier
        raise BadValue(f"Specify a valid 'id' or 'name' for {what}")

    return find


_PLAIN: dict[str, Callable[[Any], Any]] = {
    "text": _text,
    "readonly": _text,
    "url": _url,
    "number": _number,
    "labels": _labels,
    "date": _date,
    "datetime": _datetime,
    "priority": _named(PRIORITIES, "Priority"),
    "resolution": _named(RESOLUTIONS, "Resolution"),
}
WRITABLE = frozenset(_PLAIN) | {"summary", "rich", "user", "select", "multiselect"}
