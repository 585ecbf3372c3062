"""The engine alone, without Prefect: the same steps of the same direction, called one after another."""

from __future__ import annotations

from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx

from benchmarks.bare import Notebook, Recorder
from benchmarks.contender import Step, serve
from benchmarks.layers import Layers
from benchmarks.scenes import NAME, Scene, scene_of
from ml_connector.installation import Installation
from ml_connector.pairs.registry import direction
from ml_connector.store.tenants import ConnectionRow
from ml_connector.sync.steps import chain


async def connect(installation: Installation, scene: Scene) -> ConnectionRow:
    """Store the connection between the two tenants, or find it."""
    known = {row.name: row for row in await installation.connections.list()}
    if NAME in known:
        return known[NAME]
    source, target = [await installation.tenants.get_or_create(system, NAME) for system in scene.systems]
    return await installation.connections.save(
        ConnectionRow(NAME, scene.pair, *scene.block_names, source, target, settings=scene.settings)
    )


async def contend(job: dict[str, Any]) -> None:
    """A first run that makes the ledger an old one, then the steps of the job; requests are written down.

    Steps are `there` and `back`, a run of either direction; `layers` is a run there with a look at its layers.
    """
    scene = scene_of(job["pair"])
    notebook = Notebook(Path(job["folder"]))
    async with Installation.open() as one:
        row = await connect(one, scene)
        logins = scene.logins(job["urls"])

        async def run(name: str) -> dict[str, Any]:
            transports: dict[str, httpx.AsyncBaseTransport] = {name: Recorder(name, notebook) for name in job["urls"]}
            counts: Counter[str] = Counter()
            opened = direction(name).open(one, row, logins, run_id=uuid4().hex, transports=transports)
            async with opened as session:
                for route in session.steps.run.routes:
                    for page in await chain(session.steps, route):
                        counts.update(page.counts)
                await session.finish(counts)
                streams = sum(len(getattr(one, "sources", "1")) for one in session.steps.run.routes.values())
            return {"counts": dict(counts), "streams": streams}

        async def profiled() -> dict[str, Any]:
            with Layers() as layers:
                found = await run(scene.direction)
            return found | {"layers": layers.shares()}

        there, back = partial(run, scene.direction), partial(run, scene.back)
        known: dict[str, Step] = {"there": there, "back": back, "layers": profiled}
        if not job.get("old"):
            await there()
        notebook.forget()
        first, *more = [known[step] for step in job["steps"]]
        await serve([_then(first, notebook.close), *more])


def _then(step: Step, end: Any) -> Step:
    async def both() -> dict[str, Any]:
        found = await step()
        end()
        return found

    return both
