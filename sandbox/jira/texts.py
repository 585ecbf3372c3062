"""How a stored value reads in an issue's history."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sandbox.jira import adf_text
from sandbox.jira.masters import PRIORITIES, RESOLUTIONS, FieldDef
from sandbox.jira.store import Item

if TYPE_CHECKING:
    from sandbox.jira.tenant import JiraTenant


def item(tenant: JiraTenant, name: str, before: Any, after: Any) -> Item:
    """The history of one field in one act."""
    field = tenant.fields[name]
    told = (*_told(tenant, field, before), *_told(tenant, field, after))
    return Item(name, field.name if field.custom else name, field.custom is not None, *told)


def status_item(tenant: JiraTenant, before: str, after: str) -> Item:
    """The history of a step in the workflow."""
    return Item("status", "status", False, before, tenant.statuses[before].name, after, tenant.statuses[after].name)


def _told(tenant: JiraTenant, field: FieldDef, value: Any) -> tuple[str | None, str | None]:
    if value is None:
        return None, None
    match field.kind:
        case "user":
            return value, tenant.users[value].name
        case "priority":
            return value, PRIORITIES[value]
        case "resolution":
            return value, RESOLUTIONS[value]
        case "select":
            option = field.option("id", value)
            return value, option[1] if option else value
        case "multiselect":
            return str(list(value)), ",".join(one for key, one in field.options if key in value)
        case "labels":
            return None, " ".join(value)
        case "rich":
            return None, adf_text.plain(value)
        case "number":
            return None, format(value, "f")
    return None, str(value)
