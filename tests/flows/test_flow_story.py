"""The story as a flow run: what an analyst finds in the Prefect UI, and that a second run changes nothing."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterFlowRunId

from deployments.home import child_environment
from sandbox import story
from tests.engine.test_story import FIRST
from tests.flows.customers import SUPPLIER_NAME, Customer, customer
from tests.flows.desk import Desk

pytestmark = pytest.mark.asyncio(loop_scope="session")

STORY = {"coupa": story.coupa(), "qad": story.qad()}
READ_RESULTS = """
import json, pathlib, sys
from prefect._internal.result_records import ResultRecord
import tasks.caching

found = [ResultRecord.deserialize(pathlib.Path(path).read_bytes()).result for path in sys.argv[1:]]
print(json.dumps([one if isinstance(one, dict) else one.model_dump() for one in found]))
"""


async def test_a_run_posts_the_story_and_tells_the_analyst(desk: Desk) -> None:
    async with customer(desk, "story", STORY) as acme:
        state = await acme.run()
        assert (state.name, state.message) == ("Held", "7 read: 4 created, 2 held, 1 rejected")
        assert await acme.outcomes() == FIRST
        run_id = state.state_details.flow_run_id
        assert run_id is not None
        run = await desk.client.read_flow_run(run_id)
        assert (run.name, run.parameters) == ("coupa-to-qad story", {"connection": "story"})
        assert run.state is not None and (run.state.name, run.state.message) == (state.name, state.message)

        found = await _artifacts(desk, run_id)
        _table_links_both_systems(acme, json.loads(found["story-coupa-to-qad-outcomes"]))
        _list_says_why_records_wait(acme, found["story-coupa-to-qad-waiting"])


async def _artifacts(desk: Desk, run: UUID) -> dict[str, str]:
    which = ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[run]))
    found = await desk.client.read_artifacts(artifact_filter=which)
    return {one.key: str(one.data) for one in found if one.key}


def _table_links_both_systems(acme: Customer, table: list[dict[str, str]]) -> None:
    rows = {row["record"]: row for row in table}
    assert {number: row["outcome"] for number, row in rows.items()} == FIRST
    posted, held = rows["INV-1001"], rows["INV-1005"]
    assert posted["source"] == f"{acme.urls['coupa']}/invoices/4001"
    assert posted["target"] == "10USACO/2026/APINV/10001"
    assert posted["target link"] == f"{acme.urls['qad']}/clouderp"
    assert (held["target"], held["target link"]) == ("", "")
    assert "PO100005" in held["reason"]
    assert SUPPLIER_NAME not in json.dumps(table)


def _list_says_why_records_wait(acme: Customer, text: str) -> None:
    lines = {line.split("]")[0].lstrip("| ["): line for line in text.splitlines()[2:]}
    assert sorted(lines) == ["INV-1005", "INV-1006", "INV-1007"]
    assert f"({acme.urls['coupa']}/invoices/4005) | held |" in lines["INV-1005"]
    assert "PO100005" in lines["INV-1005"]
    assert "PO109999" in lines["INV-1006"]
    assert "| rejected |" in lines["INV-1007"] and "175" in lines["INV-1007"]


async def test_a_second_run_writes_nothing(desk: Desk) -> None:
    async with customer(desk, "again", STORY) as acme:
        await acme.run()
        truths = await acme.truths()
        assert (truths["qad"]["writes"], truths["coupa"]["writes"]) == (4, 12)
        seen = {system: await acme.last_call(system) for system in acme.urls}
        second = await acme.run()
        assert (second.name, second.message) == ("Held", "3 read: 2 held, 1 rejected")
        assert await acme.truths() == truths
        for system, last in seen.items():
            assert {one["method"] for one in await acme.calls(system, since=last)} == {"GET"}


async def test_results_are_sealed_and_another_process_reads_them(desk: Desk) -> None:
    before = set(desk.home.results.iterdir())
    async with customer(desk, "sealed", STORY) as acme:
        await acme.run()
    made = sorted(set(desk.home.results.iterdir()) - before)
    # The login; all four steps of the page with the invoices; three reads without a record: doubts, voids, what is due.
    assert len(made) == 1 + 4 + 3
    for path in made:
        stored = json.loads(path.read_bytes())
        assert stored["metadata"]["serializer"] == {"type": "ml-connector-sealed"}
        for plain in ("invoices", "coupa", "4007"):
            assert plain not in stored["result"]
    read = await _read_elsewhere(desk, made)
    assert len([one for one in read if one.get("stage") == "written"]) == 1
    assert len([one for one in read if set(one) == {"coupa", "qad"}]) == 1


async def _read_elsewhere(desk: Desk, paths: list[Path]) -> list[Any]:
    """The results as a process reads them that has nothing but the installation's environment."""
    command = [sys.executable, "-P", "-c", READ_RESULTS, *map(str, paths)]
    child = await asyncio.create_subprocess_exec(
        *command, cwd=desk.elsewhere, env=child_environment(desk.stack.environment), stdout=asyncio.subprocess.PIPE
    )
    told, _ = await child.communicate()
    assert child.returncode == 0
    found: list[Any] = json.loads(told)
    return found
