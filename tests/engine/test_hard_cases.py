"""Cases that once lost, froze or hid something: changed settings, reused numbers, edits in between, stopped sends."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ml_connector.errors import PermissionDeniedError
from sandbox.kit.clock import Clock
from sandbox.qad.app import create as create_qad
from tests.engine import coupa_qad
from tests.engine import stories as tell
from tests.engine.stories import EXPORT, POST, invoice, later, line, make, run, stands, vouchers
from tests.engine.world import World

NONE: dict[str, Any] = {"monitoring": "none", "invoice_number_field": ""}
HISTORY: dict[str, Any] = {"monitoring": "history", "integration_code": "QAD_INV", "invoice_number_field": ""}
FIELD: dict[str, Any] = {"monitoring": "none", "invoice_number_field": "cf-erp-invoice-number"}


async def _reset(world: World, coupa: dict[str, Any]) -> None:
    """A person saves other settings for Coupa."""
    row = world.rows[coupa_qad.NAME]
    async with world.installation() as one:
        settings = dict(row.settings) | {"coupa": coupa}
        changed = await one.connections.get(coupa_qad.NAME)
        world.rows[coupa_qad.NAME] = await one.connections.save(replace(changed, settings=settings))


@pytest.mark.parametrize(
    ("before", "after", "effects"),
    [
        pytest.param(NONE, HISTORY, {"history": 1, "fields": 0}, id="one more"),
        pytest.param(HISTORY, NONE, {"history": 0, "fields": 0}, id="one less"),
        pytest.param(HISTORY, FIELD, {"history": 0, "fields": 1}, id="another"),
    ],
)
async def test_a_held_invoice_gets_the_effects_of_the_settings_under_which_it_is_posted(
    before: dict[str, Any], after: dict[str, Any], effects: dict[str, int], tmp_path: Path, sqlite_template: Path
) -> None:
    world = await make(tmp_path, sqlite_template, coupa=before)
    await tell.send_in(world, invoice(1, "A-1"))
    assert await run(world) == {"held": 1}
    await _reset(world, after)
    await tell.receive(world, 100)
    assert await later(world, 60) == {"created": 1}
    truth = await world.truth("coupa")
    assert (sum(truth["history"].values()), len(truth["custom_fields"])) == (effects["history"], effects["fields"])
    assert await later(world, 60) == {}


async def test_new_settings_add_nothing_to_what_is_posted(tmp_path: Path, sqlite_template: Path) -> None:
    world = await make(tmp_path, sqlite_template, coupa=NONE)
    await tell.receive(world, 100)
    await tell.send_in(world, invoice(1, "A-1"))
    await run(world)
    await _reset(world, HISTORY)
    assert await later(world, 60) == {}
    assert (await world.truth("coupa"))["history"] == {}


async def test_an_effect_that_was_refused_runs_when_the_setting_is_mended(
    tmp_path: Path, sqlite_template: Path
) -> None:
    world = await make(tmp_path, sqlite_template, coupa=FIELD | {"invoice_number_field": "cf-wrong"})
    await tell.receive(world, 50)
    await tell.send_in(world, invoice(1, "A-1"))
    assert await run(world) == {"rejected": 1}
    assert await later(world, 86400) == {}
    await _reset(world, FIELD)
    assert await later(world, 60) == {"created": 1}
    assert len((await world.truth("coupa"))["custom_fields"]) == 1
    assert await vouchers(world) == ["A-1"]


async def test_a_voucher_number_that_comes_again_is_for_a_person_and_stops_nobody_else(
    tmp_path: Path, sqlite_template: Path
) -> None:
    world = await make(tmp_path, sqlite_template, coupa=NONE)
    await tell.receive(world, 50)
    await tell.send_in(world, invoice(1, "A-1"))
    await run(world)
    # The test tenant is made anew, and its counters with it.
    app = create_qad(clock=Clock(world.clock.now()))
    world.clock.followers.append(app.state.tenant.clock)
    world.apps["qad"] = tell.Wire(app)
    await world.admin("qad", "seed/base")
    await tell.order(world, "PO300001")
    await tell.receive(world, 100, "PO300001")
    over = [line(20, po="PO300001")]
    await tell.send_in(world, invoice(2, "A-2", 20, lines=over), invoice(3, "A-3", 20, lines=over))
    for _ in range(2):
        await later(world, 900)
        standing = await stands(world)
        assert sorted(standing[name] for name in ("A-2", "A-3")) == ["created", "rejected number_taken"]
    assert sorted(await vouchers(world)) == ["A-2", "A-3"]


async def test_an_edit_between_our_read_and_our_mark_comes_to_a_person(tmp_path: Path, sqlite_template: Path) -> None:
    world = await make(tmp_path, sqlite_template)
    await tell.receive(world, 100)
    await tell.send_in(world, invoice(1, "A-1"))

    async def edit() -> None:
        await world.pass_time(3)
        smaller = {"invoice-lines": [line(40)], "total-with-taxes": "480", "gross-total": "480"}
        await tell.do(world, "edit_invoice", 1, changes=smaller)

    tell.wire(world, "coupa").when(EXPORT, edit)
    assert await run(world) == {"rejected": 1}
    assert await stands(world) == {"A-1": "rejected edited_after_posting"}


async def test_a_void_of_a_posted_invoice_comes_to_a_person(tmp_path: Path, sqlite_template: Path) -> None:
    world = await make(tmp_path, sqlite_template)
    await tell.receive(world, 100)
    await tell.send_in(world, invoice(1, "A-1"), invoice(2, "A-2", 200))
    assert await run(world) == {"created": 1, "held": 1}
    await tell.do(world, "void_invoice", 1)
    await tell.do(world, "void_invoice", 2)
    await later(world, 60)
    assert await stands(world) == {"A-1": "rejected reverse", "A-2": "skipped filter_status"}
    assert await vouchers(world) == ["A-1"]


async def test_a_send_that_is_stopped_keeps_the_answers_it_had(tmp_path: Path, sqlite_template: Path) -> None:
    world = await make(tmp_path, sqlite_template)
    await tell.receive(world, 100)
    await tell.send_in(world, *[invoice(n, f"A-{n}", 1) for n in range(1, 9)])
    fault = {"kind": "status", "status": 403, "skip": 4, "body": {"errors": [{"code": "403", "message": "no"}]}}
    await world.admin("qad", "faults", {"method": "POST", "path": "supplierInvoices", **fault})
    with pytest.raises(PermissionDeniedError):
        await run(world)
    posted = len(await vouchers(world))
    assert posted >= 4
    codes = Counter((row.outcome.value, row.posted) for row in (await tell.rows(world)).values())
    assert codes == {("held", True): posted, ("held", False): 8 - posted}
    assert len(await tell.calls(world, "qad", POST)) <= posted + 1
    assert await later(world, 1) == {"created": 8}
    assert sorted((await world.truth("qad"))["invoices_by_token"].values()) == [1] * 8


async def test_a_long_page_keeps_its_lease(tmp_path: Path, sqlite_template: Path) -> None:
    world = await make(tmp_path, sqlite_template, qad={"limits": {"rps": 5}})
    await tell.order(world, "PO300001", quantity=1000)
    await tell.receive(world, 1000, "PO300001")
    over = [line(1, po="PO300001")]
    await tell.send_in(world, *[invoice(n, f"N-{n}", 1, lines=over) for n in range(1, 301)])
    assert await run(world) == {"created": 300}


async def test_invoices_that_share_a_receipt_may_reach_qad_in_any_order(tmp_path: Path, sqlite_template: Path) -> None:
    world = await make(tmp_path, sqlite_template)
    await tell.receive(world, 30)
    await tell.send_in(world, invoice(1, "A-1", 20), invoice(2, "A-2", 10))
    assert await run(world) == {"created": 2}
    shown = await world.admin("qad", "state/supplierInvoices", method="GET")
    # Neither closes the receipt, or the other would be refused when it comes second.
    finished = [one["isFinished"] for seen in shown for one in seen["receiverMatchingLines"]]
    assert finished == [False, False]


async def test_a_paper_entered_twice_is_not_posted_twice_while_qad_shows_nothing_yet(
    tmp_path: Path, sqlite_template: Path
) -> None:
    world = await make(tmp_path, sqlite_template, options={"qad": {"read_lag_seconds": 250}})
    await tell.receive(world, 100)
    await world.pass_time(300)
    await tell.send_in(world, invoice(1, "A-1", 50), invoice(2, "A-1", 5))
    assert await run(world) == {"created": 1, "held": 1}
    assert await later(world, 60) == {"held": 1}
    assert await later(world) == {"rejected": 1}
    assert await vouchers(world) == ["A-1"]
