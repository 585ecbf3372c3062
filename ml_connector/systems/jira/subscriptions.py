"""Keeps the dynamic webhook of a project alive (README: Webhooks): registered once, refreshed in time, repaired.

One webhook per project is enough: its filter by fields holds back changes that nobody waits for and nothing else. An
app has at most five per person and site, all with one address.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Protocol

from ml_connector.errors import ConfigurationError
from ml_connector.store.ingresses import Ingress, Ingresses, Subscription
from ml_connector.systems.jira.config import JiraOAuthLogin, JiraTenant
from ml_connector.systems.jira.models import DynamicWebhook
from ml_connector.systems.jira.webhook import site_of

EVENTS = ("jira:issue_created", "jira:issue_updated", "jira:issue_deleted")
# They live for thirty days; a daily look renews each ten times before that.
REFRESH_WITHIN = timedelta(days=20)


class Hooks(Protocol):
    """What the client can do about dynamic webhooks."""

    async def register_webhooks(self, url: str, hooks: Sequence[Mapping[str, Any]]) -> list[int | tuple[str, ...]]:
        """Register; for each its id or what Jira has against it."""
        ...

    async def list_webhooks(self) -> tuple[DynamicWebhook, ...]:
        """All that the app has on the site."""
        ...

    async def refresh_webhooks(self, ids: Sequence[int]) -> datetime:
        """Let them live thirty more days; unknown ids are passed over silently."""
        ...

    async def delete_webhooks(self, ids: Sequence[int]) -> None:
        """Remove them."""
        ...


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a connection wants to be told of: the issues of one type in a project, and which fields' changes."""

    url: str
    project: str
    issue_types: tuple[str, ...]
    fields: tuple[str, ...]

    @property
    def jql(self) -> str:
        """The filter, in the few clauses that dynamic webhooks allow."""
        types = ", ".join(_quoted(one) for one in self.issue_types)
        return f"project = {_quoted(self.project)}" + (f" AND issuetype IN ({types})" if types else "")

    @property
    def hook(self) -> dict[str, Any]:
        """As it is registered; the fields narrow updates alone."""
        return {"events": list(EVENTS), "jqlFilter": self.jql, "fieldIdsFilter": list(self.fields)}

    def is_at(self, url: str) -> bool:
        """Whether an address is the one that deliveries are wanted at."""
        return url.rstrip("/") == self.url.rstrip("/")

    def is_met_by(self, one: DynamicWebhook) -> bool:
        """Whether a registered webhook does just this; Jira may write a filter in its own way."""
        return (
            self.is_at(one.url)
            and _bare(one.jql) == _bare(self.jql)
            and set(one.events) == set(EVENTS)
            and set(one.field_ids) == set(self.fields)
        )


@dataclass(frozen=True, slots=True)
class Renewed:
    """What came of it: the webhooks that now tell, and in words what was done and what Jira has against it."""

    live: tuple[DynamicWebhook, ...]
    done: tuple[str, ...]
    problems: tuple[str, ...]


async def renew(
    hooks: Hooks, wanted: Wanted, *, ours: Collection[int], shared: Collection[int], now: datetime
) -> Renewed:
    """Register what is missing, refresh what ends within 20 days, remove what this connection no longer wants.

    `ours` are the ids that the connection has on record, `shared` those that others rely on. The list is the truth
    about what exists: an answer that got lost and a webhook that somebody deleted are both found there.
    """
    listed = await hooks.list_webhooks()
    fitting = sorted((one for one in listed if wanted.is_met_by(one)), key=lambda one: one.id not in ours)
    outdated = [one for one in listed if one.id in ours and one not in fitting]
    done, problems = list[str](), list[str]()
    if not fitting:
        # An app has one address only: its webhooks at a former one must go before a new one can come.
        if moved := [one for one in outdated if not wanted.is_at(one.url)]:
            await hooks.delete_webhooks([one.id for one in moved])
            outdated = [one for one in outdated if one not in moved]
        done, problems = await _register(hooks, wanted)
    # A second one that fits was registered by a call whose answer got lost.
    surplus = [one.id for one in (*outdated, *fitting[1:]) if one.id not in shared]
    if surplus and not problems:
        await hooks.delete_webhooks(surplus)
        done.append(f"{len(surplus)} removed")
    if ending := [one.id for one in fitting[:1] if _ends(one, now)]:
        await hooks.refresh_webhooks(ending)
        done.append(f"webhook {ending[0]} refreshed")
    found = await hooks.list_webhooks() if done or problems else listed
    # An outdated one that cannot be replaced goes on telling, until a person has seen to it.
    live = tuple(one for one in found if (one.id in ours if problems else wanted.is_met_by(one)))
    late = [one for one in live if one.id in ending and _ends(one, now)]
    problems += [f"webhook {one.id} was refreshed and ends on {one.expires:%Y-%m-%d} all the same" for one in late]
    if not live and not problems:
        problems.append("the webhook that was just registered is not in Jira's list; look again later")
    return Renewed(live, tuple(done), tuple(problems))


