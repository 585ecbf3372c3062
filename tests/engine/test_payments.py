"""Payments on their way back: in part, in full, void, bounced, paid again, each told to Coupa exactly once."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.engine import stories as tell
from tests.engine import way_back
from tests.engine.way_back import entries, is_paid, later, pay, posted, run, set_status

pytestmark = pytest.mark.asyncio


async def test_a_payment_reaches_its_invoice_once_and_marks_it_paid(tmp_path: Path, sqlite_template: Path) -> None:
    world = await posted(tmp_path, sqlite_template)
    await pay(world)
    assert await run(world) == {"created": 1}
    assert (await entries(world), await is_paid(world)) == (["600.00"], True)
    before = await tell.writes(world)
    assert await later(world) == {"unchanged": 1}
    assert await tell.writes(world) == before


async def test_part_payments_add_up_and_only_the_last_marks_it_paid(tmp_path: Path, sqlite_template: Path) -> None:
    world = await posted(tmp_path, sqlite_template)
    await pay(world, amount=200)
    assert await run(world) == {"created": 1}
    assert (await entries(world), await is_paid(world)) == (["200.00"], False)
    await pay(world, amount=400)
    assert await later(world) == {"created": 1, "unchanged": 1}
    assert (await entries(world), await is_paid(world)) == (["200.00", "400.00"], True)


async def test_a_void_takes_the_payment_back_and_it_can_be_paid_again(tmp_path: Path, sqlite_template: Path) -> None:
    world = await posted(tmp_path, sqlite_template)
    first = await pay(world)
    await run(world)
    await set_status(world, first, "Void")
    assert await later(world) == {"updated": 1}
    assert (await entries(world), await is_paid(world)) == (["600.00", "-600.00"], False)
    await pay(world)
    assert await later(world) == {"created": 1, "unchanged": 1}
    assert (await entries(world), await is_paid(world)) == (["600.00", "-600.00", "600.00"], True)


async def test_a_bounced_payment_that_is_paid_after_all_ends_paid(tmp_path: Path, sqlite_template: Path) -> None:
    world = await posted(tmp_path, sqlite_template)
    payment = await pay(world)
    for status, found, paid in (
        ("Bounced", ["600.00", "-600.00"], False),
        ("Paid", ["600.00", "-600.00", "600.00"], True),
    ):
        await run(world)
        await set_status(world, payment, status)
        assert await later(world) == {"updated": 1}
        assert (await entries(world), await is_paid(world)) == (found, paid)


async def test_a_payment_that_only_waits_is_told_when_it_is_paid(tmp_path: Path, sqlite_template: Path) -> None:
    world = await posted(tmp_path, sqlite_template)
    payment = await pay(world, status="For Collection")
    assert await run(world) == {"skipped": 1}
    await set_status(world, payment, "Paid")
    assert await later(world) == {"created": 1}
    assert await entries(world) == ["600.00"]


async def test_one_payment_of_two_invoices_and_two_payments_of_one(tmp_path: Path, sqlite_template: Path) -> None:
    world = await posted(tmp_path, sqlite_template, tell.invoice(1, "A-1", 40), tell.invoice(2, "A-2", 20))
    both = [{"invoiceReference": "A-1", "amount": 300}, {"invoiceReference": "A-2"}]
    await world.admin("qad", "do/pay", {"invoices": both, "status": "Paid"})
    await pay(world, "A-1")
    assert await run(world) == {"created": 3}
    assert (sorted(await entries(world, 1)), await is_paid(world, 1)) == (["180.00", "300.00"], True)
    assert (await entries(world, 2), await is_paid(world, 2)) == (["240.00"], True)


async def test_a_discount_is_an_entry_of_its_own_so_that_the_sum_reaches_the_total(
    tmp_path: Path, sqlite_template: Path
) -> None:
    world = await posted(tmp_path, sqlite_template)
    await pay(world, amount=588, discount=12)
    await run(world)
    assert (await entries(world), await is_paid(world)) == (["588.00", "12.00"], True)


async def test_what_people_entered_by_hand_counts_for_paid_and_is_never_touched(
    tmp_path: Path, sqlite_template: Path
) -> None:
    world = await posted(tmp_path, sqlite_template)
    cash = {"id": 1, "amount-paid": "100.00", "notes": "cash", "payment-date": "2026-02-09"}
    await world.admin("coupa", "do/add_payment_by_hand", cash)
    payment = await pay(world, amount=500)
    await run(world)
    assert (await entries(world), await is_paid(world)) == (["100.00", "500.00"], True)
    await set_status(world, payment, "Void")
    await later(world)
    assert (await entries(world), await is_paid(world)) == (["100.00", "500.00", "-500.00"], False)


async def test_payments_of_other_peoples_vouchers_leave_no_trace(tmp_path: Path, sqlite_template: Path) -> None:
    world = await posted(tmp_path, sqlite_template)
    keyed = {"supplierCode": "SUP00001", "invoiceReference": "HAND-1", "originalAmountTC": 50}
    await world.admin("qad", "do/key_invoice_by_hand", keyed)
    await pay(world, "HAND-1")
    assert await run(world) == {}
    assert (await world.truth("coupa"))["payments"] == {}


async def test_an_invoice_that_coupa_pays_itself_is_left_alone(tmp_path: Path, sqlite_template: Path) -> None:
    world = await posted(tmp_path, sqlite_template)
    await tell.do(world, "edit_invoice", 1, changes={"payment-channel": "Coupa Pay"})
    await pay(world)
    assert await run(world) == {"skipped": 1}
    assert await entries(world) == []


async def test_a_paid_voucher_whose_invoice_was_voided_is_for_a_person(tmp_path: Path, sqlite_template: Path) -> None:
    world = await posted(tmp_path, sqlite_template)
    await tell.do(world, "void_invoice", 1)
    await pay(world)
    assert await run(world) == {"rejected": 1}
    assert await entries(world) == []


@pytest.mark.parametrize("kind", ["reset_after", "hang_before", "late_hang"])
async def test_a_lost_answer_to_an_append_never_pays_twice(
    tmp_path: Path, sqlite_template: Path, kind: str
) -> None:
    world = await posted(tmp_path, sqlite_template)
    await pay(world)
    late = {"seconds": 100} if "late" in kind else {}
    await tell.break_wire(world, "coupa", kind, "PUT invoices/1", times=1, **late)
    assert await run(world) == {"in_doubt": 1}
    await later(world, 60)
    assert (await entries(world)).count("600.00") <= 1
    await later(world)
    assert (await entries(world), await is_paid(world)) == (["600.00"], True)


async def test_a_void_while_its_payment_is_in_doubt_ends_at_nothing(tmp_path: Path, sqlite_template: Path) -> None:
    world = await posted(tmp_path, sqlite_template)
    payment = await pay(world)
    await tell.break_wire(world, "coupa", "reset_after", "PUT invoices/1", times=1)
    await run(world)
    await set_status(world, payment, "Void")
    await later(world)
    await later(world)
    assert (await entries(world), await is_paid(world)) == (["600.00", "-600.00"], False)


async def test_nothing_to_do_is_one_call(tmp_path: Path, sqlite_template: Path) -> None:
    world = await posted(tmp_path, sqlite_template)
    await run(world)
    before = await world.calls("coupa"), await world.calls("qad")
    assert await run(world) == {}
    assert (await world.calls("coupa"), await world.calls("qad")) == (before[0], before[1] + 1)


async def test_two_directions_touch_one_voucher_and_neither_stands_in_the_way(
    tmp_path: Path, sqlite_template: Path
) -> None:
    world = await posted(tmp_path, sqlite_template)
    await pay(world)
    assert await way_back.run(world) == {"created": 1}
    await tell.do(world, "reset_exported", 1)
    assert await tell.later(world, 60) == {"created": 1}
    assert await tell.vouchers(world) == ["A-1"]
    assert await entries(world) == ["600.00"]
