"""What the service flows need beside the five steps: which doubts are open, and the record that a person means."""

from __future__ import annotations

import getpass
from collections import Counter
from collections.abc import Sequence
from typing import Any

from prefect.client.schemas.objects import State
from prefect.context import get_run_context

from ml_connector.domain.outcomes import Outcome
from ml_connector.errors import ConfigurationError
from ml_connector.installation import Installation
from ml_connector.pairs.registry import of_pair
from ml_connector.store import ledger
from ml_connector.store.ledger import LedgerRow
from ml_connector.sync import repair
from tasks.runtime import ActiveRun


async def doubtful_directions(connection: str) -> list[str]:
    """The directions of a connection with open doubts, in business order."""
    async with Installation.open() as installation:
        row = await installation.connections.get(connection)
        rows = await ledger.listing(installation.store.db, outcomes=[Outcome.IN_DOUBT], connection=connection)
        doubtful = {one.direction for one in rows}
        return [one.name for one in of_pair(row.pair) if one.name in doubtful]


async def order_replay(run: ActiveRun, record: str, *, recreate: bool) -> LedgerRow | None:
    """Make the record due; ConfigurationError when this direction knows no such record. None when the run is busy."""
    if run.steps is None:
        return None
    sync = run.steps.run
    row = await repair.find(sync, record)
    if row is None:
        raise ConfigurationError(f"{run.direction} of {run.connection} knows no record {record}")
    return await repair.request_replay(sync, row, by=_who(), recreate=recreate)


def _who() -> str:
    """Who asked: the person behind the flow run where Prefect knows one, else the account that runs it."""
    flow_run = getattr(get_run_context(), "flow_run", None)
    creator = flow_run.created_by.display_value if flow_run and flow_run.created_by else None
    return creator or getpass.getuser()


def replayed(run: ActiveRun, row: LedgerRow | None) -> State[Any]:
    """The state of a replay: what became of the record."""
    state = run.state
    if row is not None and state.message:
        return state.model_copy(update={"message": f"{row.label}: {state.message}"})
    return state


def together(runs: Sequence[ActiveRun]) -> State[Any]:
    """One state for several directions; what needs most attention names it."""
    if failure := next((run.failure for run in runs if run.failure), None):
        return failure
    if all(run.busy for run in runs):
        return runs[0].state
    whole = ActiveRun(runs[0].connection, "", counts=sum((run.counts for run in runs), Counter()))
    return whole.state
