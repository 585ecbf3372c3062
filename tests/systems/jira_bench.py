"""The stand-in Jira site in process with our client on it, for tests of targets and sources."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import httpx
from pydantic import SecretStr

from ml_connector.clock import ManualClock
from ml_connector.domain.writes import Order
from ml_connector.http.tokens import MemoryTokenStore
from ml_connector.systems.jira.client import JiraClient, open_client
from ml_connector.systems.jira.config import JiraApiTokenLogin, JiraTenant
from sandbox.jira.app import create
from sandbox.kit.app import seed_by_name
from sandbox.kit.clock import Clock
from sandbox.kit.faults import ConnectionAborted, FaultRule
from tests.jira_openapi import Judged

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
URL = "http://127.0.0.1"
BUYER = "712020:buyer-0005"
TOKEN_FIELD = "customfield_10047"
PO, AMOUNT, COST_CODE, KIND = (f"customfield_100{number}" for number in (40, 42, 45, 46))


class _Way(httpx.AsyncBaseTransport):
    """To the site; a broken connection looks as it does on a wire."""

    def __init__(self, app: Any) -> None:
        self._inner = httpx.ASGITransport(app)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        try:
            return await self._inner.handle_async_request(request)
        except ConnectionAborted as error:
            raise httpx.ReadError(str(error), request=request) from error


class Bench:
    """A site, a person who works in it, and our client."""

    def __init__(self, **options: Any) -> None:
        self.app = create(clock=Clock(start=START), options=options)
        self.site: Any = self.app.state.tenant
        seed_by_name(self.site, "base")
        self.clock = ManualClock(START)
        self._admin = httpx.AsyncClient(transport=httpx.ASGITransport(self.app), base_url=URL)

    @asynccontextmanager
    async def client(self, **settings: Any) -> AsyncIterator[tuple[JiraClient, JiraTenant]]:
        """Our client and its settings."""
        known = {"project": "AP", "issue_type": "Task", "token_field": TOKEN_FIELD, "per_second": 1000, "attempts": 1}
        tenant = JiraTenant(**{**known, **settings})
        login = JiraApiTokenLogin(email="connector@acme.example", token=SecretStr("jira-demo-token"), site_url=URL)
        store = MemoryTokenStore()
        opened = open_client(
            login, tenant, name="acme", store=store, slot="jira", clock=self.clock, transport=Judged(_Way(self.app))
        )
        async with self._admin, opened as client:
            yield client, tenant

    async def do(self, action: str, **given: Any) -> dict[str, Any]:
        """A person does something in the site."""
        answer = await self._admin.post(f"/_sandbox/do/{action}", json=given)
        assert answer.status_code == 200, answer.text
        outcome: dict[str, Any] = answer.json()
        return outcome

    async def advance(self, seconds: float) -> None:
        """Time passes for the site and for us."""
        await self._admin.post("/_sandbox/clock", json={"advance": seconds})
        await self.clock.sleep(seconds)

    def fault(self, path: str, **rule: Any) -> None:
        """Let a write to this address fail."""
        self.app.state.faults.add(FaultRule(**{"method": "POST", "path": path, **rule}))

    def calls(self, path: str = "", method: str = "") -> int:
        """Requests so far whose address contains this."""
        journal = self.app.state.journal.since(0)
        return sum(path in one["path"] and method in one["method"] for one in journal)

    def issue(self, issue_id: str) -> Any:
        """An issue as the site has it."""
        return next(one for one in self.site.issues if str(one.id) == issue_id)

    @property
    def truth(self) -> dict[str, Any]:
        """What really took effect."""
        found: dict[str, Any] = self.site.truth()
        return found


def token(number: int) -> str:
    """A token as the keys make them."""
    return f"T4X7ABCDEFGH{number:08d}"


def order(number: int, target_id: str = "", **more: Any) -> Order:
    """An order about the issue of one exception; `payload` members come on top of a plain one."""
    payload = {"summary": f"Invoice {number} is held", f"field:{AMOUNT}": "12.50", f"field:{KIND}": "Hold"}
    payload |= more.pop("payload", {})
    changed: Sequence[str] = more.pop("changed", ())
    return Order(
        f"qad:invoice_exception:{number}",
        token(number),
        f"{number:08x}" * 4,
        "issue",
        "upsert",
        payload,
        target_id=target_id,
        changed=tuple(changed),
        **more,
    )
