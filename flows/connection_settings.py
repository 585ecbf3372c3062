"""The forms for a connection's settings: the same schema as its file, checked and stored under a new version."""

from __future__ import annotations

from typing import Any

from prefect import flow

from ml_connector.installation import Installation
from ml_connector.pairs.base import change_settings
from ml_connector.pairs.coupa_qad.settings import CoupaQadSettings
from ml_connector.pairs.qad_jira.settings import QadJiraSettings
from ml_connector.pairs.registry import direction


@flow(name="coupa-qad-settings", flow_run_name="settings of {connection}")
async def coupa_qad_settings(connection: str, settings: CoupaQadSettings, based_on_version: int) -> str:
    """Store new settings for a Coupa-QAD connection; held and rejected records are looked at again under them.

    `based_on_version` is filled in by `ml-connector deploy`: a form that shows older settings is refused.
    """
    return await _store("coupa_to_qad", connection, settings, based_on_version)


@flow(name="qad-jira-settings", flow_run_name="settings of {connection}")
async def qad_jira_settings(connection: str, settings: QadJiraSettings, based_on_version: int) -> str:
    """Store new settings for a QAD-Jira connection; held and rejected records are looked at again under them.

    `based_on_version` is filled in by `ml-connector deploy`: a form that shows older settings is refused.
    """
    return await _store("qad_to_jira", connection, settings, based_on_version)


async def _store(first: str, connection: str, settings: Any, based_on: int) -> str:
    async with Installation.open() as installation:
        saved = await change_settings(installation, direction(first), connection, settings, based_on=based_on)
    return f"{connection} has settings version {saved.settings_version} now; `ml-connector deploy` refills the form"
