"""The front of the site: which host was called, who calls, whether they may, and how the answer leaves."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from sandbox.jira import login, scopes
from sandbox.jira.auth import Caller, basic_login, same
from sandbox.jira.dispatch import WRITING, Call, Operation, Reply, Router
from sandbox.jira.errors import REMOVED_SEARCH, ApiError, classic, gateway, problem, unmodelled
from sandbox.jira.options import OTHER_CLOUD_ID
from sandbox.kit import jsontext
from sandbox.kit.app import answer

if TYPE_CHECKING:
    from sandbox.jira.tenant import JiraTenant

FAILED_LOGIN = {"X-Seraph-LoginReason": "AUTHENTICATED_FAILED"}
NEEDS_LOGIN = "Client must be authenticated to access this resource."


class Front:
    """Serves every address: the site, the gateway and the authorisation server share one."""

    def __init__(self, tenant: JiraTenant, routers: dict[str, Router]) -> None:
        self._tenant = tenant
        self._routers = routers
        self._pages: dict[tuple[str, str], Callable[[Request, bytes, str], Response]] = {
            ("GET", "/authorize"): self._consent,
            ("POST", "/oauth/token"): self._token,
            ("GET", "/oauth/token/accessible-resources"): self._sites,
            ("GET", "/_edge/tenant_info"): self._tenant_info,
        }

    async def __call__(self, request: Request) -> Response:
        """Serve one call; nothing is awaited between reading and changing the site's state."""
        raw = await request.body()
        base = str(request.base_url).rstrip("/")
        site = (self._tenant.options.site_url or base).rstrip("/")
        self._tenant.site = site
        try:
            return self._serve(request, raw, site)
        except ApiError as error:
            return _refused(error)

    def _serve(self, request: Request, raw: bytes, site: str) -> Response:
        path = request.url.path
        page = self._pages.get((request.method, path))
        if page is not None:
            return page(request, raw, site)
        if path.startswith("/ex/jira/"):
            cloud, _, rest = path.removeprefix("/ex/jira/").partition("/")
            if cloud != self._tenant.options.cloud_id:
                if cloud == OTHER_CLOUD_ID:
                    raise unmodelled("the second site beyond its name")
                raise gateway(404, "Not Found")
            return self._api(request, raw, site, f"/{rest}")
        if path.startswith("/rest/"):
            return self._api(request, raw, site, path)
        if path.startswith("/browse/") and request.method == "GET":
            issue = self._tenant.issue(path.removeprefix("/browse/"))
            return Response(f"<html><title>{issue.key}</title></html>", media_type="text/html")
        raise unmodelled(f"{request.method} {path}")

    def _consent(self, request: Request, raw: bytes, site: str) -> Response:
        return RedirectResponse(login.consent(self._tenant, dict(request.query_params)), 302)

    def _token(self, request: Request, raw: bytes, site: str) -> Response:
        granted = login.grant(self._tenant, request.headers.get("content-type", ""), raw)
        return answer(granted)

    def _sites(self, request: Request, raw: bytes, site: str) -> Response:
        return answer(login.accessible_resources(self._tenant, request.headers.get("authorization", ""), site))

    def _tenant_info(self, request: Request, raw: bytes, site: str) -> Response:
        return answer({"cloudId": self._tenant.options.cloud_id})

    def _api(self, request: Request, raw: bytes, site: str, path: str) -> Response:
        at_gateway = request.url.path.startswith("/ex/")
        caller = self._gateway_caller(request) if at_gateway else self._site_caller(request)
        if path == "/rest/api/3/search" and request.method in ("GET", "POST"):
            raise classic(410, [REMOVED_SEARCH])
        operation, placeholders, version = self._find(request.method, path)
        if caller.scopes is not None and not _in_scope(caller.scopes, operation, path):
            raise gateway(401, "Unauthorized; scope does not match")
        if caller.kind == "anonymous":
            return _anonymous(operation, caller)
        self._limit(caller, operation)
        named = {name: unquote(value) for name, value in placeholders.items()}
        pairs = list(request.query_params.multi_items())
        call = Call(self._tenant, caller, named, pairs, raw, site, version)
        _check_form(request, operation, call)
        reply = operation.handler(call)
        if caller.kind in ("3lo", "service"):
            call.headers |= self._tenant.limits.charge(call.points, self._tenant.options.quota_points)
        return _answered(reply, call)

    def _find(self, verb: str, path: str) -> tuple[Operation, dict[str, str], int]:
        for prefix, version in (("/rest/api/3", 3), ("/rest/api/2", 2), ("/rest/api/latest", 2)):
            if path.startswith(prefix + "/"):
                found = self._routers["api"].find(verb, path.removeprefix(prefix))
                if found is not None and (version == 3 or found[0].also_v2):
                    return *found, version
        if path.startswith("/rest/webhooks/1.0/"):
            found = self._routers["webhooks"].find(verb, path.removeprefix("/rest/webhooks/1.0"))
            if found is not None:
                return *found, 3
        raise unmodelled(f"{verb} {path}")

    def _limit(self, caller: Caller, operation: Operation) -> None:
        options, limits = self._tenant.options, self._tenant.limits
        if options.quota_points and caller.kind in ("3lo", "service"):
            limits.check_quota(options.quota_points, retry_after=options.retry_after)
        if options.burst_per_s:
            limits.call(operation.name, options.burst_per_s, retry_after=options.retry_after)

    def _site_caller(self, request: Request) -> Caller:
        options = self._tenant.options
        header = request.headers.get("authorization")
        if not header:
            return Caller("anonymous", None)
        pair = basic_login(header)
        if pair is not None and self._knows(pair, options.api_token.get_secret_value()):
            return Caller("classic", self._tenant.api_account)
        if pair is not None and options.bad_token == "anonymous_empty":
            return Caller("anonymous", None, failed_login=True)
        raise ApiError(401, {"errorMessages": [NEEDS_LOGIN], "errors": {}}, headers=FAILED_LOGIN)

    def _gateway_caller(self, request: Request) -> Caller:
        options = self._tenant.options
        header = request.headers.get("authorization", "")
        kind, _, text = header.partition(" ")
        if kind.lower() == "bearer":
            caller = self._tenant.tokens.bearer(text.strip())
            if caller is not None:
                return caller
        pair = basic_login(header)
        if pair is not None and self._knows(pair, options.scoped_token.get_secret_value()):
            return Caller("scoped", self._tenant.api_account, frozenset(options.scoped_token_scopes))
        # A classic token is not for the gateway, however it is: that pairing never falls back to anonymous.
        classic_token = pair is not None and same(options.api_token.get_secret_value(), pair[1])
        if pair is not None and not classic_token and options.bad_token == "anonymous_empty":
            return Caller("anonymous", None, failed_login=True)
        raise gateway(401, "Unauthorized")

    def _knows(self, pair: tuple[str, str], token: str) -> bool:
        options = self._tenant.options
        return options.api_tokens_valid and pair[0].lower() == options.email.lower() and same(token, pair[1])


