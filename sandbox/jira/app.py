"""Puts the stand-in Jira site together: site, gateway and authorisation server behind one address, and the admin."""

from __future__ import annotations

from typing import Any

from starlette.applications import Starlette
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from sandbox.jira import attached, comments, issues, metadata, people, search, webhooks, workflow
from sandbox.jira.dispatch import Operation, Router
from sandbox.jira.gate import Front
from sandbox.jira.tenant import JiraTenant
from sandbox.kit.app import build_app
from sandbox.kit.clock import Clock
from sandbox.kit.deliveries import Deliveries

OPERATIONS: list[Operation] = [
    *issues.OPERATIONS,
    *workflow.OPERATIONS,
    *comments.OPERATIONS,
    *attached.OPERATIONS,
    *people.OPERATIONS,
    *metadata.OPERATIONS,
    *search.OPERATIONS,
    *webhooks.OPERATIONS,
]
_ANY_VERB = ["GET", "POST", "PUT", "PATCH", "DELETE"]


class _Postman:
    """Sends what is due when the admin API asks for it or moves the clock; otherwise time alone decides."""

    def __init__(self, app: ASGIApp, deliveries: Deliveries) -> None:
        self._app = app
        self._deliveries = deliveries

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "")
        if path == "/_sandbox/do/deliver":
            await self._deliveries.flush()
        await self._app(scope, receive, send)
        if path == "/_sandbox/clock":
            await self._deliveries.flush()


def create(*, clock: Clock | None = None, options: dict[str, Any] | None = None) -> Starlette:
    """A new site without projects or issues."""
    tenant = JiraTenant(clock if clock is not None else Clock(), options or {})
    front = Front(tenant, {"api": Router(OPERATIONS), "webhooks": Router(webhooks.ADMIN_OPERATIONS)})
    app = build_app(tenant, [Route("/{path:path}", front.__call__, methods=_ANY_VERB)])
    app.add_middleware(_Postman, deliveries=tenant.deliveries)
    app.state.deliveries = tenant.deliveries
    return app
