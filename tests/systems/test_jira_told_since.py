"""What people were told after they had decided: read from Jira's own history, whoever wrote it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest

from ml_connector.domain.issues import IssueState
from ml_connector.domain.writes import Done
from ml_connector.systems.jira import adf
from ml_connector.systems.jira.client import JiraClient
from ml_connector.systems.jira.ports import STATE_FIELDS, issue_state, told_since_decided
from ml_connector.systems.jira.targets import Issues
from tests.systems.jira_bench import AMOUNT, Bench, order

CONNECTOR, FORMER, CLERK = "712020:connector-0001", "712020:service-0002", "712020:clerk-0004"
Opened = tuple[Bench, JiraClient, str]


@pytest.fixture
async def opened() -> AsyncIterator[Opened]:
    bench = Bench()
    async with bench.client() as (client, tenant):
        (sent,) = (await Issues(client, tenant).send([order(1)])).values()
        assert isinstance(sent, Done)
        yield bench, client, sent.target_id


async def _told_since(client: JiraClient, issue: str) -> bool:
    found = await client.get_issue(issue, fields=STATE_FIELDS)
    if found is None:
        gone = IssueState(issue, "AP-1", "10002", "Done", "done", "Done", {}, datetime.now(UTC))
        return await told_since_decided(client, gone)
    return await told_since_decided(client, issue_state({})(found))


async def _tells(bench: Bench, issue: str, account: str, amount: int) -> None:
    text: Any = adf.doc(adf.paragraph(f"Hold {amount}"))
    await bench.do("set_fields", issue=issue, account=account, fields={"description": text, AMOUNT: amount})


async def _decides(bench: Bench, issue: str) -> None:
    for status in ("In Progress", "Done"):
        await bench.do("transition", issue=issue, to=status, account=CLERK)


async def test_what_was_told_before_the_decision_was_seen(opened: Opened) -> None:
    bench, client, issue = opened
    await _tells(bench, issue, CONNECTOR, 25)
    await _decides(bench, issue)
    await bench.do("set_fields", issue=issue, account=CLERK, fields={AMOUNT: 26})
    await bench.do("comment", issue=issue, account=CLERK, text="Paid on Friday.")
    assert not await _told_since(client, issue)


@pytest.mark.parametrize("account", [CONNECTOR, FORMER, CLERK])
async def test_what_was_told_after_it_was_not_whoever_wrote_it(opened: Opened, account: str) -> None:
    bench, client, issue = opened
    await _decides(bench, issue)
    await _tells(bench, issue, account, 100)
    assert await _told_since(client, issue)
    await bench.do("transition", issue=issue, to="To Do", account=CLERK)
    await _decides(bench, issue)
    assert not await _told_since(client, issue)


async def test_an_issue_whose_history_is_not_shown_may_have_told_anything(opened: Opened) -> None:
    bench, client, issue = opened
    assert await _told_since(client, issue), "nobody has decided anything"
    await _decides(bench, issue)
    empty = '{"startAt": 0, "maxResults": 100, "total": 0, "isLast": true, "values": []}'
    bench.fault("/changelog", method="GET", kind="status", status=200, body=empty, times=1)
    assert await _told_since(client, issue)
    assert not await _told_since(client, issue)
    await bench.do("delete", issue=issue)
    assert await _told_since(client, issue)
