"""Suppliers and codes from QAD to Coupa: matched by number, never doubled by name, retired with their owner."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.engine import stories as tell
from tests.engine.stories import break_wire
from tests.engine.way_back import later, run
from tests.engine.world import Json, World

pytestmark = pytest.mark.asyncio
CODES: Json = {
    "reference_data": [{"source": "cost_centers", "lookup": "Cost Centre"}],
    "suppliers": {"direction": "none"},
}


async def _edit_supplier(world: World, number: str, **members: object) -> None:
    await world.admin("qad", "seed", {"suppliers": [{"supplierCode": number, **members}]})


async def _codes(world: World) -> list[str]:
    return sorted((await world.truth("coupa"))["lookup_values"])


async def test_suppliers_known_by_number_are_adopted_and_the_others_created(
    tmp_path: Path, sqlite_template: Path
) -> None:
    world = await tell.make(tmp_path, sqlite_template)
    found = await run(world)
    assert (found["updated"], found["created"], found["skipped"]) == (3, 6, 1)
    assert set((await world.truth("coupa"))["suppliers"].values()) == {1}
    before = await tell.writes(world)
    await later(world)
    assert await tell.writes(world) == before


async def test_a_name_that_another_number_has_is_for_a_person(tmp_path: Path, sqlite_template: Path) -> None:
    world = await tell.make(tmp_path, sqlite_template)
    await _edit_supplier(world, "SUP00077", addressName="Harbour Steel")
    assert (await run(world))["rejected"] == 1
    assert (await tell.stands(world))["SUP00077"] == "rejected name_taken"
    assert "SUP00077" not in (await world.truth("coupa"))["suppliers"]


async def test_a_lost_answer_to_a_new_supplier_makes_one(tmp_path: Path, sqlite_template: Path) -> None:
    world = await tell.make(tmp_path, sqlite_template)
    await break_wire(world, "coupa", "reset_after", "POST suppliers", times=2)
    assert (await run(world))["in_doubt"] == 2
    await later(world)
    await later(world)
    assert set((await world.truth("coupa"))["suppliers"].values()) == {1}
    assert not {"in_doubt", "held"} & set((await world.outcomes("acme")).values())


async def test_an_update_that_never_came_is_sent_again(tmp_path: Path, sqlite_template: Path) -> None:
    world = await tell.make(tmp_path, sqlite_template)
    await break_wire(world, "coupa", "hang_before", "PUT suppliers", times=1)
    assert (await run(world))["in_doubt"] == 1
    await later(world, 60)
    assert "in_doubt" in (await world.outcomes("acme")).values()
    await later(world)
    await later(world)
    assert "in_doubt" not in (await world.outcomes("acme")).values()
    # Every name in Coupa is QAD's now, so nothing is left to write.
    before = await tell.writes(world)
    await later(world)
    assert await tell.writes(world) == before


async def test_codes_become_values_and_leave_with_their_owner(tmp_path: Path, sqlite_template: Path) -> None:
    world = await tell.make(tmp_path, sqlite_template, **CODES)
    assert (await run(world))["created"] == 4
    assert await _codes(world) == [f"Cost Centre/CC{n}0" for n in (1, 2, 3, 4)]
    retired = {"costCenterCode": "CC10", "description": "Old", "isActive": False}
    await world.admin("qad", "seed", {"costCenters": [retired]})
    assert (await later(world))["updated"] == 1
    assert (await world.standing("acme"))["CC10"].outcome == "updated"


async def test_a_code_with_a_hyphen_would_split_an_account(tmp_path: Path, sqlite_template: Path) -> None:
    world = await tell.make(tmp_path, sqlite_template, **CODES)
    await world.admin("qad", "seed", {"costCenters": [{"costCenterCode": "CC-7", "description": "Odd"}]})
    assert (await run(world))["rejected"] == 1
    assert (await tell.stands(world))["CC-7"] == "rejected code_has_hyphen"


async def test_a_code_that_comes_later_is_one_more_value(tmp_path: Path, sqlite_template: Path) -> None:
    world = await tell.make(tmp_path, sqlite_template, **CODES)
    await run(world)
    await world.pass_time(10 * tell.DAY_S)
    await world.admin("qad", "seed", {"costCenters": [{"costCenterCode": "CC60", "description": "New"}]})
    assert (await run(world))["created"] == 1


async def test_suppliers_stay_where_they_are_when_the_direction_says_so(
    tmp_path: Path, sqlite_template: Path
) -> None:
    world = await tell.make(tmp_path, sqlite_template, suppliers={"direction": "none"})
    assert await run(world) == {}
    assert sorted((await world.truth("coupa"))["suppliers"]) == ["SUP00001", "SUP00002", "SUP00003"]


FROM_COUPA: Json = {
    "suppliers": {"direction": "coupa_to_qad", "payment_terms": {"N30": "N30", "N60": "N60"}},
    "qad": {
        "shared_sets": {"supplier": "SHSET"},
        "supplier_defaults": {
            "credit_terms": "N30",
            "invoice_status": "AP-NOALLOC",
            "currency": "USD",
            "gl_profiles": {
                "invoice": "AP-CTRL",
                "credit_note": "AP-CN",
                "prepayment": "AP-PRE",
                "purchase": "AP-PUR",
            },
        },
    },
}


async def _add_supplier(world: World, number: str, name: str, **members: object) -> None:
    await world.admin("coupa", "seed", {"suppliers": [{"number": number, "name": name, "status": "active", **members}]})


async def test_coupa_may_own_the_suppliers_instead(tmp_path: Path, sqlite_template: Path) -> None:
    world = await tell.make(tmp_path, sqlite_template, **FROM_COUPA)
    await _add_supplier(world, "SUP00060", "Newcomer")
    found = await tell.run(world)
    assert (found["created"], found["updated"]) == (1, 3)
    shown = (await world.truth("qad"))["suppliers"]
    assert shown["SUP00060"]["isActive"] is True
    before = await tell.writes(world)
    await tell.later(world)
    assert await tell.writes(world) == before
    assert await run(world) == {}, "nothing comes back the other way"


async def test_without_defaults_no_supplier_is_invented_in_qad(tmp_path: Path, sqlite_template: Path) -> None:
    rules = {"suppliers": {"direction": "coupa_to_qad"}}
    world = await tell.make(tmp_path, sqlite_template, **rules)
    await _add_supplier(world, "SUP00060", "Newcomer")
    await tell.run(world)
    assert (await tell.stands(world))["SUP00060"] == "rejected target_refused"
    assert "SUP00060" not in (await world.truth("qad"))["suppliers"]
