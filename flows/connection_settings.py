"""The form for a connection's settings: the same schema as its file, checked and stored under a new version."""

from __future__ import annotations

from prefect import flow

from ml_connector.installation import Installation
from ml_connector.pairs.base import change_settings
from ml_connector.pairs.coupa_qad.settings import CoupaQadSettings
from ml_connector.pairs.registry import direction


@flow(name="coupa-qad-settings", flow_run_name="settings of {connection}")
async def coupa_qad_settings(connection: str, settings: CoupaQadSettings, based_on_version: int) -> str:
    """Store new settings for a Coupa-QAD connection; held and rejected records are looked at again under them.

    `based_on_version` is filled in by `ml-connector deploy`: a form that shows older settings is refused.
    """
    async with Installation.open() as installation:
        way = direction("coupa_to_qad")
        saved = await change_settings(installation, way, connection, settings, based_on=based_on_version)
    return f"{connection} has settings version {saved.settings_version} now; `ml-connector deploy` refills the form"
