"""Voids and edits after posting: an exception for a person, or an Invoice Correction where the tenant wants it."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from tests.engine import stories as tell
from tests.engine import way_back
from tests.engine.stories import do, invoice, later, run, stands, vouchers
from tests.engine.way_back import posted
from tests.engine.world import World

pytestmark = pytest.mark.asyncio
CORRECT = {"invoices": {"on_void": "correct"}}


async def _corrected(world: World) -> list[str]:
    found = (await world.truth("qad"))["invoices"]
    return [f"{one['type']} {one['reference']} {one['amount']}" for one in found if "Correction" in one["type"]]


async def _matched(world: World) -> Decimal:
    return Decimal(str((await world.truth("qad"))["matched"].get(f"{tell.PO}/1", 0)))


async def test_a_void_that_keeps_its_exported_flag_is_still_seen(tmp_path: Path, sqlite_template: Path) -> None:
    world = await posted(tmp_path, sqlite_template)
    await do(world, "void_invoice", 1, keep_exported=True)
    assert await later(world) == {"rejected": 1}
    assert await stands(world) == {"A-1": "rejected reverse"}
    assert await vouchers(world) == ["A-1"]


async def test_without_the_opt_in_nothing_is_corrected(tmp_path: Path, sqlite_template: Path) -> None:
    world = await posted(tmp_path, sqlite_template)
    await do(world, "void_invoice", 1)
    await later(world)
    assert await _corrected(world) == []


async def test_a_void_is_corrected_once_and_frees_the_receipt(tmp_path: Path, sqlite_template: Path) -> None:
    world = await posted(tmp_path, sqlite_template, **CORRECT)
    await do(world, "void_invoice", 1)
    await later(world)
    assert await _corrected(world) == ["Invoice Correction A-1 600"]
    assert await _matched(world) == 0
    assert await stands(world) == {"A-1": "skipped reversed_by", "A-1 correction": "created"}
    before = await tell.writes(world)
    await later(world)
    assert (await _corrected(world), await tell.writes(world)) == (["Invoice Correction A-1 600"], before)
    # All 100 pieces can be billed again.
    await tell.send_in(world, invoice(2, "A-2", 100))
    assert (await run(world))["created"] == 1


async def test_a_void_from_before_the_opt_in_is_corrected_when_it_comes(tmp_path: Path, sqlite_template: Path) -> None:
    world = await posted(tmp_path, sqlite_template)
    await do(world, "void_invoice", 1, keep_exported=True)
    await later(world)
    await tell.change_settings(world, **(way_back.PAYMENTS_ONLY | CORRECT))
    await later(world)
    assert await _corrected(world) == ["Invoice Correction A-1 600"]
    found = await world.outcomes("acme")
    assert "rejected" not in found.values()


async def test_a_paid_voucher_is_never_corrected(tmp_path: Path, sqlite_template: Path) -> None:
    world = await posted(tmp_path, sqlite_template, **CORRECT)
    await way_back.pay(world)
    await do(world, "void_invoice", 1)
    await later(world)
    assert await _corrected(world) == []
    assert "rejected" in (await world.outcomes("acme")).values()


async def test_a_voided_credit_note_is_corrected_too(tmp_path: Path, sqlite_template: Path) -> None:
    world = await posted(tmp_path, sqlite_template, invoice(1, "A-1"), invoice(2, "C-2", -10), **CORRECT)
    await do(world, "void_invoice", 2)
    await later(world)
    assert await _corrected(world) == ["Credit Note Correction C-2 120"]


async def test_a_lost_answer_to_a_correction_makes_no_second_one(tmp_path: Path, sqlite_template: Path) -> None:
    world = await posted(tmp_path, sqlite_template, **CORRECT)
    await do(world, "void_invoice", 1)
    await tell.break_wire(world, "qad", "reset_after", "POST supplierInvoices", times=1)
    await later(world)
    await later(world)
    assert await _corrected(world) == ["Invoice Correction A-1 600"]
    assert await world.outcomes("acme") == {"A-1": "skipped", "A-1 correction": "created"}


async def test_an_invoice_voided_before_it_was_posted_needs_no_correction(
    tmp_path: Path, sqlite_template: Path
) -> None:
    world = await tell.make(tmp_path, sqlite_template, **(way_back.PAYMENTS_ONLY | CORRECT))
    await tell.send_in(world, invoice(1, "A-1"))
    await run(world)
    await do(world, "void_invoice", 1)
    await tell.receive(world, 100)
    await later(world)
    assert await vouchers(world) == []
