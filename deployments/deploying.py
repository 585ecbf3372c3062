"""Deployments from connections: one per (active connection, direction), made, brought up to date and removed again.

What a person chose in the Prefect UI stays: a paused deployment or schedule stays paused, added schedules are kept.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from deployments.connecting import directions_of
from deployments.stack import POOL
from ml_connector.errors import ConfigurationError
from ml_connector.installation import Installation
from ml_connector.pairs.base import Direction
from ml_connector.store.tenants import ConnectionRow

if TYPE_CHECKING:
    from prefect import Flow
    from prefect.client.orchestration import PrefectClient
    from prefect.client.schemas.actions import DeploymentScheduleCreate
    from prefect.client.schemas.responses import DeploymentResponse

TAG = "ml-connector"
_SCHEDULE = "every"
_PAGE = 200


@dataclass(frozen=True, slots=True)
class Planned:
    """A deployment as it ought to be; `every_s` None means that nobody but a person or an event starts it.

    A `form` is the one that changes the connection's settings, filled in with those of today.
    """

    connection: ConnectionRow
    direction: Direction
    every_s: int | None
    ours: str
    form: bool = False

    @property
    def entrypoint(self) -> str:
        """Where the flow lives."""
        return self.direction.settings_flow if self.form else self.direction.flow

    @property
    def flow(self) -> Flow[Any, Any]:
        """The flow itself."""
        return flow_at(self.entrypoint)

    @property
    def full_name(self) -> str:
        """Flow and deployment, as Prefect names them."""
        return f"{self.flow.name}/{self.connection.name}"

    def _filled_in(self) -> dict[str, Any]:
        return {"settings": dict(self.connection.settings), "based_on_version": self.connection.settings_version}

    def values(self) -> dict[str, Any]:
        """What can be changed about a deployment that exists."""
        from prefect.utilities.callables import parameter_schema

        row, one = self.connection, self.direction
        what = "settings" if self.form else f"{one.source} to {one.target}"
        about = f"{what} for connection {row.name}: {self.flow.description or ''}"
        return {
            "entrypoint": self.entrypoint,
            "work_pool_name": POOL,
            "parameters": {"connection": row.name} | (self._filled_in() if self.form else {}),
            "parameter_openapi_schema": parameter_schema(self.flow).model_dump_for_openapi(),
            "tags": [TAG, self.ours, row.pair],
            "description": about.strip(),
        }


async def deploy(
    installation: Installation, client: PrefectClient, *, limit: int | None = None, scheduled: bool = True
) -> list[dict[str, Any]]:
    """Make the server agree with the connections; tells what was done, a row per deployment.

    `limit` is how many runs the work pool starts at once; None keeps what it has, or 4 for a new one.
    """
    await _ensure_pool(client, limit)
    ours = f"installation:{installation.store.keys.login_fingerprint('deployments')[:12]}"
    planned = [
        one
        for row in await installation.connections.list()
        if row.state == "active"
        for one in _of_connection(row, ours, scheduled)
    ]
    done = [await _put(client, one) for one in planned]
    return done + await _remove_others(client, ours, {row["id"] for row in done})


def _of_connection(row: ConnectionRow, ours: str, scheduled: bool) -> list[Planned]:
    ways = directions_of(row.pair)
    runs = [Planned(row, one, one.schedule_s if scheduled else None, ours) for one in ways]
    return [*runs, Planned(row, ways[0], None, ours, form=True)]


async def register_blocks() -> None:
    """Make our block types known to the server, so that its forms show them."""
    import blocks

    for name in blocks.__all__:
        await getattr(blocks, name).aregister_type_and_schema()


async def _ensure_pool(client: PrefectClient, limit: int | None) -> None:
    from prefect.client.schemas.actions import WorkPoolCreate, WorkPoolUpdate
    from prefect.exceptions import ObjectNotFound

    try:
        pool = await client.read_work_pool(POOL)
    except ObjectNotFound:
        await client.create_work_pool(WorkPoolCreate(name=POOL, type="process", concurrency_limit=limit or 4))
        return
    if pool.type != "process":
        raise ConfigurationError(f"work pool {POOL} is of type {pool.type}, not process; remove or rename it")
    # A pool without a limit starts everything it finds and drowns the server.
    wanted = limit or pool.concurrency_limit or 4
    if pool.concurrency_limit != wanted:
        await client.update_work_pool(POOL, WorkPoolUpdate(concurrency_limit=wanted))


async def _put(client: PrefectClient, planned: Planned) -> dict[str, Any]:
    from prefect.exceptions import ObjectNotFound

    try:
        found = await client.read_deployment_by_name(planned.full_name)
    except ObjectNotFound:
        made = await _create(client, planned)
        return _told(planned, str(made), "created")
    if TAG in found.tags and planned.ours not in found.tags:
        raise ConfigurationError(
            f"deployment {planned.full_name} belongs to another installation on this server; "
            "choose another connection name, or remove the deployment in the Prefect UI"
        )
    changed = await _update(client, planned, found)
    changed |= await _schedule(client, planned, found)
    return _told(planned, str(found.id), "updated" if changed else "unchanged")


async def _create(client: PrefectClient, planned: Planned) -> object:
    return await client.create_deployment(
        flow_id=await client.create_flow(planned.flow),
        name=planned.connection.name,
        schedules=_schedules(planned.every_s),
        enforce_parameter_schema=True,
        **_limits(),
        **planned.values(),
    )


async def _update(client: PrefectClient, planned: Planned, found: DeploymentResponse) -> bool:
    from prefect.client.schemas.actions import DeploymentUpdate

    wanted = planned.values()
    shown = {name: getattr(found, name) for name in wanted}
    limit = found.global_concurrency_limit
    options = found.concurrency_options
    limited = limit is not None and limit.limit == 1 and options is not None and options.collision_strategy == "ENQUEUE"
    if limited and {**shown, "tags": sorted(found.tags)} == {**wanted, "tags": sorted(wanted["tags"])}:
        return False
    await client.update_deployment(found.id, DeploymentUpdate(**_limits(), **wanted))
    return True


async def _schedule(client: PrefectClient, planned: Planned, found: DeploymentResponse) -> bool:
    from prefect.client.schemas.schedules import IntervalSchedule

    own = next((one for one in found.schedules if one.slug == _SCHEDULE), None)
    if planned.every_s is None:
        if own is not None:
            await client.delete_deployment_schedule(found.id, own.id)
        return own is not None
    every = timedelta(seconds=planned.every_s)
    if own is not None and isinstance(own.schedule, IntervalSchedule) and own.schedule.interval == every:
        return False
    if own is not None:
        await client.update_deployment_schedule(found.id, own.id, schedule=IntervalSchedule(interval=every))
    else:
        await client.create_deployment_schedules(found.id, _schedules(planned.every_s))
    return True


async def _remove_others(client: PrefectClient, ours: str, kept: set[str]) -> list[dict[str, Any]]:
    """Deployments of connections that are gone or paused; their schedules and planned runs go with them."""
    removed = []
    for found in await _all_of(client, ours):
        if str(found.id) not in kept:
            await client.delete_deployment(found.id)
            removed.append(
                {"connection": found.name, "direction": "", "deployment": found.name, "done": "removed", "every": ""}
            )
    return removed


async def _all_of(client: PrefectClient, ours: str) -> Sequence[DeploymentResponse]:
    from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterTags

    found: list[DeploymentResponse] = []
    tagged = DeploymentFilter(tags=DeploymentFilterTags(all_=[TAG, ours]))
    while True:
        page = await client.read_deployments(deployment_filter=tagged, limit=_PAGE, offset=len(found))
        found += page
        if len(page) < _PAGE:
            return found


def _schedules(every_s: int | None) -> list[DeploymentScheduleCreate]:
    from prefect.client.schemas.actions import DeploymentScheduleCreate
    from prefect.client.schemas.schedules import IntervalSchedule

    if every_s is None:
        return []
    # Active when it is made; afterwards that is the choice of whoever uses the UI.
    interval = IntervalSchedule(interval=timedelta(seconds=every_s))
    return [DeploymentScheduleCreate(schedule=interval, slug=_SCHEDULE, active=True)]


def _limits() -> dict[str, Any]:
    """One run at a time, the next one waits: an event or a schedule must never be dropped."""
    from prefect.client.schemas.objects import ConcurrencyLimitStrategy, ConcurrencyOptions

    options = ConcurrencyOptions(collision_strategy=ConcurrencyLimitStrategy.ENQUEUE)
    return {"concurrency_limit": 1, "concurrency_options": options}


def flow_of(direction: Direction) -> Flow[Any, Any]:
    """The Prefect flow of a direction."""
    return flow_at(direction.flow)


def flow_at(path: str) -> Flow[Any, Any]:
    """The Prefect flow at a module path."""
    module, _, name = path.rpartition(".")
    flow: Flow[Any, Any] = getattr(importlib.import_module(module), name)
    return flow


def _told(planned: Planned, deployment_id: str, done: str) -> dict[str, Any]:
    return {
        "connection": planned.connection.name,
        "direction": "settings" if planned.form else planned.direction.name,
        "deployment": planned.full_name,
        "done": done,
        "every": f"{planned.every_s} s" if planned.every_s is not None else "on demand",
        "id": deployment_id,
    }
