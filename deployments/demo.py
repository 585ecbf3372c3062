"""The demo: the story of `sandbox.story`, played through Prefect over real HTTP and then proven by both tenants.

Three runs of the deployment by the process worker; what each record came to is told and compared with the story.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import typer

from deployments import launching, rehearsal, server
from deployments.home import Home
from deployments.output import progress
from deployments.rehearsal import CONNECTION
from deployments.stack import Plan, Stack, running
from ml_connector.domain.outcomes import Outcome
from ml_connector.installation import Installation
from ml_connector.store import ledger
from ml_connector.store.audit_verify import verify
from ml_connector.store.ledger import LedgerRow
from sandbox import story

if TYPE_CHECKING:
    from prefect.client.orchestration import PrefectClient

RUN_SECONDS = 120.0
DIRECTION = "coupa_to_qad"
# What the story says of each run: the records it looks at, their outcome and the code of the reason.
FIRST = {
    "INV-1001": "created",
    "INV-1002": "created",
    "INV-1003": "created",
    "CN-1004": "created",
    "INV-1005": "held receipt_missing",
    "INV-1006": "held po_missing_here_only",
    "INV-1007": "rejected total_differs",
}
SECOND = {"INV-1005": "created", "INV-1006": "held po_missing_here_only", "INV-1007": "rejected total_differs"}
THIRD = {
    "INV-1006": "held po_missing_here_only",
    "INV-1007": "rejected total_differs",
    "INV-1008": "held receipt_missing",
}
POSTED = {"INV-1001": "4001", "INV-1002": "4002", "INV-1003": "4003", "CN-1004": "4004", "INV-1005": "4005"}
RECEIPT = {"purchaseOrderNumber": "PO100005", "purchaseOrderLine": 1, "quantity": 40}


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
class _Stage:
    stack: Stack
    installation: Installation
    client: PrefectClient
    teller: Teller

    async def run(self, number: int, why: str, expected: Mapping[str, str]) -> None:
        """One run of the deployment by the worker, told record by record."""
        self.teller.tell(f"\nRun {number}: {why}")
        before = await self._writes()
        with progress(f"Run {number}"):
            started = await launching.start(self.client, CONNECTION, DIRECTION)
            ended = await launching.wait(self.installation, self.client, started.flow_run, within=RUN_SECONDS)
        rows = [row for row in await self._rows() if row.last_run == ended.flow_run]
        for row in rows:
            self.teller.tell(f"  {row.label:<9} {row.outcome.value:<9} {_why(row)}")
        self.teller.tell(f'  Prefect: "{ended.name}" ended {ended.state}: {ended.message}')
        after = await self._writes()
        told = {row.label: " ".join([row.outcome.value, *(one.code for one in row.reasons)]) for row in rows}
        self.teller.runs.append({**ended.facts(), "records": told})
        ordered = [dict(sorted(one.items())) for one in (expected, told)]
        self.teller.check(f"run {number} is as the story tells it", expected=ordered[0], found=ordered[1])
        self._check_writes(before, after, sum(1 for outcome in expected.values() if outcome == "created"))

    def _check_writes(self, before: Mapping[str, int], after: Mapping[str, int], posted: int) -> None:
        """Per posted invoice one write in QAD and three in Coupa: exported mark, voucher number, history."""
        expected = {"coupa": before["coupa"] + 3 * posted, "qad": before["qad"] + posted}
        counts = ", ".join(f"{name} {before[name]} -> {after[name]}" for name in sorted(after))
        what = f"writes counted by the tenants: {counts}"
        self.teller.check(what + ("" if posted else " (nothing was sent)"), expected=expected, found=dict(after))

    async def truth(self, system: str) -> Mapping[str, Any]:
        """What really took effect in a tenant."""
        found: Mapping[str, Any] = await rehearsal.admin(self.stack, system, "truth")
        return found

    async def _writes(self) -> dict[str, int]:
        return {system: int((await self.truth(system))["writes"]) for system in ("coupa", "qad")}

    async def _rows(self) -> list[LedgerRow]:
        rows = await ledger.listing(self.installation.store.db, outcomes=list(Outcome), connection=CONNECTION)
        return sorted(rows, key=lambda row: row.external_id)

    async def prove(self) -> None:
        """Ask both tenants what really took effect, and the audit trail whether it is whole."""
        self.teller.tell("\nProof, from the tenants' own counters:")
        qad, coupa, teller = await self.truth("qad"), await self.truth("coupa"), self.teller
        rows = {row.label: row for row in await self._rows()}
        tokens = {rows[label].token: 1 for label in POSTED if label in rows}
        found = qad["invoices_by_token"]
        teller.check("QAD: each posted invoice exists exactly once, none is missing", expected=tokens, found=found)
        references = sorted(one.rpartition("/")[2] for one in qad["invoices_by_reference"])
        teller.check("QAD: no other invoice exists", expected=sorted(POSTED), found=references)
        once = dict.fromkeys(POSTED.values(), 1)
        teller.check("Coupa: exactly those are marked exported, each once", expected=once, found=coupa["exported"])
        history = {key.split("/")[1]: count for key, count in coupa["history"].items()}
        teller.check("Coupa: each has one success in its history", expected=once, found=history)
        vouchers = {key: rows[label].target_id for label, key in POSTED.items() if label in rows}
        shown = {key: fields.get("cf-erp-invoice-number") for key, fields in coupa["custom_fields"].items()}
        teller.check("Coupa: each shows the number of its QAD voucher", expected=vouchers, found=shown)
        store = self.installation.store
        report = await verify(store.db, store.keys, self.installation.settings.checkpoints)
        teller.check(f"Audit trail: {sum(report.chains.values())} events, unbroken", expected=[], found=report.problems)
        teller.finished = True


async def play(home: Home, teller: Teller) -> None:
    """Start everything, play the three runs, prove the result and end everything."""
    async with _stage(home, teller) as stage:
        await stage.run(1, "seven approved invoices wait in Coupa", FIRST)
        await rehearsal.admin(stage.stack, "qad", "do/post_receipt", RECEIPT)
        await stage.run(2, "the goods of INV-1005 have come: a receipt of 40 was posted in QAD", SECOND)
        await rehearsal.admin(stage.stack, "coupa", "seed", {"invoices": [story.second_invoice()]})
        await stage.run(3, "a second invoice, INV-1008, bills the goods of INV-1005 again", THIRD)
        await stage.prove()


@asynccontextmanager
async def _stage(home: Home, teller: Teller) -> AsyncIterator[_Stage]:
    async def prepare(stack: Stack) -> None:
        await rehearsal.prepare(stack, scheduled=False)

    # Saving its blocks registers the two types that the story needs.
    plan = Plan(worker_limit=1, sandboxes=rehearsal.plans(), blocks="")
    async with running(home, plan, prepare=prepare) as stack:
        async with Installation.open() as installation, server.api() as client:
            yield _Stage(stack, installation, client, teller)
        with progress("Ending everything"):
            for child in reversed(stack.children):
                await child.stop()


def _why(row: LedgerRow) -> str:
    if row.target_id:
        notes: Sequence[str] = [note for effect in row.effects for note in effect.notes]
        return "; ".join([f"QAD voucher {row.target_id}", *notes])
    return "; ".join(one.text for one in row.reasons)
