"""Payments that people in QAD rearrange, and vouchers that are known to be ours only later."""

from __future__ import annotations

from pathlib import Path

import pytest

from ml_connector.pairs.coupa_qad.ours import OurVouchers
from ml_connector.store.database import Database
from ml_connector.sync import repair
from ml_connector.systems.qad.documents import invoice_key
from tests.engine import stories as tell
from tests.engine.coupa_qad import NAME
from tests.engine.stories import invoice
from tests.engine.way_back import entries, is_paid, later, pay, posted, run, set_status
from tests.engine.world import Json, World

pytestmark = pytest.mark.asyncio


async def _move(world: World, payment: Json, to: str = "", *, old: str = "A-1") -> None:
    places = {"from": {"invoiceReference": old}} | ({"to": {"invoiceReference": to}} if to else {})
    await world.admin("qad", "do/move_allocation", {**payment, **places})


async def _others_are_paid(world: World, days: int) -> None:
    """Other people's vouchers are paid day by day, so the mark moves on."""
    for day in range(days):
        await world.pass_time(tell.DAY_S)
        keyed = {"supplierCode": "SUP00001", "invoiceReference": f"X{day}", "originalAmountTC": 50}
        await world.admin("qad", "do/key_invoice_by_hand", keyed)
        await pay(world, f"X{day}")
        await run(world)


async def test_an_allocation_that_is_moved_leaves_the_first_invoice_and_pays_the_second(
    tmp_path: Path, sqlite_template: Path
) -> None:
    world = await posted(tmp_path, sqlite_template, invoice(1, "A-1"), invoice(2, "A-2"))
    payment = await pay(world)
    await run(world)
    await _move(world, payment, "A-2")
    assert await later(world) == {"updated": 1, "created": 1}
    assert (await entries(world, 1), await is_paid(world, 1)) == (["600.00", "-600.00"], False)
    assert (await entries(world, 2), await is_paid(world, 2)) == (["600.00"], True)
    before = await tell.writes(world)
    assert await later(world) == {"unchanged": 2}
    await _move(world, payment, "A-1", old="A-2")
    assert await later(world) == {"updated": 2}
    assert (await entries(world, 1), await is_paid(world, 1)) == (["600.00", "-600.00", "600.00"], True)
    assert (await entries(world, 2), await is_paid(world, 2)) == (["600.00", "-600.00"], False)
    assert await tell.writes(world) != before


async def test_an_allocation_is_moved_on_postgresql_too(
    tmp_path: Path, sqlite_template: Path, postgresql_db: Database
) -> None:
    two = invoice(1, "A-1"), invoice(2, "A-2")
    world = await posted(tmp_path, sqlite_template, *two, url=postgresql_db.url)
    payment = await pay(world)
    await run(world)
    await _move(world, payment, "A-2")
    assert await later(world) == {"updated": 1, "created": 1}
    assert (await entries(world, 1), await entries(world, 2)) == (["600.00", "-600.00"], ["600.00"])


async def test_a_void_that_takes_the_allocations_off_takes_the_payment_back_once(
    tmp_path: Path, sqlite_template: Path
) -> None:
    world = await posted(tmp_path, sqlite_template)
    payment = await pay(world)
    await run(world)
    await _move(world, payment)
    await set_status(world, payment, "Void")
    assert await later(world) == {"updated": 1}
    assert (await entries(world), await is_paid(world)) == (["600.00", "-600.00"], False)
    await pay(world)
    assert await later(world) == {"created": 1, "unchanged": 1}
    assert (await entries(world), await is_paid(world)) == (["600.00", "-600.00", "600.00"], True)


async def test_an_allocation_taken_off_with_its_discount_leaves_nothing(tmp_path: Path, sqlite_template: Path) -> None:
    world = await posted(tmp_path, sqlite_template)
    payment = await pay(world, amount=588, discount=12)
    await run(world)
    await _move(world, payment)
    await later(world)
    assert sum(map(float, await entries(world))) == 0
    assert not await is_paid(world)
    # The record keeps the name that people know it by.
    assert "A-1 10USACO/2026/50001" in await world.outcomes(NAME)


async def test_an_allocation_that_is_taken_off_while_in_doubt_ends_at_nothing(
    tmp_path: Path, sqlite_template: Path
) -> None:
    world = await posted(tmp_path, sqlite_template)
    payment = await pay(world)
    await tell.break_wire(world, "coupa", "reset_after", "PUT invoices/1", times=1)
    assert await run(world) == {"in_doubt": 1}
    await _move(world, payment)
    await later(world)
    await later(world)
    assert (await entries(world), await is_paid(world)) == (["600.00", "-600.00"], False)


