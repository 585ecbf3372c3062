"""A small Jira for tests of the client: site, gateway and login server in one ASGI app, answering as documented."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import httpx
import pytest
from pydantic import SecretStr
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from ml_connector.clock import Clock, ManualClock
from ml_connector.http.tokens import MemoryTokenStore, Token, TokenStore
from ml_connector.systems.jira.catalogue import PERMISSIONS
from ml_connector.systems.jira.client import JiraClient, open_client
from ml_connector.systems.jira.config import (
    JiraApiTokenLogin,
    JiraLogin,
    JiraOAuthLogin,
    JiraServiceAccountLogin,
    JiraTenant,
)
from tests.jira_openapi import Judged

NOW = datetime(2026, 3, 5, 9, 0, tzinfo=UTC)
SITE = "https://acme.atlassian.net"
CLOUD = "11223344-a1b2-3b33-c444-def123456789"
SECRET = "s3cret-of-the-app"
SCOPES = "read:jira-work write:jira-work read:jira-user manage:jira-webhook"
OAUTH = JiraOAuthLogin(client_id="app", client_secret=SecretStr(SECRET), site_url=SITE, cloud_id=CLOUD)
SERVICE = JiraServiceAccountLogin(client_id="svc", client_secret=SecretStr(SECRET), site_url=SITE, cloud_id=CLOUD)
CLASSIC = JiraApiTokenLogin(email="connector@acme.example", token=SecretStr("api-t0ken-value"), site_url=SITE)
SCOPED = CLASSIC.model_copy(update={"cloud_id": CLOUD})
TENANT: dict[str, Any] = {"project": "AP", "issue_type": "Task", "token_field": "customfield_10101"}
TEXT = "com.atlassian.jira.plugin.system.customfieldtypes:"
MISSING = {"errorMessages": ["Issue does not exist or you do not have permission to see it."], "errors": {}}
Handler = Callable[..., Any]
Fault = httpx.Response | Exception


def field(number: int, name: str, kind: str, **more: Any) -> dict[str, Any]:
    """A custom field as the list of fields shows it."""
    schema = {"type": "string", "custom": TEXT + kind, "customId": number}
    row = {"id": f"customfield_{number}", "key": f"customfield_{number}", "name": name, "custom": True}
    return {**row, "searchable": True, "clauseNames": [f"cf[{number}]", name], "schema": schema, **more}


class Jira:
    """One site, reached as itself, through the gateway and with a login server; `answers` replaces single endpoints."""

    def __init__(self) -> None:
        self.clock: Clock = ManualClock(NOW)
        self.issues: dict[str, dict[str, Any]] = {}
        self.answers: dict[tuple[str, str], Any] = {}
        self.queries: dict[str, list[str]] = {}
        self.fields = [
            {"id": "summary", "key": "summary", "name": "Summary", "custom": False, "schema": {"type": "string"}},
            field(10101, "Connector key", "textfield"),
            field(10102, "PO number", "textfield"),
        ]
        self.searchers = {"customfield_10101": TEXT + "textsearcher", "customfield_10102": TEXT + "textsearcher"}
        self.screen = ["summary", "customfield_10101", "customfield_10102"]
        self.editable = ["summary", "customfield_10101"]
        self.rights = set(PERMISSIONS)
        self.scopes = SCOPES
        self.secret = SECRET
        self.family = ["refresh-1"]
        self.spent_at: dict[str, datetime] = {}
        self.dead = False
        self.minted = 0
        self.bodies: list[tuple[str, str, Any]] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        request = Request(scope, receive)
        host, body = request.headers["host"], await request.body()
        sent = json.loads(body, parse_float=Decimal) if body else None
        self.bodies.append((request.method, request.url.path, sent))
        if host == "auth.atlassian.com":
            answer = self._token(sent or {})
        elif host == "api.atlassian.com":
            answer = self._gateway(request, sent)
        else:
            answer = self._site(request, sent)
        await answer(scope, receive, send)

    def sent(self, method: str, path: str) -> list[Any]:
        """The bodies of the requests to a path of the REST interface."""
        return [body for verb, where, body in self.bodies if verb == method and where.endswith(f"/rest/api/3{path}")]

    def put(self, number: int, **fields: Any) -> dict[str, Any]:
        """Add an issue."""
        known = {"summary": f"Issue {number}", "updated": "2026-03-05T08:00:00.000+0000", **fields}
        self.issues[str(number)] = {"id": str(number), "key": f"AP-{number}", "fields": known, "properties": {}}
        return self.issues[str(number)]

    # The login server

    def _token(self, asked: Mapping[str, str]) -> Response:
        if asked["client_secret"] != self.secret:
            return JSONResponse({"error": "access_denied", "error_description": "Unauthorized"}, 401)
        answer = {"expires_in": 3600, "token_type": "Bearer", "scope": self.scopes}
        if asked["grant_type"] == "client_credentials":
            return JSONResponse(answer | {"access_token": self._minted()})
        if asked["grant_type"] == "authorization_code" and asked["code"] == "code-1":
            return JSONResponse(answer | {"access_token": self._minted(), "refresh_token": self.family[-1]})
        if asked["grant_type"] == "refresh_token" and self._may_refresh(asked["refresh_token"]):
            self.family.append(f"refresh-{len(self.family) + 1}")
            return JSONResponse(answer | {"access_token": self._minted(), "refresh_token": self.family[-1]})
        told = "Unknown or invalid refresh token."
        return JSONResponse({"error": "invalid_grant", "error_description": told}, 403)

    def _may_refresh(self, token: str) -> bool:
        now = self.clock.now()
        if token in self.spent_at and (now - self.spent_at[token]).total_seconds() > 600:
            self.dead = True
        if self.dead or token not in self.family:
            return False
        self.spent_at.setdefault(token, now)
        return True

    def _minted(self) -> str:
        self.minted += 1
        return f"access-{self.minted}"

    # Gateway and site

    def _gateway(self, request: Request, sent: Any) -> Response:
        path, given = request.url.path, request.headers.get("authorization", "")
        if given not in {f"Bearer access-{self.minted}", _basic(SCOPED)}:
            return JSONResponse({"code": 401, "message": "Unauthorized"}, 401)
        if path == "/oauth/token/accessible-resources":
            jira = {"id": CLOUD, "url": SITE, "name": "acme", "scopes": self.scopes.split(), "avatarUrl": "x"}
            wiki = {"id": "other", "url": SITE, "name": "acme", "scopes": ["read:page:confluence"]}
            return JSONResponse([wiki, jira])
        if not path.startswith(f"/ex/jira/{CLOUD}/"):
            return JSONResponse({"code": 404, "message": "Not Found"}, 404)
        needed = "write:jira-work" if request.method == "PUT" else "read:jira-work"
        if needed not in self.scopes:
            return JSONResponse({"code": 401, "message": "Unauthorized; scope does not match"}, 401)
        return self._api(request, path.removeprefix(f"/ex/jira/{CLOUD}"), sent)

    def _site(self, request: Request, sent: Any) -> Response:
        if request.url.path == "/_edge/tenant_info":
            return JSONResponse({"cloudId": CLOUD})
        if request.headers.get("authorization", "") != _basic(CLASSIC):
            told = {"errorMessages": ["Client must be authenticated to access this resource."]}
            return JSONResponse(told, 401, {"X-Seraph-LoginReason": "AUTHENTICATED_FAILED"})
        return self._api(request, request.url.path, sent)

    def _api(self, request: Request, path: str, sent: Any) -> Response:
        path = path.removeprefix("/rest/api/3")
        if (request.method, path) in self.answers:
            given = self.answers[request.method, path]
            given = given(request, sent) if callable(given) else given
            return given if isinstance(given, Response) else JSONResponse(given)
        for method, pattern, handler in self._routes():
            if method == request.method and (found := re.fullmatch(pattern, path)):
                given = handler(request, sent, *found.groups())
                return given if isinstance(given, Response) else JSONResponse(given)
        return JSONResponse({"title": "Not found", "status": 404}, 404, media_type="application/problem+json")

    def _routes(self) -> list[tuple[str, str, Handler]]:
        one = r"/issue/(\d+)"
        return [
            ("GET", "/myself", lambda *_: {"accountId": "acc:1", "displayName": "Connector", "active": True}),
            ("GET", one, self._get),
            ("PUT", one, lambda *_: Response(status_code=204)),
            ("POST", "/issue", self._create),
            ("POST", "/issue/bulkfetch", self._bulk_fetch),
            ("POST", "/search/jql", self._search),
            ("POST", "/jql/parse", lambda _, sent: {"queries": [self._judged(one) for one in sent["queries"]]}),
            ("GET", "/field", lambda *_: self.fields),
            ("GET", "/field/search", self._searchers),
            ("GET", r"/issue/createmeta/AP/issuetypes", lambda *_: _page("issueTypes", [{"id": "7", "name": "Task"}])),
            ("GET", r"/issue/createmeta/AP/issuetypes/7", self._screen),
            ("GET", one + "/editmeta", lambda *_: {"fields": {name: {} for name in self.editable}}),
            ("GET", "/mypermissions", self._permissions),
        ]

    def _get(self, request: Request, _: Any, number: str) -> Any:
        return self.issues[number] if number in self.issues else JSONResponse(MISSING, 404)

    def _create(self, _: Request, sent: Any) -> Response:
        row = self.put(10000 + len(self.issues), **sent["fields"])
        return JSONResponse({"id": row["id"], "key": row["key"], "self": "x"}, 201)

    def _bulk_fetch(self, _: Request, sent: Any) -> Any:
        asked = sent["issueIdsOrKeys"]
        if not 1 <= len(asked) <= 100:
            return JSONResponse({"errorMessages": ["between 1 and 100"]}, 400)
        there = sorted((one for one in asked if one in self.issues), key=int)
        gone = [{"id": one, "errorMessage": "gone"} for one in asked if one not in self.issues]
        return {"issues": [self.issues[one] for one in there], "issueErrors": gone}

    def _search(self, _: Request, sent: Any) -> Any:
        rows = list(self.issues.values())
        start, size = int(sent.get("nextPageToken", "0")), sent["maxResults"]
        answer: dict[str, Any] = {"issues": rows[start : start + size], "isLast": start + size >= len(rows)}
        return answer if answer["isLast"] else answer | {"nextPageToken": str(start + size)}

    def _judged(self, query: str) -> dict[str, Any]:
        errors = [text for part, texts in self.queries.items() if part in query for text in texts]
        return {"query": query, "errors": errors} if errors else {"query": query, "structure": {}}

    def _searchers(self, request: Request, _: Any) -> Any:
        wanted = request.query_params.getlist("id")
        rows = [{"id": one, "name": "x", "searcherKey": key} for one, key in self.searchers.items() if one in wanted]
        return {"values": rows, "startAt": 0, "maxResults": 50, "total": len(rows), "isLast": True}

    def _screen(self, request: Request, _: Any) -> Any:
        start, size = int(request.query_params["startAt"]), 2
        rows = [{"fieldId": one, "key": one, "name": one, "required": one == "summary"} for one in self.screen]
        return {"fields": rows[start : start + size], "startAt": start, "maxResults": size, "total": len(rows)}

    def _permissions(self, request: Request, _: Any) -> Any:
        asked = request.query_params["permissions"].split(",")
        if request.query_params["projectKey"] != "AP":
            return JSONResponse({"errorMessages": ["No project could be found with key"], "errors": {}}, 404)
        return {"permissions": {one: {"key": one, "havePermission": one in self.rights} for one in asked}}


class Wire(httpx.AsyncBaseTransport):
    """The way to that Jira; remembers requests, and puts a fault in the place of an answer or loses the answer."""

    def __init__(self, app: Jira) -> None:
        self._inner = httpx.ASGITransport(app)
        self.requests: list[httpx.Request] = []
        self.instead: list[tuple[str, Fault]] = []
        self.lost: list[str] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        for number, (path, fault) in enumerate(self.instead):
            if request.url.path.endswith(path):
                del self.instead[number]
                if isinstance(fault, Exception):
                    raise fault
                return fault
        response = await self._inner.handle_async_request(request)
        for path in self.lost:
            if request.url.path.endswith(path):
                self.lost.remove(path)
                raise httpx.ReadTimeout("no reply")
        return response

    def to(self, path: str) -> list[httpx.Request]:
        """The requests whose path ends so."""
        return [one for one in self.requests if one.url.path.endswith(path)]


class Bench:
    """One Jira, the way to it, a clock and a token store, and clients opened on them."""

    def __init__(self) -> None:
        self.clock = ManualClock(NOW)
        self.jira = Jira()
        self.jira.clock = self.clock
        self.wire = Wire(self.jira)
        self.store: TokenStore = MemoryTokenStore()
        self._opened: list[JiraClient] = []

    def open(self, login: JiraLogin = SERVICE, **tenant: Any) -> JiraClient:
        """A client; keyword arguments are tenant settings."""
        client = open_client(
            login,
            JiraTenant(**{"allow_private": True, **TENANT, **tenant}),
            name="acme",
            store=self.store,
            slot="jira",
            clock=self.clock,
            transport=Judged(self.wire),
        )
        self._opened.append(client)
        return client

    async def consented(self, at: datetime = NOW, **more: Any) -> Token:
        """Put the first token of a consent into the store."""
        token = Token(
            access=self.jira._minted(),
            refresh="refresh-1",
            minted_at=at,
            expires_at=datetime.fromtimestamp(at.timestamp() + 3600, UTC),
            extra={"consented_at": at.isoformat(), **more},
        )

        async def given(_: Token | None) -> Token:
            return token

        return await self.store.renew("jira", None, given)

    async def close(self) -> None:
        """Close every client."""
        for one in self._opened:
            await one.aclose()


async def caught(action: Awaitable[Any], kind: type[Exception]) -> Any:
    """The error that an action ends with."""
    with pytest.raises(kind) as found:
        await action
    return found.value


def _basic(login: JiraApiTokenLogin) -> str:
    pair = f"{login.email}:{login.token.get_secret_value()}"
    return "Basic " + base64.b64encode(pair.encode()).decode()


def _page(name: str, rows: list[Any]) -> dict[str, Any]:
    return {name: rows, "startAt": 0, "maxResults": 50, "total": len(rows)}
