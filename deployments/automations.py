"""The automations beside the deployments: one ends runs whose host died, one per direction starts it when news waits.

Without the first a dead run stays `Running` for ever and keeps its deployment's only slot. The run may still be alive;
the lease in our own store is what keeps it from writing. The others turn the receiver's event into a run at once; an
event that is lost costs time, because each direction looks by its schedule, too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import UUID

from ml_connector.webhooks.wake import EVENT, resource_id
from tasks.tags import TAG

if TYPE_CHECKING:
    from prefect.client.orchestration import PrefectClient
    from prefect.events.schemas.automations import Automation, AutomationCore

ZOMBIES = "ml-connector: runs without a heartbeat"
_WAKE = "ml-connector: wake "
_DEFAULT_BEAT_S = 180
_SAME = {"trigger", "actions", "description"}
_PAGE = 200


@dataclass(frozen=True, slots=True)
class Woken:
    """A direction of a connection that deliveries wake."""

    connection: str
    direction: str

    @property
    def automation(self) -> str:
        """The name of its automation."""
        return f"{_WAKE}{self.connection} {self.direction}"


async def ensure_zombie_automation(client: PrefectClient) -> None:
    """Make the automation, or bring it up to date; one that a person has switched off stays off."""
    await _put(client, await zombie_automation(client), _zombie_automation())


async def zombie_automation(client: PrefectClient) -> Automation | None:
    """The automation as it is on the server."""
    found = await client.read_automations_by_name(ZOMBIES)
    return found[0] if found else None


async def ensure_wake_automations(client: PrefectClient, ours: str, wanted: Mapping[Woken, UUID]) -> None:
    """One automation per direction that deliveries wake, each starting that deployment; those of others go.

    `ours` is the tag of this installation, so that nobody else's on a shared server are touched. One that a person has
    switched off stays off.
    """
    for woken, deployment in wanted.items():
        found = await client.read_automations_by_name(woken.automation)
        await _put(client, found[0] if found else None, _wake_automation(woken, deployment, ours))
    kept = {one.automation for one in wanted}
    for found_one in await wake_automations(client, ours):
        if found_one.name not in kept:
            await client.delete_automation(found_one.id)


async def wake_automations(client: PrefectClient, ours: str) -> Sequence[Automation]:
    """The automations of this installation that wake a direction, as they are on the server."""
    from prefect.events.filters import AutomationFilter, AutomationFilterTags

    mine = AutomationFilter(tags=AutomationFilterTags(all_=[TAG, ours]))
    found: list[Automation] = []
    while True:
        page = await client.read_automations(automations=mine, limit=_PAGE, offset=len(found))
        found += page
        if len(page) < _PAGE:
            return [one for one in found if one.name.startswith(_WAKE)]


async def _put(client: PrefectClient, found: Automation | None, wanted: AutomationCore) -> None:
    if found is None:
        await client.create_automation(wanted)
    elif found.model_dump(mode="json", include=_SAME) != wanted.model_dump(mode="json", include=_SAME):
        await client.update_automation(found.id, wanted.model_copy(update={"enabled": found.enabled}))


def _zombie_automation() -> AutomationCore:
    from prefect.client.schemas.objects import StateType
    from prefect.events.actions import ChangeFlowRunState
    from prefect.events.schemas.automations import AutomationCore, EventTrigger, Posture
    from prefect.events.schemas.events import ResourceSpecification
    from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY

    beat = PREFECT_FLOWS_HEARTBEAT_FREQUENCY.value() or _DEFAULT_BEAT_S
    ours = {"prefect.resource.role": "tag", "prefect.resource.id": f"prefect.tag.{TAG}"}
    return AutomationCore(
        name=ZOMBIES,
        description="A run whose host died is called crashed, so that the next one can start.",
        trigger=EventTrigger(
            after={"prefect.flow-run.heartbeat"},
            expect={"prefect.flow-run.*"},
            match=ResourceSpecification({"prefect.resource.id": ["prefect.flow-run.*"]}),
            match_related=ResourceSpecification(ours),
            for_each={"prefect.resource.id"},
            posture=Posture.Proactive,
            threshold=1,
            within=timedelta(seconds=3 * beat),
        ),
        actions=[
            ChangeFlowRunState(
                state=StateType.CRASHED, message=f"No heartbeat for {3 * beat} s: its host or process has died."
            )
        ],
    )


def _wake_automation(woken: Woken, deployment: UUID, ours: str) -> AutomationCore:
    from prefect.events.actions import RunDeployment
    from prefect.events.schemas.automations import AutomationCore, EventTrigger, Posture
    from prefect.events.schemas.events import ResourceSpecification

    return AutomationCore(
        name=woken.automation,
        description=f"A delivery for {woken.direction} of {woken.connection} starts its run at once.",
        tags=[TAG, ours],
        trigger=EventTrigger(
            expect={EVENT},
            match=ResourceSpecification({"prefect.resource.id": resource_id(woken.connection, woken.direction)}),
            for_each={"prefect.resource.id"},
            posture=Posture.Reactive,
            threshold=1,
            within=timedelta(0),
        ),
        actions=[RunDeployment(source="selected", deployment_id=deployment)],
    )