async def test_a_held_payment_whose_allocation_is_taken_off_is_over_not_missing(
    tmp_path: Path, sqlite_template: Path
) -> None:
    world = await tell.make(tmp_path, sqlite_template, suppliers={"direction": "none"})
    await _posted_in_doubt(world)
    payment = await pay(world)
    assert await run(world) == {"held": 1}
    await tell.later(world)
    await _move(world, payment)
    await _others_are_paid(world, 3)
    assert (await tell.stands(world))["A-1 10USACO/2026/50001"] == "skipped filter_payment_state"
    assert await entries(world) == []


async def test_a_voucher_that_a_person_settles_days_later_gets_its_payment(
    tmp_path: Path, sqlite_template: Path
) -> None:
    world = await tell.make(tmp_path, sqlite_template, suppliers={"direction": "none"})
    await _posted_in_doubt(world)
    # Somebody's copy carries our token too, so only a person can tell which one is ours.
    ours = (await world.admin("qad", "state/supplierInvoices", method="GET"))[0]
    keyed = {"supplierCode": "SUP00001", "invoiceReference": "A-1b", "originalAmountTC": 600}
    await world.admin("qad", "do/key_invoice_by_hand", keyed | {"customShort0": ours["customShort0"]})
    await tell.later(world)
    assert (await tell.stands(world))["A-1"] == "rejected ambiguous"
    await pay(world)
    assert await run(world) == {"held": 1}
    await _others_are_paid(world, 4)
    voucher = invoice_key(ours["entityCode"], ours["postingYear"], ours["daybookCode"], ours["voucher"])
    async with world.session("coupa_to_qad", NAME) as session:
        forward = session.steps.run
        row = await repair.find(forward, "A-1")
        assert row is not None
        await repair.settle_written(forward, forward.routes["invoices"], row, voucher, by="clerk")
        await session.finish({})
    await later(world)
    assert (await entries(world), await is_paid(world)) == (["600.00"], True)


async def test_a_posting_that_is_confirmed_while_its_payment_is_read_is_not_lost(
    tmp_path: Path, sqlite_template: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = await tell.make(tmp_path, sqlite_template, suppliers={"direction": "none"})
    await _posted_in_doubt(world)
    await pay(world)
    await world.pass_time(tell.SETTLED_S)
    whether = OurVouchers.invoices

    async def confirmed(vouchers: OurVouchers, wanted: object) -> dict[str, str]:
        found = await whether(vouchers, wanted)  # type: ignore[arg-type]
        # Between the two questions the way there settles its doubt.
        monkeypatch.setattr(OurVouchers, "invoices", whether)
        await tell.run(world)
        return found

    monkeypatch.setattr(OurVouchers, "invoices", confirmed)
    assert await run(world) == {"created": 1}
    assert await entries(world) == ["600.00"]


async def test_unreadable_payments_of_other_peoples_vouchers_leave_no_trace(
    tmp_path: Path, sqlite_template: Path
) -> None:
    world = await posted(tmp_path, sqlite_template)
    keyed = {"supplierCode": "SUP00001", "invoiceReference": "HAND-1", "originalAmountTC": 50}
    await world.admin("qad", "do/key_invoice_by_hand", keyed)
    for reference in ("HAND-1", "A-1"):
        await pay(world, reference)
    blank = {"entityCode": "10USACO", "paymentYear": 2026, "supplierCode": ""}
    await world.admin("qad", "seed", {"supplierPayments": [blank | {"paymentNumber": n} for n in (50001, 50002)]})
    assert await run(world) == {"rejected": 1}
    [row] = [one for one in (await world.standing(NAME)).values() if one.route == "payments"]
    assert row.external_id.endswith("/10001")


async def test_a_payment_of_a_corrected_voucher_is_seen_by_a_person(
    tmp_path: Path, sqlite_template: Path
) -> None:
    world = await posted(tmp_path, sqlite_template, invoices={"on_void": "correct"})
    await tell.do(world, "void_invoice", 1)
    await tell.later(world)
    both = await world.admin("qad", "state/supplierInvoices", method="GET")
    assert len(both) == 2
    parts = [{name: one[name] for name in ("daybookCode", "voucher")} for one in both]
    await world.admin("qad", "do/pay", {"invoices": parts, "status": "Paid"})
    await run(world)
    stands = await tell.stands(world)
    assert [said for label, said in stands.items() if label.startswith("A-1 10USACO")] == ["rejected paid_but_voided"]
    assert await entries(world) == []


async def _posted_in_doubt(world: World) -> None:
    """A-1 is posted, but the answer is lost."""
    await tell.receive(world, 100)
    await tell.send_in(world, invoice(1, "A-1"))
    await tell.break_wire(world, "qad", "reset_after", "POST supplierInvoices", times=1)
    assert await tell.run(world) == {"in_doubt": 1}
