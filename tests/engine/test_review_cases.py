"""Sequences that a hostile reader of the way back found; each lost, doubled or froze a record before it was mended."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from ml_connector.clock import ManualClock
from ml_connector.errors import ConfigurationError
from ml_connector.store.leases import LENGTH_S, Lease
from ml_connector.sync import overlays, repair
from ml_connector.sync.steps import RECORD, chain
from tests.engine import stories as tell
from tests.engine import way_back
from tests.engine.coupa_qad import NAME
from tests.engine.stories import DIRECTION, do, invoice, later, run, send_in, stands, vouchers
from tests.engine.way_back import entries, is_paid, pay, posted, set_status
from tests.engine.world import START, Json, World

pytestmark = pytest.mark.asyncio
LAG: Json = {"qad": {"read_lag_seconds": 250}}


async def _doubtful(folder: Path, template: Path) -> World:
    """A-1 is posted, nobody knows it, and QAD's lists show it after four minutes."""
    world = await tell.make(folder, template, options=LAG, **way_back.PAYMENTS_ONLY)
    await tell.receive(world, 100)
    await world.pass_time(600)
    await send_in(world, invoice(1, "A-1", 20))
    await tell.break_wire(world, "qad", "reset_after", "POST supplierInvoices", times=1)
    assert await run(world) == {"in_doubt": 1}
    await world.pass_time(30)
    return world


async def test_a_replay_does_not_post_the_twin_of_a_document_in_doubt(tmp_path: Path, sqlite_template: Path) -> None:
    world = await _doubtful(tmp_path, sqlite_template)
    await send_in(world, invoice(2, "A-1", 20))
    await run(world)
    async with world.session(DIRECTION, NAME) as session:
        row = await repair.find(session.steps.run, "2")
        assert row is not None
        row = await repair.request_replay(session.steps.run, row, by="clerk")
        (page,) = await chain(session.steps, row.route, kinds=[RECORD + row.id])
    assert page.counts == {"held": 1}
    await later(world)
    await later(world)
    assert await vouchers(world) == ["A-1"]


async def test_a_doubt_of_another_connection_holds_the_same_paper(tmp_path: Path, sqlite_template: Path) -> None:
    world = await _doubtful(tmp_path, sqlite_template)
    async with tell.second_coupa(world) as other:
        await send_in(world, invoice(1, "A-1", 20))
        assert await run(world, other) == {"held": 1}
    await later(world)
    assert await vouchers(world) == ["A-1"]


async def test_a_void_right_after_posting_is_not_dropped_as_seen(tmp_path: Path, sqlite_template: Path) -> None:
    world = await posted(tmp_path, sqlite_template, invoice(1, "A-1", 20), invoice(2, "A-2", 20))
    await send_in(world, invoice(4, "B-4", 20))

    async def clerk() -> None:
        await do(world, "void_invoice", 4, keep_exported=True)
        await world.pass_time(150)
        await do(world, "void_invoice", 2, keep_exported=True)

    tell.wire(world, "coupa").when(r"^POST .*integration_history_records", clerk, after=True)
    await later(world)
    await later(world)
    assert await stands(world) == {"A-1": "created", "A-2": "rejected reverse", "B-4": "rejected reverse"}


async def test_a_late_answer_about_the_paid_flag_is_not_believed_settled_early(
    tmp_path: Path, sqlite_template: Path
) -> None:
    world = await posted(tmp_path, sqlite_template)
    first = await pay(world)
    await way_back.run(world)
    await set_status(world, first, "Void")
    # The second PUT of the run, that of the flag, arrives only after the void was followed by another payment.
    await tell.break_wire(world, "coupa", "late_hang", "PUT invoices/1", skip=1, times=1, seconds=250)
    await way_back.later(world, 60)
    await pay(world)
    await way_back.later(world, 60)
    for _ in range(3):
        await way_back.later(world)
    assert await entries(world) == ["600.00", "-600.00", "600.00"]
    assert await is_paid(world)


async def test_a_replay_looks_at_the_paid_flag_again(tmp_path: Path, sqlite_template: Path) -> None:
    world = await posted(tmp_path, sqlite_template)
    await pay(world)
    await way_back.run(world)
    await do(world, "edit_invoice", 1, changes={"paid": False}, reset_exported=False)
    assert not await is_paid(world)
    async with world.session(way_back.DIRECTION, NAME) as session:
        label = next(label for label in await world.standing(NAME) if label.startswith("A-1 "))
        row = await repair.find(session.steps.run, label)
        assert row is not None
        row = await repair.request_replay(session.steps.run, row, by="clerk")
        await chain(session.steps, row.route, kinds=[RECORD + row.id])
    assert (await is_paid(world), await entries(world)) == (True, ["600.00"])


