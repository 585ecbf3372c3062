"""Which QAD order a Coupa line means: a field of Coupa's order names it, or a slot of QAD's holds Coupa's number."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.engine import coupa_qad
from tests.engine import stories as tell
from tests.engine.stories import PO, invoice, later, line, make, run, stands
from tests.engine.world import Json, World

# Longer than QAD's eight characters.
OURS, OTHER = "PROJ-2400-AMENDED", "PROJ-2401"
FIELD, SLOT = "cf-qad-order", "customShort3"
OPTIONS: dict[str, Json] = {
    "coupa": {"custom_fields": {"invoices": ["cf-erp-invoice-number"], "purchase_orders": [FIELD]}}
}


async def _by_field(folder: Path, template: Path) -> World:
    """A customer whose Coupa orders name QAD's."""
    rules = coupa_qad.settings()["invoices"] | {"po_rule": {"kind": "coupa_field", "name": FIELD}}
    return await make(folder, template, options=OPTIONS, invoices=rules)


async def _by_slot(folder: Path, template: Path) -> World:
    """A customer whose QAD orders hold Coupa's number."""
    rules = coupa_qad.settings()["invoices"] | {"po_rule": {"kind": "qad_slot", "name": SLOT}}
    return await make(folder, template, invoices=rules)


async def _coupa_order(world: World, key: int, number: str, there: str | None) -> None:
    order: Json = {"id": key, "po-number": number, "status": "issued", "custom-fields": {FIELD: there}}
    await world.admin("coupa", "seed", {"purchase_orders": [order]})


async def _slot(world: World, number: str, value: str) -> None:
    await world.admin("qad", "seed", {"purchaseOrders": [{"purchaseOrderNumber": number, SLOT: value}]})


async def _why(world: World, number: str) -> str:
    row = (await world.standing(coupa_qad.NAME))[number]
    return "; ".join(one.text for one in row.reasons)


def _over(*orders: str, quantity: int = 50) -> list[Json]:
    return [line(quantity, po=number) for number in orders]


async def _matched(world: World) -> dict[str, Any]:
    return dict((await world.truth("qad"))["matched"])


async def test_a_field_of_coupas_order_names_qads(tmp_path: Path, sqlite_template: Path) -> None:
    world = await _by_field(tmp_path, sqlite_template)
    await tell.receive(world, 50)
    await _coupa_order(world, 1, OURS, PO)
    await tell.send_in(world, invoice(1, "A-1", lines=_over(OURS)))
    assert await run(world) == {"created": 1}
    (posted,) = await world.admin("qad", "state/supplierInvoices", method="GET")
    assert [one["purchaseOrderNumber"] for one in posted["supplierInvoicePOs"]] == [PO]
    assert await _matched(world) == {f"{PO}/1": 50}


async def test_an_order_without_a_link_is_waited_for(tmp_path: Path, sqlite_template: Path) -> None:
    world = await _by_field(tmp_path, sqlite_template)
    await tell.receive(world, 50)
    await _coupa_order(world, 1, OURS, None)
    await tell.send_in(world, invoice(1, "A-1", lines=_over(OURS)))
    assert await run(world) == {"held": 1}
    assert await _why(world, "A-1") == f"PO {OURS} of the source is linked to no PO of the target yet"
    await _coupa_order(world, 1, OURS, f" {PO} ")
    assert await later(world, 60) == {"created": 1}


async def test_a_hold_names_both_numbers(tmp_path: Path, sqlite_template: Path) -> None:
    world = await _by_field(tmp_path, sqlite_template)
    await _coupa_order(world, 1, OURS, PO)
    await _coupa_order(world, 2, OTHER, "PO999999")
    await tell.send_in(world, invoice(1, "A-1", lines=_over(OURS)), invoice(2, "A-2", lines=_over(OTHER)))
    assert await run(world) == {"held": 2}
    assert await _why(world, "A-1") == (
        f"no goods receipt posted for PO {PO} (in Coupa {OURS}) line 1: billed 50, available 0"
    )
    assert await _why(world, "A-2") == (
        f"PO PO999999 (in Coupa {OTHER}) is not in the target system; in the source it is issued"
    )


async def test_the_length_rule_is_about_qads_number(tmp_path: Path, sqlite_template: Path) -> None:
    world = await _by_field(tmp_path, sqlite_template)
    await _coupa_order(world, 1, OURS, "PO200001-1")
    await tell.send_in(world, invoice(1, "A-1", lines=_over(OURS)))
    assert await run(world) == {"rejected": 1}
    expected = f"PO number PO200001-1 (in Coupa {OURS}) is longer than the 8 characters of the target"
    assert await _why(world, "A-1") == expected


async def test_two_coupa_orders_over_one_of_qad_share_its_receipts(tmp_path: Path, sqlite_template: Path) -> None:
    world = await _by_field(tmp_path, sqlite_template)
    await tell.receive(world, 100)
    await _coupa_order(world, 1, OURS, PO)
    await _coupa_order(world, 2, OTHER, PO)
    both = invoice(1, "A-1", lines=_over(OURS, OTHER, quantity=40))
    await tell.send_in(world, both, invoice(2, "A-2", lines=_over(OTHER, quantity=40)))
    assert await run(world) == {"created": 1, "held": 1}
    assert await stands(world) == {"A-1": "created", "A-2": "held receipt_missing"}
    assert await _matched(world) == {f"{PO}/1": 80}


async def test_the_links_of_a_page_are_asked_for_once(tmp_path: Path, sqlite_template: Path) -> None:
    world = await _by_field(tmp_path, sqlite_template)
    await tell.receive(world, 100)
    await _coupa_order(world, 1, OURS, PO)
    await tell.send_in(world, *[invoice(n, f"A-{n}", lines=_over(OURS, quantity=1)) for n in range(1, 31)])
    assert await run(world) == {"created": 30}
    asked = await tell.calls(world, "coupa", "^GET /api/purchase_orders")
    # Before every send the gate is judged anew.
    assert len(asked) <= 2


async def test_a_slot_of_qads_order_holds_coupas_number(tmp_path: Path, sqlite_template: Path) -> None:
    world = await _by_slot(tmp_path, sqlite_template)
    await tell.receive(world, 50)
    await tell.send_in(world, invoice(1, "A-1", lines=_over(OURS)))
    assert await run(world) == {"held": 1}
    assert await stands(world) == {"A-1": "held po_not_linked"}
    await _slot(world, PO, OURS)
    assert await later(world, 60) == {"created": 1}
    assert await _matched(world) == {f"{PO}/1": 50}


async def test_a_number_that_several_qad_orders_hold_is_for_a_person(tmp_path: Path, sqlite_template: Path) -> None:
    world = await _by_slot(tmp_path, sqlite_template)
    await tell.order(world, "PO200002")
    await tell.receive(world, 50)
    for number in (PO, "PO200002"):
        await _slot(world, number, OURS)
    await tell.send_in(world, invoice(1, "A-1", lines=_over(OURS)))
    assert await run(world) == {"rejected": 1}
    assert await _why(world, "A-1") == f"PO {OURS} of the source is linked to several POs of the target: {PO}, PO200002"
