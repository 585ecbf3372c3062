"""Who is who: the same number in two years, from two suppliers or instances, keyed by hand, or connected again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete

from ml_connector.store.schema import connection, effect, ledger, reservation
from tests.engine import coupa_qad
from tests.engine import stories as tell
from tests.engine.stories import DIRECTION, POST, dies, invoice, killed, later, make, run, stands, vouchers
from tests.engine.world import World

LAST_YEAR: dict[str, Any] = {"invoice_date": "2025-02-09T00:00:00-08:00"}


async def _stocked(folder: Path, template: Path, **changes: Any) -> World:
    world = await make(folder, template, **changes)
    await tell.receive(world, 100)
    return world


def _by_hand(**members: Any) -> dict[str, Any]:
    return {
        "supplierCode": "SUP00001",
        "invoiceReference": "A-1",
        "originalAmountTC": 600,
        "currencyCode": "USD",
    } | members


# ---- the same number again


async def test_the_same_number_in_another_year_is_another_invoice(tmp_path: Path, sqlite_template: Path) -> None:
    world = await _stocked(tmp_path, sqlite_template)
    await tell.send_in(world, invoice(1, "A-1", **LAST_YEAR))
    await run(world)
    await tell.send_in(world, invoice(2, "A-1"))
    assert await later(world, 60) == {"created": 1}
    assert await vouchers(world) == ["A-1", "A-1"]


async def test_the_same_number_of_the_same_day_over_another_amount_is_for_a_person(
    tmp_path: Path, sqlite_template: Path
) -> None:
    world = await _stocked(tmp_path, sqlite_template)
    await tell.send_in(world, invoice(1, "A-1", 50))
    await run(world)
    await tell.send_in(world, invoice(2, "A-1", 20))
    assert await later(world, 60) == {"rejected": 1}
    assert (await tell.rows(world))["2"].reasons[0].code == "possible_duplicate"


async def test_the_same_number_date_and_amount_is_a_possible_duplicate_for_a_person(
    tmp_path: Path, sqlite_template: Path
) -> None:
    world = await _stocked(tmp_path, sqlite_template)
    await tell.send_in(world, invoice(1, "A-1"))
    await run(world)
    await tell.send_in(world, invoice(2, "A-1"))
    assert await later(world, 60) == {"rejected": 1}
    why = (await tell.rows(world))["2"].reasons[0]
    assert why.code == "possible_duplicate"
    assert why.params["target"] == (await tell.rows(world))["1"].target_id
    assert await vouchers(world) == ["A-1"]


async def test_the_same_number_twice_in_one_page_posts_one_and_asks_before_the_second(
    tmp_path: Path, sqlite_template: Path
) -> None:
    world = await _stocked(tmp_path, sqlite_template)
    await tell.send_in(world, invoice(1, "A-1"), invoice(2, "A-1"))
    assert await run(world) == {"created": 1, "rejected": 1}
    assert await vouchers(world) == ["A-1"]


async def test_an_invoice_waits_while_its_twin_of_the_same_page_is_in_doubt(
    tmp_path: Path, sqlite_template: Path
) -> None:
    world = await _stocked(tmp_path, sqlite_template)
    await tell.send_in(world, invoice(1, "A-1"), invoice(2, "A-1"))
    await tell.break_wire(world, "qad", "late", "POST supplierInvoices", seconds=400)
    assert await run(world) == {"in_doubt": 1, "held": 1}
    await later(world, 100)
    await later(world, 700)
    await later(world, 60)
    assert await vouchers(world) == ["A-1"]
    assert (await tell.rows(world))["2"].reasons[0].code == "possible_duplicate"


async def test_the_same_number_from_two_suppliers_is_two_invoices(tmp_path: Path, sqlite_template: Path) -> None:
    world = await _stocked(tmp_path, sqlite_template)
    await tell.order(world, "PO200002", supplier="SUP00003")
    await tell.receive(world, 50, "PO200002")
    other: dict[str, Any] = {"supplier": {"number": "SUP00003"}, "lines": [tell.line(50, po="PO200002")]}
    await tell.send_in(world, invoice(1, "A-1"), invoice(2, "A-1", **other))
    assert await run(world) == {"created": 2}
    assert sorted((await world.truth("qad"))["invoices_by_reference"]) == [
        "SUP00001/Invoice/A-1",
        "SUP00003/Invoice/A-1",
    ]


async def test_an_invoice_and_its_credit_note_may_bear_the_same_number(tmp_path: Path, sqlite_template: Path) -> None:
    world = await _stocked(tmp_path, sqlite_template)
    await tell.send_in(world, invoice(1, "A-1"), invoice(2, "A-1", -10))
    assert await run(world) == {"created": 2}
    assert await vouchers(world) == ["A-1", "-A-1"]


async def test_one_invoice_entered_in_two_coupa_instances_is_for_a_person(
    tmp_path: Path, sqlite_template: Path
) -> None:
    world = await _stocked(tmp_path, sqlite_template)
    await tell.send_in(world, invoice(1, "A-1"))
    await run(world)
    async with tell.second_coupa(world) as other:
        await tell.send_in(world, invoice(1, "A-1"))
        assert await run(world, other) == {"rejected": 1}
        assert await stands(world, other) == {"A-1": "rejected possible_duplicate"}
    assert await vouchers(world) == ["A-1"]


async def test_equal_ids_of_two_coupa_instances_are_two_records(tmp_path: Path, sqlite_template: Path) -> None:
    world = await _stocked(tmp_path, sqlite_template)
    await tell.send_in(world, invoice(1, "A-1"))
    await run(world)
    async with tell.second_coupa(world) as other:
        await tell.send_in(world, invoice(1, "B-1", 30))
        assert await run(world, other) == {"created": 1}
    assert await vouchers(world) == ["A-1", "B-1"]
    assert len((await world.truth("qad"))["invoices_by_token"]) == 2


# ---- keyed by hand


@pytest.mark.parametrize("members", [{}, {"originalAmountTC": 599}, {"invoiceDate": "2025-02-09"}])
async def test_a_voucher_keyed_by_hand_is_a_possible_duplicate_and_is_not_adopted(
    tmp_path: Path, sqlite_template: Path, members: dict[str, Any]
) -> None:
    world = await _stocked(tmp_path, sqlite_template)
    await world.admin("qad", "do/key_invoice_by_hand", _by_hand(**members))
    await tell.send_in(world, invoice(1, "A-1"))
    assert await run(world) == {"rejected": 1}
    assert await stands(world) == {"A-1": "rejected possible_duplicate"}
    shown = (await world.truth("qad"))["invoices"]
    assert [(one["reference"], one["token"]) for one in shown] == [("A-1", "")]
    assert (await world.truth("coupa"))["exported"] == {}


async def test_a_standing_duplicate_costs_no_call_to_qad(tmp_path: Path, sqlite_template: Path) -> None:
    world = await _stocked(tmp_path, sqlite_template)
    await world.admin("qad", "do/key_invoice_by_hand", _by_hand())
    await tell.send_in(world, invoice(1, "A-1"))
    await run(world)
    asked = await world.calls("qad")
    assert await later(world, 60) == {"rejected": 1}
    assert await world.calls("qad") == asked


async def test_a_hand_with_another_spelling_of_the_number_is_still_a_possible_duplicate(
    tmp_path: Path, sqlite_template: Path
) -> None:
    world = await _stocked(tmp_path, sqlite_template)
    await world.admin("qad", "do/key_invoice_by_hand", _by_hand(invoiceReference="A,1"))
    await tell.send_in(world, invoice(1, "A,1 "))
    assert await run(world) == {"rejected": 1}


async def test_a_voucher_keyed_by_hand_during_our_doubt_is_not_taken_for_ours(
    tmp_path: Path, sqlite_template: Path
) -> None:
    world = await _stocked(tmp_path, sqlite_template)
    await tell.send_in(world, invoice(1, "A-1"))
    await tell.break_wire(world, "qad", "reset_before", "POST supplierInvoices")
    await run(world)
    await world.admin("qad", "do/key_invoice_by_hand", _by_hand())
    assert await later(world, 100) == {"in_doubt": 1}
    assert await later(world, 700) == {"rejected": 1}
    assert await stands(world) == {"A-1": "rejected possible_duplicate"}
    assert await vouchers(world) == ["A-1"]


async def test_two_vouchers_with_our_token_stop_the_record(tmp_path: Path, sqlite_template: Path) -> None:
    world = await _stocked(tmp_path, sqlite_template)
    await tell.send_in(world, invoice(1, "A-1"))
    await tell.break_wire(world, "qad", "reset_after", "POST supplierInvoices")
    await run(world)
    token = (await tell.rows(world))["1"].token
    await world.admin("qad", "do/key_invoice_by_hand", _by_hand(customShort0=token))
    await later(world, 700)
    assert await stands(world) == {"A-1": "rejected ambiguous"}
    assert await later(world, 60) == {"rejected": 1}


# ---- connected again


async def _reconnected(world: World) -> str:
    """The connection is removed, and the same two tenants are connected under another name."""
    async with world.installation() as one, one.store.db.write() as tx:
        await tx.execute(delete(connection).where(connection.c.name == coupa_qad.NAME))
    row = replace(world.rows[coupa_qad.NAME], name="acme-again", settings_version=0)
    await world.connect(row, coupa_qad.logins(), ("acme.coupahost.com", "erp.acme.example 10USA 10USACO"))
    return "acme-again"


async def test_a_pair_that_is_connected_again_creates_nothing_twice(tmp_path: Path, sqlite_template: Path) -> None:
    world = await _stocked(tmp_path, sqlite_template)
    await tell.send_in(world, invoice(1, "A-1"), invoice(2, "A-2", 80))
    assert await run(world) == {"created": 1, "held": 1}
    name = await _reconnected(world)
    await tell.do(world, "reset_exported", 1)
    assert await run(world, name) == {"created": 1, "held": 1}
    await tell.receive(world, 30)
    assert await later(world, 60, name) == {"created": 1}
    assert await vouchers(world) == ["A-1", "A-2"]


async def test_a_doubt_of_the_old_connection_is_settled_under_the_new_one(
    tmp_path: Path, sqlite_template: Path
) -> None:
    world = await _stocked(tmp_path, sqlite_template)
    await tell.send_in(world, invoice(1, "A-1"))
    await tell.break_wire(world, "coupa", "reset_after", "PUT exported=true")
    assert await run(world) == {"in_doubt": 1}
    name = await _reconnected(world)
    await later(world, 700, name)
    row = (await world.standing(name)).get("A-1")
    assert row is not None, "nobody looks at the record any more"
    assert row.complete
    assert list((await world.truth("coupa"))["history"].values()) == [1]


async def test_a_voucher_with_our_token_is_adopted_when_the_ledger_was_restored_without_it(
    tmp_path: Path, sqlite_template: Path
) -> None:
    world = await make(tmp_path, sqlite_template)
    await tell.receive(world, 50)
    await tell.send_in(world, invoice(1, "A-1"))
    tell.wire(world, "qad").when(POST, dies(world), after=True)
    await killed(world.run(DIRECTION, coupa_qad.NAME), world)
    async with world.installation() as one, one.store.db.write() as tx:
        for table in (reservation, effect, ledger):
            await tx.execute(delete(table))
    await later(world, 700)
    assert await stands(world) == {"A-1": "created"}
    assert await vouchers(world) == ["A-1"]
    assert (await world.truth("coupa"))["exported"] == {"1": 1}
