"""Documents that touch one object go one after another, and none while an earlier one may still be on its way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from ml_connector.domain.keys import source_version
from ml_connector.domain.outcomes import Outcome
from ml_connector.domain.reasons import reason
from ml_connector.store import ledger
from ml_connector.store.ledger import DONE
from ml_connector.sync.asking import document
from ml_connector.sync.run import SyncRun, event
from ml_connector.sync.seams import Route, Turn
from ml_connector.sync.work import Work
from ml_connector.sync.writing import stored_payload


def in_turn(run: SyncRun, route: Route[Any], works: Sequence[Work[Any]]) -> tuple[list[Work[Any]], list[Work[Any]]]:
    """Who may go now, and who waits until these are written and is asked about again."""
    lanes: set[str] = set()
    touched: set[str] = set()
    now, later = [], []
    for work in works:
        turn = _turn(run, route, work)
        if turn.lane in lanes or turn.waits_for & touched:
            later.append(work)
        else:
            now.append(work)
            lanes |= {turn.lane} - {""}
        touched |= turn.touches
    return now, later


def note_open_lanes(run: SyncRun, route: Route[Any], works: Sequence[Work[Any]]) -> None:
    """Remember what was created, or may have been, and what the target therefore may show at any moment."""
    first = route.effects[0]
    if first.operation == "act":
        # An append says nothing about what others may append.
        return
    for work in works:
        row = work.known
        one = row.effects[0]
        if one.open:
            run.blocked |= {first.turn(stored_payload(run.store.keys, row, one)).lane} - {""}
        elif one.state == DONE and one.blob is not None and row.last_run == run.id:
            run.papers |= {first.turn(stored_payload(run.store.keys, row, one)).paper} - {""}


async def hold_twins(
    run: SyncRun, route: Route[Any], works: Sequence[Work[Any]]
) -> tuple[list[Work[Any]], list[Outcome]]:
    """Hold the records that the target cannot tell yet from a document of ours that it does not show."""
    turns = [_turn(run, route, work) for work in works]
    papers = run.papers | await _papers_of_late(run, route, works, turns)
    free: list[Work[Any]] = []
    twins: list[Work[Any]] = []
    for work, turn in zip(works, turns, strict=True):
        (twins if turn.lane in run.blocked or turn.paper in papers - {""} else free).append(work)
    if twins:
        rows = []
        for work in twins:
            row = run.judged(work.known, Outcome.HELD, (reason("twin_in_doubt"),))
            rows.append(replace(row, source_version=source_version(work.record, route.reads)))
        async with run.transaction() as tx:
            await run.save(tx, rows, [event("held", row) for row in rows])
    return free, [Outcome.HELD] * len(twins)


async def _papers_of_late(
    run: SyncRun, route: Route[Any], works: Sequence[Work[Any]], turns: Sequence[Turn]
) -> frozenset[str]:
    """What earlier runs, of any connection, created so lately that the target may not show it yet."""
    first = route.effects[0]
    labels = {run.label(route, work) for work, turn in zip(works, turns, strict=True) if turn.paper}
    rows = await ledger.written_since(
        run.store.db,
        target=(run.target_tenant, route.target_type),
        labels=labels,
        since=run.now - first.target.settle,
        leave_out={work.known.id for work in works},
    )
    payloads = (stored_payload(run.store.keys, row, row.effects[0]) for row in rows if row.effects[0].blob)
    return frozenset(first.turn(payload).paper for payload in payloads)


def _turn(run: SyncRun, route: Route[Any], work: Work[Any]) -> Turn:
    """A document that is as it should be has no turn to wait for."""
    first = route.effects[0]
    return Turn() if work.known.effects[0].state == DONE else first.turn(document(run, first, work))
