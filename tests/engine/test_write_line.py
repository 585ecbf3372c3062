"""Chunks that follow each other through the effects: nothing is lost when one of them is stopped half way."""

from __future__ import annotations

from pathlib import Path

import pytest

from ml_connector.sync import writing
from tests.engine import stories as tell
from tests.engine import way_back
from tests.engine.stories import DIRECTION, EXPORT, POST, invoice, make, receive, run, send_in, vouchers
from tests.engine.world import World

pytestmark = pytest.mark.asyncio
MANY = 12


@pytest.fixture(autouse=True)
def _small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "_CHUNK", 3)


async def _many(folder: Path, template: Path) -> World:
    world = await make(folder, template, **way_back.PAYMENTS_ONLY)
    await receive(world, 100)
    await send_in(world, *(invoice(key, f"A-{key}", 5) for key in range(1, MANY + 1)))
    return world


async def test_chunks_are_created_and_marked_side_by_side_each_once(tmp_path: Path, sqlite_template: Path) -> None:
    world = await _many(tmp_path, sqlite_template)
    assert await run(world) == {"created": MANY}
    assert sorted(await vouchers(world)) == sorted(f"A-{key}" for key in range(1, MANY + 1))
    assert set((await world.truth("coupa"))["exported"].values()) == {1}


@pytest.mark.parametrize("system", ["qad", "coupa"])
async def test_a_refused_login_in_one_chunk_keeps_what_the_others_know(
    tmp_path: Path, sqlite_template: Path, system: str
) -> None:
    world = await _many(tmp_path, sqlite_template)
    pattern = POST if system == "qad" else EXPORT
    seen = 0

    async def forbid_from_the_fifth_on() -> None:
        nonlocal seen
        seen += 1
        if seen == 5:
            await tell.break_wire(
                world,
                system,
                "status",
                "POST supplierInvoices" if system == "qad" else "PUT invoices",
                status=403,
                body={"errors": []},
                times=-1,
            )

    tell.wire(world, system).when(pattern, forbid_from_the_fifth_on, times=-1)
    assert await world.try_run(DIRECTION, "acme") != ""
    rows = await world.standing("acme")
    posted = set(await vouchers(world))
    assert {label for label, row in rows.items() if row.posted} == posted, "every voucher is known by its number"
    assert not [label for label, row in rows.items() if row.in_doubt]
    tell.wire(world, system).hooks.clear()
    await tell.mend_wire(world, system)
    await tell.later(world, 60)
    assert sorted(await vouchers(world)) == sorted(f"A-{key}" for key in range(1, MANY + 1))
    assert set((await world.outcomes("acme")).values()) == {"created"}
