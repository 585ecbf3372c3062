"""The form for a connection's settings: the same schema as its file, checked and stored under a new version."""

from __future__ import annotations

from dataclasses import replace

from prefect import flow

from ml_connector.installation import Installation
from ml_connector.pairs.coupa_qad.settings import CoupaQadSettings


@flow(name="coupa-qad-settings", flow_run_name="settings of {connection}")
async def coupa_qad_settings(connection: str, settings: CoupaQadSettings) -> str:
    """Store new settings for a Coupa-QAD connection; rejected records are looked at again under them."""
    async with Installation.open() as installation:
        row = await installation.connections.get(connection)
        changed = replace(row, settings=settings.model_dump(mode="json"), time_zone=settings.time_zone)
        saved = await installation.connections.save(changed)
    return f"{connection} has settings version {saved.settings_version} now"
