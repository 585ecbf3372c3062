"""A receiver that dies after it kept a delivery, receivers side by side, and a storm of deliveries for a few issues."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path

import pytest

from ml_connector.store.crypto import Keys
from ml_connector.store.database import Database
from ml_connector.webhooks.app import build
from ml_connector.webhooks.receiver import Receiver
from tests.webhooks.processes import DIED, start
from tests.webhooks.senders import Desk, Request, admin, dynamic, issue_event, open_desk


async def deliver(desk: Desk, app: object, requests: list[Request], *, at_once: int = 32) -> Counter[str]:
    """Send many deliveries, a number of them at the same time."""
    turns = asyncio.Semaphore(at_once)
    async with desk.client(app) as client:

        async def one(request: Request) -> str:
            path, headers, body = request
            async with turns:
                answer = await client.post(path, headers=headers, content=body)
            return f"{answer.status_code} {answer.json()['status']}"

        return Counter(await asyncio.gather(*(one(request) for request in requests)))


async def test_a_delivery_whose_answer_was_lost_is_a_duplicate_when_it_comes_again(
    db: Database, tmp_path: Path
) -> None:
    keys = Keys.create(tmp_path / "keys.json")
    desk = await open_desk(db, keys)
    process = await start("die_before_answering", db.url, str(tmp_path / "keys.json"))
    assert await asyncio.wait_for(process.wait(), 60) == DIED
    assert len(await desk.rows()) == 1
    answer = await desk.send(admin())
    assert (answer.status_code, answer.json()) == (202, {"status": "duplicate"})
    assert len(await desk.rows()) == 1
    # Nobody was told by the dead one; its flag is up, and the next receiver tells it.
    await desk.receiver.alarm.settled()
    assert desk.bell.rung == []
    desk.clock.advance(11)
    await desk.receiver.alarm.look()
    await desk.receiver.alarm.settled()
    assert desk.bell.rung == [("acme", "jira_to_qad")]
    await desk.receiver.close()


async def test_equal_deliveries_at_the_same_time_are_kept_once(desk_on_each: Desk) -> None:
    desk = desk_on_each
    apps = [build(desk.receiver), build(Receiver(desk.store, desk.bell))]
    body = issue_event(matchedWebhookIds=[1, 3])
    seen: Counter[str] = Counter()
    for one in await asyncio.gather(
        *(deliver(desk, app, [dynamic(body, delivery=f"d-{n % 10}") for n in range(100)]) for app in apps)
    ):
        seen += one
    assert seen == {"202 accepted": 10, "202 duplicate": 190}
    assert len(await desk.rows()) == 20


async def test_a_storm_of_deliveries_for_a_few_issues_wakes_a_handful_of_times(desk_on_each: Desk) -> None:
    desk = desk_on_each
    requests = [admin(issue_event(10_000 + n % 50), delivery=f"d-{n}") for n in range(5000)]
    app = build(desk.receiver)
    for start_at in range(0, 5000, 500):
        assert await deliver(desk, app, requests[start_at : start_at + 500]) == {"202 accepted": 500}
        desk.clock.advance(3)
        await desk.receiver.alarm.look()
    await desk.receiver.alarm.settled()
    assert 1 <= len(desk.bell.rung) <= 5
    assert len(await desk.rows()) == 5000


async def test_deliveries_that_arrive_together_share_a_transaction(desk: Desk) -> None:
    commits = 0
    write = desk.store.db.write

    def counted() -> object:
        nonlocal commits
        commits += 1
        return write()

    app = build(desk.receiver)
    assert await deliver(desk, app, [admin()]) == {"202 accepted": 1}
    desk.store.db.write = counted  # type: ignore[assignment,method-assign]
    requests = [admin(issue_event(n), delivery=f"t-{n}") for n in range(200)]
    assert await deliver(desk, app, requests, at_once=200) == {"202 accepted": 200}
    assert 1 <= commits < 50


async def test_a_store_that_is_busy_for_long_makes_senders_come_again(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = build(desk.receiver)
    requests = [admin(delivery=f"d-{n}") for n in range(20)]
    assert await deliver(desk, app, requests[:1]) == {"202 accepted": 1}
    with monkeypatch.context() as patience:
        patience.setattr("ml_connector.webhooks.commits.PATIENCE_S", 0.05)
        patience.setattr("ml_connector.webhooks.commits.MOST_WAITING", 5)
        async with desk.store.db.write():
            assert await deliver(desk, app, requests) == {"503 unavailable": 20}
    seen = await deliver(desk, app, requests)
    assert seen.total() == seen["202 accepted"] + seen["202 duplicate"] == 20
    assert len(await desk.rows()) == 20
