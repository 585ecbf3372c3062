"""The stream behind the inbox: each record once per page, as it is now; rows stay until their page is done."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence

import pytest

from ml_connector.clock import ManualClock
from ml_connector.domain.records import Unreadable
from ml_connector.errors import TransientError
from ml_connector.store import inbox
from ml_connector.store.audit import Audit
from ml_connector.store.crypto import Keys
from ml_connector.store.database import Database
from ml_connector.store.inbox import Arrival
from ml_connector.store.schema import inbox as inbox_table
from ml_connector.sync.inbox import InboxSource
from ml_connector.sync.run import Store
from ml_connector.sync.seams import Batch
from tests.webhooks.senders import NOW

HERE = ("acme", "jira_to_qad")


class Issues:
    """A source of records that are their own keys; those in `gone` are not found, `odd` ones cannot be read."""

    stream = "jira.issues"

    def __init__(self) -> None:
        self.asked: list[list[str]] = []
        self.gone: set[str] = set()
        self.odd: set[str] = set()
        self.away = False

    async def pages(self, start: str | None, since: str | None) -> AsyncIterator[Batch[str]]:
        raise AssertionError("an inbox is not polled")
        yield Batch((), (), "")

    async def by_key(self, keys: Sequence[str]) -> Mapping[str, str | Unreadable]:
        self.asked.append(list(keys))
        if self.away:
            raise TransientError("away")
        return {key: Unreadable(key, "x") if key in self.odd else key for key in keys if key not in self.gone}


@pytest.fixture
def store(db: Database, keys: Keys) -> Store:
    clock = ManualClock(NOW)
    return Store(db, keys, Audit(db, keys, clock), clock)


def source(store: Store, issues: Issues) -> InboxSource[str]:
    return InboxSource("jira.inbox", store, *HERE, topics=["updated"], inner=issues)


async def arrive(store: Store, *objects: object, topic: str = "updated", connection: str = "acme") -> None:
    already = sum(one.waiting for one in await inbox.counts(store.db))
    rows = [
        Arrival(connection, "jira_to_qad", "jira", f"{topic}-{already + n}-{one}", topic, str(one), NOW)
        for n, one in enumerate(objects)
    ]
    async with store.db.write() as tx:
        await inbox.put(store.db, tx, rows)


async def waiting(store: Store) -> list[str]:
    return [row.object_id for row in await inbox.waiting(store.db, *HERE, 10_000)]


async def read(stream: InboxSource[str], start: str | None = None) -> list[Batch[str]]:
    return [batch async for batch in stream.pages(start, None)]


async def test_an_empty_inbox_costs_no_call(store: Store) -> None:
    issues = Issues()
    assert await read(source(store, issues)) == []
    assert issues.asked == []


async def test_reads_each_record_once_and_in_the_order_of_the_first_delivery(store: Store) -> None:
    issues, stream = Issues(), None
    await arrive(store, 7, 5, 7, 9, 5)
    await arrive(store, 1, connection="other")
    stream = source(store, issues)
    (batch,) = await read(stream)
    assert (batch.records, batch.unreadable, batch.mark) == (["7", "5", "9"], [], "")
    assert await waiting(store) == ["7", "5", "7", "9", "5"]
    await stream.acknowledge(batch.cursor)
    assert await waiting(store) == []
    assert await read(source(store, issues)) == []


async def test_five_thousand_deliveries_about_fifty_records_are_one_page(store: Store) -> None:
    issues = Issues()
    for _ in range(10):
        await arrive(store, *(n % 50 for n in range(500)))
    stream = source(store, issues)
    (batch,) = await read(stream)
    assert len(batch.records) == 50
    assert len(issues.asked) == 1
    await stream.acknowledge(batch.cursor)
    assert await waiting(store) == []


async def test_many_records_come_in_pages_and_each_is_acknowledged_apart(store: Store) -> None:
    await arrive(store, *range(1200))
    stream = source(store, Issues())
    batches = await read(stream)
    assert [len(batch.records) for batch in batches] == [500, 500, 200]
    await stream.acknowledge(batches[0].cursor)
    assert len(await waiting(store)) == 700
    await stream.acknowledge(batches[2].cursor)
    assert await waiting(store) == []


async def test_a_run_that_dies_leaves_its_rows_to_the_next_one(store: Store) -> None:
    await arrive(store, *range(600))
    dead = source(store, Issues())
    first, _second = await read(dead)
    await dead.acknowledge(first.cursor)
    (again,) = await read(source(store, Issues()))
    assert len(again.records) == 100


async def test_a_later_page_is_read_from_the_cursor_of_the_one_before(store: Store) -> None:
    await arrive(store, *range(600))
    stream = source(store, Issues())
    first = await anext(stream.pages(None, None))
    (second,) = await read(stream, first.cursor)
    assert len(second.records) == 100
    await stream.acknowledge(None)
    assert await waiting(store) == []


async def test_only_what_a_page_has_seen_is_acknowledged(store: Store) -> None:
    await arrive(store, 1, 2)
    stream = source(store, Issues())
    pages = stream.pages(None, None)
    batch = await anext(pages)
    await arrive(store, 1, 3)
    await stream.acknowledge(batch.cursor)
    assert await waiting(store) == ["1", "3"]
    assert (await anext(pages)).records == ["1", "3"]
    assert await waiting(store) == ["1", "3"]
    await stream.acknowledge(None)
    assert await waiting(store) == []


async def test_a_row_that_was_committed_late_under_a_smaller_id_still_waits(store: Store) -> None:
    await arrive(store, 1, 2, 3)
    late = (await inbox.waiting(store.db, *HERE, 1))[0].id
    async with store.db.write() as tx:
        await inbox.drained(tx, [late], NOW)
    stream = source(store, Issues())
    (batch,) = await read(stream)
    async with store.db.write() as tx:
        await tx.execute(inbox_table.update().where(inbox_table.c.id == late).values(drained_at=None))
    await stream.acknowledge(batch.cursor)
    assert await waiting(store) == ["1"]


async def test_a_record_that_is_gone_is_not_asked_for_again(store: Store) -> None:
    issues = Issues()
    issues.gone, issues.odd = {"1"}, {"2"}
    await arrive(store, 1, 2, 3)
    stream = source(store, issues)
    (batch,) = await read(stream)
    assert (batch.records, [one.key for one in batch.unreadable]) == (["3"], ["2"])
    await stream.acknowledge(batch.cursor)
    assert await waiting(store) == []


async def test_rows_of_other_topics_are_drained_without_a_call(store: Store) -> None:
    issues = Issues()
    await arrive(store, 1, 2, topic="comment_created")
    stream = source(store, issues)
    (batch,) = await read(stream)
    assert (batch.records, issues.asked) == ([], [])
    await stream.acknowledge(batch.cursor)
    assert await waiting(store) == []


async def test_a_system_that_is_away_leaves_everything_where_it_is(store: Store) -> None:
    issues = Issues()
    issues.away = True
    await arrive(store, 1)
    stream = source(store, issues)
    with pytest.raises(TransientError):
        await read(stream)
    await stream.acknowledge(None)
    assert await waiting(store) == ["1"]


async def test_single_records_come_from_the_system_itself(store: Store) -> None:
    issues = Issues()
    assert await source(store, issues).by_key(["4"]) == {"4": "4"}
    assert issues.asked == [["4"]]
