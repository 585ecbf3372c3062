"""Where the demo plays: everything that runs, what people do in the stand-in tenants, and what is told and compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import typer

from deployments import launching, rehearsal
from deployments.launching import Ended
from deployments.output import progress
from deployments.stack import Stack
from ml_connector.domain.outcomes import Outcome
from ml_connector.installation import Installation
from ml_connector.store import ledger
from ml_connector.store.ledger import LedgerRow

if TYPE_CHECKING:
    from prefect.client.orchestration import PrefectClient

RUN_SECONDS = 120.0
# What counts as a write in Jira; the other stand-ins count for themselves.
_JIRA_WRITES = ("creates", "edits", "transitions", "comments", "comment_edits", "links", "deletes")
# Which of the systems, what somebody does there, and with what.
Act = tuple[str, str, Mapping[str, Any]]


@dataclass
class Teller:
    """Tells what happens, and keeps what differs from the story."""

    quiet: bool = False
    finished: bool = False
    runs: list[dict[str, Any]] = field(default_factory=list)
    proof: list[dict[str, Any]] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether the story was played to its end and everything was as it is told."""
        return self.finished and all(one["ok"] for one in self.proof)

    def tell(self, text: str = "") -> None:
        """One line for the person who watches."""
        if not self.quiet:
            typer.echo(text)

    def check(self, what: str, *, expected: object, found: object) -> None:
        """Compare the story with what is; a difference is shown with both."""
        ok = expected == found
        self.proof.append({"what": what, "ok": ok} | ({} if ok else {"expected": expected, "found": found}))
        self.tell(f"  {'ok      ' if ok else 'DIFFERS '} {what}")
        if not ok:
            self.tell(f"           expected {expected}\n           found    {found}")


@dataclass(frozen=True)
class Stage:
    """The running desk with somebody who tells."""

    stack: Stack
    installation: Installation
    client: PrefectClient
    teller: Teller

    async def act(self, acts: Sequence[Act]) -> None:
        """People do something in the tenants, one after the other."""
        for system, verb, body in acts:
            await rehearsal.admin(self.stack, system, verb, body)

    async def truth(self, system: str) -> Mapping[str, Any]:
        """What really took effect in a tenant."""
        found: Mapping[str, Any] = await rehearsal.admin(self.stack, system, "truth")
        return found

    async def writes(self, systems: Sequence[str]) -> dict[str, int]:
        """How many writes took effect in these tenants so far, by their own counters."""
        return {system: _writes(await self.truth(system)) for system in systems}

    async def rows(self, connection: str, direction: str = "") -> list[LedgerRow]:
        """The records of a connection by their keys."""
        rows = await ledger.listing(self.installation.store.db, outcomes=list(Outcome), connection=connection)
        return sorted((row for row in rows if direction in ("", row.direction)), key=lambda row: row.external_id)

    async def run(self, number: int, connection: str, direction: str) -> Ended:
        """One run by the worker, to its end."""
        with progress(f"Run {number}"):
            started = await launching.start(self.client, connection, direction)
            return await launching.wait(self.installation, self.client, started.flow_run, within=RUN_SECONDS)

    def tell_run(self, ended: Ended, records: Mapping[str, str]) -> None:
        """How Prefect shows a run, and what its records came to."""
        self.teller.tell(f'  Prefect: "{ended.name}" ended {ended.state}: {ended.message}')
        self.teller.runs.append({**ended.facts(), "records": dict(records)})

    def check_writes(self, before: Mapping[str, int], after: Mapping[str, int], more: Mapping[str, int]) -> None:
        """Compare the tenants' counters with the writes that the story tells of."""
        expected = {name: count + more.get(name, 0) for name, count in before.items()}
        counts = ", ".join(f"{name} {before[name]} -> {after[name]}" for name in sorted(after))
        none = "" if any(more.values()) else " (nothing was sent)"
        self.teller.check(f"writes counted by the tenants: {counts}{none}", expected=expected, found=dict(after))


def _writes(truth: Mapping[str, Any]) -> int:
    if "writes" in truth:
        return int(truth["writes"])
    return sum(sum(truth[kind].values()) for kind in _JIRA_WRITES)
