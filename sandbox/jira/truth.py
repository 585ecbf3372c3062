"""What really took effect in the site, for tests to compare with what a client believes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from sandbox.jira import events
from sandbox.jira.render import Renderer
from sandbox.jira.store import Issue

if TYPE_CHECKING:
    from sandbox.jira.tenant import JiraTenant

PROPERTY = "ml-connector"
KEY_FIELD = "ml-connector key"
COUNTED = ("creates", "edits", "transitions", "comments", "comment_edits", "properties", "links", "deletes")


def token_of(issue: Issue) -> str | None:
    """The token in the connector's property of an issue."""
    held = issue.properties.get(PROPERTY)
    token = held.get("token") if isinstance(held, dict) else None
    return token if isinstance(token, str) else None


def tell(tenant: JiraTenant) -> dict[str, Any]:
    """Issues per token in property and field, effects of API calls per token (or key), and the traffic."""
    in_property: Counter[str] = Counter()
    in_field: Counter[str] = Counter()
    key_fields = [field.id for field in tenant.fields.values() if field.name == KEY_FIELD]
    for issue in tenant.issues:
        token = token_of(issue)
        if token is not None:
            in_property[token] += 1
        in_field.update(issue.fields[name] for name in key_fields if issue.fields.get(name))
    return {
        "issues": len(tenant.issues),
        "tokens": dict(sorted(in_property.items())),
        "field_tokens": dict(sorted(in_field.items())),
        **{name: dict(sorted(counter.items())) for name, counter in tenant.done.items()},
        "events": dict(sorted(tenant.events.told.items())),
        "deliveries": {"sent": len(tenant.deliveries.sent), "waiting": tenant.deliveries.waiting},
        "points": tenant.limits.points,
        "refreshes": tenant.tokens.refreshed,
    }


def collections(tenant: JiraTenant) -> dict[str, Callable[[], list[dict[str, Any]]]]:
    """The lists that tests may look at, by name."""
    renderer = Renderer(tenant, tenant.site)
    return {
        "issues": lambda: [
            renderer.issue(one, ["*all"]) | {"properties": one.properties, "links": [link.body for link in one.links]}
            for one in tenant.issues
        ],
        "webhooks": tenant.hooks.listed,
        "deliveries": lambda: [
            {"url": one.url, "status": one.status, "attempt": one.attempt, "at": one.at.isoformat()}
            for one in tenant.deliveries.sent
        ],
        "events": lambda: list(events.remembered(tenant)),
        "projects": lambda: [renderer.project(one) for one in tenant.projects.values()],
        "fields": lambda: [
            {"id": one.id, "name": one.name, "schema": one.schema(), "options": [list(pair) for pair in one.options]}
            for one in tenant.fields.values()
        ],
    }
