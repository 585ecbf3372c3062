"""Puts the stand-in Coupa tenant together: token endpoint, API operations, admin API."""

from __future__ import annotations

from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from sandbox.coupa import auth, integrations, invoices, purchasing, reference, suppliers
from sandbox.coupa.api import Gate, Operation, unknown_address
from sandbox.coupa.tenant import CoupaTenant
from sandbox.kit.app import answer, build_app
from sandbox.kit.clock import Clock

OPERATIONS: list[Operation] = [
    *invoices.OPERATIONS,
    *purchasing.OPERATIONS,
    *suppliers.OPERATIONS,
    *reference.OPERATIONS,
    *integrations.OPERATIONS,
]
_ANY_VERB = ["GET", "POST", "PUT", "PATCH", "DELETE"]


def create(*, clock: Clock | None = None, options: dict[str, Any] | None = None) -> Starlette:
    """A new, empty tenant; with a clock that stands still the rate limit is off unless asked for."""
    clock = clock if clock is not None else Clock()
    tenant = CoupaTenant(clock, {"throttle": not clock.frozen} | (options or {}))
    return build_app(tenant, _routes(tenant), tenant.deliveries)


def _routes(tenant: CoupaTenant) -> list[BaseRoute]:
    async def token(request: Request) -> Response:
        body = await request.body()
        status, payload = auth.grant(tenant.tokens, tenant.options, request.headers, body)
        return answer(payload, status)

    # Fixed words in an address come before ids, so that create_alert is not taken for one.
    ordered = sorted(OPERATIONS, key=lambda operation: "{id}" in operation.path)
    return [
        Route("/oauth2/token", token, methods=["POST"]),
        *(Route(one.path, Gate(tenant, one).__call__, methods=[one.verb]) for one in ordered),
        Route("/api/{rest:path}", unknown_address, methods=_ANY_VERB),
    ]
