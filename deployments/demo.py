"""The demo: the story of `sandbox.story`, played through Prefect over real HTTP and then proven by the tenants.

Three runs post Coupa's invoices to QAD, three bring QAD's payments back, and one more finds a void; then some of these
invoices become issues in Jira (`demo_jira`). The process worker carries out each run; what each record came to is told
and compared with the story.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from deployments import demo_jira, rehearsal, server
from deployments.demo_stage import Act, Stage, Teller
from deployments.home import Home
from deployments.output import progress
from deployments.rehearsal import CONNECTION
from deployments.stack import Plan, Stack, running
from ml_connector.domain.outcomes import Outcome
from ml_connector.installation import Installation
from ml_connector.store.audit_verify import verify
from ml_connector.store.ledger import LedgerRow
from sandbox import story

THERE, BACK = "coupa_to_qad", "qad_to_coupa"
_SYSTEMS = ("coupa", "qad")
_WIDTH = {THERE: 9, BACK: 15}
# What was skipped stays untold: a supplier that is inactive, and that Coupa does not know.
_SUPPLIER_WORDS = {Outcome.UPDATED: "brought in line"} | {
    one: one.value for one in (Outcome.CREATED, Outcome.HELD, Outcome.REJECTED, Outcome.IN_DOUBT)
}
POSTED = {"INV-1001": "4001", "INV-1002": "4002", "INV-1003": "4003", "CN-1004": "4004", "INV-1005": "4005"}
RECEIPT = {"purchaseOrderNumber": "PO100005", "purchaseOrderLine": 1, "quantity": 40}


@dataclass(frozen=True)
class Chapter:
    """One run of the story: what happens before it, what its records come to and why, what each tenant is written.

    `paid` are the payment entries that Coupa shows afterwards, and whether the invoice is paid.
    """

    why: str
    records: Mapping[str, str]
    direction: str = THERE
    acts: Sequence[Act] = ()
    coupa: int = 0
    qad: int = 0
    paid: Mapping[str, str] = field(default_factory=dict)


STORY = (
    Chapter(
        "seven approved invoices wait in Coupa",
        {
            "INV-1001": "created",
            "INV-1002": "created",
            "INV-1003": "created",
            "CN-1004": "created",
            "INV-1005": "held receipt_missing",
            "INV-1006": "held po_missing_here_only",
            "INV-1007": "rejected total_differs",
        },
        # Each posted invoice is one write in QAD and three in Coupa: exported mark, voucher number, history.
        coupa=12,
        qad=4,
    ),
    Chapter(
        "the goods of INV-1005 have come: a receipt of 40 was posted in QAD",
        {"INV-1005": "created", "INV-1006": "held po_missing_here_only", "INV-1007": "rejected total_differs"},
        acts=[("qad", "do/post_receipt", RECEIPT)],
        coupa=3,
        qad=1,
    ),
    Chapter(
        "a second invoice, INV-1008, bills the goods of INV-1005 again",
        {
            "INV-1006": "held po_missing_here_only",
            "INV-1007": "rejected total_differs",
            "INV-1008": "held receipt_missing",
        },
        acts=[("coupa", "seed", {"invoices": [story.second_invoice()]})],
    ),
    Chapter(
        "QAD has paid INV-1001 in full and INV-1002 in part; the suppliers of both systems are compared, too",
        {"suppliers": "4 brought in line, 5 created", "INV-1001/50001": "created", "INV-1002/50002": "created"},
        direction=BACK,
        acts=[("qad", "do/pay", one) for one in story.payments()],
        # Nine suppliers, two payments, and the mark that one of the invoices is paid.
        coupa=12,
        paid={"4001": "600.00, paid", "4002": "400.00, not paid"},
    ),
    Chapter(
        "the payment of INV-1001 was voided in QAD",
        {"INV-1001/50001": "updated"},
        direction=BACK,
        acts=[("qad", "do/set_payment_status", story.voided_payment())],
        coupa=2,
        paid={"4001": "600.00 -600.00, not paid", "4002": "400.00, not paid"},
    ),
    Chapter(
        "QAD has paid INV-1001 again",
        {"INV-1001/50003": "created"},
        direction=BACK,
        acts=[("qad", "do/pay", story.payment_again())],
        coupa=2,
        paid={"4001": "600.00 -600.00 600.00, paid", "4002": "400.00, not paid"},
    ),
    Chapter(
        "INV-1003, posted long since, was voided in Coupa: that is for a person",
        {
            "INV-1003": "rejected reverse",
            "INV-1006": "held po_missing_here_only",
            "INV-1007": "rejected total_differs",
            "INV-1008": "held receipt_missing",
        },
        acts=[("coupa", "do/void_invoice", story.voided_invoice())],
    ),
)


@dataclass(frozen=True)
class _Invoices:
    """The connection between Coupa and QAD."""

    stage: Stage

    async def run(self, number: int, chapter: Chapter) -> None:
        """What happens before it, then one run by the worker, told record by record."""
        stage, teller = self.stage, self.stage.teller
        await stage.act(chapter.acts)
        teller.tell(f"\nRun {number}: {chapter.why}")
        before = await stage.writes(_SYSTEMS)
        ended = await stage.run(number, CONNECTION, chapter.direction)
        told = self._tell([row for row in await stage.rows(CONNECTION) if row.last_run == ended.flow_run])
        stage.tell_run(ended, told)
        ordered = [dict(sorted(one.items())) for one in (chapter.records, told)]
        teller.check(f"run {number} is as the story tells it", expected=ordered[0], found=ordered[1])
        more = {"coupa": chapter.coupa, "qad": chapter.qad}
        stage.check_writes(before, await stage.writes(_SYSTEMS), more)
        if chapter.paid:
            found = _payments(await stage.truth("coupa"))
            shown = "; ".join(f"{_number(key)}: {text}" for key, text in found.items())
            teller.check(f"Coupa shows the payments of {shown}", expected=dict(chapter.paid), found=found)

    def _tell(self, rows: Sequence[LedgerRow]) -> dict[str, str]:
        """Each record with what it came to and why; suppliers, of which there are many, in one line."""
        told: dict[str, str] = {}
        if suppliers := _suppliers([row for row in rows if row.route == "suppliers"]):
            told["suppliers"] = suppliers
            self.stage.teller.tell(f"  suppliers: {suppliers}")
        for row in rows:
            if row.route != "suppliers":
                told[_name(row)] = " ".join([row.outcome.value, *(one.code for one in row.reasons)])
                self.stage.teller.tell(f"  {_name(row):<{_WIDTH[row.direction]}} {row.outcome.value:<9} {_why(row)}")
        return told

    async def prove(self) -> None:
        """Ask both tenants what really took effect."""
        stage, teller = self.stage, self.stage.teller
        qad, coupa = await stage.truth("qad"), await stage.truth("coupa")
        rows = {row.label: row for row in await stage.rows(CONNECTION)}
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
        active = {number: 1 for number, one in qad["suppliers"].items() if one["isActive"]}
        teller.check("Coupa: each supplier of QAD exists once", expected=active, found=coupa["suppliers"])


async def play(home: Home, teller: Teller) -> None:
    """Start everything, play the story run by run, prove the result and end everything."""
    async with _stage(home, teller) as stage:
        invoices, issues = _Invoices(stage), demo_jira.Issues(stage)
        for number, chapter in enumerate(STORY, start=1):
            await invoices.run(number, chapter)
        await issues.play(len(STORY) + 1)
        teller.tell("\nProof, from the tenants' own counters:")
        await invoices.prove()
        await issues.prove()
        await _prove_audit(stage)
        teller.finished = True


@asynccontextmanager
async def _stage(home: Home, teller: Teller) -> AsyncIterator[Stage]:
    async def prepare(stack: Stack) -> None:
        await rehearsal.prepare(stack, scheduled=False)

    # Saving its blocks registers the types that the story needs.
    plan = Plan(worker_limit=1, receiver_port=0, sandboxes=rehearsal.plans(), blocks="")
    async with running(home, plan, prepare=prepare) as stack:
        async with Installation.open() as installation, server.api() as client:
            yield Stage(stack, installation, client, teller)
        with progress("Ending everything"):
            for child in reversed(stack.children):
                await child.stop()


async def _prove_audit(stage: Stage) -> None:
    store = stage.installation.store
    report = await verify(store.db, store.keys, stage.installation.settings.checkpoints)
    what = f"Audit trail: {sum(report.chains.values())} events, unbroken"
    stage.teller.check(what, expected=[], found=report.problems)


def _name(row: LedgerRow) -> str:
    """A record as it is told: a payment by the invoice that it pays and its own number, the year left out."""
    return f"{row.label.split()[0]}/{row.label.rpartition('/')[2]}" if row.route == "payments" else row.label


def _number(key: str) -> str:
    return next(label for label, known in POSTED.items() if known == key)


def _suppliers(rows: Sequence[LedgerRow]) -> str:
    counts = Counter(row.outcome for row in rows)
    return ", ".join(f"{counts[one]} {word}" for one, word in _SUPPLIER_WORDS.items() if counts[one])


def _payments(coupa: Mapping[str, Any]) -> dict[str, str]:
    """Per Coupa invoice its payment entries in order, and whether it is paid."""
    return {
        key: f"{' '.join(one['amount-paid'] for one in entries)}, {'paid' if key in coupa['paid'] else 'not paid'}"
        for key, entries in coupa["payments"].items()
    }


def _why(row: LedgerRow) -> str:
    if row.reasons or not row.target_id:
        return "; ".join(one.text for one in row.reasons)
    what = "QAD voucher" if row.direction == THERE else "Coupa invoice"
    notes = [note for effect in row.effects for note in effect.notes]
    return "; ".join([f"{what} {row.target_id.partition('#')[0]}", *notes])
