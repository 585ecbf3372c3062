"""The routes of this pair: exceptions of invoices and orders to Jira, decisions and what QAD refused of them back."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from functools import partial
from typing import Any

from pydantic import TypeAdapter

from ml_connector.domain.exceptions import PostedInvoice
from ml_connector.domain.issues import IssueState
from ml_connector.domain.keys import digest
from ml_connector.domain.outcomes import READY, Decision, skipped
from ml_connector.domain.reasons import reason
from ml_connector.pairs.qad_jira import decisions, exceptions, mapping, refusals
from ml_connector.pairs.qad_jira.decisions import DecisionCheck, IssuesOfOurs, Missed, NewIssues, Sweep
from ml_connector.pairs.qad_jira.exceptions import ExceptionsOf, QadException, Rules
from ml_connector.pairs.qad_jira.ours import BACK, ISSUE, RECORD_TYPES, OurIssues
from ml_connector.pairs.qad_jira.refusals import Known, Refusal, Refusals
from ml_connector.pairs.qad_jira.settings import QadJiraSettings
from ml_connector.store import agreed
from ml_connector.sync.inbox import InboxSource
from ml_connector.sync.payloads import synced_payload
from ml_connector.sync.run import SyncRun
from ml_connector.sync.seams import Effect, Route, Turn
from ml_connector.systems.jira.client import JiraClient
from ml_connector.systems.jira.notes import IssueNotes
from ml_connector.systems.jira.ports import ChangedIssues, told_since_decided
from ml_connector.systems.jira.states import IssueStates
from ml_connector.systems.jira.targets import Issues
from ml_connector.systems.qad.decision_target import Decisions
from ml_connector.systems.qad.exceptions import AgingInvoices, InvoiceChanges
from ml_connector.systems.qad.late_orders import LateOrders
from ml_connector.systems.qad.ports import QadRest

INBOX = "jira.events"
_TOPICS = ("jira:issue_created", "jira:issue_updated")
_EXCEPTIONS = TypeAdapter(QadException)
_ISSUES = TypeAdapter(IssueState)
_REFUSALS = TypeAdapter(Refusal)


@dataclass(frozen=True, slots=True)
class Ends:
    """What the routes of a run work with: both systems, the settings, and what the ledger knows."""

    qad: QadRest
    jira: JiraClient
    settings: QadJiraSettings
    run: SyncRun
    ours: OurIssues
    missed: Missed
    news: bool
    issues: Issues

    @property
    def link(self) -> str:
        """The QAD tenant, to which issues link back."""
        return self.qad.http.base_url


def to_jira(ends: Ends) -> dict[str, Route[Any]]:
    """Invoices first: what holds money back comes before what is merely late."""
    kinds = set(ends.settings.exceptions.kinds)
    routes: list[Route[Any]] = []
    if kinds & {"match", "hold"}:
        routes.append(_exceptions(ends, "invoices", "invoice", _invoice_sources(ends)))
    if "late" in kinds:
        routes.append(_exceptions(ends, "orders", "order", _order_sources(ends)))
    return {route.name: route for route in routes}


def to_qad(ends: Ends) -> dict[str, Route[Any]]:
    """Decisions, then comments about those that QAD did not take."""
    return {route.name: route for route in (_decisions(ends), _refused(ends))}


def _exceptions(ends: Ends, name: str, subject: str, sources: tuple[ExceptionsOf[Any], ...]) -> Route[QadException]:
    settings, rules = ends.settings, ends.settings.issues
    merged = settings.merged_cost_code(subject)  # type: ignore[arg-type]
    effects: list[Effect[QadException]] = [
        Effect(
            name=ISSUE,
            target=ends.issues,
            document=partial(mapping.issue, settings=settings, link=ends.link),
            operation="upsert",
            shared={mapping.field_member(merged): settings.cost_code_name} if merged else {},
        )
    ]
    if rules.comments:
        note = IssueNotes(ends.jira, settings.jira)
        effects.append(Effect(name="note", target=note, document=mapping.note, operation="tell"))
    states = IssueStates(ends.jira, settings.jira)
    effects.append(
        Effect(name="state", target=states, document=partial(mapping.state, rules=rules), operation="tell")
    )
    return Route(
        name=name,
        record_type=RECORD_TYPES[subject],
        target_type=ISSUE,
        records=_EXCEPTIONS,
        reads=exceptions.READS,
        sources=sources,
        check=ExceptionCheck(partial(ends.ours.known, subject)),
        effects=tuple(effects),
        key=lambda one: one.key,
        label=lambda one: one.number or one.key,
        on_change="update",
        # Other rules make exceptions of what was none before.
        scope=digest(settings.exceptions.model_dump(mode="json")),
    )


class ExceptionCheck:
    """A record gets an issue when something is wrong with it, and keeps it in line for as long as there is one."""

    def __init__(self, known: Callable[[Collection[str]], Awaitable[Collection[str]]]) -> None:
        self._known = known

    async def load(self, records: Sequence[QadException]) -> Collection[str]:
        """Which of those that are in order have an issue."""
        return await self._known([one.key for one in records if not one.kind])

    def decide(self, records: Sequence[QadException], context: Collection[str]) -> list[Decision]:
        """One decision per record; they do not use each other up."""
        return [READY if one.kind or one.key in context else skipped(reason("no_exception")) for one in records]


def _invoice_sources(ends: Ends) -> tuple[ExceptionsOf[PostedInvoice], ...]:
    rules, today = ends.settings.exceptions, ends.run.today
    judge = Rules(rules, today)
    common: dict[str, Any] = {
        "begin": today - timedelta(days=rules.first_load_days),
        "worth": judge.worth_reading,
        "known": partial(ends.ours.known, "invoice"),
        "cost_slot": ends.settings.decisions.invoice.cost_code,
    }
    aging = AgingInvoices(ends.qad, days=rules.unmatched_after_days, today=today, **common)
    changes = InvoiceChanges(ends.qad, seen=ends.ours.looks, remember=ends.ours.looked, **common)
    judged = exceptions.of_invoice(judge, partial(_received, ends.qad))
    return tuple(ExceptionsOf(one, judged) for one in (changes, aging))


def _order_sources(ends: Ends) -> tuple[ExceptionsOf[Any], ...]:
    rules, today = ends.settings.exceptions, ends.run.today
    late = LateOrders(
        ends.qad,
        today=today - timedelta(days=rules.late_after_days),
        window_days=rules.late_window_days,
        known_open=ends.ours.open_orders,
        cost_slot=ends.settings.decisions.order.cost_code,
    )
    return (ExceptionsOf(late, exceptions.of_order(Rules(rules, today))),)


async def _received(qad: QadRest, one: PostedInvoice) -> Decimal | None:
    """What was received on an invoice's orders, at their prices; None when QAD does not have the orders."""
    orders = await qad.purchase_orders(one.orders)
    receipts = await qad.goods_receipts(list(orders))
    if not orders:
        return None
    value = Decimal(0)
    for number, order in orders.items():
        for receipt in receipts.get(number, ()):
            line = order.line(receipt.po_line)
            value += receipt.quantity * line.price if line else Decimal(0)
    return value