async def test_a_renumbered_supplier_is_for_a_person_and_stops_nothing(tmp_path: Path, sqlite_template: Path) -> None:
    world = await way_back.masters_told(tmp_path, sqlite_template)
    await way_back.run(world)
    found = next(one["id"] for one in _coupa(world).tables["suppliers"] if one["number"] == "SUP00050")
    await do(world, "edit_supplier", found, changes={"number": "SUP00077"})
    own = {"sharedSetCode": "SHX"}
    await world.admin("qad", "seed", {"suppliers": [{"supplierCode": "SUP00077", "addressName": "Somebody", **own}]})
    assert await world.try_run(way_back.DIRECTION, NAME) == ""
    assert (await stands(world))["SUP00077"] == "rejected number_taken"


async def test_a_supplier_blocked_in_coupa_stays_blocked_when_its_name_is_mended(
    tmp_path: Path, sqlite_template: Path
) -> None:
    world = await way_back.masters_told(tmp_path, sqlite_template)
    await way_back.run(world)
    found = next(one["id"] for one in _coupa(world).tables["suppliers"] if one["number"] == "SUP00050")
    await do(world, "edit_supplier", found, changes={"status": "inactive"})
    own = {"sharedSetCode": "SHX"}
    await world.admin("qad", "seed", {"suppliers": [{"supplierCode": "SUP00050", "addressName": "Mended", **own}]})
    assert (await way_back.later(world))["updated"] == 1
    after = next(one for one in _coupa(world).tables["suppliers"] if one["number"] == "SUP00050")
    assert (after["name"], after["status"]) == ("Mended", "inactive")


def _coupa(world: World) -> Any:
    return tell.wire(world, "coupa").app.state.tenant


async def test_a_long_lookup_name_fits_the_mark(tmp_path: Path, sqlite_template: Path) -> None:
    name = "Cost centres of all legal entities of the company in Europe, the Middle East and Africa"
    rules = {"suppliers": {"direction": "none"}, "reference_data": [{"source": "cost_centers", "lookup": name}]}
    world = await tell.make(tmp_path, sqlite_template, **rules)
    async with world.session(way_back.DIRECTION, NAME) as session:
        routes = session.steps.run.routes.values()
        assert all(len(route.mark_of(one.stream)) <= 64 for route in routes for one in route.sources)
        assert all(len(route.name) <= 64 for route in routes)


async def test_a_refused_master_does_not_keep_payments_back(tmp_path: Path, sqlite_template: Path) -> None:
    world = await posted(tmp_path, sqlite_template, suppliers={})
    await pay(world)
    await tell.break_wire(world, "coupa", "status", "/api/suppliers", status=403, body={"errors": {}}, times=-1)
    assert await world.try_run(way_back.DIRECTION, NAME) == "PermissionDeniedError"
    assert await entries(world) == ["600.00"]


async def test_a_correction_is_granted_what_its_invoice_holds_whatever_a_credit_took(
    tmp_path: Path, sqlite_template: Path
) -> None:
    both = invoice(1, "A-1"), invoice(2, "C-2", -10)
    world = await posted(tmp_path, sqlite_template, *both, invoices={"on_void": "correct"})
    await do(world, "void_invoice", 1)
    await later(world)
    assert (await stands(world))["A-1 correction"] == "created"


@pytest.mark.parametrize("state", ["posted", "in doubt"])
async def test_what_is_or_may_be_posted_cannot_be_edited(tmp_path: Path, sqlite_template: Path, state: str) -> None:
    if state == "posted":
        world = await posted(tmp_path, sqlite_template)
    else:
        world = await _doubtful(tmp_path, sqlite_template)
    async with world.session(DIRECTION, NAME) as session:
        row = await repair.find(session.steps.run, "A-1")
        assert row is not None
        with pytest.raises(ConfigurationError, match="cannot be edited"):
            await overlays.lay(session.steps.run, session.steps.run.routes["invoices"], row, {"number": "X"}, by="me")


async def test_voids_that_nobody_marks_are_not_read_again_and_again(tmp_path: Path, sqlite_template: Path) -> None:
    world = await tell.make(tmp_path, sqlite_template, coupa={"page_size": 2}, **way_back.PAYMENTS_ONLY)
    await send_in(world, *(invoice(key, f"V-{key}", 1) for key in range(1, 9)))
    for key in range(1, 9):
        await do(world, "void_invoice", key)
        await world.pass_time(3600)
    assert await run(world) == {"skipped": 8}
    before = await world.calls("coupa")
    assert await run(world) == {"skipped": 1}, "the newest one lies within the lookback"
    assert await world.calls("coupa") == before + 2


async def test_another_lookup_is_filled_from_the_beginning(tmp_path: Path, sqlite_template: Path) -> None:
    def codes(lookup: str) -> Json:
        return {"suppliers": {"direction": "none"}, "reference_data": [{"source": "cost_centers", "lookup": lookup}]}

    world = await tell.make(tmp_path, sqlite_template, **codes("Cost Centre"))
    await way_back.run(world)
    await tell.change_settings(world, **codes("GL Account"))
    assert (await way_back.later(world))["created"] == 4
    assert len((await world.truth("coupa"))["lookup_values"]) == 8


