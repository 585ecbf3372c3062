"""Hard cases of decisions: what we closed ourselves, issues that were moved, a hold set anew while nobody knows."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.engine import jira_desk as desk
from tests.engine import qad_jira
from tests.engine import stories as tell
from tests.engine.jira_desk import RELEASES, back, opened, there
from tests.engine.qad_jira import clerk, invoice, person


@pytest.mark.parametrize("release", [False, True])
async def test_an_issue_that_we_closed_is_no_decision_when_its_exception_returns_and_nothing_reopens_it(
    tmp_path: Path, sqlite_template: Path, release: bool
) -> None:
    rules = qad_jira.settings()["issues"] | {"returned_status": ""}
    decisions = RELEASES | {"release_on": ["Won't Do", "Done"]} if release else RELEASES
    world = await opened(tmp_path, sqlite_template, decisions=decisions, issues=rules)
    for hold in (0, 70):
        await clerk(world, "edit_invoice", invoiceReference="INV-3002", changes={"holdAmountTC": hold})
        await there(world)
        await back(world)
    assert (await invoice(world, "INV-3002"))["customShort2"] == ""
    assert (await invoice(world, "INV-3002"))["holdAmountTC"] == 70


async def test_a_person_who_reopens_what_we_closed_and_finishes_it_has_decided(
    tmp_path: Path, sqlite_template: Path
) -> None:
    world = await opened(tmp_path, sqlite_template)
    await clerk(world, "edit_invoice", invoiceReference="INV-3002", changes={"holdAmountTC": 0})
    await there(world)
    await back(world)
    for name in ("To Do", "In Progress", "Done"):
        await person(world, "transition", issue="10001", to=name)
        await back(world)
    assert (await invoice(world, "INV-3002"))["customShort2"] == "Done"


async def test_a_decision_about_an_issue_moved_to_another_project_is_found_by_the_poll(
    tmp_path: Path, sqlite_template: Path
) -> None:
    world = await opened(tmp_path, sqlite_template)
    await person(world, "move", issue="10000", to="OPS")
    for step in ("10011", "10012"):
        await person(world, "transition", issue="10000", to=step)
    await back(world)
    assert (await desk.qad_slots(world, "INV-3001")).get("customShort2") == "Done"


async def test_a_hold_set_anew_while_a_release_is_in_doubt_is_not_released_as_well(
    tmp_path: Path, sqlite_template: Path
) -> None:
    world = await opened(tmp_path, sqlite_template, decisions=RELEASES)
    await desk.resolve(world, "INV-3002")
    await tell.break_wire(world, "qad", "reset_after", "POST supplierInvoices")
    await back(world)
    await clerk(world, "edit_invoice", invoiceReference="INV-3002", changes={"holdAmountTC": 100})
    for seconds in (60, 700, 60):
        await back(world, seconds)
    assert (await invoice(world, "INV-3002"))["holdAmountTC"] == 100
