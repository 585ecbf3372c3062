"""What signs and sends deliveries in the receiver's tests."""

from __future__ import annotations

import hashlib
import hmac
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import jwt
from sqlalchemy import select

from ml_connector.clock import ManualClock
from ml_connector.errors import TransientError
from ml_connector.store.audit import Audit
from ml_connector.store.crypto import Keys
from ml_connector.store.database import Database
from ml_connector.store.ingresses import Ingresses, Subscription
from ml_connector.store.schema import inbox
from ml_connector.sync.run import Store
from ml_connector.webhooks.app import build
from ml_connector.webhooks.receiver import Receiver

NOW = datetime(2025, 3, 1, 12, tzinfo=UTC)
SITE = "acme.atlassian.net"
SECRET = "a-secret-of-the-admin-webhook"
APP_SECRET = "a-secret-of-the-oauth-app-which-is-long-enough"
COUPA_SECRET = "a-secret-that-coupa-knows"

Request = tuple[str, dict[str, str], bytes]


@dataclass
class Bell:
    """A waker that counts; while `deaf`, nobody hears it."""

    rung: list[tuple[str, str]] = field(default_factory=list)
    tried: int = 0
    deaf: bool = False

    async def wake(self, connection: str, direction: str) -> None:
        self.tried += 1
        if self.deaf:
            raise TransientError("nobody is there")
        self.rung.append((connection, direction))


@dataclass
class Desk:
    """A receiver with three doors, its clock and its bell."""

    store: Store
    clock: ManualClock
    ingresses: Ingresses
    bell: Bell
    receiver: Receiver

    def client(self, app: Any = None) -> httpx.AsyncClient:
        """Talks to the receiver; any exception that leaves the application fails the test."""
        transport = httpx.ASGITransport(app or build(self.receiver))
        return httpx.AsyncClient(transport=transport, base_url="http://receiver")

    async def send(self, request: Request) -> httpx.Response:
        """Deliver once."""
        path, headers, body = request
        async with self.client() as client:
            return await client.post(path, headers=headers, content=body)

    async def rows(self) -> list[Any]:
        """The inbox, in order."""
        async with self.store.db.read() as tx:
            return list((await tx.execute(select(inbox).order_by(inbox.c.id))).all())


async def open_desk(db: Database, keys: Keys) -> Desk:
    """A desk with one door per kind, each with somebody to tell."""
    clock = ManualClock(NOW)
    store = Store(db, keys, Audit(db, keys, clock), clock)
    ingresses = Ingresses(db, keys, store.audit, clock)
    await ingresses.create("jira", system="jira", kind="admin", secrets=[SECRET], options={"site": SITE})
    await ingresses.subscribe("jira", "acme", [Subscription("acme", "jira_to_qad")])
    await ingresses.create("app", system="jira", kind="dynamic", secrets=[APP_SECRET])
    hooks = [Subscription("acme", "jira_to_qad", site=SITE, webhook=hook) for hook in ("1", "2")]
    await ingresses.subscribe("app", "acme", hooks)
    await ingresses.subscribe("app", "other", [Subscription("other", "jira_to_qad", site=SITE, webhook="3")])
    await ingresses.create("coupa", system="coupa", kind="coupa", secrets=[COUPA_SECRET])
    await ingresses.subscribe("coupa", "acme", [Subscription("acme", "coupa_to_qad")])
    bell = Bell()
    return Desk(store, clock, ingresses, bell, Receiver(store, bell))


def signature(body: bytes, secret: str = SECRET) -> str:
    """What an admin webhook sends with its body."""
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def token(secret: str = APP_SECRET, *, algorithm: str = "HS256", at: datetime = NOW, **claims: Any) -> str:
    """What a dynamic webhook sends."""
    content = {"iss": "app", "iat": int(at.timestamp()), "exp": int((at + timedelta(minutes=3)).timestamp()), **claims}
    return jwt.encode({name: value for name, value in content.items() if value is not None}, secret, algorithm)


def issue_event(number: int = 10001, /, *, site: str = SITE, topic: str = "jira:issue_updated", **more: Any) -> bytes:
    """A body as Jira sends it."""
    content = {
        "timestamp": int(NOW.timestamp() * 1000),
        "webhookEvent": topic,
        "user": {"accountId": "5b10", "displayName": "Mia Krystof"},
        "issue": {"id": str(number), "self": f"https://{site}/rest/api/2/issue/{number}", "key": "AP-1"},
        "changelog": {"id": "10124", "items": [{"field": "status", "fieldId": "status", "toString": "Done"}]},
        **more,
    }
    return json.dumps({name: value for name, value in content.items() if value is not None}).encode()


def admin(body: bytes | None = None, *, secret: str = SECRET, delivery: str = "d-1", path: str = "jira") -> Request:
    """A delivery of an admin webhook."""
    body = issue_event() if body is None else body
    headers = {"X-Hub-Signature": signature(body, secret), "X-Atlassian-Webhook-Identifier": delivery}
    return f"/webhooks/jira/{path}", headers, body


def dynamic(
    body: bytes | None = None, *, jwt_: str | None = None, delivery: str = "d-1", scheme: str = "Bearer"
) -> Request:
    """A delivery of a dynamic webhook that matched the first registration."""
    body = issue_event(matchedWebhookIds=[1]) if body is None else body
    headers = {"Authorization": f"{scheme} {jwt_ or token()}", "X-Atlassian-Webhook-Identifier": delivery}
    return "/webhooks/jira/app", headers, body


def coupa(content: Any = None, *, secret: str = COUPA_SECRET, **headers: str) -> Request:
    """A delivery about a Coupa record."""
    default = {"event_type": "invoice.updated", "id": "evt_1", "object": {"type": "invoice", "id": 4001}}
    body = json.dumps(default if content is None else content).encode()
    signed = {"X-Coupa-Signature": signature(body, secret).removeprefix("sha256=")}
    return "/webhooks/coupa/coupa", signed | headers, body
