"""Judging: what the ledger knows of a record, and whether its preconditions hold now.

A record leaves here with its outcome (unchanged, held, rejected, skipped), goes on as ready to be written, or goes
on because earlier writes of it are unfinished.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ml_connector.domain.keys import fingerprint, source_version
from ml_connector.domain.outcomes import Decision, Outcome, Verdict
from ml_connector.domain.reasons import Reason, reason
from ml_connector.store import ledger
from ml_connector.store.audit import AuditEvent
from ml_connector.store.ledger import DONE, PENDING, REFUSED, LedgerRow
from ml_connector.sync import agreeing
from ml_connector.sync.asking import UNUSABLE, document
from ml_connector.sync.run import SyncRun, event, lacks
from ml_connector.sync.seams import Effect, Route
from ml_connector.sync.work import Work, pack

_OUTCOMES = {Verdict.HELD: Outcome.HELD, Verdict.REJECTED: Outcome.REJECTED, Verdict.SKIPPED: Outcome.SKIPPED}


@dataclass(slots=True)
class Judged:
    """Where the records of a page went."""

    left: list[Outcome] = field(default_factory=list)
    ready: list[Work[Any]] = field(default_factory=list)
    unfinished: list[Work[Any]] = field(default_factory=list)
    dropped: int = 0


@dataclass(slots=True)
class _Leaving:
    """Rows to save because something changed, and rows that only stand as they were."""

    changed: list[tuple[LedgerRow, AuditEvent]] = field(default_factory=list)
    standing: list[LedgerRow] = field(default_factory=list)


async def judge(run: SyncRun, route: Route[Any], works: Sequence[Work[Any]], *, drop_seen: bool = True) -> Judged:
    """Judge the records of a page against ledger and preconditions; saves what leaves, in one transaction.

    A record that another page of this run has decided already is dropped, unless `drop_seen` is off.
    """
    rows = await agreeing.reopened(run, route, await run.rows(route, (work.key for work in works)))
    judged, leaving, to_check = Judged(), _Leaving(), []
    reversals = await _reversals(route, works, rows)
    for work in works:
        work.row = rows.get(work.key)
        step = _classify(run, route, work, drop_seen, reversals)
        if step == "drop":
            judged.dropped += 1
        elif step == "check":
            to_check.append(work)
        elif step == "unfinished":
            judged.unfinished.append(work)
        else:
            before = work.row
            outcome = _leave(run, route, work, step, leaving)
            if before is not None and drop_seen and _seen(run, before) and before.outcome is outcome:
                judged.dropped += 1
            else:
                judged.left.append(outcome)
    await _check(run, route, to_check, judged, leaving)
    await _save(run, leaving)
    return judged


def _seen(run: SyncRun, row: LedgerRow) -> bool:
    """Whether another page of this run has counted the record."""
    return row.last_run == run.id and row.last_page != run.page


async def _reversals(
    route: Route[Any], works: Sequence[Work[Any]], rows: Mapping[str, LedgerRow]
) -> Mapping[str, str]:
    """What undid the posted documents of records that are no longer eligible."""
    over = [
        work.key
        for work in works
        if work.record is not None and work.key in rows and rows[work.key].posted and route.eligible(work.record)
    ]
    return await route.reversed_by(over) if route.reversed_by and over else {}


def _classify(
    run: SyncRun, route: Route[Any], work: Work[Any], drop_seen: bool, reversals: Mapping[str, str]
) -> str | Decision:
    """Where a record goes before anybody is asked about it: a step's name, or the decision it leaves with."""
    row = work.row
    version = source_version(work.record, route.reads) if work.record is not None else ""
    # What another page of this run has decided is dropped, unless it is another version by now: voided meanwhile, say.
    same = row is not None and (work.record is None or row.in_doubt is not None or version == row.source_version)
    if row is not None and drop_seen and same and _seen(run, row):
        return "drop"
    if row is not None and row.in_doubt:
        return "unfinished"
    if work.record is None:
        return _unread(work)
    filtered = route.eligible(work.record)
    if row is not None and row.posted:
        if filtered is not None and (by := reversals.get(work.key)):
            return Decision(Verdict.SKIPPED, (reason("reversed_by", target=row.target_id, by=by),))
        return _posted(run, route, work, row, version, filtered)
    if filtered is not None:
        return filtered
    if row is not None and _stands(run, row, version):
        return Decision(Verdict.REJECTED, row.reasons)
    return "check"


