"""A plain visitor of the stand-in Coupa tenant for its own tests: logs in, calls, and works the admin API."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import httpx
from starlette.applications import Starlette

from sandbox.coupa.app import create
from sandbox.kit.clock import Clock

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
CLIENT = {"client_id": "coupa-demo", "client_secret": "coupa-demo-secret", "grant_type": "client_credentials"}


class Visitor:
    """One logged-in client of a tenant."""

    def __init__(self, http: httpx.AsyncClient, app: Starlette | None = None) -> None:
        self.http = http
        self.app = app
        self.headers = {"Accept": "application/json"}

    async def login(self, scope: str = "") -> httpx.Response:
        """Ask for a token with these scopes (all when empty) and use it from now on."""
        answer = await self.http.post("/oauth2/token", data=CLIENT | ({"scope": scope} if scope else {}))
        self.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
        return answer

    async def get(self, path: str, **arguments: Any) -> httpx.Response:
        """Read; keyword arguments become the query."""
        return await self.http.get(f"/api/{path}", params=arguments or None, headers=self.headers)

    async def put(self, path: str, body: Any = None, **headers: str) -> httpx.Response:
        """Update."""
        return await self.http.put(f"/api/{path}", json=body, headers=self.headers | headers)

    async def post(self, path: str, body: Any = None, **headers: str) -> httpx.Response:
        """Create."""
        return await self.http.post(f"/api/{path}", json=body, headers=self.headers | headers)

    async def seed(self, **collections: list[dict[str, Any]]) -> dict[str, int]:
        """Put records into the tenant."""
        answer = await self.http.post("/_sandbox/seed", json=collections)
        assert answer.status_code == 200, answer.text
        counts: dict[str, int] = answer.json()
        return counts

    async def do(self, action: str, **given: Any) -> dict[str, Any]:
        """Use an admin verb."""
        answer = await self.http.post(f"/_sandbox/do/{action}", json=given)
        assert answer.status_code == 200, answer.text
        outcome: dict[str, Any] = answer.json()
        return outcome

    async def advance(self, seconds: float) -> None:
        """Let the tenant's time pass."""
        await self.http.post("/_sandbox/clock", json={"advance": seconds})

    async def fault(self, **rule: Any) -> None:
        """Arm a fault."""
        answer = await self.http.post("/_sandbox/faults", json=rule)
        assert answer.status_code == 200, answer.text

    async def truth(self) -> dict[str, Any]:
        """What really took effect."""
        counters: dict[str, Any] = (await self.http.get("/_sandbox/truth")).json()
        return counters


@asynccontextmanager
async def visitor(**options: Any) -> AsyncIterator[Visitor]:
    """A logged-in visitor of a new, empty tenant in process, whose clock stands still."""
    app = create(clock=Clock(start=START), options=options)
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as http:
        guest = Visitor(http, app)
        if not options.get("token_delay"):
            await guest.login()
        yield guest
