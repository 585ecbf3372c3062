"""What people decide about single records: replay, edit, make again, settle a doubt; always once, always audited."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from ml_connector.errors import ConfigurationError
from ml_connector.store.audit_history import history
from ml_connector.store.ledger import LedgerRow
from ml_connector.sync import overlays, repair
from ml_connector.sync.run import SyncRun
from ml_connector.sync.steps import RECORD, chain
from tests.engine import stories as tell
from tests.engine import way_back
from tests.engine.coupa_qad import NAME
from tests.engine.stories import DIRECTION, invoice, later, make, receive, run, send_in, stands, vouchers
from tests.engine.world import Json, World

pytestmark = pytest.mark.asyncio
BY = "somebody"


@asynccontextmanager
async def _acting(world: World, record: str, direction: str = DIRECTION) -> AsyncIterator[tuple[SyncRun, LedgerRow]]:
    async with world.session(direction, NAME) as session:
        row = await repair.find(session.steps.run, record)
        assert row is not None
        yield session.steps.run, row


async def _replay(world: World, record: str, *, direction: str = DIRECTION, recreate: bool = False) -> Json:
    """What the replay flow does."""
    async with world.session(direction, NAME) as session:
        row = await repair.find(session.steps.run, record)
        assert row is not None
        row = await repair.request_replay(session.steps.run, row, by=BY, recreate=recreate)
        pages = await chain(session.steps, row.route, kinds=[RECORD + row.id])
    return {name: count for page in pages for name, count in page.counts.items()}


async def _events(world: World, row: LedgerRow) -> list[Any]:
    async with world.installation() as one:
        return await history(one.store.db, one.store.keys, row.external_id)


async def _edit(world: World, record: str, **changes: str) -> None:
    async with _acting(world, record) as (sync, row):
        edits = {name.replace("__", "."): value for name, value in changes.items()}
        await overlays.lay(sync, sync.routes[row.route], row, edits, by=BY)


async def test_a_rejected_record_goes_through_on_replay_once_its_cause_is_mended(
    tmp_path: Path, sqlite_template: Path
) -> None:
    world = await make(tmp_path, sqlite_template)
    await receive(world, 100)
    await world.admin("qad", "do/cancel_po", {"purchaseOrderNumber": tell.PO})
    await send_in(world, invoice(1, "A-1"))
    assert await run(world) == {"rejected": 1}
    await world.admin("qad", "do/reopen_po", {"purchaseOrderNumber": tell.PO})
    assert await later(world) == {"rejected": 1}, "a dead letter stands until somebody asks"
    assert await _replay(world, "A-1") == {"created": 1}
    assert await vouchers(world) == ["A-1"]
    kinds = [one.kind for one in await _events(world, (await world.standing(NAME))["A-1"])]
    assert "replay_requested" in kinds


async def test_replaying_what_is_done_writes_nothing(tmp_path: Path, sqlite_template: Path) -> None:
    world = await make(tmp_path, sqlite_template)
    await receive(world, 100)
    await send_in(world, invoice(1, "A-1"))
    await run(world)
    before = await tell.writes(world)
    assert await _replay(world, "A-1") == {"unchanged": 1}
    assert await tell.writes(world) == before


async def test_an_edited_po_number_holds_until_the_supplier_corrects_it(tmp_path: Path, sqlite_template: Path) -> None:
    world = await make(tmp_path, sqlite_template)
    await receive(world, 100)
    wrong = tell.line(50, po="PO999999")
    await send_in(world, invoice(1, "A-1", lines=[wrong]))
    assert await run(world) == {"held": 1}
    await _edit(world, "A-1", lines__1__po_number=tell.PO)
    assert await _replay(world, "A-1") == {"created": 1}
    assert await later(world) == {}
    # The supplier writes the right number himself: the overlay is over, and what is posted is the same document.
    corrected = {"invoice-lines": [tell.line(50) | {"line-num": 1}]}
    await tell.do(world, "edit_invoice", 1, changes=corrected, reset_exported=True)
    assert await later(world) == {"created": 1}
    assert await vouchers(world) == ["A-1"]
    kinds = [one.kind for one in await _events(world, (await world.standing(NAME))["A-1"])]
    assert kinds.count("overlay_ended") == 1


async def test_an_overlay_outlives_a_change_of_another_field(tmp_path: Path, sqlite_template: Path) -> None:
    world = await make(tmp_path, sqlite_template)
    await send_in(world, invoice(1, "A-1", lines=[tell.line(50, po="PO999999")]))
    await run(world)
    await _edit(world, "A-1", lines__1__po_number=tell.PO)
    assert await _replay(world, "A-1") == {"held": 1}
    await tell.do(world, "edit_invoice", 1, changes={"invoice-number": "A-1b"})
    await receive(world, 100)
    assert await later(world) == {"created": 1}
    assert await vouchers(world) == ["A-1b"]


@pytest.mark.parametrize("field", ["total", "lines__1__quantity", "lines__7__po_number", "nothing"])
async def test_what_is_paid_cannot_be_edited(tmp_path: Path, sqlite_template: Path, field: str) -> None:
    world = await make(tmp_path, sqlite_template)
    await send_in(world, invoice(1, "A-1"))
    await run(world)
    with pytest.raises(ConfigurationError, match="these can: "):
        await _edit(world, "A-1", **{field: "1"})


async def test_a_name_that_fits_several_records_is_asked_back(tmp_path: Path, sqlite_template: Path) -> None:
    world = await make(tmp_path, sqlite_template)
    await send_in(world, invoice(1, "A-1"), invoice(2, "A-1", supplier={"number": "SUP00002"}))
    await run(world)
    with pytest.raises(ConfigurationError, match="2 records are called A-1"):
        await _replay(world, "A-1")


async def test_a_deleted_supplier_is_made_again_only_when_asked(tmp_path: Path, sqlite_template: Path) -> None:
    world = await way_back.masters_told(tmp_path, sqlite_template)
    await way_back.run(world)
    table = tell.wire(world, "coupa").app.state.tenant.tables["suppliers"]
    table.remove(next(one["id"] for one in table if one["number"] == "SUP00050"))
    own = {"sharedSetCode": "SHX"}
    await world.admin("qad", "seed", {"suppliers": [{"supplierCode": "SUP00050", "addressName": "Later Comer", **own}]})
    await way_back.later(world)
    assert (await stands(world))["SUP00050"] == "rejected target_deleted"
    assert await _replay(world, "SUP00050", direction="qad_to_coupa") == {"rejected": 1}
    assert await _replay(world, "SUP00050", direction="qad_to_coupa", recreate=True) == {"created": 1}
    assert (await world.truth("coupa"))["suppliers"]["SUP00050"] == 1


async def test_only_a_deleted_document_is_made_again(tmp_path: Path, sqlite_template: Path) -> None:
    world = await make(tmp_path, sqlite_template)
    await receive(world, 100)
    await send_in(world, invoice(1, "A-1"))
    await run(world)
    with pytest.raises(ConfigurationError, match="only a record whose document is gone"):
        await _replay(world, "A-1", recreate=True)


async def _in_doubt(folder: Path, template: Path, kind: str) -> World:
    world = await make(folder, template)
    await receive(world, 100)
    await send_in(world, invoice(1, "A-1"))
    await tell.break_wire(world, "qad", kind, "POST supplierInvoices", times=1)
    assert await run(world) == {"in_doubt": 1}
    return world


async def test_a_doubt_can_be_settled_as_written_and_the_rest_goes_on(tmp_path: Path, sqlite_template: Path) -> None:
    world = await _in_doubt(tmp_path, sqlite_template, "reset_after")
    key = (await world.truth("qad"))["invoices"][0]["key"].replace(".", "/")
    async with _acting(world, "A-1") as (sync, row):
        await repair.settle_written(sync, sync.routes[row.route], row, key, by=BY)
    assert await later(world, 60) == {"created": 1}
    assert await vouchers(world) == ["A-1"]
    assert (await world.truth("coupa"))["exported"] == {"1": 1}


async def test_absent_cannot_be_said_before_a_late_effect_is_impossible(tmp_path: Path, sqlite_template: Path) -> None:
    world = await _in_doubt(tmp_path, sqlite_template, "hang_before")
    async with _acting(world, "A-1") as (sync, row):
        with pytest.raises(ConfigurationError, match="may still take effect"):
            await repair.settle_absent(sync, sync.routes[row.route], row, by=BY)
    await world.pass_time(tell.SETTLED_S)
    async with _acting(world, "A-1") as (sync, row):
        settled = await repair.settle_absent(sync, sync.routes[row.route], row, by=BY)
        assert [one.code for one in settled.reasons] == ["settled_absent"]
    assert await run(world) == {"created": 1}
    assert await vouchers(world) == ["A-1"]


async def test_a_voucher_of_another_record_settles_nothing(tmp_path: Path, sqlite_template: Path) -> None:
    world = await make(tmp_path, sqlite_template)
    await receive(world, 100)
    await send_in(world, invoice(1, "A-1", 20))
    await run(world)
    await send_in(world, invoice(2, "A-2", 20))
    await tell.break_wire(world, "qad", "hang_before", "POST supplierInvoices", times=1)
    await run(world)
    taken = (await world.standing(NAME))["A-1"].target_id
    async with _acting(world, "A-2") as (sync, row):
        with pytest.raises(ConfigurationError, match="differs in reference"):
            await repair.settle_written(sync, sync.routes[row.route], row, str(taken), by=BY)


@pytest.mark.parametrize("wrong", ["10005", "10USACO/2026/APINV/99999"])
async def test_an_id_that_qad_does_not_have_settles_nothing(tmp_path: Path, sqlite_template: Path, wrong: str) -> None:
    world = await _in_doubt(tmp_path, sqlite_template, "reset_after")
    async with _acting(world, "A-1") as (sync, row):
        with pytest.raises(ConfigurationError, match=f"cannot be settled as {wrong}"):
            await repair.settle_written(sync, sync.routes[row.route], row, wrong, by=BY)


async def test_an_edit_is_taken_back_by_the_value_of_the_source(tmp_path: Path, sqlite_template: Path) -> None:
    world = await make(tmp_path, sqlite_template)
    await send_in(world, invoice(1, "A-1"))
    await run(world)
    await _edit(world, "A-1", lines__1__po_number="PO999999")
    await receive(world, 100)
    assert await later(world) == {"held": 1}
    await _edit(world, "A-1", lines__1__po_number=tell.PO)
    assert await _replay(world, "A-1") == {"created": 1}


async def test_the_resolver_asks_about_doubts_and_nothing_else(tmp_path: Path, sqlite_template: Path) -> None:
    world = await _in_doubt(tmp_path, sqlite_template, "reset_after")
    await send_in(world, invoice(2, "A-2", 20))
    async with world.session(DIRECTION, NAME) as session:
        pages = await chain(session.steps, "invoices", kinds=["doubt"])
    assert [page.counts for page in pages] == [{"created": 1}]
    assert await vouchers(world) == ["A-1"]