def _unread(work: Work[Any]) -> Decision:
    if work.problem == "missing":
        return Decision(Verdict.HELD, (reason("source_not_found"),))
    return Decision(Verdict.REJECTED, (reason("source_unreadable", path=work.path),))


def _stands(run: SyncRun, row: LedgerRow, version: str) -> bool:
    """A rejected record is planned again only on a new source version or new settings."""
    unchanged = row.source_version == version and row.settings_version == run.settings_version
    return row.outcome is Outcome.REJECTED and unchanged


def _posted(
    run: SyncRun, route: Route[Any], work: Work[Any], row: LedgerRow, version: str, filtered: Decision | None
) -> str | Decision:
    """A record whose document exists: never a second one, only what is still missing of its later effects."""
    if row.target_id is None:
        # Its number belongs to another record (the target gave it out twice), which only a person can sort out.
        return Decision(Verdict.REJECTED, row.reasons)
    if filtered is not None and route.void(work.record):
        return Decision(Verdict.REJECTED, (reason("reverse", target=row.target_id),))
    if route.on_change == "update":
        return _in_line(run, row, version)
    if version != row.written_version:
        return Decision(Verdict.REJECTED, (reason("edited_after_posting", target=row.target_id),))
    undone = route.undone(work.record)
    reopened = tuple(
        # Done once and undone by a person: another write, with a key of its own.
        replace(one, state=PENDING, blob=None, revision=one.revision + 1)
        if one.name in undone and one.state == DONE
        else one
        for one in row.effects
    )
    if row.complete and reopened == row.effects:
        return "unchanged"
    if any(one.state == REFUSED for one in row.effects) and _stands(run, row, version):
        return Decision(Verdict.REJECTED, row.reasons)
    work.row = replace(row, effects=reopened)
    return "unfinished"


def _in_line(run: SyncRun, row: LedgerRow, version: str) -> str | Decision:
    """A document that follows its record: nothing to do, standing for a person, or to be judged and written again."""
    if row.complete and version == row.written_version:
        return "unchanged"
    return Decision(Verdict.REJECTED, row.reasons) if _stands(run, row, version) else "check"


async def _check(run: SyncRun, route: Route[Any], works: list[Work[Any]], judged: Judged, leaving: _Leaving) -> None:
    if not works:
        return
    records = [work.record for work in works]
    decisions = _decide(route, records, await route.check.load(records))
    for work, decision in zip(works, decisions, strict=True):
        if decision.ready:
            work.decision = decision
            work.documents.clear()
            work.row = work.row or run.new_row(route, work)
            if work.row.posted and not _reopened(run, route, work):
                judged.left.append(_leave_in_line(run, work, leaving))
            else:
                judged.ready.append(work)
        else:
            judged.left.append(_leave(run, route, work, decision, leaving))


def _decide(route: Route[Any], records: list[Any], context: Any) -> list[Decision]:
    """The check's decisions; a record that it cannot digest is rejected by itself and stops no other."""
    try:
        return route.check.decide(records, context)
    except UNUSABLE:
        return [_decide_alone(route, record, context) for record in records]


def _decide_alone(route: Route[Any], record: Any, context: Any) -> Decision:
    try:
        return route.check.decide([record], context)[0]
    except UNUSABLE as error:
        return Decision(Verdict.REJECTED, (reason("not_mappable", error=type(error).__name__),))


