"""`doctor`, the part about deliveries: do they come in, wake their runs and get read, and how long will that last?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import httpx
from sqlalchemy import func, select

from deployments.automations import Woken, wake_automations
from deployments.home import Home
from deployments.ingress import announced_receiver, doors_of
from deployments.planning import plan
from ml_connector.errors import ConnectorError
from ml_connector.installation import Installation
from ml_connector.store import inbox
from ml_connector.store.ingresses import Ingress, Subscription
from ml_connector.store.schema import inbox as inbox_table
from ml_connector.store.schema import run as run_table
from ml_connector.store.tenants import ConnectionRow
from ml_connector.systems.jira.auth import CONSENT_DAYS, WARN_AFTER_DAYS, consent_age_days
from ml_connector.systems.jira.config import JiraOAuthLogin
from ml_connector.systems.ping import PingCheck
from tasks.tags import owner_tag

if TYPE_CHECKING:
    from prefect.client.orchestration import PrefectClient

# Refreshed daily from the twentieth day before their end on, so at half of that something is wrong.
ENDS_SOON = timedelta(days=10)
# A run reads its inbox within seconds of a wake, and at the latest by its schedule.
WAITS_LONG = timedelta(hours=1)
MISSED = "missed_webhooks"
_DAY = timedelta(days=1)
_RENEW = "run renew-jira-webhooks of the connection in the UI, and read what it says"


async def webhook_checks(home: Home, installation: Installation, client: PrefectClient) -> list[PingCheck]:
    """Everything about deliveries; what is not set up is not asked about."""
    checks = [await _wakes(installation, client)]
    rows = [row for row in await installation.connections.list() if row.state == "active"]
    store, doors = doors_of(installation), await doors_of(installation).list()
    subscriptions = await store.subscriptions()
    now = installation.store.clock.now()
    if doors:
        checks += [await _receiver(home, doors), await _inbox(installation, now), await _missed(installation, now)]
    checks += _subscribed(rows, subscriptions, now, await _latest(installation))
    return [*checks, *await _consents(installation, rows, now)]


async def _wakes(installation: Installation, client: PrefectClient) -> PingCheck:
    name = "wake-ups"
    wanted = {Woken(one.connection, one.what).automation for one in await plan(installation) if one.woken}
    found = {one.name: one.enabled for one in await wake_automations(client, owner_tag(installation))}
    if missing := sorted(wanted - found.keys()):
        told = f"missing: {', '.join(missing)}"
        return _wrong(name, f"{told}; deliveries wait for the next schedule", "run: ml-connector deploy")
    if off := sorted(one for one in wanted if not found[one]):
        told = f"off by a person's choice: {', '.join(off)}"
        return PingCheck(name, True, told, "switch them on in the UI under Automations")
    return PingCheck(name, True, f"deliveries start runs; directions: {len(wanted)}")


async def _receiver(home: Home, doors: Sequence[Ingress]) -> PingCheck:
    """The receiver of this home, else the one that the outside world reaches."""
    name, remedy = "webhook receiver", "start it: ml-connector webhooks (ml-connector up does), behind its proxy"
    public = sorted({str(one.options["public_url"]) for one in doors if one.options.get("public_url")})
    own = announced_receiver(home)
    places = [own] if own else public
    if not places:
        return _wrong(name, "none runs from this home, and no ingress says where another one is", remedy)
    silent = []
    async with httpx.AsyncClient(trust_env=False, timeout=10.0) as http:
        for place in places:
            try:
                answer = await http.get(f"{place}/health")
                silent += [] if answer.is_success else [f"{place} answers HTTP {answer.status_code}"]
            except (httpx.HTTPError, httpx.InvalidURL) as error:
                silent.append(f"{place} does not answer: {type(error).__name__}")
    return _wrong(name, "; ".join(silent), remedy) if silent else PingCheck(name, True, f"{', '.join(places)} answers")


async def _inbox(installation: Installation, now: datetime) -> PingCheck:
    waiting = await inbox.counts(installation.store.db)
    told = ", ".join(f"{one.waiting} for {one.direction} of {one.connection}" for one in waiting)
    oldest = min((one.oldest for one in waiting), default=now)
    if now - oldest > WAITS_LONG:
        remedy = "look at the runs of these directions; a paused connection reads nothing"
        return _wrong("inbox", f"{told}; the oldest since {oldest:%Y-%m-%d %H:%M} UTC", remedy)
    return PingCheck("inbox", True, f"{told} waiting" if told else "nothing waits")


async def _missed(installation: Installation, now: datetime) -> PingCheck:
    """Nothing is lost when a delivery is: the schedule finds it. But it takes minutes instead of seconds."""
    query = select(run_table.c.connection, run_table.c.counts).where(run_table.c.started_at >= now - _DAY)
    missed: dict[str, int] = {}
    async with installation.store.db.read() as tx:
        for row in await tx.execute(query):
            missed[row.connection] = missed.get(row.connection, 0) + int(row.counts.get(MISSED, 0))
    told = ", ".join(f"{count} of {name}" for name, count in sorted(missed.items()) if count)
    if not told:
        return PingCheck("missed webhooks", True, "none in the last 24 hours")
    remedy = "see that the webhook exists at its sender, and that the address can be reached from outside"
    return PingCheck("missed webhooks", True, f"warning: found by the schedule in the last 24 hours: {told}", remedy)


async def _latest(installation: Installation) -> dict[str, datetime]:
    """When the last delivery for each connection came, of those that are still remembered."""
    query = select(inbox_table.c.connection, func.max(inbox_table.c.received_at)).group_by(inbox_table.c.connection)
    async with installation.store.db.read() as tx:
        return {row.connection: row[1] for row in await tx.execute(query)}


def _subscribed(
    rows: Sequence[ConnectionRow],
    subscriptions: Sequence[Subscription],
    now: datetime,
    latest: Mapping[str, datetime],
) -> list[PingCheck]:
    """Whether each connection that is to be told of changes is, and for how long yet."""
    checks = []
    for row in rows:
        kind = dict(row.settings.get("jira", {})).get("webhook", "none")
        if kind == "none":
            continue
        mine = [one for one in subscriptions if one.connection == row.name]
        check = _ends(f"webhook of {row.name}", row, kind, mine, now)
        at = latest.get(row.name)
        last = f"the last delivery came {at:%Y-%m-%d %H:%M} UTC" if at else "no delivery is remembered"
        checks.append(replace(check, message=f"{check.message}; {last}") if mine else check)
    return checks


def _ends(name: str, row: ConnectionRow, kind: str, mine: Sequence[Subscription], now: datetime) -> PingCheck:
    if not mine:
        add = f"ml-connector webhooks add NAME --system jira --kind {kind} --connection {row.name}"
        return _wrong(name, "there is none", f"run: {add}; if that was done, {_RENEW}" if kind == "dynamic" else add)
    ends = min((one.expires_at for one in mine if one.expires_at is not None), default=None)
    if ends is None:
        return PingCheck(name, True, "an administrator's webhook has no end")
    told = f"it ended on {ends:%Y-%m-%d}" if ends <= now else f"it ends on {ends:%Y-%m-%d}"
    return PingCheck(name, True, told) if ends - now > ENDS_SOON else _wrong(name, told, _RENEW)


async def _consents(installation: Installation, rows: Sequence[ConnectionRow], now: datetime) -> list[PingCheck]:
    """How old the consents are; each ends a year after a person gave it, however much it is used."""
    checks = []
    for block in sorted({one for row in rows for one in (row.source_block, row.target_block)}):
        login = await _login(block)
        if not isinstance(login, JiraOAuthLogin):
            continue
        age = consent_age_days(await installation.vault.load(installation.slot(block, login)), now)
        if age is None:
            continue
        name, told = f"consent of {block}", f"given {age} days ago, ends in {max(CONSENT_DAYS - age, 0)} days"
        remedy = f"consent again: ml-connector connect jira {block.rpartition('/')[2]}"
        checks.append(PingCheck(name, True, told) if age < WARN_AFTER_DAYS else _wrong(name, told, remedy))
    return checks


async def _login(block: str) -> Any:
    from tasks.runtime import load_block

    # The lines about logins tell of a block that cannot be loaded.
    try:
        return (await load_block(block)).login()
    except (ConnectorError, AttributeError):
        return None


def _wrong(name: str, message: str, remedy: str) -> PingCheck:
    return PingCheck(name, False, message, remedy)
