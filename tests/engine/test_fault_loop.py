"""Crash at every call and every commit: whatever fails at whatever point, the rerun ends where a clean run ends.

A flow joins by one line in `FLOWS`: how its world is made, which direction it runs, and what counts as its effects.
The usual run tries a sixth of all points, spread over calls and faults; `ML_CONNECTOR_FAULTS=all` tries every one.
"""

from __future__ import annotations

import os
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from ml_connector.store.ledger import LedgerRow
from ml_connector.store.schema import reservation
from tests.engine import coupa_qad, jira_stories, qad_jira, way_back
from tests.engine.faults import CALL_FAULTS, COMMIT_FAULTS, Faults
from tests.engine.world import Json, World

SETTLED_S = 16 * 60
MOST_RERUNS = 4


@dataclass(frozen=True, slots=True)
class Flow:
    """One direction under test."""

    direction: str
    connection: str
    make: Callable[..., Awaitable[World]]
    effects: Callable[[World], Awaitable[Json]]


async def _coupa_to_qad_effects(world: World) -> Json:
    qad, coupa = await world.truth("qad"), await world.truth("coupa")
    return {
        "invoices": qad["invoices_by_reference"],
        "once": sorted(qad["invoices_by_token"].values()),
        "matched": qad["matched"],
        "exported": coupa["exported"],
        "history": sorted(coupa["history"].values()),
        "custom_fields": sorted(coupa["custom_fields"]),
    }


async def _qad_to_coupa_effects(world: World) -> Json:
    coupa = await world.truth("coupa")
    told: Json = {name: coupa[name] for name in ("paid", "suppliers", "lookup_values")}
    # Tokens differ from world to world, and two payments of one invoice may come in either order.
    for key, entries in coupa["payments"].items():
        told[f"invoice {key}"] = sorted(f"{one['notes'][20:]}: {one['amount-paid']}" for one in entries)
    return told


FLOWS = {
    "invoices": Flow("coupa_to_qad", coupa_qad.NAME, coupa_qad.told, _coupa_to_qad_effects),
    "payments": Flow("qad_to_coupa", coupa_qad.NAME, way_back.told, _qad_to_coupa_effects),
    "masters": Flow("qad_to_coupa", coupa_qad.NAME, way_back.masters_told, _qad_to_coupa_effects),
    "exceptions": Flow("qad_to_jira", qad_jira.NAME, jira_stories.exceptions_told, jira_stories.effects),
    "decisions": Flow("jira_to_qad", qad_jira.NAME, jira_stories.decisions_told, jira_stories.effects),
}
# Each part takes every so-manieth point, so that several processes can share the work.
PARTS = 12
PLAYED = range(PARTS) if os.environ.get("ML_CONNECTOR_FAULTS") == "all" else range(0, PARTS, 6)


async def _state(world: World, flow: Flow) -> Json:
    """What must be equal after any fault: the other systems' truth and what the ledger says of it."""
    rows = await world.standing(flow.connection)
    ledger = {
        # Whether a document that was found after a lost answer is called created or updated makes no difference.
        label: (str(row.outcome).replace("updated", "created"), [one.code for one in row.reasons], _states(row))
        for label, row in rows.items()
    }
    return {"effects": await flow.effects(world), "ledger": ledger, "reserved": await _reserved(world)}


def _states(row: LedgerRow) -> list[str]:
    return [one.state for one in row.effects]


async def _reserved(world: World) -> list[tuple[Any, ...]]:
    columns = (reservation.c.po_number, reservation.c.po_line, reservation.c.quantity, reservation.c.permanent)
    async with world.installation() as one, one.store.db.read() as tx:
        return sorted(tuple(map(str, row)) for row in await tx.execute(select(*columns)))


async def _clean(folder: Path, template: Path, flow: Flow) -> tuple[Json, Faults]:
    world = await flow.make(folder, template)
    assert await world.try_run(flow.direction, flow.connection) == ""
    return await _state(world, flow), world.faults


async def _struck(folder: Path, template: Path, flow: Flow, fault: tuple[str, int], expected: Json) -> str:
    """A run with one fault, then reruns with time in between; what still differs from the clean run, if anything."""
    world = await flow.make(folder, template)
    world.faults.kind, world.faults.at = fault
    await world.try_run(flow.direction, flow.connection)
    assert world.faults.struck, f"{fault} was never reached"
    for reruns in range(1, MOST_RERUNS + 1):
        world.restart()
        await world.pass_time(SETTLED_S)
        ended = await world.try_run(flow.direction, flow.connection)
        assert ended == "", f"rerun {reruns} ended with {ended}"
        found = await _state(world, flow)
        if found == expected:
            return ""
    return "; ".join(f"{part} {found[part]}" for part in expected if found[part] != expected[part])


@pytest.mark.parametrize("part", PLAYED)
@pytest.mark.parametrize("story", FLOWS)
async def test_any_fault_at_any_point_ends_like_a_clean_run(
    story: str, part: int, tmp_path: Path, sqlite_template: Path, record_property: Callable[[str, object], None]
) -> None:
    flow = FLOWS[story]
    expected, clean = await _clean(tmp_path / "clean", sqlite_template, flow)
    points = [(kind, n) for kind in CALL_FAULTS for n in range(1, clean.calls + 1)]
    points += [(kind, n) for kind in COMMIT_FAULTS for n in range(1, clean.commits + 1)]
    # Mixed, always in the same way, so that each part has every kind of fault at every stage.
    random.Random(0).shuffle(points)
    wrong = []
    for kind, number in points[part::PARTS]:
        try:
            differs = await _struck(tmp_path / f"{kind}{number}", sqlite_template, flow, (kind, number), expected)
        except AssertionError as error:
            differs = str(error)
        wrong += [f"{kind} at {number}: {differs}"] if differs else []
    record_property(
        "fault points",
        f"{story}, part {part + 1} of {PARTS}: {len(points[part::PARTS])} of {len(points)} points "
        f"over {clean.calls} calls, {clean.commits} commits",
    )
    assert not wrong, "\n".join(wrong)
