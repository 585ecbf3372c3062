"""What people decide in Jira on its way to QAD: whose issues count, when one is decided, what QAD is told.

A record is found by the issue's id in the ledger, never by a field of the issue: a copy of an issue carries that too.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from ml_connector.domain.issues import IssueState
from ml_connector.domain.keys import source_version
from ml_connector.domain.outcomes import READY, Decision, Verdict, held, rejected, skipped
from ml_connector.domain.reasons import reason
from ml_connector.domain.records import Unreadable
from ml_connector.pairs.qad_jira.mapping import COST_CODE
from ml_connector.pairs.qad_jira.ours import OurIssue, OurIssues
from ml_connector.pairs.qad_jira.settings import QadJiraSettings
from ml_connector.store.ledger import LedgerRow
from ml_connector.sync.run import SyncRun
from ml_connector.sync.seams import Batch, Facts, Source, Turn

READS = frozenset({"status_id", "status", "category", "resolution", "fields", "moved_at"})
APPROVAL = "approval"
# An event that is still on its way after this long counts as missed; Jira aims at 30 s (README, "Deliveries").
_GRACE = timedelta(minutes=2)


def decision_fields(settings: QadJiraSettings) -> dict[str, str]:
    """The custom fields of an issue that decide something, by our names."""
    named = {APPROVAL: settings.decisions.approval_field}
    if settings.merged_cost_code("invoice") or settings.merged_cost_code("order"):
        named[COST_CODE] = settings.issues.fields["cost_code"]
    return {name: one for name, one in named.items() if one}


@dataclass(slots=True)
class Missed:
    """Counts decisions that no delivery announced: the webhook is gone, or its way here is."""

    wanted: bool
    count: int = 0


class IssuesOfOurs:
    """Source: issues of ours; other people's leave no trace."""

    def __init__(self, inner: Source[IssueState], ours: OurIssues) -> None:
        self._inner = inner
        self._ours = ours

        self.stream = inner.stream

    async def pages(self, start: str | None, since: str | None) -> AsyncIterator[Batch[IssueState]]:
        """The stream's batches without the issues of others."""
        async for batch in self._inner.pages(start, since):
            ours = await self._ours.of([*(one.key for one in batch.records), *(one.key for one in batch.unreadable)])
            yield batch._replace(
                records=[one for one in batch.records if one.key in ours],
                unreadable=[one for one in batch.unreadable if one.key in ours],
            )

    async def by_key(self, keys: Sequence[str]) -> Mapping[str, IssueState | Unreadable]:
        """Those of these issues that are ours, as they are now."""
        ours = await self._ours.of(keys)
        return await self._inner.by_key([key for key in keys if key in ours])


class NewIssues(IssuesOfOurs):
    """Source: issues of ours that were never read back, such as one whose create was in doubt while people worked on.

    Their deliveries came when nobody knew them, and the poll may have gone past them meanwhile.
    """

    def __init__(
        self,
        inner: Source[IssueState],
        ours: OurIssues,
        known: Callable[[Sequence[str]], Awaitable[Mapping[str, object]]],
    ) -> None:
        super().__init__(inner, ours)
        self.stream = "jira.new_issues"
        self._known = known

    async def pages(self, start: str | None, since: str | None) -> AsyncIterator[Batch[IssueState]]:
        """All of them at once; usually there are none."""
        ids = await self._ours.lately()
        known = await self._known(ids) if ids else {}
        if unread := [one for one in ids if one not in known]:
            found = (await self._inner.by_key(unread)).values()
            good = [one for one in found if not isinstance(one, Unreadable)]
            yield Batch(good, [one for one in found if isinstance(one, Unreadable)], "end")


