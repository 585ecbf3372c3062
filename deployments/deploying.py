"""Deployments from connections: one per (active connection, direction), made, brought up to date and removed again.

What a person chose in the Prefect UI stays: a paused deployment or schedule stays paused, added schedules are kept.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

from deployments.automations import Woken, ensure_wake_automations, ensure_zombie_automation
from deployments.planning import Planned, flow_at, flow_of, plan
from deployments.stack import POOL
from ml_connector.errors import ConfigurationError
from ml_connector.installation import Installation
from tasks.tags import NEEDS_AUTH, TAG, notes_of_logins, owner_tag

if TYPE_CHECKING:
    from prefect.client.orchestration import PrefectClient
    from prefect.client.schemas.actions import DeploymentScheduleCreate
    from prefect.client.schemas.responses import DeploymentResponse

__all__ = ["TAG", "all_of", "deploy", "flow_at", "flow_of", "register_blocks"]

_SCHEDULE = "every"
_PAGE = 200


async def deploy(
    installation: Installation, client: PrefectClient, *, limit: int | None = None, scheduled: bool = True
) -> list[dict[str, Any]]:
    """Make the server agree with the connections; tells what was done, a row per deployment.

    `limit` is how many runs the work pool starts at once; None keeps what it has, or 4 for a new one. What stands
    still for a refused login goes on standing still, and so does what is new.
    """
    from tasks.logins import stop, turn

    await _ensure_pool(client, limit)
    await ensure_zombie_automation(client)
    ours = owner_tag(installation)
    planned = await plan(installation, scheduled=scheduled)
    async with turn(installation):
        done = [await _put(client, one, ours) for one in planned]
    await ensure_wake_automations(client, ours, _woken(planned, done))
    for block in await denied_blocks(installation):
        await stop(installation, client, block)
    removed = await _remove_others(client, ours, {row["id"] for row in done})
    waiting = {str(one.id) for one in await all_of(client, ours) if NEEDS_AUTH in one.tags}
    return [row | {"note": "needs login" if row["id"] in waiting else ""} for row in done] + removed


def _woken(planned: Sequence[Planned], done: Sequence[dict[str, Any]]) -> dict[Woken, UUID]:
    """The deployments that deliveries wake."""
    made = zip(planned, done, strict=True)
    return {Woken(one.connection, one.what): UUID(row["id"]) for one, row in made if one.woken}


async def denied_blocks(installation: Installation) -> list[str]:
    """The blocks of active connections whose login was refused; a block that cannot be loaded proves nothing."""
    from tasks.logins import is_denied
    from tasks.runtime import load_block

    rows = [row for row in await installation.connections.list() if row.state == "active"]
    denied = []
    for block in sorted({name for row in rows for name in (row.source_block, row.target_block)}):
        try:
            login = (await load_block(block)).login()
        except ConfigurationError as error:
            logging.getLogger(__name__).warning("%s", error)
            continue
        if await is_denied(installation, block, login):
            denied.append(block)
    return denied


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


async def _put(client: PrefectClient, planned: Planned, ours: str) -> dict[str, Any]:
    from prefect.exceptions import ObjectNotFound

    try:
        found = await client.read_deployment_by_name(planned.full_name)
    except ObjectNotFound:
        made = await _create(client, planned)
        return _told(planned, str(made), "created")
    if TAG in found.tags and ours not in found.tags:
        if planned.otherwise:
            return await _put(client, replace(planned, name=planned.otherwise, otherwise=""), ours)
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
        name=planned.name,
        schedules=_schedules(planned.every_s),
        enforce_parameter_schema=True,
        **_limits(),
        **planned.values(),
    )


async def _update(client: PrefectClient, planned: Planned, found: DeploymentResponse) -> bool:
    from prefect.client.schemas.actions import DeploymentUpdate

    wanted = planned.values()
    wanted["tags"] += notes_of_logins(found.tags)
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
    for found in await all_of(client, ours):
        if str(found.id) not in kept:
            await client.delete_deployment(found.id)
            told = {"connection": found.name, "direction": "", "deployment": found.name, "done": "removed"}
            removed.append(told | {"every": "", "note": ""})
    return removed


async def all_of(client: PrefectClient, ours: str) -> Sequence[DeploymentResponse]:
    """Every deployment of this installation."""
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


def _told(planned: Planned, deployment_id: str, done: str) -> dict[str, Any]:
    return {
        "connection": planned.connection,
        "direction": planned.what,
        "deployment": planned.full_name,
        "done": done,
        "every": f"{planned.every_s} s" if planned.every_s is not None else "on demand",
        "id": deployment_id,
    }
