"""Jira to QAD: what people decide in an issue reaches the record behind it."""

from __future__ import annotations

from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State

from tasks.artifacts import show_outcomes
from tasks.runtime import sync_run
from tasks.steps import run_routes


@flow(name="jira-to-qad", flow_run_name="jira-to-qad {connection}")
async def jira_to_qad(connection: str) -> State[Any]:
    """Write decisions, approvals and cost codes to QAD, then tell people what QAD refused of them."""
    async with sync_run("jira_to_qad", connection) as run:
        await run_routes(run)
        await show_outcomes(run)
    return run.state
