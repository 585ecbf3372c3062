"""Comments say what changed, are written once, and only our own count."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import pytest

from ml_connector.domain.writes import Absent, Done, Doubt, Found, NotSent, Order, Refused, Sent
from ml_connector.systems.jira import adf
from ml_connector.systems.jira.client import JiraClient
from ml_connector.systems.jira.config import JiraTenant
from ml_connector.systems.jira.notes import IssueNotes
from ml_connector.systems.jira.targets import Issues
from tests.systems.jira_bench import BUYER, Bench, order

Opened = tuple[Bench, JiraClient, JiraTenant]
KEY = "0123456789abcdef" * 2
LINES = [["State", "open"], ["Hold", "10 USD"], ["Status", "MATCHED"]]


@pytest.fixture
async def opened() -> AsyncIterator[Opened]:
    bench = Bench()
    async with bench.client() as (client, tenant):
        yield bench, client, tenant


async def new_issue(opened: Opened) -> str:
    (sent,) = (await Issues(opened[1], opened[2]).send([order(1)])).values()
    assert isinstance(sent, Done)
    return sent.target_id


def note(issue: str, lines: Sequence[Sequence[str]], before: Sequence[Sequence[str]] | None = None) -> Order:
    told: Mapping[str, Any] = {} if before is None else {"head": "Before.", "lines": before}
    payload = {"head": "The invoice is held in QAD.", "lines": lines}
    return Order("q:x:1", "t", KEY, "note", "tell", payload, target_id=issue, before=told)


async def sent(opened: Opened, one: Order, **more: Any) -> Sent:
    return (await IssueNotes(opened[1], opened[2], **more).send([one]))["q:x:1"]


def texts(bench: Bench, issue: str) -> list[str]:
    return [adf.plain(one.body) for one in bench.issue(issue).comments]


async def test_a_comment_says_what_changed_from_what_to_what(opened: Opened) -> None:
    bench, issue = opened[0], await new_issue(opened)
    now = [["State", "open"], ["Hold", "0 USD"], ["Status", ""], ["Due", "2026-03-09"]]
    answer = await sent(opened, note(issue, now, LINES))
    assert isinstance(answer, Done)
    (comment,) = bench.issue(issue).comments
    assert answer.target_id == str(comment.id)
    assert adf.plain(comment.body).split("\n") == [
        "The invoice is held in QAD.",
        "Hold: 10 USD → 0 USD",
        "Status: MATCHED → (nothing)",
        "Due: (nothing) → 2026-03-09",
        "ml-connector 01234567",
    ]
    assert comment.properties == {"ml-connector": {"note": KEY}}


async def test_the_first_time_the_issue_itself_has_told_everything(opened: Opened) -> None:
    bench, issue = opened[0], await new_issue(opened)
    before = bench.calls()
    assert await sent(opened, note(issue, LINES)) == Done(issue)
    assert bench.calls() == before


async def test_the_first_comment_shows_all_lines_where_one_is_wanted(opened: Opened) -> None:
    bench, issue = opened[0], await new_issue(opened)
    assert isinstance(await sent(opened, note(issue, [*LINES, ["Empty", ""]]), first=True), Done)
    (text,) = texts(bench, issue)
    assert text.split("\n")[1:-1] == ["State: open", "Hold: 10 USD", "Status: MATCHED"]


async def test_equal_lines_are_not_told_again(opened: Opened) -> None:
    bench, issue = opened[0], await new_issue(opened)
    before = bench.calls()
    assert await sent(opened, note(issue, LINES, LINES), first=True) == Done(issue)
    assert bench.calls() == before


async def test_a_comment_is_never_written_twice(opened: Opened) -> None:
    bench, issue = opened[0], await new_issue(opened)
    one = note(issue, LINES, [])
    first = await sent(opened, one)
    assert await sent(opened, one) == first
    assert len(texts(bench, issue)) == 1


async def test_a_lost_reply_is_in_doubt_and_the_comment_is_found(opened: Opened) -> None:
    bench, issue = opened[0], await new_issue(opened)
    bench.fault("/comment", kind="reset_after")
    one = note(issue, LINES, [])
    assert isinstance(await sent(opened, one), Doubt)
    found = (await IssueNotes(opened[1], opened[2]).find([one]))["q:x:1"]
    assert found == Found(str(bench.issue(issue).comments[0].id))
    assert isinstance(await sent(opened, one), Done)
    assert len(texts(bench, issue)) == 1


async def test_somebody_who_quotes_a_comment_has_not_written_it(opened: Opened) -> None:
    bench, issue = opened[0], await new_issue(opened)
    await bench.do("comment", issue=issue, text="ml-connector 01234567", account=BUYER)
    one = note(issue, LINES, [])
    assert await IssueNotes(opened[1], opened[2]).find([one]) == {"q:x:1": Absent()}
    assert isinstance(await sent(opened, one), Done)
    assert len(texts(bench, issue)) == 2


async def test_a_reference_that_is_not_the_last_line_does_not_count(opened: Opened) -> None:
    bench, issue = opened[0], await new_issue(opened)
    body = adf.doc(adf.paragraph("ml-connector 01234567"), adf.paragraph("was written by me"))
    await opened[1].add_comment(issue, body, external_id="q:x:1")
    assert await IssueNotes(opened[1], opened[2]).find([note(issue, LINES, [])]) == {"q:x:1": Absent()}
    assert len(texts(bench, issue)) == 1


async def test_people_who_talk_a_lot_do_not_hide_our_comment(opened: Opened) -> None:
    bench, issue = opened[0], await new_issue(opened)
    one = note(issue, LINES, [])
    first = await sent(opened, one)
    for number in range(60):
        await bench.do("comment", issue=issue, text=f"remark {number}")
    assert await sent(opened, one) == first


async def test_two_notes_on_one_issue_have_references_of_their_own(opened: Opened) -> None:
    bench, issue = opened[0], await new_issue(opened)
    first = note(issue, LINES, [])
    second = Order("q:x:2", "t", "f" * 32, "note", "tell", first.payload, target_id=issue, before=first.before)
    answers = await IssueNotes(opened[1], opened[2]).send([first, second])
    assert all(isinstance(one, Done) for one in answers.values())
    assert sorted(text.rpartition("\n")[2] for text in texts(bench, issue)) == [
        "ml-connector 01234567",
        "ml-connector ffffffff",
    ]


async def test_a_deleted_issue_takes_no_comment(opened: Opened) -> None:
    bench, issue = opened[0], await new_issue(opened)
    await bench.do("delete", issue=issue)
    answer = await sent(opened, note(issue, LINES, []))
    assert isinstance(answer, Refused)
    assert answer.code == "not_found"
    assert await IssueNotes(opened[1], opened[2]).find([note(issue, LINES, [])]) == {"q:x:1": Absent()}


async def test_a_busy_site_gets_the_comment_in_the_next_run(opened: Opened) -> None:
    issue = await new_issue(opened)
    opened[0].fault("/comment", kind="status", status=429)
    assert isinstance(await sent(opened, note(issue, LINES, [])), NotSent)


async def test_a_long_comment_keeps_its_reference(opened: Opened) -> None:
    bench, issue = opened[0], await new_issue(opened)
    one = note(issue, [["Late lines", "line 1: 0 of 5 received; " * 3000]], [])
    assert isinstance(await sent(opened, one), Done)
    assert isinstance((await IssueNotes(opened[1], opened[2]).find([one]))["q:x:1"], Found)
    assert len(texts(bench, issue)[0]) < 30_000
    assert adf.POINTER in texts(bench, issue)[0]
