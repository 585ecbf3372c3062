"""Once a day: the webhook that an OAuth app has on a connection's Jira project is registered, refreshed or repaired."""

from __future__ import annotations

from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.logging import get_run_logger
from prefect.states import Completed, Failed

from ml_connector.errors import AuthenticationError, ConfigurationError
from ml_connector.installation import Installation
from ml_connector.pairs.base import read_settings
from ml_connector.pairs.qad_jira.decisions import decision_fields
from ml_connector.pairs.qad_jira.settings import QadJiraSettings
from ml_connector.pairs.registry import of_pair
from ml_connector.store.ingresses import Ingresses
from ml_connector.store.tenants import ConnectionRow
from ml_connector.systems.jira.client import open_client
from ml_connector.systems.jira.config import JiraOAuthLogin
from ml_connector.systems.jira.subscriptions import Renewed, Subscriber, keep_subscribed
from tasks.logins import LoginsOfRun
from tasks.runtime import load_block

JIRA = "jira"


@flow(name="renew-jira-webhooks", flow_run_name="renew-jira-webhooks {connection}")
async def renew_jira_webhooks(connection: str) -> State[Any]:
    """Register what is missing, refresh what ends within 20 days, and note whom the deliveries concern."""
    async with Installation.open() as installation:
        row = await installation.connections.get(connection)
        settings = read_settings(of_pair(row.pair)[0].settings, row)
        if settings.jira.webhook != "dynamic" or row.state != "active":
            return Completed(message="nothing to do")
        block, login = await _login(row)
        try:
            renewed = await renew(installation, row, settings, login)
        except AuthenticationError as refusal:
            first = of_pair(row.pair)[0]
            return await LoginsOfRun(installation, row, {block: login}).refused(refusal, (first.source, first.target))
    for problem in renewed.problems:
        get_run_logger().error("%s", problem)
    told = "; ".join((*renewed.done, *renewed.problems))
    return Failed(message=told) if renewed.problems else Completed(message=told or "nothing to do: it is alive")


async def renew(installation: Installation, row: ConnectionRow, settings: Any, login: JiraOAuthLogin) -> Renewed:
    """The same for a connection whose login is at hand."""
    clock, tenant = installation.store.clock, settings.jira
    code = row.source_tenant if of_pair(row.pair)[0].source == JIRA else row.target_tenant
    block = _block(row)
    client = open_client(
        login,
        tenant,
        name=code,
        store=installation.vault,
        slot=installation.slot(block, login),
        budget=installation.budget(code, tenant.per_second),
        clock=clock,
    )
    who = Subscriber(row.name, _direction(row), login, tenant, watched_fields(settings))
    async with client:
        return await keep_subscribed(doors(installation), client, who, now=clock.now())


def doors(installation: Installation) -> Ingresses:
    """The doors that webhooks come in by."""
    store = installation.store
    return Ingresses(store.db, store.keys, store.audit, store.clock)


def watched_fields(settings: QadJiraSettings) -> tuple[str, ...]:
    """The fields whose change may be a decision: status, resolution, and those that the settings name."""
    return ("status", "resolution", *dict.fromkeys(decision_fields(settings).values()))


async def _login(row: ConnectionRow) -> tuple[str, JiraOAuthLogin]:
    block = _block(row)
    login = (await load_block(block)).login()
    if not isinstance(login, JiraOAuthLogin):
        raise ConfigurationError(
            f"block {block} is no consent to an OAuth app, and only such an app registers webhooks itself; "
            "set jira.webhook to admin or none"
        )
    return block, login


def _block(row: ConnectionRow) -> str:
    return row.source_block if of_pair(row.pair)[0].source == JIRA else row.target_block


def _direction(row: ConnectionRow) -> str:
    """The direction that starts in Jira."""
    return next(one.name for one in of_pair(row.pair) if one.source == JIRA)
