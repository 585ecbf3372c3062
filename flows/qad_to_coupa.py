"""QAD to Coupa: suppliers and reference codes are kept in line, and what QAD pays is told to the invoices it pays."""

from __future__ import annotations

from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State

from tasks.artifacts import show_outcomes
from tasks.runtime import sync_run
from tasks.steps import run_routes


@flow(name="qad-to-coupa", flow_run_name="qad-to-coupa {connection}")
async def qad_to_coupa(connection: str) -> State[Any]:
    """Align suppliers and reference codes first, then report payments, part payments and voids."""
    async with sync_run("qad_to_coupa", connection) as run:
        await run_routes(run)
        await show_outcomes(run)
    return run.state
