"""Documents that touch one object go one after another, and none while its twin may still be on its way."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from ml_connector.store import ledger
from ml_connector.store.ledger import DONE
from ml_connector.sync.asking import document
from ml_connector.sync.payloads import stored_payload
from ml_connector.sync.run import SyncRun
from ml_connector.sync.seams import Route, Turn
from ml_connector.sync.work import Work


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


async def twins(tx: AsyncConnection, run: SyncRun, route: Route[Any], works: Sequence[Work[Any]]) -> frozenset[str]:
    """Rows whose document the target cannot tell yet from one that it does not show: of any run and any connection.

    That is one of the same lane whose create is open, or the same paper created within the target's settle time.
    """
    first = route.effects[0]
    turns = {work.known.id: _turn(run, route, work) for work in works}
    rivals = await ledger.rivals(
        tx,
        target=(run.target_tenant, route.target_type),
        labels={run.label(route, work) for work in works if turns[work.known.id].lane},
        since=run.now - first.target.settle,
        leave_out=turns.keys(),
    )
    lanes: set[str] = set()
    papers: set[str] = set()
    for row in rivals:
        turn = first.turn(stored_payload(run.store.keys, row, row.effects[0]))
        (lanes if row.effects[0].open else papers).add(turn.lane if row.effects[0].open else turn.paper)
    return frozenset(name for name, turn in turns.items() if turn.lane in lanes or turn.paper in papers - {""})


def _turn(run: SyncRun, route: Route[Any], work: Work[Any]) -> Turn:
    """A document that is as it should be has no turn to wait for."""
    first = route.effects[0]
    return Turn() if work.known.effects[0].state == DONE else first.turn(document(run, first, work))
