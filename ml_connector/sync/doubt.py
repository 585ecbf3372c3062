"""Doubt: a write that may have taken effect is settled by asking the target, never by sending again blindly.

The stored payload is asked for. Found settles at once; absent counts only when the settle time since the doubt
began is over, and then the effect goes back to pending with the same revision and key. A row that another lease
left as intended is in doubt since it is found: counting from its Intend would double (models: the doubt rule).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from ml_connector.domain.outcomes import Outcome
from ml_connector.domain.reasons import reason
from ml_connector.domain.writes import REMEMBERED, Absent, Finding, Foreign, Found, Taken
from ml_connector.store import ledger, reservations
from ml_connector.store.audit import AuditEvent
from ml_connector.store.ledger import DONE, IN_DOUBT, INTENDED, PENDING, LedgerRow
from ml_connector.sync import agreeing
from ml_connector.sync.asking import conflict, order
from ml_connector.sync.payloads import stored_payload
from ml_connector.sync.run import SyncRun, event
from ml_connector.sync.seams import Route
from ml_connector.sync.work import Work


@dataclass(slots=True)
class Settled:
    """Which records are clear now, and the outcomes of those that are not."""

    left: list[Outcome] = field(default_factory=list)
    clear: list[Work[Any]] = field(default_factory=list)


async def settle(run: SyncRun, route: Route[Any], works: Sequence[Work[Any]]) -> Settled:
    """Ask the target about every doubtful effect of these records."""
    await run.lease.keep()
    await _notice(run, works)
    findings: dict[str, Finding] = {}
    asked_at = run.now
    for ordinal, effect in enumerate(route.effects):
        orders = []
        for work in works:
            one = work.known.in_doubt
            if one is not None and one.ordinal == ordinal:
                orders.append(order(effect, work.known, stored_payload(run.store.keys, work.known, one), key=one.key))
        if orders:
            findings.update(await effect.target.find(orders))
    return await _conclude(run, route, works, findings, asked_at)


async def _notice(run: SyncRun, works: Sequence[Work[Any]]) -> None:
    """Rows left as intended by another lease are in doubt from now on; noted once."""
    found = []
    for work in works:
        one = work.known.in_doubt
        if one is not None and one.state == INTENDED and one.epoch != run.lease.epoch:
            doubtful = work.known.with_effect(replace(one, state=IN_DOUBT, doubt_since=run.now))
            why = reason("waits_for_clear_answer", effect=one.name)
            work.row = run.judged(doubtful, Outcome.IN_DOUBT, (why,))
            found.append(work)
    if found:
        async with run.transaction() as tx:
            events = [event("found_intended", work.known) for work in found]
            saved = await run.save(tx, [work.known for work in found], events)
        for work, row in zip(found, saved, strict=True):
            work.row = row


async def _conclude(
    run: SyncRun,
    route: Route[Any],
    works: Sequence[Work[Any]],
    findings: dict[str, Finding],
    asked_at: datetime,
) -> Settled:
    found = {
        work.known.id: one.target_id
        for work in works
        if isinstance(one := findings.get(work.known.external_id), Found) and _creates(work)
    }
    taken = await run.owned_elsewhere(route, found)
    settled, standing = Settled(), []
    changed: list[tuple[Work[Any], LedgerRow, AuditEvent]] = []
    for work in works:
        finding = findings.get(work.known.external_id, Absent())
        if work.known.id in taken and isinstance(finding, Found):
            finding = Taken(finding.target_id)
        answer = _answer(run, route, work, finding, asked_at)
        if answer is None:
            standing.append(work.known)
            settled.left.append(work.known.outcome)
        else:
            changed.append((work, *answer))
    agreed = [
        agreeing.settled(route.effects[0], row, stored_payload(run.store.keys, row, row.effects[0]))
        for work, row, _ in changed
        if _creates(work) and (row.effects[0].state == DONE or _made(findings.get(work.known.external_id), row))
    ]
    posted = {row.id for _, row, _ in changed if row.posted}
    freed = {row.id for _, row, _ in changed if not row.posted and not row.in_doubt and row.outcome is Outcome.HELD}
    async with run.transaction() as tx:
        saved = await run.save(tx, [row for _, row, _ in changed], [one for _, _, one in changed])
        await ledger.touch(tx, standing, run=run.id, page=run.page, due_at=run.now)
        await reservations.make_permanent(tx, posted)
        await reservations.release(tx, freed)
        await agreeing.note(run, tx, agreed)
    for (work, _, _), row in zip(changed, saved, strict=True):
        work.row = row
        if row.outcome is Outcome.REJECTED:
            settled.left.append(row.outcome)
        else:
            settled.clear.append(work)
    return settled


def _creates(work: Work[Any]) -> bool:
    one = work.known.in_doubt
    return one is not None and one.ordinal == 0


def _made(finding: Finding | None, row: LedgerRow) -> bool:
    """A new object shows that it was made as intended once, whatever others have made of it since."""
    return isinstance(finding, Found) and not row.target_id


def _answer(
    run: SyncRun, route: Route[Any], work: Work[Any], finding: Finding, asked_at: datetime
) -> tuple[LedgerRow, AuditEvent] | None:
    """The row after the target's answer, or None when the answer changes nothing (yet)."""
    row, one = work.known, work.known.in_doubt
    if one is None:
        raise RuntimeError(f"{row.external_id} is not in doubt")
    effect = route.effects[one.ordinal]
    if not effect.proves:
        # Ours may still arrive and undo what others did since: it is read and written again when it no longer can.
        finding = Absent()
    if isinstance(finding, Found) and not finding.differs:
        synced = one.blob if effect.operation in REMEMBERED else None
        notes = tuple(finding.data.get("notes") or one.notes)
        done = replace(
            one, state=DONE, target_id=finding.target_id, doubt_since=None, synced=synced, notes=notes
        )
        row = row.with_effect(done)
        if one.ordinal == 0:
            row = replace(row, target_id=finding.target_id)
        row = run.judged(row, Outcome.CREATED if row.complete else Outcome.IN_DOUBT)
        return row, event("found", row, effect=one.name, target=finding.target_id)
    # An object that shows other content shows the write as not (yet) done.
    other_content = isinstance(finding, Found) and effect.operation == "upsert"
    if not isinstance(finding, Absent | Foreign) and not other_content:
        why = conflict(finding, effect)
        if (row.outcome, row.reasons) == (Outcome.REJECTED, (why,)):
            return None
        row = run.judged(row, Outcome.REJECTED, (why,))
        return row, event("rejected", row, effect=one.name)
    if one.doubt_since is None or asked_at - one.doubt_since < effect.target.settle:
        return None
    # A definite absence frees the receipts; the payload stays, to be sent again as it was.
    row = row.with_effect(replace(one, state=PENDING, doubt_since=None))
    row = run.judged(row, Outcome.HELD, (reason("transient", effect=one.name),))
    return row, event("absent", row, effect=one.name)
