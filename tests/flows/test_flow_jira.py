"""Exceptions become issues, people decide, a delivery wakes the way back: with deployments, a receiver and a worker.

What an analyst finds in the Prefect UI of it, that a second run writes nothing, and that a killed run loses nothing.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from ml_connector.store.leases import LENGTH_S
from tests.engine.qad_jira import BACK, COST_CODE, THERE
from tests.flows.desk import Desk, until
from tests.flows.jira_desk import Exceptions, exceptions, receiving

pytestmark = pytest.mark.asyncio(loop_scope="session")

ADMIN: dict[str, Any] = {"webhook": "admin"}
AFTER_THE_LEASE_S = LENGTH_S + 20


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def receiver(running_desk: Desk) -> AsyncIterator[str]:
    """The address of a receiver beside the desk."""
    async with receiving(running_desk.stack) as url:
        yield url


async def test_a_click_in_jira_reaches_qad_and_the_analyst_reads_what_became_of_it(desk: Desk, receiver: str) -> None:
    async with exceptions(desk, "told", jira=ADMIN) as acme:
        there = await acme.run(THERE)
        assert (there.name, there.message) == ("Completed", "3 read: 3 created")
        await acme.open_door(receiver)
        issues = await _issues_link_both_systems(acme)

        # QAD takes one decision and refuses the other.
        await acme.admin("qad", "do/submit_for_approval", {"invoiceReference": "INV-3001"})
        for record in ("INV-3001", "INV-3002"):
            await acme.finish(issues[record])
        await acme.quiet()
        assert await acme.shown("INV-3002") == {
            "customShort1": "AP-2",
            "customShort2": "Done",
            "customNote": "AP-2: Done",
        }
        assert await acme.shown("INV-3001") == {}
        await _proves_who_started_what(acme)
        await _analyst_reads_why(acme)

        before = await acme.written()
        # The comment about the refusal is all that we wrote to anybody's issue.
        assert (before["qad"], sum(before["comments"].values()), before["edits"]) == (1, 1, {})
        again = {what: await acme.run(what) for what in (THERE, BACK)}
        assert again[THERE].message == "3 read: 3 unchanged"
        assert (again[BACK].name, await acme.written()) == ("Rejected", before)


async def _issues_link_both_systems(acme: Exceptions) -> dict[str, str]:
    """The issues by their records, once the table of the run was looked at."""
    table = {row["record"]: row for row in json.loads(await _shown(acme, "qad-to-jira-outcomes"))}
    assert {record: row["outcome"] for record, row in table.items()} == dict.fromkeys(
        ("INV-3001", "INV-3002", "PO200004"), "created"
    )
    assert {row["source"] for row in table.values()} == {f"{acme.urls['qad']}/clouderp"}
    for row in table.values():
        assert row["target link"] == f"{acme.urls['jira']}/issues/?jql=id%3D{row['target']}"
    return {record: row["target"] for record, row in table.items()}


async def _proves_who_started_what(acme: Exceptions) -> None:
    """Nobody started a run of the way back but the automation, and each says in a word how it ended."""
    runs = await acme.runs_back()
    assert {run.name for run in runs} == {"jira-to-qad told"}
    starters = {run.created_by.display_value for run in runs if run.created_by is not None}
    assert starters == {"ml-connector: wake told jira_to_qad"}
    states = [run.state for run in runs if run.state is not None]
    assert states[-1].name == "Rejected"
    assert "1 rejected" in str(states[-1].message)
    assert {state.name for state in states} <= {"Completed", "Rejected"}


async def _analyst_reads_why(acme: Exceptions) -> None:
    told = await _shown(acme, "jira-to-qad-waiting")
    (line,) = [line for line in told.splitlines() if "AP-" in line]
    assert line.startswith("| [AP-1](") and "| rejected |" in line
    assert "submitted_for_approval" in line
    issue = await acme.admin("jira", "state/issues", method="GET")
    comments = {one["key"]: len(one["fields"]["comment"]["comments"]) for one in issue}
    assert comments == {"AP-1": 1, "AP-2": 0, "AP-3": 0}


async def _shown(acme: Exceptions, what: str) -> str:
    async with acme.desk.stack.api() as api:
        answer = await api.get(f"artifacts/{acme.name}-{what}/latest")
    return str(answer.raise_for_status().json()["data"])


@pytest.mark.parametrize(
    ("system", "path", "kind"),
    [("jira", "issue/bulkfetch", "hang_before"), ("qad", "supplierInvoices", "hang_after")],
    ids=["while it reads the issue", "after QAD has taken the decision"],
)
async def test_what_a_killed_run_was_told_is_done_by_the_next_once(
    desk: Desk, receiver: str, system: str, path: str, kind: str
) -> None:
    name = f"killed-{system}"
    async with exceptions(desk, name, jira=ADMIN) as acme:
        await acme.run(THERE)
        await acme.open_door(receiver)
        await acme.spoil(system, method="POST", path=path, kind=kind)
        issue = await acme.issue_of("INV-3002")
        await acme.admin("jira", "do/set_fields", {"issue": issue, "fields": {COST_CODE: "CC77"}})
        await _hit(acme, system)
        # It has lowered the flag, and the delivery still stands in the inbox.
        assert (await acme.flagged(), await acme.waiting()) == (False, 1)
        # Whatever runs after it runs when its lease has ended.
        await desk.shift_clock(acme.deployments[BACK], AFTER_THE_LEASE_S)
        await desk.kill((await acme.runs_back())[0].id)
        assert await acme.waiting() == 1

        ended = await acme.run_by_worker(BACK)
        assert ended.state is not None and ended.state.name == "Completed", ended.state
        await acme.quiet()
        assert (await acme.shown("INV-3002"))["customShort4"] == "CC77"
        assert (await acme.written())["qad"] == 1
        assert await acme.waiting() == 0


async def _hit(acme: Exceptions, system: str) -> None:
    async def probe() -> bool | None:
        (rule,) = await acme.admin(system, "faults", method="GET")
        return True if rule["hit"] else None

    await until(probe, "the run to be struck", within=120)
