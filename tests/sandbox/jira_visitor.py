"""A plain visitor of the stand-in Jira site for its own tests: logs in each way, calls, and works the admin API."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
from starlette.applications import Starlette

from sandbox.jira.app import create
from sandbox.kit.app import seed_by_name
from sandbox.kit.clock import Clock
from sandbox.kit.deliveries import Delivery

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
CLOUD = "11111111-2222-4333-8444-555555555555"
GATEWAY = f"/ex/jira/{CLOUD}"
CLASSIC = ("connector@acme.example", "jira-demo-token")
SCOPED = ("connector@acme.example", "jira-scoped-token")
APP = {"client_id": "jira-demo-client", "client_secret": "jira-demo-secret"}
SERVICE = {"client_id": "jira-svc-client", "client_secret": "jira-svc-secret"}
SCOPES = "read:jira-work write:jira-work read:jira-user manage:jira-webhook offline_access"
BACK = "http://127.0.0.1:9999/back"
KEY_FIELD = "customfield_10047"


@dataclass
class Receiver:
    """Takes the place of whoever listens to webhooks; `answers` are the statuses it gives, the last for ever."""

    got: list[Delivery] = field(default_factory=list)
    answers: list[int | None] = field(default_factory=lambda: [200])

    async def __call__(self, delivery: Delivery) -> int | None:
        self.got.append(delivery)
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


class Visitor:
    """A client of the site."""

    def __init__(self, http: httpx.AsyncClient, app: Starlette) -> None:
        self.http = http
        self.app = app
        self.prefix = ""
        self.auth: tuple[str, str] | None = CLASSIC
        self.headers: dict[str, str] = {}

    def use(self, auth: tuple[str, str] | None = None, *, bearer: str | None = None, gateway: bool = False) -> None:
        """Log in this way from now on."""
        self.auth = auth
        self.headers = {"Authorization": f"Bearer {bearer}"} if bearer else {}
        self.prefix = GATEWAY if gateway else ""

    async def call(self, verb: str, path: str, body: Any = None, **more: Any) -> httpx.Response:
        """Call an address below /rest/api/3, or a whole one that begins with a slash."""
        target = path if path.startswith("/") else f"{self.prefix}/rest/api/3/{path}"
        given = {"json": body} if body is not None else {}
        if self.auth is not None:
            given["auth"] = self.auth
        headers = self.headers | more.pop("headers", {})
        return await self.http.request(verb, target, headers=headers, **given, **more)

    async def get(self, path: str, **arguments: Any) -> httpx.Response:
        """Read; keyword arguments become the query."""
        return await self.call("GET", path, params=arguments or None)

    async def post(self, path: str, body: Any = None) -> httpx.Response:
        """Create."""
        return await self.call("POST", path, body)

    async def put(self, path: str, body: Any = None) -> httpx.Response:
        """Update."""
        return await self.call("PUT", path, body)

    async def create(self, summary: str = "Invoice on hold", token: str | None = None, **fields: Any) -> str:
        """Create an issue in AP and give its key."""
        answer = await self.post("issue", new_issue(summary, token, **fields))
        assert answer.status_code == 201, answer.text
        key: str = answer.json()["key"]
        return key

    async def find(self, jql: str, **more: Any) -> list[str]:
        """Keys of the issues that a search finds."""
        answer = await self.post("search/jql", {"jql": jql, "fields": ["key"], **more})
        assert answer.status_code == 200, answer.text
        return [one["key"] for one in answer.json()["issues"]]

    async def token(self, **body: str) -> httpx.Response:
        """Ask the token endpoint."""
        return await self.http.post("/oauth/token", json=body)

    async def code(self, scope: str = SCOPES) -> str:
        """Play the browser through the consent page."""
        answer = await self.http.get("/authorize", params=consent(scope))
        assert answer.status_code == 302, answer.text
        return parse_qs(urlsplit(answer.headers["location"]).query)["code"][0]

    async def consent(self, scope: str = SCOPES) -> dict[str, Any]:
        """Consent, exchange the code, and use the access token from now on."""
        answer = await self.token(
            grant_type="authorization_code", code=await self.code(scope), redirect_uri=BACK, **APP
        )
        assert answer.status_code == 200, answer.text
        tokens: dict[str, Any] = answer.json()
        self.use(bearer=tokens["access_token"], gateway=True)
        return tokens

    async def do(self, action: str, **given: Any) -> dict[str, Any]:
        """Use an admin verb."""
        answer = await self.http.post(f"/_sandbox/do/{action}", json=given)
        assert answer.status_code == 200, answer.text
        outcome: dict[str, Any] = answer.json()
        return outcome

    async def option(self, **given: Any) -> None:
        """Turn switches."""
        await self.do("set_option", **given)

    async def advance(self, seconds: float) -> None:
        """Let the site's time pass."""
        await self.http.post("/_sandbox/clock", json={"advance": seconds})

    async def fault(self, **rule: Any) -> None:
        """Arm a fault."""
        answer = await self.http.post("/_sandbox/faults", json=rule)
        assert answer.status_code == 200, answer.text

    async def truth(self) -> dict[str, Any]:
        """What really took effect."""
        counters: dict[str, Any] = (await self.http.get("/_sandbox/truth")).json()
        return counters

    def receiver(self, *answers: int | None) -> Receiver:
        """Stand in for the address that webhooks go to."""
        made = Receiver(answers=list(answers) or [200])
        self.app.state.deliveries._send = made
        return made


def consent(scope: str = SCOPES, **changes: str) -> dict[str, str]:
    """The query of the consent page."""
    return {
        "audience": "api.atlassian.com",
        "client_id": APP["client_id"],
        "scope": scope,
        "redirect_uri": BACK,
        "state": "s1",
        "response_type": "code",
        "prompt": "consent",
    } | changes


def document(text: str) -> dict[str, Any]:
    """Rich text of one paragraph."""
    return {
        "version": 1,
        "type": "doc",
        "content": [{"type": "paragraph", "content": [{"type": "text", "text": text}]}],
    }


def new_issue(summary: str = "Invoice on hold", token: str | None = None, **fields: Any) -> dict[str, Any]:
    """A body that creates a task in AP; a token goes into field and property."""
    body: dict[str, Any] = {
        "fields": {"project": {"key": "AP"}, "issuetype": {"id": "10001"}, "summary": summary, **fields}
    }
    if token is not None:
        body["fields"][KEY_FIELD] = token
        body["properties"] = [{"key": "ml-connector", "value": {"token": token, "record": "INV-1"}}]
    return body


@asynccontextmanager
async def visiting(**options: Any) -> AsyncIterator[Visitor]:
    """A visitor of a new site in process, with the base seed and a clock that stands still."""
    app = create(clock=Clock(start=START), options=options)
    seed_by_name(app.state.tenant, "base")
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as http:
        yield Visitor(http, app)
