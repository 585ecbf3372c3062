"""An issue is moved when its exception clears or returns, by whatever step leads there, and never against people."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from ml_connector.domain.writes import Absent, Done, Doubt, Found, Gone, NotSent, Order, Refused, Sent
from ml_connector.errors import AuthenticationError
from ml_connector.systems.jira.client import JiraClient
from ml_connector.systems.jira.config import JiraTenant
from ml_connector.systems.jira.states import IssueStates
from ml_connector.systems.jira.targets import Issues
from tests.systems.jira_bench import Bench, order
from tests.systems.stopping import stopped_by

Opened = tuple[Bench, JiraClient, JiraTenant]
OPEN = {"state": "open", "to": "", "resolution": ""}
TO_DO, IN_PROGRESS, DONE = "10000", "3", "10002"
MOMENT = "2026-03-02T09:00:00.000+0000"


@pytest.fixture
async def opened() -> AsyncIterator[Opened]:
    bench = Bench()
    async with bench.client() as (client, tenant):
        yield bench, client, tenant


def moved(what: str, status: str) -> str:
    return f"{what}:{status}:{MOMENT}"


async def new_issue(opened: Opened) -> str:
    (sent,) = (await Issues(opened[1], opened[2]).send([order(1)])).values()
    assert isinstance(sent, Done)
    return sent.target_id


def state(issue: str, now: str, to: str = "", *, before: str = "open", resolution: str = "") -> Order:
    told = {**OPEN, "state": before} if before else {}
    payload = {"state": now, "to": to, "resolution": resolution}
    return Order("q:x:1", "t", "k" * 32, "state", "tell", payload, target_id=issue, before=told)


async def sent(opened: Opened, one: Order) -> Sent:
    return (await IssueStates(opened[1], opened[2]).send([one]))["q:x:1"]


@pytest.mark.parametrize("to", ["Done", "done", DONE])
async def test_a_cleared_exception_moves_its_issue_once(opened: Opened, to: str) -> None:
    bench, issue = opened[0], await new_issue(opened)
    one = state(issue, "cleared", to)
    assert await sent(opened, one) == Done(issue, {"status": DONE, "moved": True}, (moved("closed", DONE),))
    assert bench.issue(issue).status == DONE
    assert await sent(opened, one) == Done(issue, {"status": DONE, "moved": False})
    assert bench.calls("/transitions", "POST") == 1


async def test_an_open_exception_moves_nothing_and_asks_nothing(opened: Opened) -> None:
    bench, issue = opened[0], await new_issue(opened)
    before = bench.calls()
    for one in (state(issue, "open", "To Do", before=""), state(issue, "open", "To Do"), state(issue, "cleared")):
        assert await sent(opened, one) == Done(issue, {"moved": False})
    assert bench.calls() == before


async def test_what_was_told_before_is_not_told_again_when_people_moved_the_issue(opened: Opened) -> None:
    bench, issue = opened[0], await new_issue(opened)
    one = state(issue, "cleared", "Done", before="cleared")
    assert await sent(opened, one) == Done(issue, {"moved": False})
    assert bench.issue(issue).status == TO_DO


async def test_an_issue_that_people_closed_otherwise_is_left_alone(opened: Opened) -> None:
    bench, issue = opened[0], await new_issue(opened)
    await bench.do("transition", issue=issue, to="Done")
    assert await sent(opened, state(issue, "cleared", "In Progress")) == Done(issue, {"status": DONE, "moved": False})


async def test_an_exception_that_comes_back_reopens_its_issue(opened: Opened) -> None:
    bench, issue = opened[0], await new_issue(opened)
    await sent(opened, state(issue, "cleared", "Done"))
    answer = await sent(opened, state(issue, "open", "To Do", before="cleared"))
    assert answer == Done(issue, {"status": TO_DO, "moved": True}, (moved("reopened", TO_DO),))
    assert bench.issue(issue).status == TO_DO


async def test_an_issue_that_is_open_again_already_is_left_where_it_is(opened: Opened) -> None:
    bench, issue = opened[0], await new_issue(opened)
    await bench.do("transition", issue=issue, to="In Progress")
    answer = await sent(opened, state(issue, "open", "To Do", before="cleared"))
    assert answer == Done(issue, {"status": IN_PROGRESS, "moved": False})


async def test_a_status_that_no_step_leads_to_is_named(opened: Opened) -> None:
    issue = await new_issue(opened)
    answer = await sent(opened, state(issue, "cleared", "Archived"))
    assert isinstance(answer, Refused)
    assert answer.code == "no_transition"
    assert "To Do" in answer.detail
    assert "Archived" in answer.detail


class Screens:
    """The site with one step to done that asks for a resolution."""

    def __init__(self) -> None:
        self.bench = Bench(require_resolution=True)

    async def answer(self, resolution: str) -> tuple[Sent, Any]:
        async with self.bench.client() as (client, tenant):
            opened = (self.bench, client, tenant)
            issue = await new_issue(opened)
            await self.bench.do("transition", issue=issue, to="In Progress")
            answer = await sent(opened, state(issue, "cleared", "Done", resolution=resolution))
            return answer, self.bench.issue(issue)


async def test_a_step_that_asks_for_a_resolution_gets_the_configured_one() -> None:
    answer, issue = await Screens().answer("done")
    assert isinstance(answer, Done)
    assert issue.status == DONE
    assert issue.fields["resolution"]


async def test_a_resolution_that_the_step_does_not_allow_is_not_made_up() -> None:
    answer, issue = await Screens().answer("Nonsense")
    assert isinstance(answer, Refused)
    assert answer.code == "transition_field"
    assert "resolution" in answer.detail
    assert issue.status == IN_PROGRESS


async def test_a_resolution_is_not_sent_to_a_step_that_has_none(opened: Opened) -> None:
    issue = await new_issue(opened)
    assert isinstance(await sent(opened, state(issue, "cleared", "Done", resolution="Nonsense")), Done)


async def test_a_move_whose_reply_is_lost_is_recognised_at_once(opened: Opened) -> None:
    bench, issue = opened[0], await new_issue(opened)
    bench.fault("/transitions", kind="reset_after")
    answer = await sent(opened, state(issue, "cleared", "Done"))
    assert answer == Done(issue, {"status": DONE, "moved": True}, (moved("closed", DONE),))


async def test_a_move_that_may_still_come_is_in_doubt(opened: Opened) -> None:
    bench, issue = opened[0], await new_issue(opened)
    bench.fault("/transitions", kind="reset_before")
    assert isinstance(await sent(opened, state(issue, "cleared", "Done")), Doubt)
    assert isinstance(await sent(opened, state(issue, "cleared", "Done")), Done)


async def test_a_busy_site_is_asked_again_by_the_next_run(opened: Opened) -> None:
    issue = await new_issue(opened)
    opened[0].fault("/transitions", kind="status", status=429)
    assert isinstance(await sent(opened, state(issue, "cleared", "Done")), NotSent)


async def test_a_deleted_issue_is_named(opened: Opened) -> None:
    bench, issue = opened[0], await new_issue(opened)
    await bench.do("delete", issue=issue)
    one = state(issue, "cleared", "Done")
    answer = await sent(opened, one)
    assert isinstance(answer, Refused)
    assert answer.code == "not_found"
    assert await IssueStates(opened[1], opened[2]).find([one]) == {"q:x:1": Gone(issue)}


async def test_a_login_that_has_ended_stops_the_run(opened: Opened) -> None:
    issue = await new_issue(opened)
    await opened[0].do("set_option", api_tokens_valid=False)
    with stopped_by(AuthenticationError):
        await sent(opened, state(issue, "cleared", "Done"))


async def test_an_asked_state_shows_once_the_issue_stands_there(opened: Opened) -> None:
    issue = await new_issue(opened)
    target = IssueStates(opened[1], opened[2])
    cleared, still_open = state(issue, "cleared", "Done"), state(issue, "open", "To Do", before="cleared")
    assert (await target.find([cleared]))["q:x:1"] == Absent()
    assert isinstance((await target.find([still_open]))["q:x:1"], Found)
    await sent(opened, cleared)
    found = (await target.find([cleared]))["q:x:1"]
    assert found == Found(issue, data={"status": DONE, "notes": [moved("closed", DONE)]})
    assert (await target.find([still_open]))["q:x:1"] == Absent()
