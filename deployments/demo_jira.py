"""The demo's second half: posted invoices fail the match in QAD, people decide in Jira, and QAD learns of it at once.

Nobody starts the runs that carry decisions back: the site's signed webhook does, through the receiver.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from deployments import launching, rehearsal
from deployments.automations import Woken
from deployments.demo_stage import RUN_SECONDS, Act, Stage
from deployments.launching import Ended
from deployments.output import progress
from deployments.rehearsal import EXCEPTIONS, ISSUES
from ml_connector.domain.outcomes import Outcome
from ml_connector.store import inbox
from ml_connector.store.ledger import LedgerRow
from sandbox.jira.adf_text import plain
from sandbox.story import Json

if TYPE_CHECKING:
    from prefect.client.schemas.objects import FlowRun

THERE, BACK = "qad_to_jira", "jira_to_qad"
BUYER = "712020:buyer-0005"
_SYSTEMS = ("jira", "qad")
_FIELDS: Mapping[str, str] = ISSUES["issues"]["fields"]
_SLOTS: Mapping[str, str] = ISSUES["decisions"]["invoice"]
_LOOK_S = 0.2
# An invoice that is in order stays untold.
_TOLD = frozenset(Outcome) - {Outcome.SKIPPED, Outcome.UNCHANGED}
RELEASED = "INV-1002"
_SHOWN = ("kind", "amount", "currency", "variance")


@dataclass(frozen=True)
class Telling:
    """One run to Jira: what happens in QAD before it, and what its records come to.

    `jira` is how many writes that takes, `issues` what the new ones show, `says` how comments begin.
    """

    why: str
    records: Mapping[str, str]
    acts: Sequence[Act] = ()
    jira: int = 0
    issues: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    says: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Deciding:
    """What a person does about an invoice's issue, and what QAD shows of it afterwards.

    `says` is how the comment begins that tells the person why QAD refused.
    """

    why: str
    invoice: str
    steps: Sequence[tuple[str, Mapping[str, Any]]]
    outcome: str
    shows: Mapping[str, str]
    acts: Sequence[Act] = ()
    says: str = ""
    jira: int = 0
    qad: int = 0


def _fails(invoice: str, variance: int) -> Act:
    return "qad", "do/fail_match", {"invoiceReference": invoice, "variance": variance}


_START: tuple[str, Mapping[str, Any]] = ("transition", {"to": "Start"})
_FINISH: tuple[str, Mapping[str, Any]] = ("transition", {"to": "Finish"})
_DECLINE: tuple[str, Mapping[str, Any]] = ("transition", {"to": "Decline"})
_OVERDUE = {
    "purchaseOrderNumber": "PO100005",
    "changes": {"dueDate": (datetime.now(UTC).date() - timedelta(days=5)).isoformat()},
}
_HELD_BY_HAND = {"invoiceReference": "INV-1003", "changes": {"holdAmountTC": 45000}}

STORY: Sequence[Telling | Deciding] = (
    Telling(
        "in QAD two of these invoices fail the match, INV-1003 is held because Coupa voided it, and goods are late",
        {"INV-1002": "created", "INV-1003": "created", "INV-1005": "created", "PO100005": "created"},
        acts=[
            _fails("INV-1002", 25),
            _fails("INV-1005", 40),
            ("qad", "do/edit_invoice", _HELD_BY_HAND),
            ("qad", "do/edit_order_line", _OVERDUE),
        ],
        jira=4,
        issues={
            "INV-1002": {"kind": "Match", "amount": "813.4", "currency": "USD", "variance": "25"},
            "INV-1003": {"kind": "Hold", "amount": "45000", "currency": "JPY", "variance": "0"},
            "INV-1005": {"kind": "Match", "amount": "320", "currency": "USD", "variance": "40"},
            "PO100005": {"kind": "Late", "amount": "480", "currency": "USD", "variance": ""},
        },
    ),
    Deciding(
        "the buyer accepts INV-1002 in Jira: cost code CC40, and the issue is done",
        "INV-1002",
        [_START, ("set_fields", {"fields": {_FIELDS["cost_code"]: "CC40"}}), _FINISH],
        "updated",
        {"resolution": "Done", "cost_code": "CC40", "hold": "0"},
        qad=1,
    ),
    Deciding(
        "the buyer declines INV-1003; the settings release a hold for the resolution Done alone",
        "INV-1003",
        [_DECLINE],
        "updated",
        {"resolution": "Won't Do", "cost_code": "", "hold": "45000"},
        qad=1,
    ),
    Deciding(
        "the buyer accepts INV-1005, which was submitted for approval in QAD meanwhile",
        "INV-1005",
        [_START, _FINISH],
        "rejected target_refused",
        {"resolution": "", "cost_code": "", "hold": "40"},
        acts=[("qad", "do/submit_for_approval", {"invoiceReference": "INV-1005"})],
        says="QAD did not take this decision.",
        jira=1,
    ),
    Telling(
        "the match of INV-1002 is in order again, and its issue is told so",
        {"INV-1002": "updated"},
        # Its text and a comment.
        jira=2,
        says={"INV-1002": "The exception has cleared in QAD."},
    ),
)


@dataclass
class Issues:
    """The connection between QAD and Jira."""

    stage: Stage
    _known: set[str] = field(default_factory=set)

    async def play(self, first: int) -> None:
        """The chapters in their order; `first` is the number of the first run."""
        for number, chapter in enumerate(STORY, start=first):
            self.stage.teller.tell(f"\nRun {number}: {chapter.why}")
            await self.stage.act(chapter.acts)
            before = await self.stage.writes(_SYSTEMS)
            if isinstance(chapter, Telling):
                await self._tell(number, chapter)
                more = {"jira": chapter.jira}
            else:
                await self._decide(number, chapter)
                more = {"jira": chapter.jira, "qad": chapter.qad}
            self.stage.check_writes(before, await self.stage.writes(_SYSTEMS), more)

    async def _tell(self, number: int, chapter: Telling) -> None:
        stage, teller = self.stage, self.stage.teller
        ended = await stage.run(number, EXCEPTIONS, THERE)
        issues = await self._issues()
        told, shown = {}, {}
        for row in await stage.rows(EXCEPTIONS, THERE):
            if row.last_run == ended.flow_run and row.outcome in _TOLD:
                told[row.label] = _came_to(row)
                shown[row.label] = self._tell_issue(row, issues[str(row.target_id)])
        stage.tell_run(ended, told)
        teller.check(f"run {number} is as the story tells it", expected=dict(chapter.records), found=told)
        if chapter.issues:
            what = "Jira shows kind, amount and variance of each"
            teller.check(what, expected={key: dict(one) for key, one in chapter.issues.items()}, found=shown)
        for record, says in chapter.says.items():
            if record in shown:
                await self._check_comment(await self._issue_of(record), says)
        # What Jira announces of our own writes is looked at, too, and decides nothing.
        await self._at_rest()
        await self._ended()

    def _tell_issue(self, row: LedgerRow, issue: Json) -> dict[str, str]:
        facts = {name: _text(issue["fields"].get(_FIELDS[name])) for name in _SHOWN}
        variance = f", variance {facts['variance']}" if facts["variance"] else ""
        where = f"{self.stage.stack.sandboxes['jira']}/browse/{issue['key']}"
        tell = self.stage.teller.tell
        tell(f'  {row.label:<9} {row.outcome.value:<9} {issue["key"]} "{issue["fields"]["summary"]}"')
        tell(f"{'':<22}{facts['kind']}, {facts['amount']} {facts['currency']}{variance}; {where}")
        return facts

    async def _decide(self, number: int, chapter: Deciding) -> None:
        stage, teller = self.stage, self.stage.teller
        issue = await self._issue_of(chapter.invoice)
        if not issue:
            teller.check(f"{chapter.invoice} has an issue", expected=True, found=False)
            return
        for verb, given in chapter.steps:
            await rehearsal.admin(stage.stack, "jira", f"do/{verb}", {"issue": issue, "account": BUYER, **given})
        seconds = await self._seconds_until_told(number, chapter, issue)
        await self._at_rest()
        key = (await self._issues())[issue]["key"]
        rows = [one for one in await stage.rows(EXCEPTIONS, BACK) if (one.route, one.label) == ("decisions", key)]
        told = _came_to(rows[0]) if rows else ""
        where = f"{key} has a comment" if chapter.says else "QAD shows it"
        teller.tell(f"  {chapter.invoice}  {told}  {where} {seconds:.1f} s after the click in {key}")
        for ended in await self._ended():
            stage.tell_run(ended, {key: told})
        teller.check(f"run {number} is as the story tells it", expected=chapter.outcome, found=told)
        found = await self._shown(chapter.invoice)
        teller.check(f"QAD shows {_words(found)}", expected=dict(chapter.shows), found=found)
        if chapter.says:
            await self._check_comment(issue, chapter.says)
        starters = sorted({one.created_by.display_value or "" for one in await self._runs_back() if one.created_by})
        what = "nobody started a run: Jira's webhook did"
        teller.check(what, expected=[Woken(EXCEPTIONS, BACK).automation], found=starters)

    async def _seconds_until_told(self, number: int, chapter: Deciding, issue: str) -> float:
        async def told() -> bool:
            if chapter.says:
                return bool(await self._comments(issue))
            return await self._shown(chapter.invoice) == dict(chapter.shows)

        began = time.monotonic()
        with progress(f"Run {number}"):
            await _until(told)
        return time.monotonic() - began

    async def _check_comment(self, issue: str, says: str) -> None:
        """There is one comment; people read what it says."""
        found = await self._comments(issue)
        for line in "\n".join(found).splitlines():
            self.stage.teller.tell(f"{'':<22}| {line}")
        starts = [one.startswith(says) for one in found]
        self.stage.teller.check("the issue has one comment that says so", expected=[True], found=starts)

    async def prove(self) -> None:
        """Ask both tenants what really took effect."""
        stage, teller = self.stage, self.stage.teller
        jira, qad = await stage.truth("jira"), await stage.truth("qad")
        tokens = {row.label: row.token for row in await stage.rows(EXCEPTIONS, THERE) if row.target_id}
        once = dict.fromkeys(tokens.values(), 1)
        teller.check("Jira: each exception has exactly one issue", expected=once, found=jira["tokens"])
        teller.check("Jira: each of them was created once", expected=once, found=jira["creates"])
        said = [one for chapter in STORY for one in _commented(chapter)]
        commented = {tokens[one]: 1 for one in sorted(said) if one in tokens}
        teller.check("Jira: comments where the story tells of one", expected=commented, found=jira["comments"])
        invoices = {one["key"]: one["reference"] for one in qad["invoices"]}
        updates = {invoices[key]: one for key, one in qad["updates"].get("supplierInvoice", {}).items()}
        decided = {one.invoice: 1 for one in STORY if isinstance(one, Deciding) and one.qad}
        calls = {key: one["calls"] for key, one in updates.items()}
        teller.check("QAD: each decision that it took was written once", expected=decided, found=calls)
        released = {key: one["releases"] for key, one in updates.items() if "releases" in one}
        teller.check("QAD: the one hold was released, once", expected={RELEASED: 1}, found=released)

    async def _issue_of(self, record: str) -> str:
        """The id of the issue of an invoice or order."""
        rows = await self.stage.rows(EXCEPTIONS, THERE)
        return next((str(one.target_id) for one in rows if one.label == record), "")

    async def _issues(self) -> dict[str, Json]:
        """The issues of the stand-in by their ids."""
        return {one["id"]: one for one in await rehearsal.admin(self.stage.stack, "jira", "state/issues")}

    async def _comments(self, issue: str) -> list[str]:
        """The texts of an issue's comments, oldest first."""
        found = (await self._issues())[issue]["fields"]["comment"]["comments"]
        return [plain(one["body"]) or "" for one in found]

    async def _shown(self, invoice: str) -> dict[str, str]:
        """What QAD shows of a decision: resolution, cost code and the hold."""
        for one in await rehearsal.admin(self.stage.stack, "qad", "state/supplierInvoices"):
            if one["invoiceReference"] == invoice:
                slots = {name: one[_SLOTS[name]] for name in ("resolution", "cost_code")}
                return {**slots, "hold": f"{one['holdAmountTC']:g}"}
        return {}

    async def _at_rest(self) -> None:
        """Wait until everything that Jira announced was looked at."""
        store = self.stage.installation.store

        async def quiet() -> bool:
            sent = (await self.stage.truth("jira"))["deliveries"]["waiting"] == 0
            if not sent or await inbox.waiting(store.db, EXCEPTIONS, BACK, 1):
                return False
            return all(one.state is not None and one.state.is_final() for one in await self._runs_back())

        await _until(quiet)

    async def _ended(self) -> list[Ended]:
        """The runs back that ended since the last look, oldest first."""
        new = [str(one.id) for one in await self._runs_back() if str(one.id) not in self._known]
        self._known |= set(new)
        return [await launching.wait(self.stage.installation, self.stage.client, one) for one in new]

    async def _runs_back(self) -> list[FlowRun]:
        from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterName, FlowFilter, FlowFilterName

        found = await self.stage.client.read_flow_runs(
            flow_filter=FlowFilter(name=FlowFilterName(any_=["jira-to-qad"])),
            deployment_filter=DeploymentFilter(name=DeploymentFilterName(any_=[EXCEPTIONS])),
        )
        return sorted(found, key=lambda one: str(one.created))


async def _until(probe: Callable[[], Awaitable[bool]]) -> bool:
    """Whether it came true in time."""
    try:
        async with asyncio.timeout(RUN_SECONDS):
            while True:
                if await probe():
                    return True
                await asyncio.sleep(_LOOK_S)
    except TimeoutError:
        return False


def _came_to(row: LedgerRow) -> str:
    return " ".join([row.outcome.value, *(one.code for one in row.reasons)])


def _commented(chapter: Telling | Deciding) -> list[str]:
    """The records whose issues get a comment."""
    if isinstance(chapter, Telling):
        return list(chapter.says)
    return [chapter.invoice] if chapter.says else []


def _text(value: Any) -> str:
    if isinstance(value, Mapping):
        return str(value["value"])
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float | int) else str(value or "")


def _words(shown: Mapping[str, str]) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {value or 'none'}" for name, value in shown.items())