class Sweep(IssuesOfOurs):
    """Source: the poll behind the deliveries; it counts what none of them announced."""

    def __init__(
        self, inner: Source[IssueState], ours: OurIssues, *, check: DecisionCheck, missed: Missed, run: SyncRun
    ) -> None:
        super().__init__(inner, ours)
        self._check = check
        self._missed = missed
        self._run = run

    async def pages(self, start: str | None, since: str | None) -> AsyncIterator[Batch[IssueState]]:
        """The stream's batches; deliveries are read before, so what is new here came without one."""
        async for batch in super().pages(start, since):
            if self._missed.wanted and since is not None:
                self._missed.count += await self._unannounced(batch.records)
            yield batch

    async def _unannounced(self, records: Sequence[IssueState]) -> int:
        """How many show a decision that the ledger has not seen, although a delivery would have come by now."""
        late = [one for one in records if one.updated < self._run.now - _GRACE]
        rows = await self._check.known([one.key for one in late])
        seen = {key: row.source_version for key, (row, _) in rows.items()}
        # Settings may make another version of what was delivered long ago.
        older = {key for key, (row, _) in rows.items() if row.settings_version != self._run.settings_version}
        late = [one for one in late if one.key not in older]
        news = [one for one in late if seen.get(one.key) != source_version(one, READS)]
        decisions = self._check.decide(news, await self._check.load(news)) if news else []
        return sum(one.ready for one in decisions)


@dataclass(frozen=True, slots=True)
class _Context:
    """What is known of the issues of a page: ours, cost codes last agreed on, what QAD was told, stale decisions."""

    ours: Mapping[str, OurIssue]
    agreed: Mapping[str, Mapping[str, str]]
    told: Mapping[str, Mapping[str, Any]]
    outdated: frozenset[str]


@dataclass(frozen=True, slots=True)
class DecisionCheck:
    """An issue goes to QAD once somebody has decided something about it; from then on every change does.

    `known` gives the ledger rows of issues and what QAD was last told by each, `agreed` the values that both sides
    last had, `told_since` whether an issue told people something new after they had decided.
    """

    ours: OurIssues
    settings: QadJiraSettings
    known: Callable[[Sequence[str]], Awaitable[Mapping[str, tuple[LedgerRow, Mapping[str, Any]]]]]
    agreed: Callable[[Sequence[str]], Awaitable[Mapping[str, Mapping[str, str]]]]
    told_since: Callable[[IssueState], Awaitable[bool]]

    async def load(self, records: Sequence[IssueState]) -> _Context:
        """Everything that deciding needs; the history is read of those issues alone that would release a hold."""
        ours = await self.ours.of(one.key for one in records)
        rows = await self.known([one.key for one in records])
        told = {key: payload for key, (row, payload) in rows.items() if row.posted or row.in_doubt}
        releasing = [
            one
            for one in records
            if one.key in ours and self._releases(one, ours[one.key]) and not self._known_before(one, told.get(one.key))
        ]
        outdated = frozenset([one.key for one in releasing if await self.told_since(one)])
        return _Context(ours, await self.agreed([one.row for one in ours.values()]), told, outdated)

    def decide(self, records: Sequence[IssueState], context: _Context) -> list[Decision]:
        """One decision per issue; issues do not use each other up."""
        return [self._decide(one, context) for one in records]

    def _decide(self, one: IssueState, context: _Context) -> Decision:
        issue = context.ours.get(one.key)
        if issue is None:
            return skipped(reason("not_our_issue"))
        if issue.moving and decided(one, self.settings):
            # The step that shows may be ours, which is no decision.
            return held(reason("waits_for_clear_answer", effect="state"))
        # An issue that we closed because nothing is wrong any more is no decision; what people decided before stands.
        closed_by_us = self._closed_by_us(one, issue)
        resolution = "" if closed_by_us else decided(one, self.settings)
        before = context.told.get(one.key)
        if not (resolution or self._chosen(one, issue, context.agreed.get(issue.row, {})) or before is not None):
            return skipped(reason("undecided"))
        extra: dict[str, Any] = {"about": issue.about, "key": issue.key, "link": issue.row}
        if closed_by_us:
            return Decision(Verdict.READY, extra=extra)
        extra["resolution"] = resolution
        if self._releases(one, issue):
            if before is not None and self._known_before(one, before):
                # The same decision as before: neither done again with another amount, nor made a release afterwards.
                extra |= {"release": before["release"]} if "release" in before else {}
            elif one.key in context.outdated:
                return rejected(reason("told_since_decided"))
            else:
                extra["release"] = dict(issue.seen)
        return Decision(Verdict.READY, extra=extra)

    def _closed_by_us(self, one: IssueState, issue: OurIssue) -> bool:
        """Whether an issue stands where we closed it; where certain statuses decide, only in that very status."""
        exact = self.settings.decisions.decided_when == "statuses"
        status, moment = issue.closed
        if exact or not (moment and one.moved_at):
            return bool(status) and status == one.status_id
        return moment == one.moved_at

    def _known_before(self, one: IssueState, told: Mapping[str, Any] | None) -> bool:
        """Whether QAD was told this very decision."""
        return told is not None and told.get("decided") == _moment(one, decided(one, self.settings))

    def _releases(self, one: IssueState, issue: OurIssue) -> bool:
        names = {name.casefold() for name in self.settings.decisions.release_on}
        wanted = decided(one, self.settings).casefold() in names
        return wanted and issue.about == "invoice" and not self._closed_by_us(one, issue)

    def _chosen(self, one: IssueState, issue: OurIssue, agreed: Mapping[str, str]) -> bool:
        """Whether somebody approved, or chose another cost code than both sides last had."""
        merged = self.settings.merged_cost_code(issue.about)
        other_code = bool(merged) and one.fields.get(COST_CODE, "") != agreed.get(self.settings.cost_code_name, "")
        approval = one.fields.get(APPROVAL, "")
        return approval not in ("", *self.settings.decisions.approval_pending) or other_code