def _decisions(ends: Ends) -> Route[IssueState]:
    settings, run = ends.settings, ends.run
    fields = decisions.decision_fields(settings)
    changed: ChangedIssues[IssueState] = ChangedIssues(
        ends.jira, settings.jira, fields=fields, first_load_days=settings.exceptions.first_load_days
    )
    store = run.store

    async def known(keys: Sequence[str]) -> Mapping[str, Any]:
        rows = await run.rows(run.routes[refusals.DECISIONS], keys)
        return {key: (row, synced_payload(store.keys, row, row.effects[0])) for key, row in rows.items()}

    async def agreed_on(issues: Sequence[str]) -> Mapping[str, Any]:
        return await agreed.load(store.db, store.keys, issues)

    ours = IssuesOfOurs(changed, ends.ours)
    events = InboxSource(INBOX, store, run.connection, BACK, topics=_TOPICS, inner=ours)
    by_status = settings.decisions.decided_when == "statuses"
    told_since = partial(told_since_decided, ends.jira, by_status=by_status)
    check = DecisionCheck(ends.ours, settings, known, agreed_on, told_since)
    sweep = Sweep(changed, ends.ours, check=check, missed=ends.missed, run=run)
    slots = {"invoice": settings.decisions.invoice.used, "order": settings.decisions.order.used}
    return Route(
        name=refusals.DECISIONS,
        record_type="decision",
        target_type="decision",
        records=_ISSUES,
        reads=decisions.READS,
        sources=(*((events,) if ends.news else ()), sweep, NewIssues(changed, ends.ours, known)),
        check=check,
        effects=(
            Effect(
                name="decide",
                target=Decisions(
                    ends.qad,
                    settings.qad,
                    slots,
                    release_status=settings.decisions.release_status,
                    hold_codes=settings.exceptions.hold_status_codes,
                ),
                document=partial(decisions.document, settings=settings),
                operation="upsert",
                shared={mapping.COST_CODE: settings.cost_code_name},
                turn=decisions.turn,
            ),
        ),
        key=lambda one: one.key,
        label=lambda one: one.issue_key,
        on_change="update",
        scope=digest([fields, settings.decisions.decided_when, settings.decisions.statuses]),
    )


def _refused(ends: Ends) -> Route[Refusal]:
    return Route(
        name=refusals.REFUSALS,
        record_type=refusals.RECORD_TYPE,
        target_type="refusal",
        records=_REFUSALS,
        reads=refusals.READS,
        sources=(Refusals(ends.run),),
        check=Known(),
        effects=(
            Effect(
                name="tell",
                target=IssueNotes(ends.jira, ends.settings.jira, first=True),
                document=refusals.comment,
                operation="tell",
                about="source",
                turn=lambda payload: Turn(str(payload["issue"])),
            ),
        ),
        key=lambda one: one.key,
        label=lambda one: f"{one.issue_key} refusal",
        on_change="update",
    )

