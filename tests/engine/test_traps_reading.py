"""Reading while people work: shrinking pages, edits within a second, marks of our own, nothing read for nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.engine import stories as tell
from tests.engine.stories import invoice, later, make, receive, run, stands, vouchers
from tests.engine.world import World

LIST = r"^GET /api/invoices\?.*exported=false"
SMALL: dict[str, Any] = {"coupa": {"page_size": 2}, "invoices": {"page_size": 2}}


async def _seven(folder: Path, template: Path, **changes: Any) -> World:
    world = await make(folder, template, **changes)
    await receive(world, 70)
    await tell.send_in(world, *(invoice(n, f"A-{n}", 10) for n in range(1, 8)))
    return world


async def _edit(world: World, quantity: int, **more: Any) -> None:
    total = str(12 * quantity)
    changes = {"invoice-lines": [tell.line(quantity)], "total-with-taxes": total, "gross-total": total}
    await tell.do(world, "edit_invoice", 1, changes=changes, **more)


@pytest.mark.parametrize("coupa_pages", [2, 3, 50])
async def test_export_marks_that_shrink_the_list_make_no_invoice_slip(
    tmp_path: Path, sqlite_template: Path, coupa_pages: int
) -> None:
    pages = {"coupa": {"page_size": coupa_pages}, "invoices": {"page_size": 2}}
    world = await _seven(tmp_path, sqlite_template, **pages)
    assert await run(world) == {"created": 7}
    assert await later(world, 60) == {}
    assert len(await vouchers(world)) == 7


async def test_rows_that_appear_and_vanish_between_pages_are_each_met_once(
    tmp_path: Path, sqlite_template: Path
) -> None:
    world = await _seven(tmp_path, sqlite_template, **SMALL)

    async def people_work() -> None:
        await tell.do(world, "void_invoice", 5)
        await tell.do(world, "dispute_invoice", 1)
        await tell.send_in(world, invoice(9, "A-9", 5))

    tell.wire(world, "coupa").when(LIST + ".*gt", people_work)
    counts = await run(world)
    assert "A-9" in await vouchers(world)
    assert "A-5" not in await vouchers(world)
    assert len(await vouchers(world)) == len(set(await vouchers(world))) == counts["created"]


async def test_an_invoice_approved_below_the_cursor_is_met_by_the_next_run(
    tmp_path: Path, sqlite_template: Path
) -> None:
    world = await _seven(tmp_path, sqlite_template, **SMALL)
    await tell.do(world, "dispute_invoice", 2)

    async def approve() -> None:
        await tell.do(world, "approve_invoice", 2)

    tell.wire(world, "coupa").when(LIST + ".*id%5Bgt%5D=[4-9]", approve)
    assert await run(world) == {"created": 6}
    assert await later(world, 60) == {"created": 1}
    assert len(await vouchers(world)) == 7


async def test_a_void_between_our_read_and_our_mark_ends_as_reverse(tmp_path: Path, sqlite_template: Path) -> None:
    world = await make(tmp_path, sqlite_template)
    await receive(world, 50)
    await tell.send_in(world, invoice(1, "A-1"))

    async def void() -> None:
        await tell.do(world, "void_invoice", 1)

    tell.wire(world, "coupa").when(tell.EXPORT, void)
    assert await run(world) == {"rejected": 1}
    assert await stands(world) == {"A-1": "rejected reverse"}
    await later(world, 60)
    assert await stands(world) == {"A-1": "rejected reverse"}
    assert await vouchers(world) == ["A-1"]


async def test_our_own_mark_that_bumps_updated_at_is_no_new_version(tmp_path: Path, sqlite_template: Path) -> None:
    world = await make(tmp_path, sqlite_template, options={"coupa": {"export_bumps_updated_at": True}})
    await receive(world, 50)
    await tell.send_in(world, invoice(1, "A-1"))

    async def a_second_passes() -> None:
        world.clock.advance(1)

    tell.wire(world, "coupa").when(tell.EXPORT, a_second_passes)
    assert await run(world) == {"created": 1}
    before = await tell.writes(world)
    await tell.do(world, "reset_exported", 1)
    await later(world, 60)
    assert await stands(world) == {"A-1": "created"}
    after = await tell.writes(world)
    assert (after[0] - before[0], after[1] - before[1]) == (1, 0)


async def test_our_own_custom_fields_and_history_are_no_new_version(tmp_path: Path, sqlite_template: Path) -> None:
    fields = {"invoice_number_field": "cf-erp-invoice-number", "status_field": "cf-integration-status"}
    world = await make(tmp_path, sqlite_template, coupa=fields)
    await receive(world, 50)
    await tell.send_in(world, invoice(1, "A-1"))
    assert await run(world) == {"created": 1}
    await tell.do(world, "reset_exported", 1)
    await later(world, 60)
    assert await stands(world) == {"A-1": "created"}


async def test_two_edits_within_one_second_leave_the_later_one(tmp_path: Path, sqlite_template: Path) -> None:
    world = await make(tmp_path, sqlite_template)
    await tell.send_in(world, invoice(1, "A-1", 50))
    assert await run(world) == {"held": 1}
    await _edit(world, 40)
    await _edit(world, 30)
    await receive(world, 50)
    assert await run(world) == {"created": 1}, "not a second of the clock has passed"
    assert [one["amount"] for one in (await world.truth("qad"))["invoices"]] == [360]


async def test_edits_a_b_a_while_held_end_as_a(tmp_path: Path, sqlite_template: Path) -> None:
    world = await make(tmp_path, sqlite_template)
    await tell.send_in(world, invoice(1, "A-1", 50))
    versions = []
    for quantity in (50, 40, 50):
        await _edit(world, quantity)
        assert await run(world) == {"held": 1}
        versions.append((await tell.rows(world))["1"].source_version)
    assert versions[0] == versions[2] != versions[1]
    await receive(world, 50)
    assert await run(world) == {"created": 1}
    assert [one["amount"] for one in (await world.truth("qad"))["invoices"]] == [600]


async def test_an_edit_after_posting_is_an_exception_until_it_is_taken_back(
    tmp_path: Path, sqlite_template: Path
) -> None:
    world = await make(tmp_path, sqlite_template)
    await receive(world, 60)
    await tell.send_in(world, invoice(1, "A-1", 50))
    await run(world)
    await _edit(world, 60, reset_exported=True)
    assert await later(world, 60) == {"rejected": 1}
    assert await stands(world) == {"A-1": "rejected edited_after_posting"}
    before = await tell.writes(world)
    assert await later(world, 60) == {"rejected": 1}
    assert await tell.writes(world) == before
    await _edit(world, 50)
    await later(world, 60)
    assert await stands(world) == {"A-1": "created"}
    assert await vouchers(world) == ["A-1"]
    assert await later(world, 60) == {}


async def test_a_rejected_invoice_that_its_supplier_corrects_goes_on(tmp_path: Path, sqlite_template: Path) -> None:
    world = await make(tmp_path, sqlite_template)
    await receive(world, 50)
    await tell.send_in(world, invoice(1, "A-1", 50, total_with_taxes="601", gross_total="601"))
    assert await run(world) == {"rejected": 1}
    await _edit(world, 50)
    assert await later(world, 60) == {"created": 1}


async def test_a_second_run_writes_nothing(tmp_path: Path, sqlite_template: Path) -> None:
    world = await _seven(tmp_path, sqlite_template)
    await tell.send_in(world, invoice(8, "A-8", 50), invoice(9, "A-9", 5, total_with_taxes="61"))
    assert await run(world) == {"created": 7, "held": 1, "rejected": 1}
    before, heads = await tell.writes(world), await world.truth("coupa")
    assert await run(world) == {"held": 1, "rejected": 1}
    assert await later(world, 60) == {"held": 1, "rejected": 1}
    assert await tell.writes(world) == before
    assert await world.truth("coupa") == heads


async def test_nothing_to_do_is_one_call_per_stream(tmp_path: Path, sqlite_template: Path) -> None:
    world = await _seven(tmp_path, sqlite_template)
    await run(world)
    before = await world.calls("coupa"), await world.calls("qad")
    assert await run(world) == {}
    assert (await world.calls("coupa"), await world.calls("qad")) == (before[0] + 2, before[1])


async def test_rows_that_move_between_pages_of_a_qad_list_are_all_seen(tmp_path: Path, sqlite_template: Path) -> None:
    limits = {"rps": 1000, "page_size": 2, "concurrency": 1}
    world = await make(tmp_path, sqlite_template, qad={"limits": limits})
    for _ in range(5):
        await receive(world, 10)
    await tell.send_in(world, invoice(1, "A-1", 50))

    async def another_receipt() -> None:
        await receive(world, 1)

    tell.wire(world, "qad").when(r"po501.*page=2", another_receipt)
    assert await run(world) == {"created": 1}
