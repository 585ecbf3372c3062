"""The webhooks of the site and their deliveries: dynamic ones of apps with a token, an administrator's with a hash."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from sandbox.jira import jql, jql_run
from sandbox.jira.events import Event
from sandbox.kit import jsontext
from sandbox.kit.app import BadRequest
from sandbox.kit.deliveries import Delivery, RetryPolicy, is_loopback

if TYPE_CHECKING:
    from sandbox.jira.tenant import JiraTenant

Json = dict[str, Any]
LIFE = timedelta(days=30)
# Retried after these and after silence: five times, five to fifteen minutes apart.
RETRIED = frozenset({408, 409, 425, 429, *range(500, 600)})
POLICY = RetryPolicy(RETRIED, (300.0, 420.0, 600.0, 780.0, 900.0))
TOKEN_LIFE = 180
KEPT = 1_000


@dataclass
class Dynamic:
    """A webhook that an app registered for the person it acts for."""

    id: int
    client_id: str
    account: str
    url: str
    events: tuple[str, ...]
    jql: str
    expires: datetime
    field_ids: tuple[str, ...] | None = None
    property_keys: tuple[str, ...] | None = None


@dataclass
class Admin:
    """A webhook that an administrator set up."""

    id: int
    name: str
    url: str
    events: tuple[str, ...]
    filters: Mapping[str, str]
    exclude_body: bool = False
    enabled: bool = True
    secret: str | None = field(default=None, repr=False)


class Hooks:
    """Knows who listens, and queues what each is to hear."""

    def __init__(self, tenant: JiraTenant) -> None:
        self._tenant = tenant
        self.dynamic: dict[int, Dynamic] = {}
        self.admin: dict[int, Admin] = {}
        self._told = 0
        self._kept: deque[Delivery] = deque(maxlen=KEPT)

    def tell(self, event: Event) -> None:
        """Queue the deliveries of one event: one for each app and address, one for each administrator's webhook."""
        if not self.dynamic and not self.admin:
            return
        site = self._tenant.site
        groups: dict[tuple[str, str], list[Dynamic]] = {}
        for one in self.dynamic.values():
            if self._hears(one, event):
                groups.setdefault((one.client_id, one.url), []).append(one)
        for (client_id, url), hooks in groups.items():
            body = event.body(site) | {"matchedWebhookIds": [one.id for one in hooks]}
            self._put(url, jsontext.dumps(body), self._bearer(client_id))
        for hook in self.admin.values():
            if hook.enabled and event.name in hook.events and self._passes(hook, event):
                raw = b"" if hook.exclude_body else jsontext.dumps(event.body(site))
                self._put(hook.url, raw, signature(hook.secret, raw))

    def again(self, count: int) -> int:
        """Queue the last deliveries once more; returns how many."""
        now = self._tenant.clock.now()
        chosen = list(self._kept)[-count:]
        for one in chosen:
            copy = Delivery(one.url, one.body, dict(one.headers), now, policy=POLICY, per_attempt=one.per_attempt)
            self._tenant.deliveries.put(copy)
        return len(chosen)

    def add_admin(self, given: Mapping[str, Any]) -> Json:
        """Set up an administrator's webhook; raises BadRequest."""
        name, url, events = given.get("name"), given.get("url"), given.get("events")
        if not isinstance(name, str) or not isinstance(url, str) or not isinstance(events, list) or not events:
            raise BadRequest("name, url and events are required")
        if not is_loopback(url):
            raise BadRequest("a sandbox delivers on loopback only")
        number = self._tenant.next_id("admin_webhook")
        self.admin[number] = Admin(
            number,
            name,
            url,
            tuple(map(str, events)),
            dict(given.get("filters") or {}),
            bool(given.get("excludeBody", False)),
            bool(given.get("enabled", True)),
            given.get("secret"),
        )
        return shown_admin(self.admin[number], self._tenant.site)

    def listed(self) -> list[Json]:
        """Every webhook, for tests; secrets stay out."""
        dynamic = [shown_dynamic(one) | {"kind": "dynamic"} for one in self.dynamic.values()]
        return dynamic + [shown_admin(one, self._tenant.site) | {"kind": "admin"} for one in self.admin.values()]

    def _hears(self, hook: Dynamic, event: Event) -> bool:
        if event.name not in hook.events or hook.expires <= self._tenant.clock.now():
            return False
        if all(app.client_id != hook.client_id for app in self._tenant.options.apps):
            return False
        consents = (one for one in self._tenant.tokens.families if one.client_id == hook.client_id)
        if not any(not one.dead and one.account == hook.account for one in consents):
            return False
        by_field = event.name == "jira:issue_updated" and hook.field_ids is not None
        if by_field and not event.changed & frozenset(hook.field_ids or ()):
            return False
        by_key = event.property_key is not None and hook.property_keys is not None
        if by_key and event.property_key not in (hook.property_keys or ()):
            return False
        return self._meets(hook.jql, event)

    def _passes(self, hook: Admin, event: Event) -> bool:
        text = hook.filters.get("issue-related-events-section", "")
        return not text or self._meets(text, event)

    def _meets(self, text: str, event: Event) -> bool:
        try:
            query = jql.parse(text)
        except jql.JqlError:
            return False
        if query.where is None:
            return True
        if jql_run.complaints(self._tenant, query):
            return False
        return jql_run.meets(self._tenant, query.where, event.issue, event.account)

    def _bearer(self, client_id: str) -> Callable[[], dict[str, str]]:
        app = next(one for one in self._tenant.options.apps if one.client_id == client_id)

        def headers() -> dict[str, str]:
            now = int(self._tenant.clock.now().timestamp())
            claims = {"iss": client_id, "iat": now, "exp": now + TOKEN_LIFE}
            return {"Authorization": f"Bearer {web_token(claims, app.client_secret.get_secret_value())}"}

        return headers

    def _put(self, url: str, raw: bytes, login: Callable[[], dict[str, str]]) -> None:
        self._told += 1
        headers = {
            "Content-Type": "application/json; charset=UTF-8",
            "User-Agent": "Atlassian Webhook HTTP Client",
            "X-Atlassian-Webhook-Identifier": f"{self._tenant.options.cloud_id[:8]}-{self._told:08d}",
            "X-Atlassian-Webhook-Flow": "Primary",
        }

        def per_attempt(attempt: int) -> dict[str, str]:
            return login() | ({"X-Atlassian-Webhook-Retry": str(attempt)} if attempt else {})

        delivery = Delivery(url, raw, headers, self._tenant.clock.now(), policy=POLICY, per_attempt=per_attempt)
        self._kept.append(delivery)
        self._tenant.deliveries.put(delivery)


