"""A write whose answer is lost takes effect once, whoever asks, however late it commits, whatever changes meanwhile."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.engine import stories as tell
from tests.engine.stories import EXPORT, POST, break_wire, dies, invoice, killed, later, make, run, stands, vouchers
from tests.engine.world import World

ONE_AT_A_TIME = {"limits": {"rps": 1000, "concurrency": 1}}


async def _ready(folder: Path, template: Path, **changes: Any) -> World:
    world = await make(folder, template, **changes)
    await tell.receive(world, 50)
    await tell.send_in(world, invoice(1, "A-1"))
    return world


async def test_a_reset_after_the_effect_under_read_lag_leaves_one_voucher(
    tmp_path: Path, sqlite_template: Path
) -> None:
    world = await _ready(tmp_path, sqlite_template, options={"qad": {"read_lag_seconds": 120}})
    await break_wire(world, "qad", "reset_after", "POST supplierInvoices")
    assert await run(world) == {"in_doubt": 1}
    assert await later(world, 60) == {"in_doubt": 1}
    assert await later(world, 90) == {"created": 1}
    assert await vouchers(world) == ["A-1"]


@pytest.mark.parametrize("late_s", [30, 300, 590])
async def test_a_late_commit_is_waited_for_and_never_doubled(
    tmp_path: Path, sqlite_template: Path, late_s: float
) -> None:
    world = await _ready(tmp_path, sqlite_template)
    await break_wire(world, "qad", "late", "POST supplierInvoices", seconds=late_s)
    assert await run(world) == {"in_doubt": 1}
    for _ in range(8):
        await later(world, 85)
        assert len(await tell.calls(world, "qad", POST)) == 1
    assert await stands(world) == {"A-1": "created"}
    assert await vouchers(world) == ["A-1"]


async def test_a_row_that_is_only_intended_is_not_sent_again_before_the_settle_time(
    tmp_path: Path, sqlite_template: Path
) -> None:
    world = await _ready(tmp_path, sqlite_template)
    tell.wire(world, "qad").when(POST, dies(world))
    await killed(run(world), world)
    assert await later(world, 3600) == {"in_doubt": 1}, "found just now: the doubt begins here"
    assert await later(world, 599) == {"in_doubt": 1}
    assert await vouchers(world) == []
    assert await later(world, 2) == {"created": 1}
    assert await vouchers(world) == ["A-1"]


async def test_a_voucher_posted_by_a_process_that_died_is_found_by_its_successor(
    tmp_path: Path, sqlite_template: Path
) -> None:
    world = await _ready(tmp_path, sqlite_template)
    tell.wire(world, "qad").when(POST, dies(world), after=True)
    await killed(run(world), world)
    assert await later(world, 181) == {"created": 1}
    assert await vouchers(world) == ["A-1"]


async def test_the_settle_time_of_a_slow_chunk_counts_from_the_call_not_from_the_intend(
    tmp_path: Path, sqlite_template: Path
) -> None:
    world = await make(tmp_path, sqlite_template, qad=ONE_AT_A_TIME)
    await tell.receive(world, 90)
    await tell.send_in(world, *(invoice(n, f"A-{n}", 30) for n in (1, 2, 3)))

    async def slow() -> None:
        world.clock.advance(55)

    tell.wire(world, "qad").when(POST, slow, times=2)
    await break_wire(world, "qad", "late", "POST supplierInvoices", seconds=595, skip=2)
    assert await run(world) == {"created": 2, "in_doubt": 1}
    # 111 s have passed since the Intend, none since the call: at +592 s the Intend is 702 s old.
    assert (await later(world, 592))["in_doubt"] == 1
    assert await later(world, 60) == {"created": 1}
    assert sorted(await vouchers(world)) == ["A-1", "A-2", "A-3"]


async def test_an_edit_during_the_doubt_writes_no_second_voucher(tmp_path: Path, sqlite_template: Path) -> None:
    world = await _ready(tmp_path, sqlite_template)
    await break_wire(world, "qad", "late", "POST supplierInvoices", seconds=300)
    await run(world)
    changes = {"invoice-lines": [tell.line(40)], "total-with-taxes": "480", "gross-total": "480"}
    await tell.do(world, "edit_invoice", 1, changes=changes)
    assert await later(world, 100) == {"in_doubt": 1}, "the newer version waits"
    assert await later(world, 700) == {"rejected": 1}
    assert await stands(world) == {"A-1": "rejected edited_after_posting"}
    assert [one["amount"] for one in (await world.truth("qad"))["invoices"]] == [600]


async def test_an_edit_during_a_doubt_that_ends_absent_is_sent_instead(tmp_path: Path, sqlite_template: Path) -> None:
    world = await _ready(tmp_path, sqlite_template)
    await break_wire(world, "qad", "reset_before", "POST supplierInvoices")
    await run(world)
    first = (await tell.rows(world))["1"]
    changes = {"invoice-lines": [tell.line(40)], "total-with-taxes": "480", "gross-total": "480"}
    await tell.do(world, "edit_invoice", 1, changes=changes)
    assert await later(world, 60) == {"in_doubt": 1}
    assert await later(world, 700) == {"created": 1}
    second = (await tell.rows(world))["1"]
    assert [one["amount"] for one in (await world.truth("qad"))["invoices"]] == [480]
    assert (first.revision, second.revision) == (1, 2)
    assert first.effects[0].key != second.effects[0].key


async def test_a_void_during_the_doubt_ends_as_reverse_when_the_voucher_is_found(
    tmp_path: Path, sqlite_template: Path
) -> None:
    world = await _ready(tmp_path, sqlite_template)
    await break_wire(world, "qad", "late", "POST supplierInvoices", seconds=300)
    await run(world)
    await tell.do(world, "void_invoice", 1)
    await later(world, 700)
    assert await stands(world) == {"A-1": "rejected reverse"}
    assert await vouchers(world) == ["A-1"]


async def test_a_void_during_a_doubt_that_ends_absent_sends_nothing_and_frees_the_receipt(
    tmp_path: Path, sqlite_template: Path
) -> None:
    world = await _ready(tmp_path, sqlite_template)
    await break_wire(world, "qad", "reset_before", "POST supplierInvoices")
    await run(world)
    await tell.do(world, "void_invoice", 1)
    await later(world, 100)
    assert await later(world, 700) == {"skipped": 1}
    await tell.send_in(world, invoice(2, "A-2"))
    assert await run(world) == {"created": 1, "skipped": 1}
    assert await vouchers(world) == ["A-2"]


async def test_new_settings_during_the_doubt_do_not_change_the_payload_that_is_asked_for(
    tmp_path: Path, sqlite_template: Path
) -> None:
    world = await _ready(tmp_path, sqlite_template)
    await break_wire(world, "qad", "late", "POST supplierInvoices", seconds=300)
    await run(world)
    await tell.change_settings(world, invoices={"credit_terms": "N60"})
    assert await later(world, 700) == {"created": 1}
    assert await later(world, 60) == {}
    assert await vouchers(world) == ["A-1"]


async def test_a_void_during_the_doubt_about_the_exported_mark_is_noticed(
    tmp_path: Path, sqlite_template: Path
) -> None:
    world = await _ready(tmp_path, sqlite_template, coupa={"monitoring": "none", "invoice_number_field": ""})
    await break_wire(world, "coupa", "reset_after", "PUT exported=true")
    assert await run(world) == {"in_doubt": 1}
    await tell.do(world, "void_invoice", 1, keep_exported=True)
    await later(world, 60)
    assert await stands(world) == {"A-1": "rejected reverse"}, "no query will ever show this void again"


async def test_a_credit_is_not_posted_before_its_invoice_is_certain(tmp_path: Path, sqlite_template: Path) -> None:
    world = await _ready(tmp_path, sqlite_template)
    await tell.send_in(world, invoice(2, "C-1", -10))
    await break_wire(world, "qad", "reset_before", "POST supplierInvoices")
    await run(world)
    assert await stands(world) == {"A-1": "in_doubt waits_for_clear_answer", "C-1": "held credit_exceeds_posted"}
    await later(world, 700)
    await later(world, 60)
    assert await vouchers(world) == ["A-1", "-C-1"]


async def test_the_resend_after_a_doubt_carries_the_same_key(tmp_path: Path, sqlite_template: Path) -> None:
    world = await _ready(tmp_path, sqlite_template)
    await break_wire(world, "coupa", "reset_before", "PUT exported=true")
    await run(world)
    await later(world, 400)
    first, second = [one["headers"]["idempotency-key"] for one in await tell.calls(world, "coupa", EXPORT)]
    assert first == second
    assert (await world.truth("coupa"))["exported"] == {"1": 1}


async def test_the_resend_of_a_create_repeats_payload_and_key_exactly(tmp_path: Path, sqlite_template: Path) -> None:
    world = await _ready(tmp_path, sqlite_template)
    await break_wire(world, "qad", "reset_before", "POST supplierInvoices")
    await run(world)
    before = (await tell.rows(world))["1"]
    await later(world, 2 * tell.DAY_S)
    after = (await tell.rows(world))["1"]
    assert (after.revision, after.effects[0].key) == (before.revision, before.effects[0].key)
    shown = await world.admin("qad", "state/supplierInvoice", method="GET")
    assert [one["postingDate"][:10] for one in shown] == ["2026-02-10"], "the frozen date travels with the re-send"


async def test_edits_a_b_a_carry_three_keys(tmp_path: Path, sqlite_template: Path) -> None:
    world = await _ready(tmp_path, sqlite_template)
    await world.admin("qad", "do/set_option", {"policy_variance": "reject"})
    keys = []
    for price in ("13.00", "14.00", "13.00"):
        total = str(50 * int(price[:2]))
        lines = [tell.line(50, price=price, total=total)]
        changes = {"invoice-lines": lines, "total-with-taxes": total, "gross-total": total}
        await tell.do(world, "edit_invoice", 1, changes=changes)
        assert await later(world, 60) == {"rejected": 1}
        row = (await tell.rows(world))["1"]
        keys.append((row.revision, row.effects[0].key))
    assert [revision for revision, _ in keys] == [1, 2, 3]
    assert len(set(keys)) == 3
