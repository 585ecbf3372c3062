"""Opens the Jira end of a run."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from pydantic import BaseModel

from ml_connector.domain.keys import digest
from ml_connector.pairs.base import need
from ml_connector.pairs.opening import End
from ml_connector.systems.jira import client as jira_client
from ml_connector.systems.jira.client import JiraClient
from ml_connector.systems.jira.config import JIRA_LOGINS, JiraOAuthLogin, JiraTenant


@asynccontextmanager
async def jira(end: End, settings: JiraTenant) -> AsyncIterator[JiraClient]:
    """The Jira site of a connection."""
    login = need(end.login, JIRA_LOGINS, end.connection)
    async with jira_client.open_client(
        login,
        settings,
        name=end.tenant,
        store=end.installation.vault,
        slot=end.installation.slot(end.block, login),
        budget=end.installation.budget(_app(login) or end.tenant, settings.per_second),
        clock=end.installation.store.clock,
        transport=end.transport,
        deadline=end.lease.deadline,
    ) as client:
        yield client


def _app(login: BaseModel) -> str:
    """Whose budget the calls come from: Jira counts an OAuth app's calls together, whichever site they go to."""
    return f"jira-app-{digest(login.client_id)[:16]}" if isinstance(login, JiraOAuthLogin) else ""
