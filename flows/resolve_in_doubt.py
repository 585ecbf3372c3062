"""Doubts settled between the runs of a connection: every write that may have taken effect is asked about."""

from __future__ import annotations

from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed

from tasks.artifacts import show_outcomes
from tasks.repairs import doubtful_directions, together
from tasks.runtime import sync_run
from tasks.steps import run_routes


@flow(name="resolve-in-doubt", flow_run_name="resolve-in-doubt {connection}")
async def resolve_in_doubt(connection: str) -> State[Any]:
    """Ask the target of each direction about its open doubts; nothing else is read or written."""
    runs = []
    for direction in await doubtful_directions(connection):
        async with sync_run(direction, connection, part=direction) as run:
            await run_routes(run, kinds=["doubt"])
            await show_outcomes(run)
        runs.append(run)
    return together(runs) if runs else Completed(message="nothing is in doubt")
