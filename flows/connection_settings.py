"""The form for a connection's settings: the same schema as its file, checked and stored under a new version."""

from __future__ import annotations

from prefect import flow

from ml_connector.installation import Installation
from ml_connector.pairs.base import change_settings
from ml_connector.pairs.coupa_qad.settings import CoupaQadSettings
from ml_connector.pairs.registry import direction


@flow(name="coupa-qad-settings", flow_run_name="settings of {connection}")
async def coupa_qad_settings(connection: str, settings: CoupaQadSettings) -> str:
    """Store new settings for a Coupa-QAD connection; held and rejected records are looked at again under them."""
    async with Installation.open() as installation:
        saved = await change_settings(installation, direction("coupa_to_qad"), connection, settings)
    return f"{connection} has settings version {saved.settings_version} now"