def _reopened(run: SyncRun, route: Route[Any], work: Work[Any]) -> bool:
    """Open the effects whose document is another one now; whether anything is left to write."""
    row = work.known
    effects = []
    for one, effect in zip(row.effects, route.effects, strict=False):
        another = one.state == DONE and _wanted(run, effect, work) != one.fingerprint
        effects.append(replace(one, state=PENDING) if another else one)
    version = source_version(work.record, route.reads)
    row = replace(row, source_version=version, written_version=version)
    work.row = replace(row, effects=(*effects, *row.effects[len(effects) :]))
    work.updates = row.complete or row.revision > 1
    return not work.row.complete


def _wanted(run: SyncRun, effect: Effect[Any], work: Work[Any]) -> str:
    try:
        return fingerprint(document(run, effect, work), leave_out=effect.clock_fields)
    except UNUSABLE:
        # The same document is asked for once more in a moment, and there the record is rejected by itself.
        return ""


def _leave_in_line(run: SyncRun, work: Work[Any], leaving: _Leaving) -> Outcome:
    """Another version of the record that comes to the same documents."""
    row = run.judged(work.known, Outcome.UPDATED)
    leaving.changed.append((row, event("same_document", row)))
    return Outcome.UNCHANGED


def _leave(run: SyncRun, route: Route[Any], work: Work[Any], step: str | Decision, leaving: _Leaving) -> Outcome:
    """Note the outcome of a record that goes no further; a standing one is only touched."""
    row = work.row or run.new_row(route, work)
    if isinstance(step, str):
        if row.outcome in (Outcome.HELD, Outcome.REJECTED, Outcome.IN_DOUBT):
            # Edited after posting and edited back, say: the exception is over.
            cleared = run.judged(row, Outcome.CREATED)
            cleared = replace(cleared, source_version=row.written_version)
            leaving.changed.append((cleared, event("cleared", cleared)))
        # What this run itself has just settled is its own doing.
        return row.outcome if row.last_run == run.id else Outcome.UNCHANGED
    outcome, reasons = _outcome(run, route, row, step)
    version = row.source_version if work.record is None else source_version(work.record, route.reads)
    standing = (row.outcome, row.reasons, row.source_version) == (outcome, reasons, version)
    if standing and row.settings_version == run.settings_version and row.version:
        leaving.standing.append(row)
        return outcome
    changed = replace(run.judged(row, outcome, reasons), source_version=version)
    if work.record is not None:
        changed = replace(changed, label=run.label(route, work), snapshot=_sealed(run, changed, work))
    leaving.changed.append((changed, event(outcome.value, changed)))
    return outcome


def _outcome(run: SyncRun, route: Route[Any], row: LedgerRow, decision: Decision) -> tuple[Outcome, tuple[Reason, ...]]:
    standing = row.outcome is Outcome.HELD and row.version and lacks(row.reasons) == lacks(decision.reasons)
    if decision.verdict is not Verdict.HELD or not standing:
        return _OUTCOMES[decision.verdict], decision.reasons
    return expired(run, route, replace(row, reasons=decision.reasons))


def expired(run: SyncRun, route: Route[Any], row: LedgerRow) -> tuple[Outcome, tuple[Reason, ...]]:
    """A hold that outlived its limit is rejected, but only now that it was found to be missing still."""
    if route.hold_limit is None or run.now - row.since < route.hold_limit:
        return Outcome.HELD, row.reasons
    over = reason("hold_expired", first=row.reasons[0].text, days=route.hold_limit.days)
    return Outcome.REJECTED, (over, *row.reasons)


def _sealed(run: SyncRun, row: LedgerRow, work: Work[Any]) -> bytes:
    return run.store.keys.seal(pack(work), about=row.id, schema=row.route, version=1)


async def _save(run: SyncRun, leaving: _Leaving) -> None:
    if not leaving.changed and not leaving.standing:
        return
    async with run.transaction() as tx:
        await run.save(tx, [row for row, _ in leaving.changed], [one for _, one in leaving.changed])
        await ledger.touch(tx, leaving.standing, run=run.id, page=run.page, due_at=run.now)
