"""The flag that says a direction has news: raised by many, told to Prefect by one."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from ml_connector.store import inbox, wakes
from ml_connector.store.database import Database
from ml_connector.store.inbox import Arrival
from ml_connector.store.wakes import Asked

NOON = datetime(2025, 3, 1, 12, tzinfo=UTC)
HERE = ("acme", "jira_to_qad")


def after(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


async def test_the_first_raises_the_flag_and_the_others_find_it_up(db: Database) -> None:
    asked = [await wakes.ask(db, *HERE, after(seconds)) for seconds in (0, 1, 9.9)]
    assert asked == [Asked.FIRST, Asked.NO, Asked.NO]
    assert [bool(one) for one in asked] == [True, False, False]


async def test_a_flag_that_nobody_lowers_is_renewed_every_ten_seconds(db: Database) -> None:
    asked = [await wakes.ask(db, *HERE, after(seconds)) for seconds in (0, 10, 15, 20)]
    assert asked == [Asked.FIRST, Asked.AGAIN, Asked.NO, Asked.AGAIN]


async def test_a_lowered_flag_is_raised_anew(db: Database) -> None:
    await wakes.ask(db, *HERE, NOON)
    await wakes.clear(db, *HERE)
    assert await wakes.overdue(db, after(60)) == []
    assert await wakes.ask(db, *HERE, after(1)) is Asked.FIRST


async def test_lowering_a_flag_that_was_never_up_is_nothing(db: Database) -> None:
    await wakes.clear(db, *HERE)
    assert await wakes.overdue(db, NOON) == []


async def test_directions_do_not_share_a_flag(db: Database) -> None:
    for where in (HERE, ("acme", "qad_to_jira"), ("other", "jira_to_qad")):
        assert await wakes.ask(db, *where, NOON) is Asked.FIRST
    await wakes.clear(db, *HERE)
    assert await wakes.overdue(db, after(10)) == [("acme", "qad_to_jira"), ("other", "jira_to_qad")]


async def test_a_flag_is_overdue_after_ten_seconds(db: Database) -> None:
    await wakes.ask(db, *HERE, NOON)
    assert await wakes.overdue(db, after(9.9)) == []
    assert await wakes.overdue(db, after(10)) == [HERE]
    await wakes.ask(db, *HERE, after(10))
    assert await wakes.overdue(db, after(10)) == []


async def test_a_flag_from_the_future_does_not_silence_its_direction(db: Database) -> None:
    await wakes.ask(db, *HERE, after(86400))
    assert await wakes.overdue(db, NOON) == [HERE]
    assert await wakes.ask(db, *HERE, NOON) is Asked.AGAIN


@pytest.mark.parametrize("raised_before", [None, -60, -1])
async def test_of_twenty_callers_at_the_same_time_one_is_told_to_emit(db: Database, raised_before: int | None) -> None:
    if raised_before is not None:
        await wakes.ask(db, *HERE, after(raised_before))
    other = Database(db.url)
    callers = (wakes.ask(base, *HERE, NOON) for base in (db, other) for _ in range(10))
    asked = await asyncio.gather(*callers)
    await other.close()
    assert sum(bool(one) for one in asked) == (0 if raised_before == -1 else 1)


async def test_a_run_cannot_lower_the_flag_between_a_row_and_its_flag(db: Database) -> None:
    """The flag is up already, so the transaction changes nothing of it, and still has to keep the run waiting."""
    await wakes.ask(db, *HERE, NOON)

    async def run() -> list[inbox.Waiting]:
        await wakes.clear(db, *HERE)
        return await inbox.waiting(db, *HERE, 10)

    async with db.write() as tx:
        await inbox.put(db, tx, [Arrival(*HERE, "jira", "d-1", "jira:issue_updated", "10001", NOON)])
        assert await wakes.ask(db, *HERE, after(1), tx=tx) is Asked.NO
        other = asyncio.create_task(run())
        await asyncio.wait([other], timeout=0.2)
        assert not other.done()
    assert [row.object_id for row in await other] == ["10001"]


async def test_a_flag_raised_in_a_transaction_goes_with_it(db: Database) -> None:
    with pytest.raises(RuntimeError):
        async with db.write() as tx:
            assert await wakes.ask(db, *HERE, NOON, tx=tx) is Asked.FIRST
            raise RuntimeError
    assert await wakes.overdue(db, after(60)) == []
