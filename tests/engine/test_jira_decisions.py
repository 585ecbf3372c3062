"""Decisions of people in Jira: a refusal by QAD is told once, nothing is released blindly, ours are not theirs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.engine import jira_desk as desk
from tests.engine import stories as tell
from tests.engine.jira_desk import RELEASES, UPDATE, back, comments, opened, refusal_code, stands, status, there
from tests.engine.qad_jira import APPROVAL, BACK, THERE, clerk, invoice, issue_of, person
from tests.engine.world import World

NOT_TAKEN, TAKEN = "QAD did not take this decision.", "QAD has taken the decision now."


async def _hold(world: World, label: str = "INV-3001") -> Any:
    return (await invoice(world, label))["holdAmountTC"]


async def _puts(world: World) -> int:
    return len(await tell.calls(world, "qad", UPDATE))


# ---- QAD refuses a decision

REFUSALS = {
    "submitted for approval": ("submit_for_approval", "submitted", "submitted_for_approval"),
    "selected for payment": ("select_for_payment", "selected", "selected_for_payment"),
}


@pytest.mark.parametrize(("verb", "flag", "code"), REFUSALS.values(), ids=REFUSALS)
@pytest.mark.parametrize("changed", [False, True], ids=["replayed", "issue changed"])
async def test_a_refused_decision_is_told_once_and_taken_when_a_person_asks_again(
    tmp_path: Path, sqlite_template: Path, verb: str, flag: str, code: str, changed: bool
) -> None:
    world = await opened(tmp_path, sqlite_template)
    await clerk(world, verb, invoiceReference="INV-3002")
    issue = await desk.resolve(world, "INV-3002")
    await back(world)
    assert ((await stands(world))["AP-2"], await refusal_code(world, "AP-2")) == ("rejected target_refused", code)
    told = await comments(world, issue)
    assert [NOT_TAKEN in one for one in told] == [True]
    await desk.is_quiet(world)
    await clerk(world, verb, invoiceReference="INV-3002", **{flag: False})
    if changed:
        await person(world, "set_fields", issue=issue, fields={APPROVAL: {"value": "Approved"}})
    else:
        await desk.replay(world, BACK, "AP-2")
    await back(world)
    assert (await invoice(world, "INV-3002"))["customShort2"] == "Done"
    assert [TAKEN in one for one in await comments(world, issue)] == [False, True]
    await desk.is_quiet(world)


async def test_a_decision_about_a_closed_order_is_told_with_qads_text(tmp_path: Path, sqlite_template: Path) -> None:
    world = await opened(tmp_path, sqlite_template)
    issue = await desk.resolve(world, "PO200004")
    await clerk(world, "close_po", purchaseOrderNumber="PO200004")
    await back(world)
    assert ((await stands(world))["AP-3"], await refusal_code(world, "AP-3")) == ("rejected target_refused", "closed")
    assert "closed" in (await comments(world, issue))[0].lower()
    await clerk(world, "reopen_po", purchaseOrderNumber="PO200004")
    await desk.replay(world, BACK, "AP-3")
    await back(world)
    assert [TAKEN in one for one in await comments(world, issue)] == [False, True]


async def test_a_record_that_others_keep_changing_is_waited_for_and_told(tmp_path: Path, sqlite_template: Path) -> None:
    world = await opened(tmp_path, sqlite_template)
    issue = await desk.resolve(world, "INV-3002")
    texts = iter(range(100))

    async def edited() -> None:
        await clerk(world, "edit_invoice", invoiceReference="INV-3002", changes={"description": f"text {next(texts)}"})

    tell.wire(world, "qad").when(UPDATE, edited, times=100)
    await back(world)
    assert (await stands(world))["AP-2"].split()[0] == "held"
    assert await refusal_code(world, "AP-2") == "stale"
    tell.wire(world, "qad").hooks.clear()
    await back(world)
    assert (await stands(world))["AP-2"] == "updated"
    assert [TAKEN in one for one in await comments(world, issue)][1:] == [True]
    await desk.is_quiet(world)


async def test_another_refusal_is_told_anew_and_the_same_one_is_not(tmp_path: Path, sqlite_template: Path) -> None:
    world = await opened(tmp_path, sqlite_template)
    await clerk(world, "submit_for_approval", invoiceReference="INV-3002")
    issue = await desk.resolve(world, "INV-3002")
    await back(world)
    await desk.replay(world, BACK, "AP-2")
    await back(world)
    assert len(await comments(world, issue)) == 1
    await clerk(world, "submit_for_approval", invoiceReference="INV-3002", submitted=False)
    await clerk(world, "select_for_payment", invoiceReference="INV-3002")
    await desk.replay(world, BACK, "AP-2")
    await back(world)
    assert [NOT_TAKEN in one for one in await comments(world, issue)] == [True, True]
    await desk.is_quiet(world)


async def test_a_refused_decision_that_a_person_takes_back_never_gets_to_qad(
    tmp_path: Path, sqlite_template: Path
) -> None:
    world = await opened(tmp_path, sqlite_template)
    await clerk(world, "submit_for_approval", invoiceReference="INV-3002")
    issue = await desk.resolve(world, "INV-3002")
    await back(world)
    await person(world, "transition", issue=issue, to="To Do")
    await back(world)
    assert not any(TAKEN in one for one in await comments(world, issue)), "QAD has taken nothing"
    await desk.is_quiet(world)
    await clerk(world, "submit_for_approval", invoiceReference="INV-3002", submitted=False)
    await desk.replay(world, BACK, "AP-2")
    await back(world)
    assert (await invoice(world, "INV-3002"))["customShort2"] == ""
    await desk.is_quiet(world)


async def test_a_refusal_told_after_a_lost_answer_is_told_once(tmp_path: Path, sqlite_template: Path) -> None:
    world = await opened(tmp_path, sqlite_template)
    await clerk(world, "submit_for_approval", invoiceReference="INV-3002")
    issue = await desk.resolve(world, "INV-3002")
    await tell.break_wire(world, "jira", "reset_after", "POST comment")
    await back(world)
    assert (await stands(world))["AP-2 refusal"].split()[0] == "in_doubt"
    await back(world, 400)
    await back(world, 400)
    assert [NOT_TAKEN in one for one in await comments(world, issue)] == [True]
    assert (await stands(world))["AP-2 refusal"] == "created"


# ---- releasing a hold


async def test_nothing_is_released_unless_a_resolution_is_mapped_to_it(tmp_path: Path, sqlite_template: Path) -> None:
    world = await opened(tmp_path, sqlite_template)
    issue = await desk.resolve(world, "INV-3002")
    await person(world, "set_fields", issue=issue, fields={APPROVAL: {"value": "Approved"}})
    await desk.in_order(world, BACK, THERE, BACK)
    assert await _hold(world, "INV-3002") == 100
    found = await invoice(world, "INV-3002")
    assert (found["customShort2"], found["customShort3"]) == ("Done", "Approved")


async def test_a_mapped_resolution_releases_the_hold_that_was_seen_once(tmp_path: Path, sqlite_template: Path) -> None:
    world = await opened(tmp_path, sqlite_template, decisions=RELEASES)
    issue = await desk.resolve(world, "INV-3002")
    await back(world)
    assert await _hold(world, "INV-3002") == 0
    await there(world)
    assert await status(world, issue) == "Done"
    await desk.is_quiet(world)
    await clerk(world, "edit_invoice", invoiceReference="INV-3002", changes={"holdAmountTC": 70})
    await there(world)
    assert await status(world, issue) == "To Do"
    await back(world)
    await desk.is_quiet(world)
    assert await _hold(world, "INV-3002") == 70, "a new hold needs a decision of its own"


async def test_declining_releases_nothing(tmp_path: Path, sqlite_template: Path) -> None:
    world = await opened(tmp_path, sqlite_template, decisions=RELEASES | {"release_on": ["Fixed"]})
    await desk.resolve(world, "INV-3002")
    await back(world)
    assert await _hold(world, "INV-3002") == 100


async def _grown(world: World) -> str:
    """The buyer resolves an issue that shows a hold of 25; meanwhile it has become 100 in QAD."""
    issue = await desk.resolve(world, "INV-3001")
    await clerk(world, "edit_invoice", invoiceReference="INV-3001", changes={"holdAmountTC": 100})
    return issue


async def test_a_hold_that_is_another_by_now_is_not_released_and_the_buyer_is_told(
    tmp_path: Path, sqlite_template: Path
) -> None:
    world = await opened(tmp_path, sqlite_template, decisions=RELEASES)
    issue = await _grown(world)
    await back(world)
    assert (await _hold(world), await refusal_code(world, "AP-1")) == (100, "hold_changed")
    told = await comments(world, issue)
    assert len(told) == 1 and NOT_TAKEN in told[0] and "100" in told[0]
    await there(world)
    await desk.is_quiet(world)
    assert await _hold(world) == 100


async def test_a_hold_that_grew_is_not_released_when_the_way_there_runs_first(
    tmp_path: Path, sqlite_template: Path
) -> None:
    world = await opened(tmp_path, sqlite_template, decisions=RELEASES)
    issue = await _grown(world)
    await desk.in_order(world, THERE, BACK, THERE, BACK)
    assert await _hold(world) == 100, "the buyer has seen 25"
    told = await comments(world, issue)
    assert [NOT_TAKEN in one for one in told] == [False, True]
    await desk.replay(world, BACK, "AP-1")
    await desk.is_quiet(world)
    assert await _hold(world) == 100, "an operator has not decided it either"
    for name in ("To Do", "In Progress", "Done"):
        await person(world, "transition", issue=issue, to=name)
    await back(world)
    assert await _hold(world) == 0, "decided anew, with 100 before them"
    await there(world)
    await desk.is_quiet(world)


async def test_new_settings_do_not_release_a_hold_that_nobody_has_seen(tmp_path: Path, sqlite_template: Path) -> None:
    world = await opened(tmp_path, sqlite_template, decisions=RELEASES)
    await _grown(world)
    await back(world)
    await there(world)
    await desk.change_settings(world, decisions=RELEASES, issues={"labels": ["erp"]})
    await back(world)
    assert await _hold(world) == 100


async def test_a_release_goes_through_once_the_buyer_has_seen_the_new_hold(
    tmp_path: Path, sqlite_template: Path
) -> None:
    world = await opened(tmp_path, sqlite_template, decisions=RELEASES)
    issue = await _grown(world)
    await back(world)
    await there(world)
    await person(world, "transition", issue=issue, to="To Do")
    await back(world)
    await desk.resolve(world, "INV-3001")
    await back(world)
    assert await _hold(world) == 0
    await there(world)
    await desk.is_quiet(world)


# ---- ours are not theirs


async def test_our_own_transition_is_no_decision(tmp_path: Path, sqlite_template: Path) -> None:
    world = await opened(tmp_path, sqlite_template, decisions=RELEASES)
    issue = await issue_of(world, "INV-3002")
    await clerk(world, "edit_invoice", invoiceReference="INV-3002", changes={"holdAmountTC": 0})
    await there(world)
    assert await status(world, issue) == "Done"
    before = await _puts(world)
    await desk.is_quiet(world)
    assert await _puts(world) == before
    assert (await invoice(world, "INV-3002"))["customShort2"] == ""
    await clerk(world, "edit_invoice", invoiceReference="INV-3002", changes={"holdAmountTC": 55})
    await desk.in_order(world, BACK)
    assert await _hold(world, "INV-3002") == 55, "we closed it; nobody has released the new hold"


async def test_our_own_transition_whose_answer_was_lost_is_no_decision(tmp_path: Path, sqlite_template: Path) -> None:
    world = await opened(tmp_path, sqlite_template, decisions=RELEASES)
    await clerk(world, "edit_invoice", invoiceReference="INV-3002", changes={"holdAmountTC": 0})
    tell.wire(world, "jira").when(r"^POST .*/transitions", tell.dies(world), after=True)
    await tell.killed(there(world), world)
    for seconds in (60, 200, 400, 400):
        await back(world, seconds)
        await there(world, 200)
    assert (await invoice(world, "INV-3002"))["customShort2"] == ""
    assert (await stands(world))["INV-3002"] in ("created", "updated")
    assert await status(world, "10001") == "Done"
    await desk.is_quiet(world)


async def test_a_person_who_reopens_what_we_closed_is_believed(tmp_path: Path, sqlite_template: Path) -> None:
    world = await opened(tmp_path, sqlite_template)
    issue = await issue_of(world, "INV-3002")
    await clerk(world, "edit_invoice", invoiceReference="INV-3002", changes={"holdAmountTC": 0})
    await there(world)
    await person(world, "transition", issue=issue, to="To Do")
    await desk.is_quiet(world)
    assert await status(world, issue) == "To Do", "people may keep an issue open"
