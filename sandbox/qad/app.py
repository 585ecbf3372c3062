"""The stand-in QAD Adaptive tenant as a web application: context root, logins, browses and the entity API."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import BaseRoute, Route

from sandbox.kit.app import answer, build_app
from sandbox.kit.clock import Clock
from sandbox.qad import browse, discovery, entities, order_lines
from sandbox.qad.auth import BareError, OAuthError
from sandbox.qad.metadata import BY_COLLECTION
from sandbox.qad.options import Options, User
from sandbox.qad.outcome import Context
from sandbox.qad.tenant import QadTenant
from sandbox.qad.values import Record

LOGIN_PAGE = "<!DOCTYPE html><html><head><title>QAD Login</title></head><body><form>User ID</form></body></html>"
VERBS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]


@dataclass(frozen=True)
class Call:
    """One authenticated API call."""

    method: str
    path: str
    parameters: list[tuple[str, str]]
    body: bytes
    user: User
    context: Context

    @property
    def query(self) -> dict[str, str]:
        """Query parameters by name; the last one wins."""
        return dict(self.parameters)


Handler = Callable[[Call], Record]


def create(*, clock: Clock | None = None, options: dict[str, Any] | None = None) -> Starlette:
    """Build a tenant; it starts empty, load seeds before use."""
    tenant = QadTenant(clock or Clock(), Options.model_validate(options or {}))
    root = f"/{tenant.options.context_root.strip('/')}"
    routes: list[BaseRoute] = [
        Route(f"{root}/oauth/token", _token(tenant), methods=VERBS),
        Route(f"{root}/api/qracore/login", _jwt_login(tenant), methods=VERBS),
        Route(f"{root}/{{path:path}}", _api(tenant), methods=VERBS),
        Route("/{path:path}", _login_page, methods=VERBS),
    ]
    return build_app(tenant, routes)


async def _login_page(request: Request) -> Response:
    """Anything beside the context root shows the login page, as a web server in front of QAD would."""
    return HTMLResponse(LOGIN_PAGE)


def _bare(error: BareError) -> Response:
    return answer(error.body(), error.status)


def _token(tenant: QadTenant) -> Callable[[Request], Awaitable[Response]]:
    async def token(request: Request) -> Response:
        if request.method != "POST":
            return _bare(BareError(405, "Method not allowed"))
        body = (await request.body()).decode("utf-8", "replace")
        form = dict(request.query_params)
        if request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
            form |= dict(parse_qsl(body, keep_blank_values=True))
        scheme, _, basic = request.headers.get("authorization", "").partition(" ")
        try:
            return answer(tenant.auth.grant(form, basic if scheme.lower() == "basic" else None))
        except OAuthError as error:
            return answer(error.body(), error.status)

    return token


def _jwt_login(tenant: QadTenant) -> Callable[[Request], Awaitable[Response]]:
    async def login(request: Request) -> Response:
        try:
            if request.method != "POST":
                raise BareError(405, "Method not allowed")
            form = entities.parse_body(await request.body())
            texts = {name: form.get(name, "") for name in ("username", "password", "workspaceId")}
            if not all(isinstance(text, str) for text in texts.values()):
                raise BareError(400, "username and password must be text")
            return answer(tenant.auth.jwt_session(texts["username"], texts["password"], texts["workspaceId"]))
        except AttributeError:
            return _bare(BareError(400, "Request body must be an object"))
        except BareError as error:
            return _bare(error)

    return login


def _api(tenant: QadTenant) -> Callable[[Request], Awaitable[Response]]:
    async def api(request: Request) -> Response:
        body = await request.body()
        try:
            user = tenant.auth.authenticate(request.headers.get("authorization"))
            domain, entity = tenant.auth.workspace(user, request.headers.get("x-qad-workspace-id"))
            context = Context(tenant, domain, entity, user.username)
            path = request.path_params["path"].strip("/")
            parameters = list(request.query_params.multi_items())
            call = Call(request.method, path, parameters, body, user, context)
            return answer(_dispatch(tenant, call))
        except BareError as error:
            return _bare(error)

    return api


def _dispatch(tenant: QadTenant, call: Call) -> Record:
    """Find the handler of a path and verb; raises BareError 404, 405 or 403."""
    handlers = _fixed(tenant, call.path) or _entity(call.path)
    if not handlers:
        raise BareError(404, f"Path {call.path} not found")
    name, verbs = handlers
    if call.method not in verbs:
        raise BareError(405, "Method not allowed")
    if name in tenant.options.denied:
        raise BareError(403, "Access is denied")
    return verbs[call.method](call)


def _fixed(tenant: QadTenant, path: str) -> tuple[str, dict[str, Handler]] | None:
    table: dict[str, tuple[str, dict[str, Handler]]] = {
        "api/qracore/browses": ("browses", {"GET": lambda call: browse.query(call.context, call.parameters)}),
        "api/qracore/securityControl": (
            "securityControl",
            {"GET": lambda call: discovery.security_control(call.context, call.user)},
        ),
        "api/qracore/entitymetadatas": (
            "entitymetadatas",
            {"GET": lambda call: discovery.entity_metadata(call.query)},
        ),
        "api/erp/purchaseOrderLinesGrid": (
            "purchaseOrderLine",
            {
                "GET": lambda call: order_lines.get(call.context, call.query),
                "POST": lambda call: order_lines.commit(call.context, call.body),
            },
        ),
        "api/erp/purchaseOrderLines": (
            "purchaseOrderLine",
            {"GET": lambda call: order_lines.get(call.context, call.query)},
        ),
        "api/erp/purchaseOrderLines/fieldChangeV2": (
            "purchaseOrderLine",
            {"POST": lambda call: order_lines.field_change(call.context, call.query, call.body)},
        ),
        "api/erp/purchaseOrderLines/isReceivedPurchaseOrderLineV2": (
            "purchaseOrderLine",
            {"GET": lambda call: order_lines.is_received(call.context, call.query)},
        ),
    }
    if tenant.options.swagger:
        root = tenant.options.context_root
        table["api/qracore/swagger.json"] = ("swagger", {"GET": lambda call: discovery.swagger(root)})
    return table.get(path)


def _entity(path: str) -> tuple[str, dict[str, Handler]] | None:
    segment = path.removeprefix("api/erp/")
    resource = BY_COLLECTION.get(segment)
    if resource is None or segment == path:
        return None
    found = resource
    return found.name, {
        "GET": lambda call: entities.get(call.context, found, call.query),
        "POST": lambda call: entities.post(call.context, found, call.query, call.body),
    }