async def _register(hooks: Hooks, wanted: Wanted) -> tuple[list[str], list[str]]:
    """A new one; what was done, and what Jira has against it."""
    (answer,) = await hooks.register_webhooks(wanted.url, [wanted.hook])
    if isinstance(answer, int):
        return [f"webhook {answer} registered"], []
    return [], [f"Jira refuses the webhook: {text}" for text in answer or ("no reason given",)]


@dataclass(frozen=True, slots=True)
class Subscriber:
    """The connection that wants to be told, the direction that this wakes, its login and what it watches."""

    connection: str
    direction: str
    login: JiraOAuthLogin
    tenant: JiraTenant
    fields: tuple[str, ...]


def address(door: Ingress) -> str:
    """Where the outside world reaches a door; empty when nobody has said."""
    public = str(door.options.get("public_url") or "").rstrip("/")
    return f"{public}/webhooks/{door.system}/{door.name}" if public else ""


def door_of(doors: Sequence[Ingress], client_id: str) -> Ingress | None:
    """The door that an OAuth app's deliveries come in by: one per app, because an app has one address."""
    mine = (one for one in doors if (one.system, one.kind) == ("jira", "dynamic"))
    return next((one for one in mine if one.options.get("client_id") == client_id), None)


async def keep_subscribed(ingresses: Ingresses, hooks: Hooks, who: Subscriber, *, now: datetime) -> Renewed:
    """Renew the connection's webhook and note whom its deliveries concern; ConfigurationError while there is no door.

    A secret that the app was given meanwhile is learned here, too; the former one stays valid until it is dropped.
    """
    login = who.login
    door = door_of(await ingresses.list(), login.client_id)
    if door is None or not address(door):
        remedy = "ml-connector webhooks add NAME --system jira --kind dynamic --connection"
        raise ConfigurationError(f"no webhook address for the app {login.client_id}; run: {remedy} {who.connection}")
    secret = login.client_secret.get_secret_value()
    if door.secrets[:1] != (secret,):
        await ingresses.rotate(door.name, secret)
    site = site_of(login.site_url)
    here = [one for one in await ingresses.subscriptions(name=door.name) if one.site == site]
    ours = {int(one.webhook) for one in here if one.connection == who.connection}
    shared = {int(one.webhook) for one in here if one.connection != who.connection}
    wanted = Wanted(address(door), who.tenant.project, _types(who.tenant), who.fields)
    renewed = await renew(hooks, wanted, ours=ours, shared=shared, now=now)
    rows = [Subscription(who.connection, who.direction, site, str(one.id), one.expires) for one in renewed.live]
    if rows != [replace(one, ingress="") for one in here if one.connection == who.connection]:
        await ingresses.subscribe(door.name, who.connection, rows)
    return renewed


def _types(tenant: JiraTenant) -> tuple[str, ...]:
    return (tenant.issue_type,) if tenant.issue_type else ()


def _ends(one: DynamicWebhook, now: datetime) -> bool:
    return one.expires is not None and one.expires - now < REFRESH_WITHIN


def _quoted(value: str) -> str:
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _bare(jql: str) -> str:
    """A filter without what a rewording may change: spaces, quotes, brackets and capitals."""
    return "".join(letter for letter in jql.lower() if letter not in " \t\n'\"()")
