"""Reads request bodies as strictly as the interface description has them: types, required members, closed shapes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sandbox.jira.errors import classic, payload, unmodelled
from sandbox.kit import jsontext

Rule = Callable[[Any], bool]
MOST_KEY = 255
MOST_VALUE = 32_768


def text(value: Any) -> bool:
    """A string."""
    return isinstance(value, str)


def flag(value: Any) -> bool:
    """A boolean."""
    return isinstance(value, bool)


def whole(value: Any) -> bool:
    """A whole number."""
    return isinstance(value, int) and not isinstance(value, bool)


def mapping(value: Any) -> bool:
    """An object."""
    return isinstance(value, dict)


def anything(value: Any) -> bool:
    """Any JSON."""
    return True


def many(rule: Rule) -> Rule:
    """A list whose members follow a rule."""
    return lambda value: isinstance(value, list) and all(rule(one) for one in value)


def maybe(rule: Rule) -> Rule:
    """Null, or what the rule says."""
    return lambda value: value is None or rule(value)


def is_property(value: Any) -> bool:
    """An entity property: key and value, nothing else."""
    return isinstance(value, dict) and set(value) <= {"key", "value"}


def closed(body: Any, rules: Mapping[str, Rule], required: tuple[str, ...] = ()) -> dict[str, Any]:
    """The body if it has only these members in these types; raises ApiError 400."""
    if not isinstance(body, dict) or not body.keys() <= rules.keys():
        raise payload()
    return _checked(body, rules, required)


def opened(body: Any, rules: Mapping[str, Rule], required: tuple[str, ...] = ()) -> dict[str, Any]:
    """The body if these members have these types; a member that only an open shape lets pass answers 501."""
    if not isinstance(body, dict):
        raise payload()
    strangers = body.keys() - rules.keys()
    if strangers:
        raise unmodelled(f"the member {sorted(strangers)[0]} of this body")
    return _checked(body, rules, required)


def _checked(body: dict[str, Any], rules: Mapping[str, Rule], required: tuple[str, ...]) -> dict[str, Any]:
    if not all(rules[name](value) for name, value in body.items()):
        raise payload()
    if any(body.get(name) is None for name in required):
        raise payload()
    return body


UPDATE_DETAILS: Mapping[str, Rule] = {
    "fields": maybe(mapping),
    "update": maybe(lambda value: isinstance(value, dict) and all(many(mapping)(one) for one in value.values())),
    "properties": maybe(many(is_property)),
    "transition": maybe(mapping),
    "historyMetadata": maybe(mapping),
}


def update_details(body: Any) -> dict[str, Any]:
    """A body that creates, edits or moves an issue; raises ApiError."""
    return opened(body, UPDATE_DETAILS)


def properties(given: Any) -> dict[str, Any]:
    """Entity properties by key; raises ApiError 400."""
    made: dict[str, Any] = {}
    for one in given or ():
        key = one.get("key")
        if not isinstance(key, str) or not 0 < len(key) <= MOST_KEY or "value" not in one:
            raise classic(400, [f"The property key must be between 1 and {MOST_KEY} characters and have a value."])
        if len(jsontext.dumps(one["value"]).decode()) > MOST_VALUE:
            raise classic(400, [f"The property value must be at most {MOST_VALUE} characters."])
        made[key] = one["value"]
    return made
