"""What `webhooks` does: an address for a sender with its secret, whom its deliveries concern, what to enter where."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from deployments import connecting
from deployments.home import Home
from ml_connector.errors import ConfigurationError
from ml_connector.http.urls import check_base_url
from ml_connector.installation import Installation
from ml_connector.pairs.base import Direction
from ml_connector.store.ingresses import Ingress, Ingresses, Subscription
from ml_connector.store.tenants import ConnectionRow
from ml_connector.systems.jira.config import JiraOAuthLogin
from ml_connector.systems.jira.subscriptions import EVENTS, address, door_of
from ml_connector.systems.jira.webhook import site_of

KINDS: Mapping[str, tuple[str, ...]] = {"jira": ("admin", "dynamic"), "coupa": ("coupa",)}
LOCAL = "http://127.0.0.1:8780"
_ADDRESS = "receiver-address"
_SECRET_BYTES = 32


@dataclass(frozen=True, slots=True)
class Draft:
    """A door as the command line describes it."""

    name: str
    system: str
    kind: str
    connection: str
    public_url: str = ""
    options: Mapping[str, str] | None = None

    def checked(self) -> Draft:
        """The draft, refused where it cannot work."""
        kinds = KINDS.get(self.system)
        if kinds is None:
            raise ConfigurationError(f"{self.system} sends no webhooks that are known; there is: {', '.join(KINDS)}")
        if self.kind not in kinds:
            wrong = f"--kind {self.kind} does not go with {self.system}" if self.kind else "--kind is missing"
            raise ConfigurationError(f"{wrong}; for {self.system} there is: {', '.join(kinds)}")
        if self.kind == "dynamic" and not self.public_url:
            raise ConfigurationError("--public-url is missing: Jira is told it when the webhook is registered")
        return self


def doors_of(installation: Installation) -> Ingresses:
    """The doors of this installation."""
    store = installation.store
    return Ingresses(store.db, store.keys, store.audit, store.clock)


def systems_of(row: ConnectionRow) -> tuple[str, str]:
    """The systems of a connection, in the order of its blocks."""
    first = connecting.directions_of(row.pair)[0]
    return first.source, first.target


def settings_model(row: ConnectionRow) -> type[BaseModel]:
    """The model of a connection's settings."""
    return connecting.directions_of(row.pair)[0].settings


async def add(installation: Installation, draft: Draft, logins: Mapping[str, Any]) -> dict[str, Any]:
    """Make the door and note whom it concerns; what to enter where, with the secret, which is shown this once.

    `logins` are those of the connection, by system.
    """
    row = await installation.connections.get(draft.connection)
    way = _woken_by(row, draft.system)
    login = logins[draft.system]
    doors = doors_of(installation)
    if draft.kind == "dynamic":
        made = await _dynamic(doors, draft, login)
        return {"ingress": made.name, "address": address(made), "app": login.client_id}
    secret = secrets.token_urlsafe(_SECRET_BYTES)
    options = _options(draft)
    if draft.system == "jira":
        # Deliveries of any other site are refused.
        options["site"] = site_of(login.site_url)
    made = await doors.create(draft.name, system=draft.system, kind=draft.kind, secrets=[secret], options=options)
    await doors.subscribe(draft.name, row.name, [Subscription(row.name, way.name)])
    facts = {"ingress": made.name, "address": shown_address(made), "secret": secret}
    return {**facts, "wakes": f"{way.name} of {row.name}", **_what_to_enter(made, row), **_remarks(draft, row)}


def shown_address(door: Ingress) -> str:
    """Where deliveries go, as far as it is known."""
    return address(door) or f"{LOCAL}/webhooks/{door.system}/{door.name}, as the outside world reaches it"


async def new_secret(doors: Ingresses, name: str) -> str:
    """A second secret beside the valid ones; ConfigurationError where the secret is that of an OAuth app."""
    door = await doors.get(name)
    if door.kind == "dynamic":
        raise ConfigurationError(
            f"{name} is signed with the client secret of its OAuth app: save that in the block, then run "
            "renew-jira-webhooks of its connection"
        )
    secret = secrets.token_urlsafe(_SECRET_BYTES)
    await doors.rotate(name, secret)
    return secret


def row_of(door: Ingress, subscriptions: Sequence[Subscription]) -> dict[str, Any]:
    """One line of the list."""
    mine = [one for one in subscriptions if one.ingress == door.name]
    ends = [one.expires_at for one in mine if one.expires_at is not None]
    return {
        "ingress": door.name,
        "system": door.system,
        "kind": door.kind,
        "address": shown_address(door),
        "wakes": ", ".join(sorted({f"{one.direction} of {one.connection}" for one in mine})),
        "secrets": len(door.secrets),
        "webhooks_end": f"{min(ends):%Y-%m-%d}" if ends else "",
    }


@contextmanager
def receiver_announced(home: Home) -> Iterator[None]:
    """Take the receiver's address back at the end of the block."""
    try:
        yield
    finally:
        (home.root / _ADDRESS).unlink(missing_ok=True)


def announce_receiver(home: Home, url: str) -> None:
    """Leave the address of the receiver that runs from this home, for `doctor`."""
    (home.root / _ADDRESS).write_text(url + "\n", encoding="utf-8")


def announced_receiver(home: Home) -> str:
    """The address of the receiver that runs from this home; empty when none does."""
    path = home.root / _ADDRESS
    return path.read_text(encoding="utf-8").strip() if path.exists() else ""


async def _dynamic(doors: Ingresses, draft: Draft, login: Any) -> Ingress:
    if not isinstance(login, JiraOAuthLogin):
        raise ConfigurationError("only an OAuth app registers webhooks itself; choose --kind admin for this login")
    if found := door_of(await doors.list(), login.client_id):
        raise ConfigurationError(
            f"the app {login.client_id} has the ingress {found.name}, and an app has one address only; "
            "renew-jira-webhooks registers what a further connection needs there"
        )
    secret = login.client_secret.get_secret_value()
    options = {**_options(draft), "client_id": login.client_id}
    return await doors.create(draft.name, system=draft.system, kind=draft.kind, secrets=[secret], options=options)


def _options(draft: Draft) -> dict[str, Any]:
    options: dict[str, Any] = dict(draft.options or {})
    if draft.public_url:
        options["public_url"] = check_base_url(draft.public_url, tenant=draft.name, allow_private=True)
    return options


def _woken_by(row: ConnectionRow, system: str) -> Direction:
    for one in connecting.directions_of(row.pair):
        if one.webhooks == system:
            return one
    raise ConfigurationError(f"connection {row.name} joins no direction that deliveries of {system} wake")


def _what_to_enter(door: Ingress, row: ConnectionRow) -> dict[str, str]:
    if door.system == "jira":
        where = "Jira: Settings > System > WebHooks > Create a WebHook; URL and secret as above"
        project = dict(row.settings.get("jira", {})).get("project", "")
        return {"enter in": where, "events": ", ".join(EVENTS), "JQL": f'project = "{project}"'}
    where = "Coupa's webhook or the middleware that sends for it; URL and secret (HMAC-SHA256 of the body) as above"
    return {"enter in": where}


def _remarks(draft: Draft, row: ConnectionRow) -> dict[str, str]:
    said = dict(row.settings.get("jira", {})).get("webhook", "none") if draft.system == "jira" else draft.kind
    if said == draft.kind:
        return {}
    return {"next": f"set jira.webhook to {draft.kind} in the settings of {row.name}, so that it is watched"}
