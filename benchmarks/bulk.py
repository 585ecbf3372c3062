"""What only a target that takes many records at once is asked: an answer that says nothing, and runs without work."""

from __future__ import annotations

import asyncio
from collections import Counter
from tempfile import TemporaryDirectory

from benchmarks.qad_jira import INDEX_LAG_S, SETTLE_S
from benchmarks.rounds import Bench, complete
from benchmarks.scenes import Json

BULK = "/rest/api/3/issue/bulk$"
# Longer than Jira's search is asked to look back, shorter than a session of QAD lasts.
LATER_S = 780


async def unclear(bench: Bench, size: int) -> Json:
    """A run in which the answer to one bulk is lost, and the run that finds out; the calls of both together."""
    tenants = bench.tenants
    with TemporaryDirectory() as folder:
        bench.fresh()
        async with bench.process("engine", folder, ["there", "there"]) as go:
            tenants.seed(11, size)
            tenants.ask("jira", "faults", {"kind": "reset_after", "method": "POST", "path": BULK, "skip": 1})
            first = await bench.step(go)
            await asyncio.sleep(SETTLE_S + INDEX_LAG_S)
            second = await bench.step(go)
    counts: Counter[str] = Counter(first["counts"])
    doubts = counts.pop("in_doubt", 0)
    if not doubts or sum(tenants.show("jira", "truth")["creates"].values()) != size + 1:
        raise SystemExit(f"benchmark: no answer was lost, or issues are missing or doubled: {first['counts']}")
    complete({"counts": {**counts, "created": counts["created"] + doubts}}, size)
    if second["counts"].get("in_doubt"):
        raise SystemExit(f"benchmark: the second run left doubts: {second['counts']}")
    calls: Counter[str] = Counter(first["calls"])
    calls.update({"jira": second["calls"]["jira"]})
    return {"size": size, "in_doubt": doubts, "calls": dict(calls)}


async def idle(bench: Bench, size: int) -> Json:
    """The calls of a run of either direction that finds nothing new, soon after the work and some minutes later."""
    scene = bench.tenants.scene
    both = ("there", "back")
    with TemporaryDirectory() as folder:
        bench.fresh()
        async with bench.process("engine", folder, [*both, *both]) as go:
            bench.tenants.seed(11, size)
            steps = [await bench.step(go) for _ in range(4)]
        for system in bench.tenants.urls:
            bench.tenants.ask(system, "clock", {"advance": LATER_S})
        async with bench.process("engine", folder, both, shift_s=LATER_S, old=True) as go:
            steps += [await bench.step(go) for _ in both]
    names = (scene.direction, scene.back)
    told = {"at once": dict(zip(names, steps[2:4], strict=True)), "later": dict(zip(names, steps[4:], strict=True))}
    return {
        "size": size,
        "streams": {name: step["streams"] for name, step in zip(names, steps, strict=False)},
        **{when: {name: step["calls"] for name, step in found.items()} for when, found in told.items()},
    }
