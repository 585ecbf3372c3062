"""Coupa to QAD: approved invoices become supplier invoices, each only after its goods receipt."""

from __future__ import annotations

from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State

from tasks.artifacts import show_outcomes
from tasks.runtime import sync_run
from tasks.steps import run_routes


@flow(name="coupa-to-qad", flow_run_name="coupa-to-qad {connection}")
async def coupa_to_qad(connection: str) -> State[Any]:
    """Correct voided invoices where that is wanted, then post approved Coupa invoices to QAD."""
    async with sync_run("coupa_to_qad", connection) as run:
        await run_routes(run)
        await show_outcomes(run)
    return run.state
