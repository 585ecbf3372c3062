"""The whole chain: flow runs in this process, recorded by a real Prefect server."""

from __future__ import annotations

from typing import Any

from benchmarks.contender import serve
from benchmarks.engine import connect
from benchmarks.layers import Layers
from benchmarks.scenes import NAME, scene_of
from deployments.planning import flow_at
from ml_connector.installation import Installation
from ml_connector.pairs.registry import direction


async def contend(job: dict[str, Any]) -> None:
    """A first run that makes the ledger an old one, then one run with work, one with nothing to do."""
    scene = scene_of(job["pair"])
    flow: Any = flow_at(direction(scene.direction).flow)

    async def run() -> dict[str, Any]:
        state: Any = await flow(NAME, return_state=True)
        return {"state": state.name, "message": state.message}

    async def profiled() -> dict[str, Any]:
        with Layers() as layers:
            found = await run()
        return found | {"layers": layers.shares()}

    await scene.blocks(job["urls"])
    async with Installation.open() as one:
        await connect(one, scene)
    await run()
    await serve([profiled if step == "layers" else run for step in job["steps"]])
