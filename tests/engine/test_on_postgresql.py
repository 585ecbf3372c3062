"""The engine on PostgreSQL, where columns have lengths, text has no NUL and writers do not wait for each other."""

from __future__ import annotations

from pathlib import Path

from ml_connector.store.database import Database
from tests.engine import stories as tell
from tests.engine.coupa_qad import NAME, told
from tests.engine.faults import Faults
from tests.engine.stories import invoice, later, make, run, stands
from tests.engine.test_story import FIRST


async def test_the_story_ends_as_on_sqlite(tmp_path: Path, sqlite_template: Path, postgresql_db: Database) -> None:
    world = await told(tmp_path, sqlite_template, url=postgresql_db.url)
    assert await world.run("coupa_to_qad", NAME) == {"created": 4, "held": 2, "rejected": 1}
    assert await world.outcomes(NAME) == FIRST
    writes = (await world.truth("qad"))["writes"]
    assert await world.run("coupa_to_qad", NAME) == {"held": 2, "rejected": 1}
    assert (await world.truth("qad"))["writes"] == writes


async def test_an_odd_number_is_rejected_and_stops_no_other(
    tmp_path: Path, sqlite_template: Path, postgresql_db: Database
) -> None:
    world = await make(tmp_path, sqlite_template, url=postgresql_db.url)
    await tell.receive(world, 100)
    await tell.send_in(world, invoice(1, "N" * 250 + "\x00"), invoice(2, "A-2"))
    assert await run(world) == {"created": 1, "rejected": 1}
    assert sorted((await stands(world)).values()) == ["created", "rejected number_too_long"]


async def test_a_lost_answer_is_settled_once(tmp_path: Path, sqlite_template: Path, postgresql_db: Database) -> None:
    world = await make(tmp_path, sqlite_template, url=postgresql_db.url)
    await tell.receive(world, 100)
    await tell.send_in(world, invoice(1, "A-1"))
    await tell.break_wire(world, "qad", "reset_after", "POST supplierInvoices")
    assert await run(world) == {"in_doubt": 1}
    world.faults = Faults()
    assert await later(world, 60) == {"created": 1}
    assert list((await world.truth("qad"))["invoices_by_token"].values()) == [1]


async def test_of_two_runs_at_once_one_ends_busy(
    tmp_path: Path, sqlite_template: Path, postgresql_db: Database
) -> None:
    world = await make(tmp_path, sqlite_template, url=postgresql_db.url)
    await tell.receive(world, 100)
    await tell.send_in(world, invoice(1, "A-1"))
    async with tell.process(world, "first") as steps:
        page = await steps.fetch("invoices", 0, tell.STREAM, None)
        assert await world.try_run("coupa_to_qad", NAME) == "BusyError"
        page = await steps.write(await steps.dedupe(await steps.match_check(page)))
    assert page.counts == {"created": 1}
    assert list((await world.truth("qad"))["invoices_by_token"].values()) == [1]