def web_token(claims: Json, secret: str) -> str:
    """A JSON Web Token, signed HS256."""
    parts = ({"alg": "HS256", "typ": "JWT"}, claims)
    unsigned = ".".join(_url64(jsontext.dumps(part)) for part in parts)
    return f"{unsigned}.{_url64(hmac.new(secret.encode(), unsigned.encode(), hashlib.sha256).digest())}"


def _url64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def signature(secret: str | None, raw: bytes) -> Callable[[], dict[str, str]]:
    """The header that proves a body; none without a secret."""
    if not secret:
        return dict
    value = "sha256=" + hmac.new(secret.encode(), raw, hashlib.sha256).hexdigest()
    return lambda: {"X-Hub-Signature": value}


def shown_dynamic(hook: Dynamic) -> Json:
    """A dynamic webhook as its app sees it."""
    shown: Json = {
        "id": hook.id,
        "jqlFilter": hook.jql,
        "events": list(hook.events),
        "expirationDate": stamp(hook.expires),
        "url": hook.url,
    }
    if hook.field_ids is not None:
        shown["fieldIdsFilter"] = list(hook.field_ids)
    if hook.property_keys is not None:
        shown["issuePropertyKeysFilter"] = list(hook.property_keys)
    return shown


def shown_admin(hook: Admin, site: str) -> Json:
    """An administrator's webhook; the secret is never shown again."""
    return {
        "self": f"{site}/rest/webhooks/1.0/webhook/{hook.id}",
        "name": hook.name,
        "url": hook.url,
        "events": list(hook.events),
        "filters": dict(hook.filters),
        "excludeBody": hook.exclude_body,
        "enabled": hook.enabled,
        "isSigned": bool(hook.secret),
    }


def stamp(at: datetime) -> str:
    """An instant as webhooks show it."""
    return at.strftime("%Y-%m-%dT%H:%M:%S.000+0000")
