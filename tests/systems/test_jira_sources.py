"""Changed issues are read from the last change on with an overlap, each version once, past a lagging index."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ml_connector.domain.issues import IssueState
from ml_connector.domain.records import Unreadable
from ml_connector.domain.writes import Done
from ml_connector.errors import ContractError, TransientError
from ml_connector.sync.seams import Batch
from ml_connector.systems.jira.client import JiraClient
from ml_connector.systems.jira.config import JiraTenant
from ml_connector.systems.jira.models import Fetched, Issue
from ml_connector.systems.jira.ports import ChangedIssues, issue_state
from ml_connector.systems.jira.targets import Issues
from tests.systems.jira_bench import BUYER, COST_CODE, KIND, START, Bench, order

Opened = tuple[Bench, JiraClient, JiraTenant]
FIELDS = {"cost_code": COST_CODE, "kind": KIND}


@pytest.fixture
async def opened() -> AsyncIterator[Opened]:
    bench = Bench()
    async with bench.client(page_size=2) as (client, tenant):
        yield bench, client, tenant


def changed(opened: Opened, **more: Any) -> ChangedIssues[IssueState]:
    return ChangedIssues(opened[1], opened[2], fields=FIELDS, **more)


async def made(opened: Opened, count: int) -> list[str]:
    sent = await Issues(opened[1], opened[2]).send([order(number) for number in range(count)])
    ids = [one.target_id for one in sent.values() if isinstance(one, Done)]
    await opened[0].advance(60)
    return ids


async def drained(source: ChangedIssues[IssueState], since: str | None) -> list[Batch[Any]]:
    return [batch async for batch in source.pages(None, since)]


def keys(batches: list[Batch[Any]]) -> list[str]:
    return [one.key for batch in batches for one in batch.records]


async def test_an_issue_is_read_as_people_left_it(opened: Opened) -> None:
    bench = opened[0]
    (issue,) = await made(opened, 1)
    await bench.do("set_fields", issue=issue, fields={COST_CODE: "4200", "assignee": {"accountId": BUYER}})
    await bench.do("transition", issue=issue, to="Done")
    await bench.advance(60)
    (batch, last) = await drained(changed(opened), None)
    assert batch.mark == ""
    (record,) = batch.records
    assert (record.key, record.issue_key) == (issue, "AP-1")
    assert (record.status_id, record.status, record.category) == ("10002", "Done", "done")
    assert dict(record.fields) == {"cost_code": "4200", "kind": "Hold"}
    assert record.assignee == BUYER
    assert record.resolution
    assert record.updated == START + timedelta(seconds=60)
    assert last.records == ()
    assert last.mark == "2026-03-02T09:01:00.000000+00:00"


async def test_an_issue_without_our_property_is_nobodys_decision(opened: Opened) -> None:
    bench = opened[0]
    (mine,) = await made(opened, 1)
    fields = {"project": {"key": "AP"}, "issuetype": {"name": "Task"}, "summary": "Another one"}
    other = str((await bench.do("create", fields=fields))["id"])
    await bench.advance(60)
    source = changed(opened)
    (batch, _last) = await drained(source, None)
    assert [one.key for one in batch.records] == [mine]
    assert list(batch.unreadable) == [Unreadable(other, "properties.ml-connector: missing")]
    assert await source.by_key([other]) == {other: Unreadable(other, "properties.ml-connector: missing")}


async def test_all_pages_are_read_and_the_mark_comes_last(opened: Opened) -> None:
    ids = await made(opened, 7)
    batches = await drained(changed(opened), None)
    assert sorted(keys(batches)) == sorted(ids)
    assert [len(batch.records) for batch in batches] == [2, 2, 2, 1, 0]
    assert [bool(batch.mark) for batch in batches] == [False, False, False, False, True]


async def test_the_next_look_reaches_back_behind_the_mark(opened: Opened) -> None:
    bench = opened[0]
    (old, new) = await made(opened, 2)
    await bench.advance(3600)
    await bench.do("set_fields", issue=new, fields={COST_CODE: "1"})
    await bench.advance(60)
    source = changed(opened)
    mark = (await drained(source, None))[-1].mark
    assert keys(await drained(source, mark)) == [new]
    assert (await drained(source, mark))[-1].mark == ""
    await bench.advance(3600)
    await bench.do("set_fields", issue=old, fields={COST_CODE: "2"})
    await bench.advance(60)
    assert keys(await drained(source, mark)) == [new, old]


async def test_a_window_of_weeks_is_read_whole(opened: Opened) -> None:
    bench = opened[0]
    ids = await made(opened, 3)
    await bench.advance(20 * 86400)
    since = START.isoformat()
    assert sorted(keys(await drained(changed(opened), since))) == sorted(ids)
    assert keys(await drained(changed(opened, first_load_days=7), None)) == []


async def test_the_window_is_never_shorter_than_the_overlap_whatever_our_clock_says(opened: Opened) -> None:
    ids = await made(opened, 1)
    ahead = datetime(2026, 3, 3, tzinfo=UTC).isoformat()
    assert keys(await drained(changed(opened), ahead)) == ids


async def test_a_read_goes_on_behind_the_page_where_it_stopped(opened: Opened) -> None:
    bench = opened[0]
    ids = await made(opened, 6)
    source = changed(opened)
    seen: list[str] = []
    cursor: str | None = None
    for _ in range(3):
        async for batch in source.pages(cursor, None):
            seen += keys([batch])
            cursor = batch.cursor
            break
    assert sorted(seen) == sorted(ids)
    assert bench.calls("/search/jql") == 3
    rest = [batch async for batch in source.pages(cursor, None)]
    assert (keys(rest), bool(rest[-1].mark)) == ([], True)


async def test_another_process_begins_the_read_anew(opened: Opened) -> None:
    ids = await made(opened, 5)
    (first, *_) = await drained(changed(opened), None)
    batches = [batch async for batch in changed(opened).pages(first.cursor, None)]
    assert sorted(keys(batches)) == sorted(ids)
    assert batches[-1].mark


async def test_a_read_that_broke_off_is_not_taken_for_complete(opened: Opened) -> None:
    ids = await made(opened, 6)
    source = changed(opened)
    opened[0].fault("/search/jql", kind="status", status=503, skip=1)
    cursor: str | None = None
    with pytest.raises(TransientError):
        async for batch in source.pages(None, None):
            cursor = batch.cursor
    batches = [batch async for batch in source.pages(cursor, None)]
    assert sorted(keys(batches)) == sorted(ids)
    assert batches[-1].mark


async def test_an_issue_that_people_edit_meanwhile_comes_again_in_its_new_version_only() -> None:
    def row(number: int, updated: str) -> Issue:
        fields = {"status": {"id": "1", "name": "Open"}, "updated": updated}
        ours = {"ml-connector": {"token": f"T4X7{number:016d}"}}
        return Issue.model_validate({"id": str(number), "key": f"AP-{number}", "fields": fields, "properties": ours})

    class Shifting:
        """A client whose pages repeat rows."""

        def __init__(self, http: Any) -> None:
            self.http = http

        async def search(self, jql: str, **_: Any) -> AsyncIterator[list[Issue]]:
            yield [row(1, "2026-03-02T08:00:00.000+0000"), row(2, "2026-03-02T08:01:00.000+0000")]
            yield [row(2, "2026-03-02T08:01:00.000+0000"), row(1, "2026-03-02T08:05:00.000+0000")]
            yield [row(1, "2026-03-02T08:05:00.000+0000")]

        async def bulk_fetch(self, ids: list[str], **_: Any) -> Fetched:
            return Fetched({one: row(int(one), "2026-03-02T08:05:00.000+0000") for one in ids}, frozenset())

    async with Bench().client() as (client, tenant):
        shifting: Any = Shifting(client.http)
        batches = await drained(ChangedIssues(shifting, tenant, fields={}), None)
    assert keys(batches) == ["1", "2", "1"]
    assert batches[-1].mark == "2026-03-02T08:05:00.000000+00:00"


async def test_issues_are_read_by_id_past_the_index(opened: Opened) -> None:
    bench = opened[0]
    (issue, other) = await made(opened, 2)
    await bench.do("set_fields", issue=issue, fields={COST_CODE: "9"})
    await bench.do("delete", issue=other)
    found = await changed(opened).by_key([issue, other, "AP-1", "no id"])
    assert set(found) == {issue}
    record = found[issue]
    assert isinstance(record, IssueState)
    assert record.fields["cost_code"] == "9"


async def test_an_issue_that_cannot_be_understood_is_named_and_stops_no_other(opened: Opened) -> None:
    (good, bad) = await made(opened, 2)
    read = issue_state(FIELDS)

    def picky(issue: Issue) -> IssueState:
        if issue.id == bad:
            raise ContractError("fields.status: missing or malformed")
        return read(issue)

    (batch, _) = await drained(changed(opened, to_record=picky), None)
    assert keys([batch]) == [good]
    assert batch.unreadable == [Unreadable(bad, "fields.status: missing or malformed")]


@pytest.mark.parametrize("fields", [{}, {"status": {"id": "1"}}, {"status": {"id": "1"}, "updated": "soon"}])
async def test_an_issue_without_status_or_time_cannot_be_read(opened: Opened, fields: dict[str, Any]) -> None:
    issue = Issue.model_validate({"id": "7", "key": "AP-7", "fields": fields})
    with pytest.raises((ContractError, ValueError)):
        issue_state({})(issue)
