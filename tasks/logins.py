"""A refused login stops every schedule that would use it and says what to do; once it works, these start again.

What was stopped is written on the deployment itself, as tags: the blocks that are refused, and each schedule that was
active before. A schedule that a person had paused has no tag and stays paused.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import httpx
from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.actions import ArtifactCreate, DeploymentUpdate
from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterTags
from prefect.client.schemas.objects import State
from prefect.client.schemas.responses import DeploymentResponse
from prefect.context import FlowRunContext
from prefect.exceptions import ObjectNotFound
from prefect.logging import get_run_logger
from prefect.states import Failed

from ml_connector.errors import AuthenticationError, BusyError
from ml_connector.installation import Installation
from ml_connector.store.leases import Lease
from ml_connector.store.tenants import ConnectionRow
from tasks.tags import NEEDS_AUTH, REFUSED, STOPPED, TAG, connection_tag, notes_of_logins, owner_tag, refused_blocks

STATE_NAME = "Needs login"
# A person at the UI takes no turn: whoever finds its own note overwritten writes it again.
_TRIES = 5
_PAGE = 200


def remedy(connection: str) -> str:
    """What a person does about a refused login."""
    return (
        "save the block with the right login, or mend the user in the system itself, "
        f"then: ml-connector ping {connection} --again"
    )


async def is_denied(installation: Installation, block: str, login: Any) -> bool:
    """Whether this login was definitely refused, and nobody has mended it since."""
    try:
        await installation.vault.check_allowed(installation.slot(block, login))
    except AuthenticationError:
        return True
    return False


@dataclass(frozen=True, slots=True)
class LoginsOfRun:
    """The two logins of one connection for the length of a run, and what follows when one of them is refused."""

    installation: Installation
    row: ConnectionRow
    logins: Mapping[str, Any]

    async def refused(self, refusal: AuthenticationError, systems: tuple[str, str]) -> State[Any]:
        """Stop everything that uses the refused login; the run's final state, which says what to do in one line.

        `systems` are those of the source and the target, for a refusal that denied no login in the vault.
        """
        blocks = await self._blocks(refusal, systems)
        await self._stop(blocks)
        told = f"{self.row.name}: login refused for {' and '.join(f'block {one}' for one in blocks)}"
        get_run_logger().error("%s: %s", told, refusal)
        return Failed(name=STATE_NAME, message=f"{told}; {remedy(self.row.name)}")

    async def work_again(self) -> None:
        """A run that was started by hand has proven both logins: what stood still for them starts again."""
        try:
            async with get_client() as client:
                await release(self.installation, client, list(self.logins))
        except httpx.HTTPError as error:
            get_run_logger().warning("schedules of %s still stand still: %s", self.row.name, type(error).__name__)

    async def _blocks(self, refusal: AuthenticationError, systems: tuple[str, str]) -> list[str]:
        denied = [block for block, login in self.logins.items() if await is_denied(self.installation, block, login)]
        if denied:
            return denied
        named = (self.row.source_block, self.row.target_block)
        return [block for block, system in zip(named, systems, strict=True) if system == refusal.system] or list(named)

    async def _stop(self, blocks: Sequence[str]) -> None:
        try:
            async with get_client() as client:
                for block in blocks:
                    await stop(self.installation, client, block)
        except httpx.HTTPError as error:
            # The login stays denied in the store, so that the runs that still start try nothing.
            get_run_logger().warning("schedules of %s could not be stopped: %s", self.row.name, type(error).__name__)


@asynccontextmanager
async def turn(installation: Installation) -> AsyncIterator[None]:
    """The turn to change the tags of deployments: Prefect has no compare-and-set, and two at once would lose one's.

    Whoever has it changes a few deployments; after half a minute the next one goes on without it.
    """
    store = installation.store
    # No connection has an empty name, so no direction's lease is called like this.
    lease = Lease(store.db, store.clock, name="/deployments", owner=uuid4().hex)
    with suppress(BusyError):
        await lease.acquire()
    try:
        yield
    finally:
        await lease.release()


async def stop(installation: Installation, client: PrefectClient, block: str) -> list[str]:
    """Stop the schedules of every connection that names the block; safe to repeat. The connections it concerns."""
    rows = await _named_by(installation, [block])
    async with turn(installation):
        for row in rows:
            deployments = await _deployments(installation, client, row.name)
            news = [one for one in deployments if block not in refused_blocks(one.tags)]
            for found in deployments:
                with suppress(ObjectNotFound):
                    await _stop(client, found, block)
            if news:
                told = f"# Login needed\n\nBlock `{block}` was refused. What to do: {remedy(row.name)}"
                await _show(client, row.name, told)
    return [row.name for row in rows]


async def release(installation: Installation, client: PrefectClient, blocks: Sequence[str]) -> list[str]:
    """The logins in these blocks work: start again exactly what was stopped for them. The connections that run again.

    What stands still for another refused block as well goes on standing still.
    """
    started = []
    rows = await _named_by(installation, blocks)
    still = [row for row in rows if await _standing_still(installation, client, row.name)]
    if not still:
        return []
    async with turn(installation):
        for row in still:
            for found in await _standing_still(installation, client, row.name):
                with suppress(ObjectNotFound):
                    await _release(client, found, set(blocks), {row.source_block, row.target_block})
            if not await _standing_still(installation, client, row.name):
                await _show(client, row.name, "# Login works\n\nThe schedules that were stopped run again.")
                started.append(row.name)
    return started


async def _stop(client: PrefectClient, found: DeploymentResponse, block: str) -> None:
    for _attempt in range(_TRIES):
        active = [one.id for one in found.schedules if one.active]
        tags = {*found.tags, NEEDS_AUTH, REFUSED + block, *(f"{STOPPED}{one}" for one in active)}
        if tags == set(found.tags) and not active:
            return
        # First the note, then the deed: a schedule that stands still without a note would stay so for ever.
        await client.update_deployment(found.id, DeploymentUpdate(tags=sorted(tags)))
        for schedule in active:
            await _set_active(client, found, schedule, False)
        found = await client.read_deployment(found.id)


async def _release(client: PrefectClient, found: DeploymentResponse, mended: set[str], named: set[str]) -> None:
    """`named` are the blocks that the connection names now: a refused one that it no longer uses is no obstacle."""
    for _attempt in range(_TRIES):
        gone = {REFUSED + block for block in mended}
        if set(refused_blocks(found.tags)) & named <= mended:
            stopped = {tag.removeprefix(STOPPED) for tag in found.tags if tag.startswith(STOPPED)}
            for schedule in found.schedules:
                if str(schedule.id) in stopped and not schedule.active:
                    await _set_active(client, found, schedule.id, True)
            gone |= set(notes_of_logins(found.tags))
        if not gone & set(found.tags):
            return
        await client.update_deployment(found.id, DeploymentUpdate(tags=sorted(set(found.tags) - gone)))
        found = await client.read_deployment(found.id)


async def _set_active(client: PrefectClient, found: DeploymentResponse, schedule: UUID, active: bool) -> None:
    # A person may remove the schedule at the same moment.
    with suppress(ObjectNotFound):
        await client.update_deployment_schedule(found.id, schedule, active=active)


async def _named_by(installation: Installation, blocks: Sequence[str]) -> list[ConnectionRow]:
    rows = await installation.connections.list()
    return [row for row in rows if {row.source_block, row.target_block} & set(blocks)]


async def _deployments(installation: Installation, client: PrefectClient, connection: str) -> list[DeploymentResponse]:
    wanted = [TAG, owner_tag(installation), connection_tag(connection)]
    return await client.read_deployments(
        deployment_filter=DeploymentFilter(tags=DeploymentFilterTags(all_=wanted)), limit=_PAGE
    )


async def _standing_still(
    installation: Installation, client: PrefectClient, connection: str
) -> list[DeploymentResponse]:
    return [one for one in await _deployments(installation, client, connection) if NEEDS_AUTH in one.tags]


async def _show(client: PrefectClient, connection: str, markdown: str) -> None:
    """The same key each time, so that the page in the UI shows how it stands now and what was before."""
    context = FlowRunContext.get()
    run = context.flow_run.id if context is not None and context.flow_run is not None else None
    artifact = ArtifactCreate(type="markdown", key=f"{connection}-login", data=markdown, flow_run_id=run)
    await client.create_artifact(artifact)
