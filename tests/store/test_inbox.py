"""Deliveries are kept once, read in order, and forgotten when nobody can send them again."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

from ml_connector.store import inbox
from ml_connector.store.database import Database
from ml_connector.store.inbox import BODY, Arrival, Backlog

NOON = datetime(2025, 3, 1, 12, tzinfo=UTC)
HERE = ("acme", "jira_to_qad")


def arrival(
    number: int, delivery: str = "", *, connection: str = "acme", topic: str = "updated", at: int = 0
) -> Arrival:
    received = NOON + timedelta(seconds=at)
    return Arrival(connection, "jira_to_qad", "jira", delivery or f"d-{number}", topic, str(number), received)


async def put(db: Database, *rows: Arrival) -> int:
    async with db.write() as tx:
        return len(await inbox.put(db, tx, rows))


async def drain(db: Database, *ids: int, at: int = 0) -> None:
    async with db.write() as tx:
        await inbox.drained(tx, ids, NOON + timedelta(seconds=at))


async def test_tells_which_deliveries_are_new(db: Database) -> None:
    async with db.write() as tx:
        assert await inbox.put(db, tx, [arrival(1), arrival(2), arrival(1)]) == {arrival(1).key, arrival(2).key}
    async with db.write() as tx:
        assert await inbox.put(db, tx, [arrival(2), arrival(3)]) == {arrival(3).key}
        assert await inbox.put(db, tx, []) == set()


async def test_a_delivery_counts_once_for_each_direction_and_ingress(db: Database) -> None:
    assert await put(db, arrival(1), arrival(1, connection="other")) == 2
    assert await put(db, Arrival("acme", "jira_to_qad", "second", "d-1", "updated", "1", NOON)) == 1


async def test_a_thousand_deliveries_fit_into_one_transaction(db: Database) -> None:
    assert await put(db, *(arrival(n) for n in range(1000))) == 1000
    assert await put(db, *(arrival(n) for n in range(1001))) == 1


async def test_processes_that_keep_the_same_deliveries_in_any_order_do_not_block_each_other(db: Database) -> None:
    there = [arrival(n) for n in range(40)]
    kept = await asyncio.gather(*(put(db, *one) for one in (there, there[::-1], there[20:] + there[:20])))
    assert sum(kept) == 40


async def test_waiting_rows_come_in_order_and_in_portions(db: Database) -> None:
    for number in (3, 1, 2):
        await put(db, arrival(number))
    await put(db, arrival(9, connection="other"))
    first = await inbox.waiting(db, *HERE, 2)
    assert [row.object_id for row in first] == ["3", "1"]
    assert [row.object_id for row in await inbox.waiting(db, *HERE, 2, after=first[-1].id)] == ["2"]


async def test_drained_rows_wait_no_more_and_keep_their_instant(db: Database) -> None:
    await put(db, *(arrival(n) for n in range(1200)))
    rows = await inbox.waiting(db, *HERE, 2000)
    await drain(db, *(row.id for row in rows[:1100]))
    assert await inbox.waiting(db, *HERE, 2000) == rows[1100:]
    await drain(db, *(row.id for row in rows), at=50)
    async with db.write() as tx:
        assert await inbox.sweep(tx, NOON + timedelta(seconds=50)) == 1100


async def test_an_equal_body_counts_again_after_its_row_was_drained(db: Database) -> None:
    same = arrival(1, BODY + "0" * 64)
    for _ in range(3):
        assert [await put(db, same) for _ in range(2)] == [1, 0]
        (row,) = await inbox.waiting(db, *HERE, 10)
        await drain(db, row.id)
        await drain(db, row.id)


async def test_a_delivery_with_an_id_does_not_count_again_after_it_was_drained(db: Database) -> None:
    await put(db, arrival(1))
    (row,) = await inbox.waiting(db, *HERE, 10)
    await drain(db, row.id)
    assert await put(db, arrival(1)) == 0


async def test_names_the_objects_of_recent_deliveries_newest_first(db: Database) -> None:
    await put(db, arrival(1, at=-600))
    for number, delivery, topic in ((2, "a", "created"), (3, "b", "created"), (2, "c", "created"), (4, "d", "updated")):
        await put(db, arrival(number, delivery, topic=topic))
    (first, *_) = await inbox.waiting(db, *HERE, 1)
    await drain(db, first.id + 1)
    since = NOON - timedelta(minutes=5)
    assert await inbox.recent(db, *HERE, "created", since=since) == ["2", "3"]
    assert await inbox.recent(db, *HERE, "created", since=since, limit=1) == ["2"]
    assert await inbox.recent(db, *HERE, "updated", since=since) == ["4"]


async def test_forgets_what_was_drained_long_ago_and_nothing_else(db: Database) -> None:
    await put(db, arrival(1), arrival(2), arrival(3))
    rows = await inbox.waiting(db, *HERE, 10)
    await drain(db, rows[0].id, at=-100)
    await drain(db, rows[1].id, at=100)
    async with db.write() as tx:
        assert await inbox.sweep(tx, NOON) == 1
    assert await put(db, arrival(1), arrival(2), arrival(3)) == 1


async def test_counts_what_waits_and_since_when(db: Database) -> None:
    assert await inbox.counts(db) == []
    await put(db, arrival(1, at=5), arrival(2, at=3), arrival(7, connection="other", at=1))
    assert await inbox.counts(db) == [
        Backlog("acme", "jira_to_qad", 2, NOON + timedelta(seconds=3)),
        Backlog("other", "jira_to_qad", 1, NOON + timedelta(seconds=1)),
    ]
