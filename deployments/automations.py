"""The automation that ends runs whose host died: no heartbeat for three beats, and Prefect calls the run crashed.

Without it such a run stays `Running` for ever and keeps its deployment's only slot. The run may still be alive; the
lease in our own store is what keeps it from writing.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from tasks.tags import TAG

if TYPE_CHECKING:
    from prefect.client.orchestration import PrefectClient
    from prefect.events.schemas.automations import Automation, AutomationCore

ZOMBIES = "ml-connector: runs without a heartbeat"
_DEFAULT_BEAT_S = 180


async def ensure_zombie_automation(client: PrefectClient) -> None:
    """Make the automation, or bring it up to date; one that a person has switched off stays off."""
    wanted = _zombie_automation()
    found = await zombie_automation(client)
    if found is None:
        await client.create_automation(wanted)
        return
    same = {"trigger", "actions", "description"}
    if found.model_dump(mode="json", include=same) != wanted.model_dump(mode="json", include=same):
        await client.update_automation(found.id, wanted.model_copy(update={"enabled": found.enabled}))


async def zombie_automation(client: PrefectClient) -> Automation | None:
    """The automation as it is on the server."""
    found = await client.read_automations_by_name(ZOMBIES)
    return found[0] if found else None


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
