"""Documents that touch one object go one after another, and none while an earlier one may still be on its way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from ml_connector.domain.keys import source_version
from ml_connector.domain.outcomes import Outcome
from ml_connector.domain.reasons import reason
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
    """Remember the lanes in which a create is in doubt: its document may appear at any moment."""
    for work in works:
        row = work.known
        if row.in_doubt and row.in_doubt.ordinal == 0:
            lane = route.effects[0].turn(stored_payload(run, row, row.in_doubt)).lane
            run.blocked |= {lane} - {""}


async def hold_twins(
    run: SyncRun, route: Route[Any], works: Sequence[Work[Any]]
) -> tuple[list[Work[Any]], list[Outcome]]:
    """Hold the records whose lane is open: the target cannot say yet whether they would be a second document."""
    free = [work for work in works if _turn(run, route, work).lane not in run.blocked]
    twins = [work for work in works if _turn(run, route, work).lane in run.blocked]
    if twins:
        rows = []
        for work in twins:
            row = run.judged(work.known, Outcome.HELD, (reason("twin_in_doubt"),))
            rows.append(replace(row, source_version=source_version(work.record, route.reads)))
        async with run.transaction() as tx:
            await run.save(tx, rows, [event("held", row) for row in rows])
    return free, [Outcome.HELD] * len(twins)


def _turn(run: SyncRun, route: Route[Any], work: Work[Any]) -> Turn:
    """A document that exists has no turn to wait for."""
    return Turn() if work.known.posted else route.effects[0].turn(document(run, route.effects[0], work))
