"""What a person decides about one record from the command line: which record is meant, and the session to act in."""

from __future__ import annotations

import getpass
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from deployments.planning import flow_at
from ml_connector.errors import ConfigurationError
from ml_connector.installation import Installation
from ml_connector.pairs.registry import direction as find_direction
from ml_connector.store import ledger
from ml_connector.store.ledger import LedgerRow
from ml_connector.sync import overlays, repair
from ml_connector.sync.run import SyncRun

if TYPE_CHECKING:
    from prefect.client.orchestration import PrefectClient

REPLAY = "flows.replay.replay"


async def find_row(installation: Installation, record: str, connection: str | None) -> LedgerRow:
    """The one record that is meant; ConfigurationError when there is none, or when the name fits several."""
    rows = await ledger.by_label(installation.store.db, record)
    rows = [row for row in rows if connection in (None, row.connection)]
    if not rows:
        raise ConfigurationError(f"nothing is known of {record}; name it by number, external id, target id or token")
    if len(rows) > 1:
        names = ", ".join(f"{row.external_id} ({row.connection})" for row in rows)
        raise ConfigurationError(f"{len(rows)} records are called {record}; name one of them: {names}")
    return rows[0]


@asynccontextmanager
async def acting_on(installation: Installation, row: LedgerRow) -> AsyncIterator[tuple[SyncRun, LedgerRow]]:
    """The lease of the record's direction and the record as it stands under it; BusyError while a run is at work."""
    from tasks.runtime import load_block

    connection = await installation.connections.get(row.connection)
    logins = [(await load_block(name)).login() for name in (connection.source_block, connection.target_block)]
    opened = find_direction(row.direction).open(installation, connection, logins, run_id=f"by-hand-{uuid4().hex[:12]}")
    async with opened as session:
        run = session.steps.run
        now = await repair.find(run, row.external_id)
        if now is None:
            raise ConfigurationError(f"{row.label} belongs to a route that {row.connection} no longer has")
        yield run, now


async def settle(installation: Installation, row: LedgerRow, *, written: str | None) -> LedgerRow:
    """Settle a doubt: written under that id, or (None) absent."""
    async with acting_on(installation, row) as (run, now):
        route, by = run.routes[now.route], getpass.getuser()
        if written is None:
            return await repair.settle_absent(run, route, now, by=by)
        return await repair.settle_written(run, route, now, written, by=by)


async def edit(installation: Installation, row: LedgerRow, edits: Mapping[str, str]) -> None:
    """Keep edits for the record's replay."""
    async with acting_on(installation, row) as (run, now):
        await overlays.lay(run, run.routes[now.route], now, dict(edits), by=getpass.getuser())


async def start_replay(client: PrefectClient, row: LedgerRow, *, recreate: bool) -> str:
    """Start the connection's replay deployment for one record; the flow run's id."""
    from prefect.exceptions import ObjectNotFound

    full_name = f"{flow_at(REPLAY).name}/{row.connection}"
    try:
        deployment = await client.read_deployment_by_name(full_name)
    except ObjectNotFound:
        raise ConfigurationError(f"there is no deployment {full_name}; run: ml-connector deploy") from None
    wanted: dict[str, Any] = {"direction": row.direction, "record": row.external_id, "recreate": recreate}
    run = await client.create_flow_run_from_deployment(
        deployment.id, parameters={"connection": row.connection, **wanted}, name=f"replay {row.label}"
    )
    return str(run.id)
