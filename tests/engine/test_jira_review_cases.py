"""Sequences that two hostile readings found: each released, lost or overwrote something before it was mended."""

from __future__ import annotations

from pathlib import Path

import pytest

from ml_connector.sync import inbox
from sandbox.jira.masters import Status, Transition
from tests.engine import jira_desk as desk
from tests.engine import stories as tell
from tests.engine.jira_desk import RELEASES, back, held, make, opened, post, status, there
from tests.engine.qad_jira import BACK, COST_CODE, THERE, clerk, invoice, issue_of, person
from tests.engine.world import World


async def _hold(world: World, label: str) -> float:
    return float((await invoice(world, label))["holdAmountTC"])


async def test_a_second_decision_is_held_against_what_its_issue_showed(tmp_path: Path, sqlite_template: Path) -> None:
    world = await opened(tmp_path, sqlite_template, decisions=RELEASES)
    issue = await desk.resolve(world, "INV-3002")
    await back(world)
    await there(world)
    await clerk(world, "edit_invoice", invoiceReference="INV-3002", changes={"holdAmountTC": 70})
    await there(world)
    assert await status(world, issue) == "To Do"
    await desk.resolve(world, "INV-3002")
    await clerk(world, "edit_invoice", invoiceReference="INV-3002", changes={"holdAmountTC": 200})
    await there(world)
    await back(world)
    assert await _hold(world, "INV-3002") == 200


@pytest.mark.parametrize("refused_before", [True, False])
async def test_a_rule_that_archives_a_finished_issue_decides_nothing(
    tmp_path: Path, sqlite_template: Path, refused_before: bool
) -> None:
    world = await opened(tmp_path, sqlite_template, decisions=RELEASES)
    site = world.apps["jira"].app.state.tenant
    project = next(one for one in site.projects.values() if one.key == "AP")
    site.statuses["10099"] = Status("10099", "Closed", "done", None)
    project.statuses = (*project.statuses, "10099")
    project.transitions = [*project.transitions, Transition(id="99", name="Close", sources=("10002",), to="10099")]
    issue = await desk.resolve(world, "INV-3001")
    await clerk(world, "edit_invoice", invoiceReference="INV-3001", changes={"holdAmountTC": 100})
    await there(world)
    if refused_before:
        await back(world)
    await world.pass_time(7 * 86_400)
    await person(world, "transition", issue=issue, to="Closed")
    await back(world)
    assert await _hold(world, "INV-3001") == 100


async def test_a_lock_that_came_after_the_decision_is_not_lifted(tmp_path: Path, sqlite_template: Path) -> None:
    rules = RELEASES | {"release_status": "AP-RMALLOC"}
    world = await opened(tmp_path, sqlite_template, decisions=rules)
    await desk.resolve(world, "INV-3002")
    locked = {"invoiceStatusCode": "AP-INITIAL", "isLockPayment": True}
    await clerk(world, "edit_invoice", invoiceReference="INV-3002", changes=locked)
    await back(world)
    now = await invoice(world, "INV-3002")
    assert (now["holdAmountTC"], now["invoiceStatusCode"]) == (100, "AP-INITIAL")


@pytest.mark.parametrize("lost", [False, True])
async def test_a_decision_about_an_issue_whose_create_was_in_doubt_arrives(
    tmp_path: Path, sqlite_template: Path, lost: bool
) -> None:
    world = await make(tmp_path, sqlite_template, told=False, decisions=RELEASES)
    await post(world, held(1), held(2))
    if lost:
        await tell.break_wire(world, "jira", "reset_after", "POST /rest/api/3/issue$", times=1)
    await there(world)
    issues = await world.admin("jira", "state/issues", method="GET")
    one, other = (
        next(one["id"] for one in issues if label in one["fields"]["summary"]) for label in ("INV-4101", "INV-4102")
    )
    for name in ("In Progress", "Done"):
        await person(world, "transition", issue=one, to=name)
    await desk.deliver(world, one)
    await back(world)
    # People go on with other issues, so the mark moves past it.
    for number in range(2):
        await world.pass_time(600)
        await person(world, "set_fields", issue=other, fields={COST_CODE: f"C{number}"})
        await back(world)
    for _ in range(3):
        await desk.in_order(world, THERE, BACK)
        await world.pass_time(900)
    assert await _hold(world, "INV-4101") == 0


async def test_deliveries_that_repeat_an_issue_while_they_are_read_are_one_decision(
    tmp_path: Path, sqlite_template: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inbox, "_PAGE", 1)
    world = await opened(tmp_path, sqlite_template)
    one, other = [await issue_of(world, label) for label in ("INV-3002", "INV-3001")]
    await person(world, "set_fields", issue=one, fields={COST_CODE: "CC77"})
    await desk.deliver(world, one, other)
    world.clock.advance(1)
    await desk.deliver(world, one)
    await back(world)
    assert (await desk.qad_slots(world, "INV-3002"))["customShort4"] == "CC77"
    assert await desk.waiting(world) == 0