def decided(one: IssueState, settings: QadJiraSettings) -> str:
    """How an issue was resolved in people's words, by the rule of the settings; empty while it is not."""
    rules = settings.decisions
    if rules.decided_when == "done":
        over = one.category == "done"
    elif rules.decided_when == "resolution":
        over = bool(one.resolution)
    else:
        wanted = {status.casefold() for status in rules.statuses}
        over = one.status.casefold() in wanted or one.status_id in wanted
    return (one.resolution or one.status) if over else ""


def document(facts: Facts[IssueState], settings: QadJiraSettings) -> Mapping[str, Any]:
    """What QAD is told: members with a slot in the settings, and a release only where the resolution means one.

    `release` carries the hold that the issue showed: QAD's is released only if it is that one still. `decided` names
    the decision, and is for us alone.
    """
    one, extra = facts.record, (facts.decision or READY).extra or {}
    about = extra["about"]
    told: dict[str, Any] = {"issue_key": one.issue_key}
    found = {"about": about, "key": extra["key"], "issue": one.key, "link": extra["link"]}
    if "resolution" in extra:
        note = f"{one.issue_key}: {extra['resolution'] or one.status}"
        told |= {"resolution": extra["resolution"], "note": note, "remarks": note}
        found["decided"] = _moment(one, extra["resolution"])
    if settings.decisions.approval_field:
        told["approval"] = one.fields.get(APPROVAL, "")
    if settings.merged_cost_code(about):
        told[COST_CODE] = one.fields.get(COST_CODE, "")
    slots = getattr(settings.decisions, about).used
    found |= {name: value for name, value in told.items() if name in slots}
    return found | ({"release": extra["release"]} if "release" in extra else {})


def _moment(one: IssueState, resolution: str) -> str:
    """Names a decision: an issue that was reopened and finished again was decided anew."""
    return f"{resolution} {one.moved_at}" if resolution else ""


def turn(payload: Mapping[str, Any]) -> Turn:
    """What concerns one QAD record goes one after another."""
    return Turn(f"{payload['about']}/{payload['key']}")
