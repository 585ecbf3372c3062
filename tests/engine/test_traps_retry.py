"""Retry, replay, restart: what a run finds cached is a hint, and only the ledger and the systems decide."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sqlalchemy import select

from ml_connector.store.schema import reservation
from tests.engine import stories as tell
from tests.engine.stories import (
    EXPORT,
    HOUR_S,
    POST,
    dies,
    invoice,
    killed,
    later,
    make,
    prepared,
    retried,
    run,
    stands,
    vouchers,
)
from tests.engine.world import World

RUN = "run-1"


async def _ready(folder: Path, template: Path, **changes: Any) -> World:
    world = await make(folder, template, **changes)
    await tell.receive(world, 50)
    await tell.send_in(world, invoice(1, "A-1"))
    return world


async def _edit(world: World, quantity: int) -> None:
    total = str(12 * quantity)
    changes = {"invoice-lines": [tell.line(quantity)], "total-with-taxes": total, "gross-total": total}
    await tell.do(world, "edit_invoice", 1, changes=changes)


async def _reserved(world: World) -> dict[str, tuple[str, bool]]:
    async with world.installation() as one, one.store.db.read() as tx:
        found = (await tx.execute(select(reservation))).all()
    return {f"{row.po_number}/{row.po_line}": (f"{row.quantity:.0f}", row.permanent) for row in found}


async def test_a_retry_after_the_post_took_effect_sends_no_second_one(tmp_path: Path, sqlite_template: Path) -> None:
    world = await _ready(tmp_path, sqlite_template)
    page = await prepared(world, RUN)
    tell.wire(world, "qad").when(POST, dies(world), after=True)
    await killed(retried(world, page), world)
    await world.pass_time(HOUR_S)
    assert await retried(world, page) == {"created": 1}
    assert len(await tell.calls(world, "qad", POST)) == 1
    assert await vouchers(world) == ["A-1"]


async def test_a_retry_of_a_page_that_was_written_whole_writes_nothing(tmp_path: Path, sqlite_template: Path) -> None:
    world = await _ready(tmp_path, sqlite_template)
    page = await prepared(world, RUN)
    assert await retried(world, page) == {"created": 1}
    before = await tell.writes(world)
    assert await retried(world, page) == {"created": 1}
    assert await tell.writes(world) == before


async def test_a_retry_under_read_lag_does_not_believe_the_cached_absence(
    tmp_path: Path, sqlite_template: Path
) -> None:
    world = await _ready(tmp_path, sqlite_template, options={"qad": {"read_lag_seconds": 500}})
    page = await prepared(world, RUN)
    tell.wire(world, "qad").when(POST, dies(world), after=True)
    await killed(retried(world, page), world)
    await world.pass_time(200)
    assert await retried(world, page) == {"in_doubt": 1}
    assert await later(world, 400) == {"created": 1}
    assert await vouchers(world) == ["A-1"]


async def test_a_retry_asks_again_and_sees_the_voucher_keyed_by_hand_meanwhile(
    tmp_path: Path, sqlite_template: Path
) -> None:
    world = await _ready(tmp_path, sqlite_template)
    page = await prepared(world, RUN)
    by_hand = {"supplierCode": "SUP00001", "invoiceReference": "A-1", "originalAmountTC": 600, "currencyCode": "USD"}
    await world.admin("qad", "do/key_invoice_by_hand", by_hand)
    await world.pass_time(HOUR_S)
    assert await retried(world, page) == {"rejected": 1}
    assert await stands(world) == {"A-1": "rejected possible_duplicate"}
    assert await vouchers(world) == ["A-1"]


async def test_the_version_that_a_later_run_wrote_stays_when_the_first_is_retried(
    tmp_path: Path, sqlite_template: Path
) -> None:
    world = await _ready(tmp_path, sqlite_template)
    page = await prepared(world, RUN)
    await _edit(world, 40)
    assert await later(world, HOUR_S) == {"created": 1}
    before = await tell.writes(world)
    assert await retried(world, page) == {"unchanged": 1}
    assert await tell.writes(world) == before
    assert [one["amount"] for one in (await world.truth("qad"))["invoices"]] == [480]


async def test_a_retry_sends_the_newer_version_never_the_one_it_read(tmp_path: Path, sqlite_template: Path) -> None:
    world = await _ready(tmp_path, sqlite_template)
    page = await prepared(world, RUN)
    await _edit(world, 40)
    await world.pass_time(HOUR_S)
    assert await retried(world, page) == {"created": 1}
    assert [one["amount"] for one in (await world.truth("qad"))["invoices"]] == [480]


async def test_a_retry_of_an_invoice_that_was_voided_meanwhile_sends_nothing(
    tmp_path: Path, sqlite_template: Path
) -> None:
    world = await _ready(tmp_path, sqlite_template)
    page = await prepared(world, RUN)
    await tell.do(world, "void_invoice", 1)
    await world.pass_time(HOUR_S)
    assert await retried(world, page) == {"skipped": 1}
    assert await vouchers(world) == []


async def test_a_retry_after_the_receipt_was_reversed_holds_what_was_cached_ready(
    tmp_path: Path, sqlite_template: Path
) -> None:
    world = await _ready(tmp_path, sqlite_template)
    page = await prepared(world, RUN)
    await tell.receive(world, -50)
    await world.pass_time(HOUR_S)
    assert await retried(world, page) == {"held": 1}
    assert await stands(world) == {"A-1": "held receipt_missing"}
    assert await vouchers(world) == []
    await tell.receive(world, 50)
    assert await later(world, 60) == {"created": 1}


async def test_a_receipt_that_another_connection_took_meanwhile_is_not_paid_twice(
    tmp_path: Path, sqlite_template: Path
) -> None:
    world = await _ready(tmp_path, sqlite_template)
    async with tell.process(world, RUN) as steps:
        page = await steps.fetch("invoices", 0, tell.STREAM, None)
        page = await steps.dedupe(await steps.match_check(page))
        async with tell.second_coupa(world) as other:
            await tell.send_in(world, invoice(1, "EU-1"))
            assert await run(world, other) == {"created": 1}
        assert (await steps.write(page)).counts == {"held": 1}
    assert await vouchers(world) == ["EU-1"]


async def test_a_hand_keyed_match_between_check_and_write_holds_instead_of_rejecting(
    tmp_path: Path, sqlite_template: Path
) -> None:
    world = await _ready(tmp_path, sqlite_template)
    receiver = (await world.admin("qad", "state/receipt", method="GET"))[0]["receiverNumber"]
    match = {"purchaseOrderNumber": tell.PO, "purchaseOrderLine": 1, "receiverNumber": receiver, "matchQuantity": 50}
    by_hand = {"supplierCode": "SUP00001", "invoiceReference": "HAND", "originalAmountTC": 600, "currencyCode": "USD"}
    by_hand |= {"receiverMatchingLines": [match | {"matchUnitPrice": 12}]}
    async with tell.process(world, RUN) as steps:
        page = await steps.fetch("invoices", 0, tell.STREAM, None)
        page = await steps.dedupe(await steps.match_check(page))
        await world.admin("qad", "do/key_invoice_by_hand", by_hand)
        assert (await steps.write(page)).counts == {"held": 1}
    assert await later(world, 60) == {"held": 1}
    assert await stands(world) == {"A-1": "held receipt_missing"}
    await tell.receive(world, 50)
    assert await later(world, 60) == {"created": 1}


async def test_a_refused_export_names_the_effect_keeps_the_receipt_and_resumes_there(
    tmp_path: Path, sqlite_template: Path
) -> None:
    world = await _ready(tmp_path, sqlite_template)
    await tell.do(world, "refuse_updates", 1, message="Billing account is inactive")
    assert await run(world) == {"rejected": 1}
    why = (await tell.rows(world))["1"].reasons[0]
    assert (why.code, why.params["effect"]) == ("effect_refused", "exported")
    assert await _reserved(world) == {"PO200001/1": ("50", True)}

    await tell.do(world, "refuse_updates", 1, message=None)
    asked = len(await tell.calls(world, "coupa", "^PUT"))
    assert await later(world, 60) == {"rejected": 1}, "its standing outcome is counted"
    assert len(await tell.calls(world, "coupa", "^PUT")) == asked, "and nothing is sent"

    await tell.change_settings(world, invoices={"hold_limit_days": 31})
    assert await later(world, 60) == {"created": 1}
    assert len(await tell.calls(world, "qad", POST)) == 1
    truth = await world.truth("coupa")
    assert (truth["exported"], list(truth["history"].values())) == ({"1": 1}, [1])


async def test_only_the_effect_that_a_person_reset_runs_again(tmp_path: Path, sqlite_template: Path) -> None:
    world = await _ready(tmp_path, sqlite_template)
    await run(world)
    writes = await tell.writes(world)
    await tell.do(world, "reset_exported", 1)
    await later(world, 60)
    assert await tell.writes(world) == (writes[0] + 1, writes[1])
    assert (await world.truth("coupa"))["exported"] == {"1": 2}
    assert await later(world, 60) == {}


async def test_a_reset_export_mark_is_set_again_where_idempotency_keys_are_honoured(
    tmp_path: Path, sqlite_template: Path
) -> None:
    world = await _ready(tmp_path, sqlite_template, options={"coupa": {"honour_idempotency_key": True}})
    await run(world)
    await tell.do(world, "reset_exported", 1)
    await later(world, 60)
    first, second = [one["headers"]["idempotency-key"] for one in await tell.calls(world, "coupa", EXPORT)]
    assert first != second, "a write that is done and ordered again is another logical write"
    assert (await world.truth("coupa"))["exported"] == {"1": 2}


async def test_a_refusal_for_a_closed_period_is_held_and_a_later_run_takes_its_own_posting_date(
    tmp_path: Path, sqlite_template: Path
) -> None:
    world = await _ready(tmp_path, sqlite_template)
    await world.admin("qad", "do/close_period", {"period": "2026/02"})
    assert await run(world) == {"held": 1}
    assert await stands(world) == {"A-1": "held target_refused"}
    assert await _reserved(world) == {}
    assert await later(world, 20 * tell.DAY_S) == {"created": 1}
    shown = await world.admin("qad", "state/supplierInvoice", method="GET")
    assert [one["postingDate"][:10] for one in shown] == ["2026-03-02"]


async def test_a_period_that_closed_during_a_doubt_is_left_behind_as_well(
    tmp_path: Path, sqlite_template: Path
) -> None:
    world = await _ready(tmp_path, sqlite_template)
    await tell.break_wire(world, "qad", "reset_before", "POST supplierInvoices")
    await run(world)
    await world.admin("qad", "do/close_period", {"period": "2026/02"})
    assert await later(world, 20 * tell.DAY_S) == {"held": 1}, "the frozen date is refused, definitely"
    assert await later(world, 60) == {"created": 1}
    shown = await world.admin("qad", "state/supplierInvoice", method="GET")
    assert [one["postingDate"][:10] for one in shown] == ["2026-03-02"]


async def test_a_period_that_never_opens_is_a_hold_since_its_first_refusal_and_ends_at_the_limit(
    tmp_path: Path, sqlite_template: Path
) -> None:
    closed = ["2026/02", "2026/03", "2026/04"]
    world = await _ready(tmp_path, sqlite_template, options={"qad": {"closed_periods": closed}})
    await run(world)
    since = (await tell.rows(world))["1"].since
    await later(world, 20 * tell.DAY_S)
    assert (await tell.rows(world))["1"].since == since
    assert await later(world, 11 * tell.DAY_S) == {"rejected": 1}