def _in_scope(held: frozenset[str], operation: Operation, path: str) -> bool:
    if path.startswith("/rest/webhooks/"):
        return False
    return scopes.allows(held, operation.name)


def _anonymous(operation: Operation, caller: Caller) -> Response:
    headers = FAILED_LOGIN if caller.failed_login else {}
    if operation.anonymous is None:
        raise ApiError(401, {"errorMessages": [NEEDS_LOGIN], "errors": {}}, headers=headers)
    if isinstance(operation.anonymous, ApiError):
        raise operation.anonymous
    reply = answer(operation.anonymous)
    reply.headers.update(headers)
    return reply


def _check_form(request: Request, operation: Operation, call: Call) -> None:
    strangers = [name for name, _ in call.query if name not in operation.query]
    if strangers:
        raise unmodelled(f"the query argument {strangers[0]} of {operation.name}")
    if operation.verb not in WRITING:
        return
    kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if kind != "application/json" and (call.raw or operation.needs_type):
        raise problem(415, "Unsupported Media Type", f"Content-Type '{kind}' is not supported.")


def _answered(reply: Reply, call: Call) -> Response:
    if reply.data is None:
        return Response(b"", reply.status, headers=call.headers)
    response = answer(reply.data, reply.status)
    response.headers.update(call.headers)
    return response


def _refused(error: ApiError) -> Response:
    content: Any = jsontext.dumps(error.body)
    return Response(content, error.status, headers=error.headers, media_type=error.media_type)
