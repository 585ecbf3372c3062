"""One issue per QAD record, ever: it changes its kind, clears, comes back and ages, and is never made twice."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from tests.engine import jira_desk as desk
from tests.engine import stories as tell
from tests.engine.jira_desk import comments, field, make, opened, stands, status, there
from tests.engine.qad_jira import FIELDS, clerk, issue_of, person
from tests.engine.stories import DAY_S
from tests.engine.world import START, Json, World

KIND = FIELDS["kind"]


async def _kind(world: World, issue: str) -> str:
    return str((await field(world, issue, KIND))["value"])


async def _creates(world: World) -> Json:
    """Issues that the connector made, by token."""
    found: Json = (await world.truth("jira"))["creates"]
    return found


async def test_hold_becomes_match_becomes_hold_in_one_issue(tmp_path: Path, sqlite_template: Path) -> None:
    world = await opened(tmp_path, sqlite_template)
    issue = await issue_of(world, "INV-3002")
    for kind, variance, hold in (("Match", 30, 100), ("Hold", 0, 100), ("Match", 12, 20), ("Hold", 0, 5)):
        await clerk(world, "fail_match", invoiceReference="INV-3002", variance=variance, hold=hold)
        await there(world)
        assert await _kind(world, issue) == kind
        assert kind.lower() in str(await field(world, issue, "summary")).replace("held", "hold")
    assert await issue_of(world, "INV-3002") == issue
    assert len(await comments(world, issue)) == 4
    assert len(await _creates(world)) == 3
    await desk.is_quiet(world)


async def test_a_cleared_exception_is_told_and_moved_and_its_return_reopens_the_issue(
    tmp_path: Path, sqlite_template: Path
) -> None:
    world = await opened(tmp_path, sqlite_template)
    issue = await issue_of(world, "INV-3001")
    for round_ in (1, 2):
        await clerk(world, "clear_match", invoiceReference="INV-3001")
        await there(world)
        assert await status(world, issue) == "Done"
        assert "The exception has cleared in QAD." in (await comments(world, issue))[-1]
        await desk.is_quiet(world)
        await clerk(world, "fail_match", invoiceReference="INV-3001", variance=10 * round_)
        await there(world)
        assert await status(world, issue) == "To Do"
        assert f"Variance: 0 USD → {10 * round_} USD" in (await comments(world, issue))[-1]
        await desk.is_quiet(world)
    assert len(await comments(world, issue)) == 4
    assert set((await _creates(world)).values()) == {1} and len(await _creates(world)) == 3


async def test_the_return_of_an_exception_reopens_what_a_person_had_closed(
    tmp_path: Path, sqlite_template: Path
) -> None:
    world = await opened(tmp_path, sqlite_template)
    issue = await desk.resolve(world, "INV-3001")
    await clerk(world, "clear_match", invoiceReference="INV-3001")
    await there(world)
    await clerk(world, "fail_match", invoiceReference="INV-3001")
    await there(world)
    assert await status(world, issue) == "To Do"
    assert len(await _creates(world)) == 3


async def test_an_issue_that_a_person_closed_stays_closed_while_the_exception_changes(
    tmp_path: Path, sqlite_template: Path
) -> None:
    world = await opened(tmp_path, sqlite_template)
    issue = await desk.resolve(world, "INV-3001")
    await clerk(world, "fail_match", invoiceReference="INV-3001", variance=40)
    await there(world)
    assert await status(world, issue) == "Done"
    assert len(await comments(world, issue)) == 1


async def test_an_issue_without_a_way_to_the_cleared_status_says_so_and_goes_through_later(
    tmp_path: Path, sqlite_template: Path
) -> None:
    world = await opened(tmp_path, sqlite_template, issues={"fields": FIELDS, "cleared_status": "Nowhere"})
    await clerk(world, "clear_match", invoiceReference="INV-3001")
    await there(world)
    assert await desk.refusal_code(world, "INV-3001") == "no_transition"
    assert len(await comments(world, "10000")) == 1
    await desk.is_quiet(world)
    await desk.change_settings(world)
    await there(world)
    assert await status(world, "10000") == "Done"
    assert len(await comments(world, "10000")) == 1
    await desk.is_quiet(world)


async def test_an_invoice_that_was_paid_is_no_exception_any_more(tmp_path: Path, sqlite_template: Path) -> None:
    world = await opened(tmp_path, sqlite_template)
    await clerk(world, "pay", invoiceReference="INV-3002")
    await there(world)
    assert await status(world, "10001") == "Done"
    await desk.is_quiet(world)


# ---- only reading a record by its key clears it


async def test_an_exception_that_no_list_shows_any_more_is_not_cleared(tmp_path: Path, sqlite_template: Path) -> None:
    world = await opened(tmp_path, sqlite_template, exceptions={"late_window_days": 7})
    issue = await issue_of(world, "PO200004")
    for _ in range(3):
        await there(world, 5 * DAY_S)
    assert await status(world, issue) == "To Do"
    assert await comments(world, issue) == []
    await tell.receive(world, 25, "PO200004")
    await there(world)
    assert await status(world, issue) == "Done"


async def test_an_exception_that_an_empty_list_hides_is_not_cleared(tmp_path: Path, sqlite_template: Path) -> None:
    world = await opened(tmp_path, sqlite_template)
    empty = {"data": [], "auxillaryData": {"HasMoreParams": "false"}}
    await tell.break_wire(world, "qad", "status", r"GET browses?", status=200, body=empty, times=-1)
    before = await desk.writes(world)
    assert (await there(world, DAY_S)).keys() <= {"unchanged"}
    await tell.mend_wire(world, "qad")
    await there(world, DAY_S)
    assert await desk.writes(world) == before


async def test_an_invoice_deleted_in_qad_is_held_and_its_issue_is_left_alone(
    tmp_path: Path, sqlite_template: Path
) -> None:
    world = await opened(tmp_path, sqlite_template)
    await clerk(world, "edit_invoice", invoiceReference="INV-3002", changes={"invoiceStatusCode": "AP-INITIAL"})
    await clerk(world, "delete_initial_invoice", invoiceReference="INV-3002")
    await desk.replay(world, "qad_to_jira", "INV-3002")
    await there(world)
    assert (await stands(world))["INV-3002"] == "held source_not_found"
    assert await status(world, "10001") == "To Do"


# ---- time alone


def _order(**lines: int) -> Json:
    """An order of ten pieces per line, due so many days from now."""
    found = [
        {
            "purchaseOrderLine": n,
            "itemCode": f"ITEM000{n}",
            "quantityOrdered": 10,
            "purchaseCost": 3,
            "dueDate": (START.date() + timedelta(days=days)).isoformat(),
        }
        for n, days in enumerate(lines.values(), 1)
    ]
    return {"purchaseOrderNumber": "PO300001", "supplierCode": "SUP00001", "currencyCode": "USD", "lines": found}


async def test_a_second_line_becomes_late_by_time_alone_and_a_receipt_clears_the_order(
    tmp_path: Path, sqlite_template: Path
) -> None:
    world = await make(tmp_path, sqlite_template, told=False)
    await world.admin("qad", "seed", {"purchaseOrders": [_order(first=-1, second=2)]})
    await there(world)
    issue = await issue_of(world, "PO300001")
    assert await desk.writes(world) == (0, (await desk.writes(world))[1] | {"creates": 1, "comments": 0})
    await there(world, DAY_S)
    assert await comments(world, issue) == []
    await there(world, 2 * DAY_S)
    [told] = await comments(world, issue)
    assert "line 2" in told and "60 USD" in told
    for line in (1, 2):
        posted = {"purchaseOrderNumber": "PO300001", "purchaseOrderLine": line, "quantity": 10}
        await world.admin("qad", "do/post_receipt", posted)
        await there(world)
        assert await status(world, issue) == ("To Do" if line == 1 else "Done")
    assert [len(await comments(world, issue)), len(await _creates(world))] == [3, 1]
    await desk.is_quiet(world)


def _unmatched() -> Json:
    posted = (START.date() - timedelta(days=10)).isoformat()
    return desk.held(
        1,
        holdAmountTC=0,
        postingDate=posted,
        invoiceDate=posted,
        isReceiverMatching=True,
        isInitialStatus=False,
        receiverMatchingStatus="INITIAL",
    )


async def test_an_unmatched_invoice_turns_old_by_time_alone(tmp_path: Path, sqlite_template: Path) -> None:
    world = await make(tmp_path, sqlite_template, told=False, exceptions={"unmatched_after_days": 14})
    await desk.post(world, _unmatched())
    await there(world)
    await there(world, 3 * DAY_S)
    assert await _creates(world) == {}
    await there(world, 1.5 * DAY_S)
    issue = await issue_of(world, "INV-4101")
    assert await _kind(world, issue) == "Match"
    await desk.is_quiet(world)


# ---- issues that people delete, copy and move


async def test_a_deleted_issue_is_made_again_only_when_a_person_asks(tmp_path: Path, sqlite_template: Path) -> None:
    world = await opened(tmp_path, sqlite_template)
    await person(world, "delete", issue="10000")
    await desk.is_quiet(world)
    for variance in (30, 35):
        await clerk(world, "fail_match", invoiceReference="INV-3001", variance=variance)
        await there(world)
        assert (await stands(world))["INV-3001"] == "rejected target_deleted"
    await desk.replay(world, "qad_to_jira", "INV-3001")
    await there(world)
    assert len(await _creates(world)) == 3 and set((await _creates(world)).values()) == {1}
    await desk.replay(world, "qad_to_jira", "INV-3001", recreate=True)
    await there(world)
    again = await issue_of(world, "INV-3001")
    assert again != "10000"
    assert sorted((await _creates(world)).values()) == [1, 1, 2]
    assert await field(world, again, FIELDS["variance"]) == 35
    await desk.is_quiet(world)
    await desk.resolve(world, "INV-3001")
    await desk.back(world)
    assert (await desk.qad_slots(world, "INV-3001"))["customShort2"] == "Done"
    await desk.is_quiet(world)


@pytest.mark.parametrize("label", ["INV-3001", "PO200004"])
async def test_a_resolved_clone_decides_nothing_and_is_not_adopted(
    tmp_path: Path, sqlite_template: Path, label: str
) -> None:
    world = await opened(tmp_path, sqlite_template, decisions=desk.RELEASES)
    mine = await issue_of(world, label)
    clone = (await person(world, "clone", issue=mine))["id"]
    for name in ("In Progress", "Done"):
        await person(world, "transition", issue=clone, to=name)
    await desk.deliver(world, clone, topic="jira:issue_created")
    await desk.deliver(world, clone)
    await desk.is_quiet(world)
    assert (await world.truth("qad"))["writes"] == 0
    assert await issue_of(world, label) == mine
    await person(world, "delete", issue=mine)
    await clerk(world, "fail_match", invoiceReference="INV-3001", variance=30)
    await tell.receive(world, 5, "PO200004")
    await there(world)
    assert (await stands(world))[label] == "rejected target_deleted"
    await desk.replay(world, "qad_to_jira", label, recreate=True)
    await there(world)
    assert (await stands(world))[label] == "rejected possible_duplicate"
    assert len(await _creates(world)) == 3


async def test_a_moved_issue_keeps_its_row(tmp_path: Path, sqlite_template: Path) -> None:
    world = await opened(tmp_path, sqlite_template)
    moved = await person(world, "move", issue="10000", to="OPS")
    assert moved["key"].startswith("OPS-")
    await desk.is_quiet(world)
    await clerk(world, "fail_match", invoiceReference="INV-3001", variance=30)
    await there(world)
    assert await issue_of(world, "INV-3001") == "10000"
    assert len(await _creates(world)) == 3
    assert (await stands(world))["INV-3001"] == "rejected target_refused"
    assert await desk.refusal_code(world, "INV-3001") == f"screen:{FIELDS['variance']}", "not there"