async def test_two_renewals_of_a_lease_at_once_do_not_wait_for_each_other(tmp_path: Path, postgresql_db: Any) -> None:
    clock = ManualClock(START)
    lease = await Lease(postgresql_db, clock, name="acme/x", owner="one").acquire()
    for _ in range(3):
        clock.advance(LENGTH_S / 2)
        await asyncio.wait_for(asyncio.gather(*(lease.keep() for _ in range(4))), 20)
    assert lease.remaining() > LENGTH_S / 2


async def _renamed(world: World, name: str) -> None:
    own = {"sharedSetCode": "SHX"}
    await world.admin("qad", "seed", {"suppliers": [{"supplierCode": "SUP00050", "addressName": name, **own}]})


def _shown(world: World, number: str = "SUP00050") -> tuple[str, str]:
    found = next(one for one in _coupa(world).tables["suppliers"] if one["number"] == number)
    return found["name"], found["status"]


@pytest.mark.parametrize("kind", ["reset_before", "hang_before", "reset_after"])
async def test_an_update_whose_answer_is_lost_arrives_in_the_end_and_lifts_no_block(
    tmp_path: Path, sqlite_template: Path, kind: str
) -> None:
    world = await way_back.masters_told(tmp_path, sqlite_template)
    await way_back.run(world)
    number = next(one["id"] for one in _coupa(world).tables["suppliers"] if one["number"] == "SUP00050")
    await do(world, "edit_supplier", number, changes={"status": "inactive"})
    await _renamed(world, "Mended")
    await tell.break_wire(world, "coupa", kind, "PUT suppliers", times=1)
    assert (await way_back.later(world))["in_doubt"] == 1
    for _ in range(3):
        await way_back.later(world)
    assert _shown(world) == ("Mended", "inactive")


async def test_an_update_that_died_before_it_was_sent_arrives_in_the_end(tmp_path: Path, sqlite_template: Path) -> None:
    world = await way_back.masters_told(tmp_path, sqlite_template)
    await way_back.run(world)
    await _renamed(world, "Mended")
    await world.pass_time(60)
    tell.wire(world, "coupa").when(r"^PUT /api/suppliers", tell.dies(world))
    await tell.killed(way_back.run(world), world)
    for _ in range(3):
        await way_back.later(world)
    assert _shown(world)[0] == "Mended"


async def test_a_refused_update_does_not_forget_what_was_agreed(tmp_path: Path, sqlite_template: Path) -> None:
    world = await way_back.masters_told(tmp_path, sqlite_template)
    await way_back.run(world)
    number = next(one["id"] for one in _coupa(world).tables["suppliers"] if one["number"] == "SUP00050")
    await do(world, "edit_supplier", number, changes={"status": "inactive"})
    await _renamed(world, "Eastgate Tooling")
    await way_back.later(world)
    await _renamed(world, "Mended")
    await way_back.later(world)
    await way_back.later(world)
    assert _shown(world) == ("Mended", "inactive")


async def test_a_number_changed_in_coupa_is_for_a_person(tmp_path: Path, sqlite_template: Path) -> None:
    world = await way_back.masters_told(tmp_path, sqlite_template)
    await way_back.run(world)
    number = next(one["id"] for one in _coupa(world).tables["suppliers"] if one["number"] == "SUP00050")
    await do(world, "edit_supplier", number, changes={"number": "SUP00099"})
    await _renamed(world, "Mended")
    await way_back.later(world)
    assert (await stands(world))["SUP00050"] == "rejected name_taken"
    assert _shown(world, "SUP00099")[0] == "Late Comer"


async def test_a_voucher_of_somebody_else_settles_nothing(tmp_path: Path, sqlite_template: Path) -> None:
    world = await tell.make(tmp_path, sqlite_template, **way_back.PAYMENTS_ONLY)
    await tell.receive(world, 100)
    keyed = {"supplierCode": "SUP00003", "invoiceReference": "RENT-11", "originalAmountTC": 50}
    await world.admin("qad", "do/key_invoice_by_hand", keyed)
    await send_in(world, invoice(1, "A-1"))
    await tell.break_wire(world, "qad", "hang_before", "POST supplierInvoices", times=1)
    await run(world)
    rent = (await world.truth("qad"))["invoices"][0]["key"].replace(".", "/")
    async with world.session(DIRECTION, NAME) as session:
        row = await repair.find(session.steps.run, "A-1")
        assert row is not None
        route = session.steps.run.routes["invoices"]
        with pytest.raises(ConfigurationError, match="differs in"):
            await repair.settle_written(session.steps.run, route, row, rent, by="me")
