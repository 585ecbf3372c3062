"""Voids and edits after posting: an exception for a person, or an Invoice Correction where the tenant wants it."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from ml_connector.pairs.coupa_qad.ours import OurVouchers
from ml_connector.systems.qad.ledger import Ledger
from tests.engine import coupa_qad, way_back
from tests.engine import stories as tell
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


async def test_a_partly_paid_voucher_is_never_corrected(tmp_path: Path, sqlite_template: Path) -> None:
    world = await posted(tmp_path, sqlite_template, **CORRECT)
    payment = await way_back.pay(world, "A-1", 200)
    await do(world, "void_invoice", 1)
    await later(world)
    assert await _corrected(world) == []
    assert "rejected settled_before_void" in (await stands(world)).values()
    # The money comes back, and a person who has seen to it asks again.
    await way_back.set_status(world, payment, "Void")
    await tell.change_settings(world, **(way_back.PAYMENTS_ONLY | CORRECT | {"payments": {"first_load_days": 30}}))
    await later(world)
    assert await _corrected(world) == ["Invoice Correction A-1 600"]


@pytest.mark.parametrize("member", ["open", "balance"])
async def test_a_voucher_of_which_qad_does_not_show_what_was_paid_is_never_corrected(
    tmp_path: Path, sqlite_template: Path, member: str
) -> None:
    resources = {"supplierInvoice": {"fields": {member: "notShownHere"}}}
    qad = coupa_qad.settings()["qad"] | {"resources": resources}
    world = await posted(tmp_path, sqlite_template, **CORRECT, qad=qad)
    await do(world, "void_invoice", 1)
    await later(world)
    assert await _corrected(world) == []
    assert "rejected settled_before_void" in (await stands(world)).values()


async def test_many_vouchers_are_looked_at_side_by_side_and_their_rows_are_read_once(
    tmp_path: Path, sqlite_template: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = await posted(tmp_path, sqlite_template, *(invoice(n, f"A-{n}", 5) for n in range(1, 5)), **CORRECT)
    for key in range(1, 5):
        await do(world, "void_invoice", key)
    now, most, read = [0], [0], [0]
    get, rows = Ledger.get_invoice, OurVouchers.rows

    async def counted(port: Ledger, key: str) -> Any:
        now[0] += 1
        most[0] = max(most[0], now[0])
        try:
            return await get(port, key)
        finally:
            now[0] -= 1

    async def noted(vouchers: OurVouchers, keys: Any, **more: Any) -> Any:
        read[0] += not more
        return await rows(vouchers, keys, **more)

    monkeypatch.setattr(Ledger, "get_invoice", counted)
    monkeypatch.setattr(OurVouchers, "rows", noted)
    await later(world)
    assert len(await _corrected(world)) == 4
    assert (most[0], read[0]) == (2, 1)


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
