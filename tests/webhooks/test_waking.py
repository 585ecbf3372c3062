"""Telling Prefect: one event without content, again while nobody acts on it, and no pile while Prefect is away."""

from __future__ import annotations

import asyncio
import base64
import json
from datetime import timedelta

import httpx
import pytest
from prefect.server.events.schemas.events import Event

from ml_connector.errors import ConfigurationError, TransientError
from ml_connector.store import wakes
from ml_connector.webhooks.alarm import Alarm
from ml_connector.webhooks.wake import PrefectWaker
from tests.webhooks.senders import Desk, admin, issue_event

HERE = ("acme", "jira_to_qad")


class Prefect:
    """Remembers what is posted to its API, and answers with a status."""

    def __init__(self, status: int = 204) -> None:
        self.status = status
        self.requests: list[httpx.Request] = []

    def client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(transport=httpx.MockTransport(self._answer))

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        if not self.status:
            raise httpx.ConnectError("nobody is there")
        return httpx.Response(self.status)


async def look(desk: Desk, seconds: float = 0) -> None:
    """What the receiver's background loop does, so many seconds later."""
    desk.clock.advance(seconds)
    await desk.receiver.alarm.look()
    await desk.receiver.alarm.settled()


async def test_emits_one_event_that_prefect_understands_and_that_says_nothing() -> None:
    prefect = Prefect()
    waker = PrefectWaker("http://127.0.0.1:4200/api/", "admin:pa:ss", prefect.client())
    await waker.wake(*HERE)
    await waker.close()
    (request,) = prefect.requests
    assert (request.method, str(request.url)) == ("POST", "http://127.0.0.1:4200/api/events")
    assert base64.b64decode(request.headers["authorization"].removeprefix("Basic ")) == b"admin:pa:ss"
    (content,) = json.loads(request.content)
    event = Event.model_validate(content)
    assert event.event == "ml-connector.wake"
    assert event.resource["prefect.resource.id"] == "ml-connector.acme.jira_to_qad"
    assert event.payload == {}
    assert event.related == []


async def test_without_a_login_none_is_sent() -> None:
    prefect = Prefect()
    await PrefectWaker("http://127.0.0.1:4200/api", client=prefect.client()).wake(*HERE)
    assert "authorization" not in prefect.requests[0].headers


@pytest.mark.parametrize("status", [0, 302, 401, 422, 503])
async def test_an_event_that_was_not_taken_is_an_error_without_secrets(status: int) -> None:
    waker = PrefectWaker("http://127.0.0.1:4200/api", "admin:canary", Prefect(status).client())
    with pytest.raises(TransientError) as error:
        await waker.wake(*HERE)
    assert "canary" not in str(error.value)


async def test_an_address_that_is_none_is_a_matter_of_settings() -> None:
    with pytest.raises((ConfigurationError, TransientError)):
        await PrefectWaker("http://[x", "").wake(*HERE)


async def test_a_flag_that_stays_up_is_told_again_and_ever_less_often(desk: Desk) -> None:
    await desk.send(admin())
    await desk.receiver.alarm.settled()
    assert len(desk.bell.rung) == 1
    await look(desk, 5)
    assert len(desk.bell.rung) == 1
    for _ in range(12):
        await look(desk, 5)
    # After 10, 20 and 40 s: a run that works for an hour must not find hundreds of others behind it.
    assert len(desk.bell.rung) == 3
    for _ in range(720):
        await look(desk, 5)
    assert 10 <= len(desk.bell.rung) <= 20


async def test_a_flag_that_was_lowered_is_told_at_once_when_it_goes_up_again(desk: Desk) -> None:
    await desk.send(admin())
    for _ in range(60):
        await look(desk, 5)
    told = len(desk.bell.rung)
    await wakes.clear(desk.store.db, *HERE)
    await look(desk, 5)
    assert len(desk.bell.rung) == told
    await desk.send(admin(delivery="d-2"))
    await desk.receiver.alarm.settled()
    assert len(desk.bell.rung) == told + 1


async def test_hours_without_prefect_pile_up_nothing_and_lose_nothing(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("WARNING", "ml_connector")
    desk.bell.deaf = True
    for number in range(100):
        await desk.send(admin(issue_event(number + 1), delivery=f"d-{number}"))
        await look(desk, 60)
        assert len(asyncio.all_tasks()) < 5
    assert desk.bell.rung == []
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    desk.bell.deaf = False
    await look(desk, 11)
    assert desk.bell.rung == [HERE]
    assert len(caplog.records) == 2
    assert len(await desk.rows()) == 100


async def test_a_delivery_is_answered_while_prefect_hangs(desk: Desk) -> None:
    hangs = asyncio.Event()

    class Hanging:
        async def wake(self, connection: str, direction: str) -> None:
            await hangs.wait()

    desk.receiver.alarm._waker = Hanging()
    for number in range(20):
        assert (await desk.send(admin(delivery=f"d-{number}"))).status_code == 202
        desk.clock.advance(11)
    assert len(asyncio.all_tasks()) < 6
    hangs.set()


async def test_two_receivers_tell_prefect_once(desk: Desk) -> None:
    await wakes.ask(desk.store.db, *HERE, desk.clock.now())
    desk.clock.advance(15)
    alarms = [Alarm(desk.store.db, desk.clock, desk.bell) for _ in range(2)]
    await asyncio.gather(*(alarm.look() for alarm in alarms))
    for alarm in alarms:
        await alarm.settled()
    assert desk.bell.rung == [HERE]


async def test_the_loop_outlives_a_store_that_is_away(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    await wakes.ask(desk.store.db, *HERE, desk.clock.now() - timedelta(minutes=1))
    async with desk.store.db.write() as tx:
        await tx.exec_driver_sql("ALTER TABLE wake RENAME TO wake_away")
    for _ in range(3):
        await look(desk)
    assert len([one for one in caplog.records if one.name.startswith("ml_connector")]) == 1
    async with desk.store.db.write() as tx:
        await tx.exec_driver_sql("ALTER TABLE wake_away RENAME TO wake")
    await look(desk)
    assert desk.bell.rung == [HERE]
