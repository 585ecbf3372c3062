"""Starting a deployment's flow run and waiting for its end, and what it came to."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from uuid import UUID

from sqlalchemy import select

from deployments.connecting import directions_of
from deployments.planning import flow_of
from ml_connector.errors import ConfigurationError, TransientError
from ml_connector.installation import Installation
from ml_connector.pairs import registry
from ml_connector.store.schema import run as run_table

if TYPE_CHECKING:
    from prefect.client.orchestration import PrefectClient

POLL_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Ended:
    """A flow run at its end (or, not waited for, at its start): state name, its message and the counts of outcomes."""

    flow_run: str
    name: str
    state: str
    message: str = ""
    ok: bool = True
    counts: Mapping[str, int] = field(default_factory=dict)

    def facts(self) -> dict[str, Any]:
        """What a person or a script wants to know of it."""
        return {
            "flow_run": self.flow_run,
            "name": self.name,
            "state": self.state,
            "message": self.message,
            "counts": dict(self.counts),
        }


async def directions(installation: Installation, connection: str, direction: str = "") -> list[str]:
    """The direction that was named, or all of the connection's pair in business order."""
    row = await installation.connections.get(connection)
    if row.state != "active":
        raise ConfigurationError(f"connection {connection} is {row.state}; run: ml-connector resume {connection}")
    offered = [one.name for one in directions_of(row.pair)]
    if direction and direction not in offered:
        raise ConfigurationError(
            f"connection {connection} has no direction {direction}; it has {', '.join(offered)}"
        )
    return [direction] if direction else offered


async def start(client: PrefectClient, connection: str, direction: str) -> Ended:
    """Start a direction's deployment; ConfigurationError when it has none."""
    from prefect.exceptions import ObjectNotFound

    one = registry.direction(direction)
    full_name = f"{flow_of(one).name}/{connection}"
    try:
        deployment = await client.read_deployment_by_name(full_name)
    except ObjectNotFound:
        raise ConfigurationError(f"there is no deployment {full_name}; run: ml-connector deploy") from None
    run = await client.create_flow_run_from_deployment(deployment.id, name=f"{flow_of(one).name} {connection}")
    return Ended(str(run.id), run.name, run.state.name if run.state and run.state.name else "Scheduled")


async def wait(
    installation: Installation, client: PrefectClient, flow_run: str, *, within: float | None = None
) -> Ended:
    """Wait for a flow run's final state; TransientError after `within` seconds, and the run goes on without us."""
    try:
        async with asyncio.timeout(within):
            while True:
                run = await client.read_flow_run(UUID(flow_run))
                if run.state is not None and run.state.is_final():
                    break
                await asyncio.sleep(POLL_SECONDS)
    except TimeoutError:
        stands = run.state.name if run.state else "unknown"
        raise TransientError(
            f"flow run {run.name} ({flow_run}) is {stands} after {within:g} s; is a worker running?"
        ) from None
    counts = await _counts(installation, flow_run)
    message = run.state.message or ""
    return Ended(flow_run, run.name, str(run.state.name), message, run.state.is_completed(), counts)


async def _counts(installation: Installation, flow_run: str) -> dict[str, int]:
    # A service flow works on several directions, each a run of its own within the flow run.
    mine = (run_table.c.id == flow_run) | run_table.c.id.startswith(f"{flow_run}/")
    async with installation.store.db.read() as tx:
        found = (await tx.execute(select(run_table.c.counts).where(mine))).scalars().all()
    counts: Counter[str] = Counter()
    for one in found:
        counts.update(one)
    return dict(sorted(counts.items()))
