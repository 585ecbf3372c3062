"""One record again, because a person asks for it: after a mended master, with edits, or with its document gone."""

from __future__ import annotations

from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State

from tasks.artifacts import show_outcomes
from tasks.repairs import order_replay, replayed
from tasks.runtime import sync_run
from tasks.steps import run_route


@flow(name="replay", flow_run_name="replay {record} of {connection}")
async def replay(connection: str, direction: str, record: str, recreate: bool = False) -> State[Any]:
    """Judge a held or rejected record anew and write what is still missing of it.

    `record` is its number, external id, id in the target, or token. `recreate` makes a document again that somebody
    deleted in the target; nothing else is ever made twice.
    """
    async with sync_run(direction, connection, part=direction) as run:
        if row := await order_replay(run, record, recreate=recreate):
            await run_route(run, row.route, kinds=[f"record/{row.id}"])
        await show_outcomes(run)
    return replayed(run, row)
