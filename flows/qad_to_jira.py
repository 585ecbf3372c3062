"""QAD to Jira: held invoices, failed matches and late receipts become issues that people can work."""

from __future__ import annotations

from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State

from tasks.artifacts import show_outcomes
from tasks.runtime import sync_run
from tasks.steps import run_routes


@flow(name="qad-to-jira", flow_run_name="qad-to-jira {connection}")
async def qad_to_jira(connection: str) -> State[Any]:
    """Make an issue of every exception in QAD, keep it in line, and say when the exception has cleared."""
    async with sync_run("qad_to_jira", connection) as run:
        await run_routes(run)
        await show_outcomes(run)
    return run.state
