"""Issues are edited member by member, and a person names one by its id."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import pytest

from ml_connector.domain.writes import Done, Doubt, Refused
from ml_connector.systems.jira.client import JiraClient
from ml_connector.systems.jira.config import JiraTenant
from ml_connector.systems.jira.targets import Issues
from tests.systems.jira_bench import AMOUNT, COST_CODE, KIND, Bench, order

Opened = tuple[Bench, JiraClient, JiraTenant]
LAG = 5.0


@pytest.fixture
async def opened() -> AsyncIterator[Opened]:
    bench = Bench()
    async with bench.client() as (client, tenant):
        yield bench, client, tenant


def issues(opened: Opened, **more: Any) -> Issues:
    return Issues(opened[1], opened[2], **more)


async def created(opened: Opened, number: int = 1, **more: Any) -> str:
    sent = (await issues(opened).send([order(number, **more)]))[f"qad:invoice_exception:{number}"]
    assert isinstance(sent, Done), sent
    return sent.target_id


async def test_only_the_changed_members_are_written(opened: Opened) -> None:
    bench = opened[0]
    issue = await created(opened)
    await bench.do("set_fields", issue=issue, fields={"summary": "The buyer's words"})
    one = order(1, issue, payload={f"field:{AMOUNT}": "15"}, changed=[f"field:{AMOUNT}", "labels"])
    sent = (await issues(opened).send([one]))[one.external_id]
    assert sent == Done(issue, {"key": "AP-1"})
    stored = bench.issue(issue)
    assert stored.fields["summary"] == "The buyer's words"
    assert Decimal(str(stored.fields[AMOUNT])) == 15


async def test_without_named_members_all_are_written_and_empty_ones_cleared(opened: Opened) -> None:
    bench = opened[0]
    issue = await created(opened, payload={f"field:{COST_CODE}": "4100"})
    one = order(1, issue, payload={"summary": "New", f"field:{COST_CODE}": "", f"field:{KIND}": "Match"})
    assert isinstance((await issues(opened).send([one]))[one.external_id], Done)
    stored = bench.issue(issue)
    assert stored.fields["summary"] == "New"
    assert not stored.fields.get(COST_CODE)


async def test_an_edit_of_a_deleted_issue_is_refused(opened: Opened) -> None:
    issue = await created(opened)
    await opened[0].do("delete", issue=issue)
    sent = (await issues(opened).send([order(1, issue)]))[order(1).external_id]
    assert isinstance(sent, Refused)
    assert sent.code == "not_found"


async def test_a_field_that_left_the_edit_screen_is_named(opened: Opened) -> None:
    issue = await created(opened)
    await opened[0].do("remove_field_from_screen", project="AP", field=AMOUNT, screen="edit")
    sent = (await issues(opened).send([order(1, issue, payload={f"field:{AMOUNT}": "77"})]))[order(1).external_id]
    assert isinstance(sent, Refused)
    assert sent.code == f"screen:{AMOUNT}"


async def test_an_edit_that_is_accepted_but_not_stored_is_noticed(opened: Opened) -> None:
    issue = await created(opened)
    opened[0].fault(f"/issue/{issue}", method="PUT", kind="status", status=204)
    sent = (await issues(opened).send([order(1, issue, payload={f"field:{AMOUNT}": "77"})]))[order(1).external_id]
    assert isinstance(sent, Refused)
    assert sent.code == "not_stored"
    assert f"field:{AMOUNT}" in sent.detail


async def test_an_edit_whose_reply_is_lost_is_in_doubt(opened: Opened) -> None:
    issue = await created(opened)
    opened[0].fault(f"/issue/{issue}", method="PUT", kind="reset_after")
    sent = (await issues(opened).send([order(1, issue)]))[order(1).external_id]
    assert isinstance(sent, Doubt)


async def test_an_edit_that_met_another_waits_for_the_next_run(opened: Opened) -> None:
    issue = await created(opened)
    body = json.dumps({"errorMessages": ["conflict"], "errors": {}})
    opened[0].fault(f"/issue/{issue}", method="PUT", kind="status", status=409, body=body)
    sent = (await issues(opened).send([order(1, issue)]))[order(1).external_id]
    assert isinstance(sent, Refused)
    assert (sent.code, sent.waits) == ("conflict", True)


async def test_many_edits_are_read_back_together(opened: Opened) -> None:
    bench = opened[0]
    target = issues(opened)
    made = await target.send([order(number) for number in range(30)])
    ids = [one.target_id for one in made.values() if isinstance(one, Done)]
    before = bench.calls("/issue/bulkfetch")
    edits = [order(number, ids[number], payload={f"field:{AMOUNT}": str(number)}) for number in range(30)]
    sent = await target.send([*edits, order(30)])
    assert all(isinstance(one, Done) for one in sent.values())
    assert bench.calls("/issue/bulkfetch") - before == 1


# ---- naming an issue


async def test_a_person_names_an_issue_by_its_id(opened: Opened) -> None:
    bench = opened[0]
    target = issues(opened)
    payload = order(1).payload
    issue = await created(opened)
    other = await created(opened, 2, payload={"summary": "y", f"field:{AMOUNT}": "1", f"field:{KIND}": "Late"})
    stranger = await bench.do("create", fields={"project": {"key": "AP"}, "issuetype": {"id": "10001"}, "summary": "x"})
    assert await target.problem(issue, payload) == ""
    assert "by its id" in await target.problem("AP-1", payload)
    assert "no issue id" in await target.problem("../myself", payload)
    assert "no such issue" in await target.problem("999999", payload)
    assert "not created by the connector" in await target.problem(stranger["id"], payload)
    assert "nothing of this record" in await target.problem(other, payload)
    await bench.do("move", issue=issue, to="OPS")
    assert "not in project AP" in await target.problem(issue, payload)
