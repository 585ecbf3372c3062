"""Where a flow run keeps what tasks must not be handed: clients, store, lease. Tasks name it and find it here."""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from prefect.blocks.core import Block
from prefect.client.schemas.objects import State
from prefect.context import get_run_context
from prefect.events import emit_event
from prefect.logging import get_run_logger
from prefect.settings import PREFECT_API_URL
from prefect.states import Completed

from ml_connector.domain.outcomes import Outcome
from ml_connector.errors import AuthenticationError, BusyError, ConfigurationError, ConnectorError
from ml_connector.installation import Installation
from ml_connector.pairs.registry import direction as find_direction
from ml_connector.pairs.registry import of_pair
from ml_connector.sync.steps import EngineSteps
from ml_connector.sync.work import Page
from tasks.logins import LoginsOfRun
from tasks.tags import NEEDS_AUTH

_NAMES = {Outcome.IN_DOUBT: "In doubt", Outcome.HELD: "Held", Outcome.REJECTED: "Rejected"}
ALARMS = {
    "missed_webhooks": "%s changes came without a webhook delivery and were found by the sweep; "
    "ml-connector doctor says what to look at",
}
_active: dict[tuple[str, str], ActiveRun] = {}


@dataclass(slots=True)
class ActiveRun:
    """A direction's run in this process. `busy` means that another run works, so this one does nothing.

    `failure` is the final state of a run that a refused login has ended, `failed` what kept a route from being taken.
    """

    connection: str
    direction: str
    steps: EngineSteps | None = None
    session: Any = None
    busy: str = ""
    failure: State[Any] | None = None
    failed: ConnectorError | None = None
    counts: Counter[str] = field(default_factory=Counter)

    @property
    def routes(self) -> tuple[str, ...]:
        """The routes of the direction in business order; none when another run works."""
        return tuple(self.steps.run.routes) if self.steps is not None else ()

    def count(self, pages: list[Page]) -> None:
        """Add the outcomes of finished pages."""
        for page in pages:
            self.counts.update(page.counts)

    @property
    def state(self) -> State[Any]:
        """The final state that the analyst sees: its name says what needs attention, its message the counts."""
        if self.failure is not None:
            return self.failure
        if self.busy:
            return Completed(name="Busy", message=self.busy)
        total = sum(self.counts.values())
        told = ", ".join(f"{count} {name}" for name, count in sorted(self.counts.items()))
        name = next((name for outcome, name in _NAMES.items() if self.counts[outcome.value]), "Completed")
        return Completed(name=name, message=f"{total} read: {told}" if total else "nothing to do")


def active(connection: str, direction: str) -> EngineSteps:
    """The steps of the run that a task belongs to."""
    run = _active[connection, direction]
    if run.steps is None:
        raise RuntimeError(f"{direction} of {connection} is not running in this process")
    return run.steps


def session_of(connection: str, direction: str) -> Any:
    """The open session of the run that a task belongs to."""
    return _active[connection, direction].session


@asynccontextmanager
async def sync_run(direction: str, connection: str, *, part: str = "") -> AsyncIterator[ActiveRun]:
    """Open everything a direction needs for one flow run, under its lease, and close it again.

    `part` names the run within a flow run that works on several directions.
    A refused login ends the block quietly, with the final state in the run: everything that would use the login stops.
    """
    _refuse_ephemeral_server()
    # What is loaded by now stays to the end of the process, so the collector need not look at it again and again.
    gc.freeze()
    run = ActiveRun(connection, direction)
    flow_run: Any = get_run_context().flow_run  # type: ignore[union-attr]
    run_id = f"{flow_run.id}/{part}" if part else str(flow_run.id)
    plan = find_direction(direction)
    async with AsyncExitStack() as stack:
        installation = await stack.enter_async_context(Installation.open())
        row = await installation.connections.get(connection)
        blocks = (row.source_block, row.target_block)
        logins = [(await load_block(name)).login() for name in blocks]
        of_run = LoginsOfRun(installation, row, dict(zip(blocks, logins, strict=True)))
        try:
            session = await stack.enter_async_context(plan.open(installation, row, logins, run_id=run_id))
        except BusyError as busy:
            run.busy = busy.message
            get_run_logger().info(busy.message)
            yield run
            return
        run.session, run.steps = session, session.steps
        _active[connection, direction] = run
        stack.callback(_active.pop, (connection, direction), None)
        try:
            yield run
            await session.finish(run.counts)
            _raise_alarms(run)
            if run.failed is not None:
                raise run.failed
        except AuthenticationError as refusal:
            # A connection names its blocks in the order of its pair's first direction.
            first = of_pair(plan.pair)[0]
            run.failure = await of_run.refused(refusal, (first.source, first.target))
            return
        if NEEDS_AUTH in flow_run.tags:
            await of_run.work_again()


async def load_block(name: str) -> Any:
    """A credentials block by its document name (`coupa-credentials/acme`), with a clear error when there is none."""
    try:
        return await Block.aload(name)
    except ValueError as error:
        remedy = "create it in the Prefect UI under Blocks"
        raise ConfigurationError(f"block {name} cannot be loaded; {remedy}") from error


def _raise_alarms(run: ActiveRun) -> None:
    """What nobody would see in the outcomes: a warning in the log, and an event that an automation can act on."""
    for name, count in run.session.alarms().items():
        get_run_logger().warning(ALARMS[name], count)
        emit_event(
            event=f"ml-connector.{name.replace('_', '-')}",
            resource={"prefect.resource.id": f"ml-connector.{run.connection}.{run.direction}"},
            payload={"count": count},
        )


def _refuse_ephemeral_server() -> None:
    # A temporary server exits before it has recorded what happened, and the run history is part of the product.
    if not PREFECT_API_URL.value():
        raise ConfigurationError("PREFECT_API_URL is not set: start a Prefect server and point to it")
