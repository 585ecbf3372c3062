"""A receipt pays once, whatever comes and goes; a hold never goes on with what was read before."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.engine import stories as tell
from tests.engine.stories import DAY_S, invoice, later, make, receive, run, stands, vouchers
from tests.engine.world import World


async def _with(folder: Path, template: Path, *receipts: int, **changes: Any) -> World:
    world = await make(folder, template, **changes)
    for quantity in receipts:
        await receive(world, quantity)
    return world


async def _edit(world: World, key: int, quantity: int, **members: Any) -> None:
    total = str(12 * quantity)
    changes = {"invoice-lines": [tell.line(quantity)], "total-with-taxes": total, "gross-total": total} | members
    await tell.do(world, "edit_invoice", key, changes=changes)


async def _matched(world: World) -> float:
    return float((await world.truth("qad"))["matched"].get("PO200001/1", 0))


# ---- receipts


@pytest.mark.parametrize(("second", "fits"), [(20, True), (21, False), (50, False)])
async def test_two_invoices_over_one_receipt_of_fifty(
    tmp_path: Path, sqlite_template: Path, second: int, fits: bool
) -> None:
    world = await _with(tmp_path, sqlite_template, 50)
    await tell.send_in(world, invoice(1, "A-1", 30), invoice(2, "A-2", second))
    assert await run(world) == ({"created": 2} if fits else {"created": 1, "held": 1})
    assert await later(world, 60) == ({} if fits else {"held": 1})
    assert await _matched(world) == (50 if fits else 30)


async def test_two_lines_of_one_invoice_cannot_take_the_same_receipt_twice(
    tmp_path: Path, sqlite_template: Path
) -> None:
    world = await _with(tmp_path, sqlite_template, 50)
    await tell.send_in(world, invoice(1, "A-1", lines=[tell.line(30), tell.line(30)]))
    assert await run(world) == {"held": 1}
    await receive(world, 10)
    assert await later(world, 60) == {"created": 1}
    assert await _matched(world) == 60


async def test_three_part_receipts_carry_one_invoice_when_the_last_is_posted(
    tmp_path: Path, sqlite_template: Path
) -> None:
    world = await _with(tmp_path, sqlite_template, 20)
    await tell.send_in(world, invoice(1, "A-1", 50))
    for quantity in (20, 10):
        assert await run(world) == {"held": 1}
        await receive(world, quantity)
    assert await later(world, 60) == {"created": 1}
    assert await _matched(world) == 50


async def test_part_invoices_over_part_receipts_end_even(tmp_path: Path, sqlite_template: Path) -> None:
    world = await _with(tmp_path, sqlite_template, 20, 20, 10)
    await tell.send_in(world, invoice(1, "A-1", 15), invoice(2, "A-2", 15), invoice(3, "A-3", 20))
    assert await run(world) == {"created": 3}
    await tell.send_in(world, invoice(4, "A-4", 1))
    assert await later(world, 60) == {"held": 1}


async def test_a_return_its_credit_note_and_the_replacement_delivery(tmp_path: Path, sqlite_template: Path) -> None:
    world = await _with(tmp_path, sqlite_template, 50)
    await tell.send_in(world, invoice(1, "A-1", 50))
    await run(world)
    await receive(world, -10)
    await receive(world, 10)
    await tell.send_in(world, invoice(2, "A-2", 10))
    assert await later(world, 60) == {"held": 1}, "the replacement is paid with A-1 until the credit note comes"
    await tell.send_in(world, invoice(3, "C-3", -10))
    assert await later(world, 60) == {"held": 1, "created": 1}
    assert await later(world, 60) == {"created": 1}
    assert await vouchers(world) == ["A-1", "-C-3", "A-2"]
    assert await _matched(world) == 50
    await tell.send_in(world, invoice(4, "A-4", 1))
    assert await later(world, 60) == {"held": 1}


async def test_a_return_before_the_invoice_shrinks_what_may_be_billed(tmp_path: Path, sqlite_template: Path) -> None:
    world = await _with(tmp_path, sqlite_template, 50, -10)
    await tell.send_in(world, invoice(1, "A-1", 50), invoice(2, "A-2", 40))
    assert await run(world) == {"held": 1, "created": 1}
    assert await stands(world) == {"A-1": "held receipt_missing", "A-2": "created"}


async def test_a_credit_never_exceeds_what_we_posted(tmp_path: Path, sqlite_template: Path) -> None:
    world = await _with(tmp_path, sqlite_template, 50)
    await tell.send_in(world, invoice(1, "A-1", 30), invoice(2, "C-2", -20), invoice(3, "C-3", -20))
    assert await run(world) == {"created": 2, "held": 1}
    assert await later(world, 60) == {"held": 1}
    assert await stands(world) == {"A-1": "created", "C-2": "created", "C-3": "held credit_exceeds_posted"}


async def test_an_invoice_that_qad_refused_frees_what_it_took(tmp_path: Path, sqlite_template: Path) -> None:
    world = await _with(tmp_path, sqlite_template, 50, options={"qad": {"policy_variance": "reject"}})
    dear = tell.line(50, price="13.00", total="650")
    await tell.send_in(world, invoice(1, "A-1", lines=[dear]), invoice(2, "A-2", 50))
    assert await run(world) == {"rejected": 1, "held": 1}
    assert await later(world, 60) == {"rejected": 1, "created": 1}
    assert await vouchers(world) == ["A-2"]


async def test_receipts_matched_by_hand_are_not_ours_to_take(tmp_path: Path, sqlite_template: Path) -> None:
    world = await _with(tmp_path, sqlite_template, 50)
    receiver = (await world.admin("qad", "state/receipt", method="GET"))[0]["receiverNumber"]
    match = {"purchaseOrderNumber": tell.PO, "purchaseOrderLine": 1, "receiverNumber": receiver, "matchQuantity": 30}
    by_hand = {"supplierCode": "SUP00001", "invoiceReference": "HAND", "originalAmountTC": 360, "currencyCode": "USD"}
    by_hand |= {"receiverMatchingLines": [match | {"matchUnitPrice": 12, "isFinished": False}]}
    await world.admin("qad", "do/key_invoice_by_hand", by_hand)
    await tell.send_in(world, invoice(1, "A-1", 30), invoice(2, "A-2", 20))
    assert await run(world) == {"held": 1, "created": 1}
    assert await vouchers(world) == ["HAND", "A-2"]


# ---- holds


async def _held(folder: Path, template: Path, **changes: Any) -> World:
    world = await _with(folder, template, **changes)
    await tell.send_in(world, invoice(1, "A-1", 50))
    assert await run(world) == {"held": 1}
    return world


async def test_a_held_invoice_that_is_disputed_does_not_go_on(tmp_path: Path, sqlite_template: Path) -> None:
    world = await _held(tmp_path, sqlite_template)
    await tell.do(world, "dispute_invoice", 1)
    await receive(world, 50)
    assert await later(world, 60) == {"skipped": 1}
    assert await later(world, 60) == {}
    await tell.do(world, "approve_invoice", 1)
    assert await later(world, 60) == {"created": 1}


async def test_a_held_invoice_that_is_voided_is_never_posted(tmp_path: Path, sqlite_template: Path) -> None:
    world = await _held(tmp_path, sqlite_template)
    await tell.do(world, "void_invoice", 1)
    await receive(world, 50)
    assert await later(world, 60) == {"skipped": 1}
    assert await vouchers(world) == []


async def test_a_held_invoice_that_was_edited_goes_on_with_what_it_says_now(
    tmp_path: Path, sqlite_template: Path
) -> None:
    world = await _held(tmp_path, sqlite_template)
    await _edit(world, 1, 30)
    await receive(world, 50)
    assert await later(world, 60) == {"created": 1}
    assert await _matched(world) == 30


async def test_a_held_invoice_that_cannot_be_found_stays_held_and_comes_back(
    tmp_path: Path, sqlite_template: Path
) -> None:
    world = await _held(tmp_path, sqlite_template)
    await tell.do(world, "remove_invoice", 1)
    await receive(world, 50)
    assert await later(world, 60) == {"held": 1}
    assert await stands(world) == {"A-1": "held source_not_found"}
    assert await vouchers(world) == []
    await tell.send_in(world, invoice(1, "A-1", 50))
    assert await later(world, 60) == {"created": 1}


async def test_a_posted_invoice_that_cannot_be_found_keeps_its_effects(tmp_path: Path, sqlite_template: Path) -> None:
    world = await _with(tmp_path, sqlite_template, 50)
    await tell.send_in(world, invoice(1, "A-1", 50))
    await tell.break_wire(world, "coupa", "reset_before", "PUT exported=true")
    await run(world)
    await tell.do(world, "remove_invoice", 1)
    await later(world, 700)
    assert await stands(world) == {"A-1": "held source_not_found"}
    await tell.send_in(world, invoice(1, "A-1", 50))
    await later(world, 60)
    assert await stands(world) == {"A-1": "created"}
    assert await vouchers(world) == ["A-1"]
    assert (await world.truth("coupa"))["exported"] == {"1": 1}


async def test_held_records_do_not_stop_the_others_and_are_counted_once(tmp_path: Path, sqlite_template: Path) -> None:
    world = await _with(tmp_path, sqlite_template, 2, coupa={"page_size": 2}, invoices={"page_size": 2})
    await tell.send_in(world, *(invoice(n, f"A-{n}", 50 if n < 6 else 1) for n in range(1, 8)))
    assert await run(world) == {"held": 5, "created": 2}
    assert await later(world, 60) == {"held": 5}
    await receive(world, 50)
    assert await later(world, 60) == {"held": 4, "created": 1}


async def test_a_connection_paused_beyond_the_limit_looks_before_it_rejects(
    tmp_path: Path, sqlite_template: Path
) -> None:
    world = await _held(tmp_path, sqlite_template)
    await receive(world, 50)
    assert await later(world, 40 * DAY_S) == {"created": 1}


async def test_a_hold_beyond_its_limit_is_rejected_by_the_check_that_finds_it_still_missing(
    tmp_path: Path, sqlite_template: Path
) -> None:
    world = await _held(tmp_path, sqlite_template)
    assert await later(world, 29 * DAY_S) == {"held": 1}
    assert await later(world, 2 * DAY_S) == {"rejected": 1}
    assert await stands(world) == {"A-1": "rejected hold_expired receipt_missing"}
    asked = await world.calls("qad")
    await receive(world, 50)
    assert await later(world, 60) == {"rejected": 1}, "a person decides from here on"
    assert await world.calls("qad") == asked


async def test_a_look_at_another_lack_does_not_end_a_hold_before_its_limit(
    tmp_path: Path, sqlite_template: Path
) -> None:
    world = await _held(tmp_path, sqlite_template)
    await tell.break_wire(world, "coupa", "status", "GET /api/invoices", body=[], status=200, times=3)
    assert await later(world, 31 * DAY_S) == {"held": 1}, "not found says nothing about the receipt"
    assert await stands(world) == {"A-1": "held source_not_found"}


async def test_a_hold_whose_shortage_shrinks_is_still_one_hold(tmp_path: Path, sqlite_template: Path) -> None:
    world = await _held(tmp_path, sqlite_template)
    since = (await tell.rows(world))["1"].since
    await receive(world, 20)
    assert await later(world, 20 * DAY_S) == {"held": 1}
    row = (await tell.rows(world))["1"]
    assert row.reasons[0].params["available"] == "20"
    assert row.since == since


async def test_ten_days_of_outage_lose_no_hold_and_no_invoice(tmp_path: Path, sqlite_template: Path) -> None:
    world = await _held(tmp_path, sqlite_template)
    await tell.send_in(world, invoice(2, "A-2", 30))
    await tell.break_wire(world, "qad", "status", "/clouderp/", status=503, times=-1)
    for _ in range(10):
        await world.pass_time(DAY_S)
        assert await world.try_run(tell.DIRECTION, "acme") == "TransientError"
    await tell.mend_wire(world, "qad")
    await receive(world, 80)
    assert await run(world) == {"created": 2}
    shown = await world.admin("qad", "state/supplierInvoice", method="GET")
    posted_on = world.clock.now().date().isoformat()
    assert {one["postingDate"][:10] for one in shown} == {posted_on}
