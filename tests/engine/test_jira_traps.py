"""A cost code travels both ways: whoever changed it is believed, and where both did, a person decides."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.engine import jira_desk as desk
from tests.engine import qad_jira
from tests.engine import stories as tell
from tests.engine.jira_desk import field, in_order, opened, stands
from tests.engine.qad_jira import BACK, COST_CODE, FIELDS, THERE, clerk, invoice, issue_of, person, shown
from tests.engine.world import World

ORDERS = pytest.mark.parametrize("order", [(THERE, BACK), (BACK, THERE)], ids=["there first", "back first"])


async def _choose(world: World, code: str, label: str = "INV-3001") -> str:
    issue = await issue_of(world, label)
    await person(world, "set_fields", issue=issue, fields={COST_CODE: code}, account="712020:buyer-0005")
    return issue


async def _book(world: World, *, lines: Any = (), **changes: Any) -> None:
    await clerk(world, "edit_invoice", invoiceReference="INV-3001", changes=changes, lines=list(lines))


async def _codes(world: World, label: str = "INV-3001") -> tuple[Any, Any]:
    """The cost code in Jira and in QAD's slot."""
    issue = await issue_of(world, label)
    return await field(world, issue, COST_CODE), (await invoice(world, label))["customShort4"]


# ---- the cost code travels both ways


@ORDERS
async def test_the_buyers_cost_code_lives_and_the_changed_amount_arrives(
    tmp_path: Path, sqlite_template: Path, order: tuple[str, ...]
) -> None:
    world = await opened(tmp_path, sqlite_template)
    issue = await _choose(world, "CC77")
    await _book(world, lines=[{"line": 1, "amountTC": 35}], originalAmountTC=660, holdAmountTC=45)
    await in_order(world, *order)
    assert await _codes(world) == ("CC77", "CC77")
    assert (await field(world, issue, FIELDS["amount"])) == 660
    assert (await invoice(world, "INV-3001"))["holdAmountTC"] == 45
    await desk.comes_to_rest(world)


@ORDERS
async def test_a_cost_code_changed_in_qad_arrives_in_jira_and_is_not_echoed(
    tmp_path: Path, sqlite_template: Path, order: tuple[str, ...]
) -> None:
    world = await opened(tmp_path, sqlite_template)
    await _book(world, customShort4="CC50")
    await in_order(world, *order)
    assert await _codes(world) == ("CC50", "CC50")
    assert (await world.truth("qad"))["writes"] == 0
    await desk.comes_to_rest(world)


async def test_a_cost_code_that_went_there_and_back_again_travels_each_time(
    tmp_path: Path, sqlite_template: Path
) -> None:
    world = await opened(tmp_path, sqlite_template)
    for code in ("CC77", "CC40", "CC77"):
        await _choose(world, code)
        await in_order(world, THERE, BACK)
        assert await _codes(world) == (code, code)
    await _book(world, customShort4="CC60")
    await in_order(world, BACK, THERE)
    assert await _codes(world) == ("CC60", "CC60")
    await desk.comes_to_rest(world)


@ORDERS
@pytest.mark.parametrize("winner", ["CC77", "CC50", "CC99"])
async def test_a_cost_code_changed_on_both_sides_waits_for_a_person_and_then_goes_on(
    tmp_path: Path, sqlite_template: Path, order: tuple[str, ...], winner: str
) -> None:
    world = await opened(tmp_path, sqlite_template)
    await _choose(world, "CC77")
    await _book(world, customShort4="CC50", holdAmountTC=45)
    for _ in range(2):
        await in_order(world, *order)
        found = await stands(world)
        assert (found["INV-3001"], found["AP-1"]) == ("held conflict", "held conflict")
        assert await _codes(world) == ("CC77", "CC50")
    await _choose(world, winner)
    await _book(world, customShort4=winner)
    await in_order(world, *order, *order)
    found = await stands(world)
    assert "conflict" not in " ".join(found.values())
    assert await _codes(world) == (winner, winner)
    assert "45 USD" in desk.text_of(await shown(world, "10000"))
    await desk.comes_to_rest(world)


@ORDERS
async def test_both_sides_that_chose_the_same_cost_code_agree_without_a_write_of_it(
    tmp_path: Path, sqlite_template: Path, order: tuple[str, ...]
) -> None:
    world = await opened(tmp_path, sqlite_template)
    await _choose(world, "CC77")
    await _book(world, customShort4="CC77")
    await in_order(world, *order)
    assert await _codes(world) == ("CC77", "CC77")
    assert "conflict" not in " ".join((await stands(world)).values())
    await desk.comes_to_rest(world)


@ORDERS
async def test_the_cost_code_of_a_late_order_travels_as_well(
    tmp_path: Path, sqlite_template: Path, order: tuple[str, ...]
) -> None:
    slots = {"issue_key": "customShort0", "resolution": "customShort1", "cost_code": "customShort2"}
    rules = qad_jira.settings()["decisions"] | {"order": slots}
    world = await opened(tmp_path, sqlite_template, decisions=rules)
    issue = await _choose(world, "CC77", "PO200004")
    await tell.receive(world, 5, "PO200004")
    await in_order(world, *order)
    assert (await field(world, issue, COST_CODE), await _slot(world)) == ("CC77", "CC77")
    assert await field(world, issue, FIELDS["amount"]) == 600
    await desk.comes_to_rest(world)
    await clerk(world, "edit_order", purchaseOrderNumber="PO200004", changes={"customShort2": "CC50"})
    await in_order(world, *order)
    assert (await field(world, issue, COST_CODE), await _slot(world)) == ("CC50", "CC50")
    await desk.comes_to_rest(world)


async def _slot(world: World) -> Any:
    """The cost code that QAD keeps with the late order."""
    found = await world.admin("qad", "state/purchaseOrders", method="GET")
    return next(one["customShort2"] for one in found if one["purchaseOrderNumber"] == "PO200004")
