"""Issues whose creation was not answered, answered in part, or hidden by the index: each is there once in the end."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.engine import jira_desk as desk
from tests.engine import qad_jira
from tests.engine import stories as tell
from tests.engine.jira_desk import CREATE, held, make, opened, post, refusal_code, stands, there
from tests.engine.qad_jira import NAME, THERE, clerk, issue_of, person
from tests.engine.world import Json, World

SINGLE, BULK = "POST /rest/api/3/issue$", "POST /rest/api/3/issue/bulk"


async def _ready(folder: Path, template: Path, invoices: int = 1, **changes: Any) -> World:
    """So many invoices are held in QAD, and no issue is there."""
    world = await make(folder, template, told=False, **changes)
    await post(world, *(held(number) for number in range(1, invoices + 1)))
    return world


async def _once_each(world: World, count: int) -> None:
    """So many issues with a token each, every one made once, and every row has the issue with its token."""
    truth = await world.truth("jira")
    assert (len(truth["tokens"]), set(truth["tokens"].values())) == (count, {1})
    assert set(truth["creates"].values()) == {1}
    by_id = {one["id"]: one for one in await world.admin("jira", "state/issues", method="GET")}
    rows = [row for row in (await world.standing(NAME)).values() if row.direction == THERE and row.target_id]
    assert len(rows) == count
    for row in rows:
        shown = by_id[str(row.target_id)]
        assert shown["properties"]["ml-connector"]["token"] == row.token
        assert row.label in shown["fields"]["summary"]


async def _posts(world: World) -> int:
    return len(await tell.calls(world, "jira", CREATE))


# ---- one issue, its answer lost


async def test_a_create_that_was_reset_is_found_when_the_index_knows_it(tmp_path: Path, sqlite_template: Path) -> None:
    world = await _ready(tmp_path, sqlite_template, options={"jira": {"index_lag_s": 150}})
    await tell.break_wire(world, "jira", "reset_after", SINGLE)
    assert await there(world) == {"in_doubt": 1}
    assert await there(world) == {"in_doubt": 1}
    assert await there(world, 120) == {"created": 1}
    await _once_each(world, 1)
    assert await _posts(world) == 1
    await desk.is_quiet(world)


async def test_a_create_that_was_reset_is_settled_by_its_delivery_before_the_index_knows_it(
    tmp_path: Path, sqlite_template: Path
) -> None:
    world = await _ready(tmp_path, sqlite_template, options={"jira": {"index_lag_s": 3000}})
    await tell.break_wire(world, "jira", "reset_after", SINGLE)
    assert await there(world) == {"in_doubt": 1}
    assert await there(world) == {"in_doubt": 1}
    await desk.deliver(world, "10000", topic="jira:issue_created")
    assert await there(world) == {"created": 1}
    await _once_each(world, 1)


async def test_a_delivery_about_somebody_elses_issue_settles_nothing(tmp_path: Path, sqlite_template: Path) -> None:
    world = await _ready(tmp_path, sqlite_template)
    await tell.break_wire(world, "jira", "reset_before", SINGLE, times=4)
    fields = {"project": {"key": "AP"}, "issuetype": {"id": "10001"}, "summary": "somebody else's"}
    other = await person(world, "create", fields=fields)
    await there(world)
    await tell.mend_wire(world, "jira")
    await desk.deliver(world, other["id"], topic="jira:issue_created")
    for _ in range(3):
        await there(world, 310)
    await _once_each(world, 1)
    assert await issue_of(world, "INV-4101") != other["id"]


@pytest.mark.parametrize("late_s", [30, 290])
async def test_a_late_create_is_waited_for_and_never_doubled(
    tmp_path: Path, sqlite_template: Path, late_s: float
) -> None:
    world = await _ready(tmp_path, sqlite_template)
    await tell.break_wire(world, "jira", "late", SINGLE, seconds=late_s)
    assert await there(world) == {"in_doubt": 1}
    for second in range(10, 360, 10):
        await world.pass_time(10)
        # What is due takes effect when the site is called at all.
        await world.truth("jira")
        if second in (50, 150, 280, 350):
            await there(world, 0)
    assert (await stands(world))["INV-4101"] == "created"
    assert await _posts(world) == 1
    await _once_each(world, 1)


async def test_a_create_that_never_arrived_is_sent_again_after_the_settle_time(
    tmp_path: Path, sqlite_template: Path
) -> None:
    world = await _ready(tmp_path, sqlite_template)
    await tell.break_wire(world, "jira", "hang_before", SINGLE)
    assert await there(world) == {"in_doubt": 1}
    assert await there(world, 290) == {"in_doubt": 1}
    assert await _posts(world) == 1
    assert await there(world, 20) == {"created": 1}
    assert await _posts(world) == 2
    await _once_each(world, 1)


@pytest.mark.parametrize("after", [False, True], ids=["before the effect", "after the effect"])
async def test_a_process_that_dies_at_the_create_leaves_one_issue(
    tmp_path: Path, sqlite_template: Path, after: bool
) -> None:
    world = await _ready(tmp_path, sqlite_template)
    tell.wire(world, "jira").when(CREATE, tell.dies(world), after=after)
    await tell.killed(there(world), world)
    first = await there(world, 181)
    assert first == ({"created": 1} if after else {"in_doubt": 1})
    await there(world, 290)
    await there(world, 20)
    await _once_each(world, 1)


async def test_an_exception_that_changes_while_its_create_is_in_doubt_ends_as_the_newer_state(
    tmp_path: Path, sqlite_template: Path
) -> None:
    world = await _ready(tmp_path, sqlite_template, options={"jira": {"index_lag_s": 150}})
    await tell.break_wire(world, "jira", "reset_after", SINGLE)
    await there(world)
    await clerk(world, "edit_invoice", invoiceReference="INV-4101", changes={"holdAmountTC": 77})
    await there(world)
    await there(world, 200)
    await _once_each(world, 1)
    issue = await issue_of(world, "INV-4101")
    shown = [one for one in await world.admin("jira", "state/issues", method="GET") if one["id"] == issue]
    assert "77 USD" in desk.text_of(shown[0])
    await desk.is_quiet(world)


async def test_an_exception_that_clears_while_its_create_is_in_doubt_closes_its_issue(
    tmp_path: Path, sqlite_template: Path
) -> None:
    world = await _ready(tmp_path, sqlite_template)
    await tell.break_wire(world, "jira", "reset_after", SINGLE)
    await there(world)
    await clerk(world, "edit_invoice", invoiceReference="INV-4101", changes={"holdAmountTC": 0})
    for _ in range(3):
        await there(world, 310)
    await _once_each(world, 1)
    assert await desk.status(world, await issue_of(world, "INV-4101")) == "Done"
    await desk.is_quiet(world)


# ---- bulks


async def test_one_bad_record_of_fifty_is_rejected_with_its_field_and_the_others_go_through(
    tmp_path: Path, sqlite_template: Path
) -> None:
    rules = {"fields": qad_jira.FIELDS, "assignees": {"SUP00007": "712020:nobody"}}
    world = await _ready(tmp_path, sqlite_template, 49, issues=rules)
    await post(world, held(50, supplierCode="SUP00007"))
    assert await there(world) == {"created": 49, "rejected": 1}
    assert (await stands(world))["INV-4150"] == "rejected target_refused"
    assert "assignee" in await refusal_code(world, "INV-4150") or "user" in await refusal_code(world, "INV-4150")
    await _once_each(world, 49)
    assert await _posts(world) == 1


async def test_a_bulk_refused_as_a_whole_is_halved(tmp_path: Path, sqlite_template: Path) -> None:
    world = await _ready(tmp_path, sqlite_template, 12)
    refusal = {"errorMessages": ["Invalid request payload. Refer to the REST API documentation and try again."]}
    await tell.break_wire(world, "jira", "status", BULK, status=400, body=refusal)
    assert await there(world) == {"created": 12}
    assert await _posts(world) == 3
    await _once_each(world, 12)


def _answer(*numbers: int) -> Json:
    site = "http://127.0.0.1/rest/api/3/issue"
    issues = [{"id": str(n), "key": f"AP-{n - 9999}", "self": f"{site}/{n}"} for n in numbers]
    return {"issues": issues, "errors": []}


ANSWERS = {
    "48 of 50": ([*range(10000, 10048)], 48),
    "in another order": ([*reversed(range(10000, 10050))], 50),
    "one twice": ([10000, *range(10000, 10049)], 49),
    "none": ([], 0),
}


@pytest.mark.parametrize(("listed", "known"), ANSWERS.values(), ids=ANSWERS)
async def test_a_bulk_answer_that_does_not_add_up_is_verified_and_nobody_guesses(
    tmp_path: Path, sqlite_template: Path, listed: list[int], known: int
) -> None:
    world = await _ready(tmp_path, sqlite_template, 50)
    await tell.break_wire(world, "jira", "status_after", BULK, status=201, body=_answer(*listed))
    found = Counter(await there(world))
    assert found == Counter({"created": known, "in_doubt": 50 - known})
    assert Counter(await there(world))["created"] == 50 - known
    await _once_each(world, 50)
    assert await _posts(world) == 1
    await desk.is_quiet(world)


async def test_a_bulk_answer_that_names_strangers_is_not_believed(tmp_path: Path, sqlite_template: Path) -> None:
    world = await make(tmp_path, sqlite_template, told=False)
    fields = {"project": {"key": "AP"}, "issuetype": {"id": "10001"}, "summary": "somebody else's"}
    others = [int((await person(world, "create", fields=fields))["id"]) for _ in range(7)]
    await post(world, *(held(number) for number in range(1, 8)))
    await tell.break_wire(world, "jira", "status_after", BULK, status=201, body=_answer(*others))
    assert await there(world) == {"in_doubt": 7}
    assert await there(world) == {"created": 7}
    await _once_each(world, 7)


async def test_a_bulk_whose_answer_is_lost_is_in_doubt_as_a_whole(tmp_path: Path, sqlite_template: Path) -> None:
    world = await _ready(tmp_path, sqlite_template, 9, options={"jira": {"index_lag_s": 150}})
    await tell.break_wire(world, "jira", "reset_after", BULK)
    assert await there(world) == {"in_doubt": 9}
    assert await there(world, 90) == {"in_doubt": 9}
    assert await there(world, 100) == {"created": 9}
    await _once_each(world, 9)
    assert await _posts(world) == 1


# ---- an index and a login that answer with nothing


@pytest.mark.parametrize("errors", ["strict400", "empty200"])
async def test_an_index_that_forgets_what_it_has_shown_makes_no_duplicate(
    tmp_path: Path, sqlite_template: Path, errors: str
) -> None:
    options = {"jira": {"index_lag_s": 20, "index_flap_s": 200, "semantic_errors": errors}}
    world = await _ready(tmp_path, sqlite_template, 2, options=options)
    await tell.break_wire(world, "jira", "reset_after", SINGLE, times=2)
    for _ in range(8):
        await there(world, 45)
        assert await _posts(world) == 2
    await _once_each(world, 2)
    await desk.is_quiet(world)


async def test_nothing_is_created_on_the_word_of_a_search_that_was_answered_as_to_a_stranger(
    tmp_path: Path, sqlite_template: Path
) -> None:
    world = await _ready(tmp_path, sqlite_template, 1, options={"jira": {"bad_token": "anonymous_empty"}})
    await tell.break_wire(world, "jira", "reset_after", SINGLE)
    await there(world)
    await person(world, "expire_tokens", kind="api")
    await world.pass_time(900)
    assert await world.try_run(THERE, NAME) == "AuthenticationError"
    assert (await stands(world))["INV-4101"].split()[0] == "in_doubt"
    assert await _posts(world) == 1


async def test_an_issue_is_not_taken_for_deleted_on_the_word_of_an_answer_to_a_stranger(
    tmp_path: Path, sqlite_template: Path
) -> None:
    world = await opened(tmp_path, sqlite_template, options={"jira": {"bad_token": "anonymous_empty"}})
    await clerk(world, "fail_match", invoiceReference="INV-3001", variance=60)
    await person(world, "expire_tokens", kind="api")
    await world.pass_time(60)
    assert await world.try_run(THERE, NAME) == "AuthenticationError"
    assert "deleted" not in " ".join((await stands(world)).values())
    assert (await world.truth("jira"))["edits"] == {}


async def test_a_searched_token_field_that_is_gone_creates_nothing_blindly(
    tmp_path: Path, sqlite_template: Path
) -> None:
    options = {"jira": {"semantic_errors": "empty200"}}
    world = await _ready(tmp_path, sqlite_template, 1, options=options, jira={"token_field": "customfield_19999"})
    await world.pass_time(60)
    assert await world.try_run(THERE, NAME) != ""
    assert await _posts(world) == 0
