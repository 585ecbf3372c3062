"""The queue of webhook deliveries: due times, retries, duplicates, disorder, and real HTTP to a receiver."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sandbox.kit.app import Action, build_app
from sandbox.kit.clock import Clock
from sandbox.kit.deliveries import Deliveries, Delivery, RetryPolicy, is_loopback
from sandbox.kit.serve import running

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
URL = "http://127.0.0.1:9/hook"
TWICE = RetryPolicy(frozenset({429, 503}), (300, 900))


class Receiver:
    """Answers with the statuses it is given, in turn, then with 200; None is no answer."""

    def __init__(self, *statuses: int | None) -> None:
        self.statuses = list(statuses)
        self.got: list[tuple[bytes, dict[str, str]]] = []

    async def __call__(self, delivery: Delivery) -> int | None:
        self.got.append((delivery.body, delivery.all_headers()))
        return self.statuses.pop(0) if self.statuses else 200


def delivery(body: bytes = b"{}", **changes: Any) -> Delivery:
    standard: dict[str, Any] = {"url": URL, "body": body, "headers": {}, "due": START}
    return Delivery(**standard | changes)


async def test_sends_only_what_is_due() -> None:
    clock, receiver = Clock(START), Receiver()
    queue = Deliveries(clock, send=receiver)
    queue.put(delivery(b"later", due=START + timedelta(seconds=60)))
    queue.put(delivery(b"now"))
    await queue.flush()
    assert ([body for body, _ in receiver.got], queue.waiting) == ([b"now"], 1)
    clock.advance(60)
    await queue.flush()
    assert ([body for body, _ in receiver.got], queue.waiting) == ([b"now", b"later"], 0)


async def test_tries_again_after_the_delays_of_the_policy_and_then_gives_up() -> None:
    clock, receiver = Clock(START), Receiver(503, None, 503)
    queue = Deliveries(clock, send=receiver)
    queue.put(delivery(policy=TWICE))
    for pause in (0, 299, 1, 900, 90_000):
        clock.advance(pause)
        await queue.flush()
    made = [(one.attempt, one.status, (one.at - START).total_seconds()) for one in queue.sent]
    assert made == [(0, 503, 0), (1, None, 300), (2, 503, 1200)]
    assert queue.waiting == 0


async def test_a_refusal_outside_the_policy_is_final() -> None:
    queue = Deliveries(Clock(START), send=Receiver(401))
    queue.put(delivery(policy=TWICE))
    await queue.flush()
    assert ([one.status for one in queue.sent], queue.waiting) == ([401], 0)


async def test_policy_may_be_a_function_that_also_judges_silence() -> None:
    policy = RetryPolicy(lambda status: status is not None and status >= 500, (10, 10))
    queue = Deliveries(Clock(START), send=Receiver(None, 500))
    queue.put(delivery(b"silent", policy=policy))
    queue.put(delivery(b"broken", policy=policy))
    await queue.flush()
    assert ([one.status for one in queue.sent], queue.waiting) == ([None, 500], 1)


async def test_headers_may_change_with_the_attempt() -> None:
    clock, receiver = Clock(START), Receiver(429)
    queue = Deliveries(clock, send=receiver)
    queue.put(delivery(headers={"Id": "7"}, policy=TWICE, per_attempt=lambda n: {"Retry": str(n)} if n else {}))
    await queue.flush()
    clock.advance(300)
    await queue.flush()
    assert [headers for _, headers in receiver.got] == [{"Id": "7"}, {"Id": "7", "Retry": "1"}]


async def test_duplicates_disorder_and_delay_make_a_mean_network() -> None:
    clock, receiver = Clock(START), Receiver()
    queue = Deliveries(clock, send=receiver, seed=4)
    queue.duplicate, queue.shuffle, queue.delay_s = 2, True, 30
    for number in range(4):
        queue.put(delivery(str(number).encode()))
    await queue.flush()
    assert receiver.got == []
    clock.advance(30)
    await queue.flush()
    order = [body for body, _ in receiver.got]
    assert sorted(order) == [b"0", b"0", b"1", b"1", b"2", b"2", b"3", b"3"]
    assert order != sorted(order)


@pytest.mark.parametrize(
    ("url", "here"),
    [
        ("http://127.0.0.1:8080/x", True),
        ("https://localhost/x", True),
        ("http://[::1]:1/x", True),
        ("http://10.0.0.1/x", False),
        ("http://localhost.example/x", False),
        ("http://127.0.0.1@example.com/x", False),
        ("ftp://127.0.0.1/x", False),
        ("http://[::1/x", False),
        ("http://127.0.0.1:99999/x", False),
        ("not an address", False),
    ],
)
def test_only_loopback_is_reached(url: str, here: bool) -> None:
    assert is_loopback(url) is here


def test_an_address_elsewhere_is_refused() -> None:
    with pytest.raises(ValueError, match="loopback only"):
        Deliveries(Clock(START)).put(delivery(url="http://example.com/hook"))


def hook(got: list[bytes], arrived: asyncio.Event | None = None) -> Starlette:
    async def receive(request: Request) -> Response:
        got.append(await request.body())
        if arrived is not None:
            arrived.set()
        return Response(status_code=204)

    app = Starlette(routes=[Route("/hook", receive, methods=["POST"])])
    app.state.tenant = Tenant(Clock(START))
    return app


class Tenant:
    """A tenant without records, which only sends."""

    name = "sender"

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.actions: dict[str, Action] = {}

    def seed(self, document: dict[str, Any]) -> dict[str, Any]:
        return document

    def reset(self) -> None: ...

    def truth(self) -> dict[str, Any]:
        return {}

    def state(self, collection: str) -> list[dict[str, Any]]:
        return []


async def test_admin_verb_sends_over_http_and_shows_what_was_sent() -> None:
    got: list[bytes] = []
    tenant = Tenant(Clock(START))
    queue = Deliveries(tenant.clock)
    transport = httpx.ASGITransport(app=build_app(tenant, [], queue))
    async with running(hook(got)) as base, httpx.AsyncClient(transport=transport, base_url=base) as http:
        queue.put(delivery(b"first", url=f"{base}/hook"))
        queue.put(delivery(b"second", url=f"{base}/hook", due=START + timedelta(seconds=5)))
        assert (await http.post("/_sandbox/do/deliver")).json() == {"sent": 1, "waiting": 1}
        await http.post("/_sandbox/clock", json={"advance": 5})
        assert got == [b"first", b"second"]
        shown = (await http.get("/_sandbox/deliveries")).json()
        assert [one["status"] for one in shown["sent"]] == [204, 204]
        await http.post("/_sandbox/reset")
        assert (await http.get("/_sandbox/deliveries")).json() == {"waiting": 0, "sent": []}


async def test_while_real_time_passes_nobody_needs_to_flush() -> None:
    got: list[bytes] = []
    arrived = asyncio.Event()
    queue = Deliveries(Clock())
    async with running(hook(got, arrived)) as base:
        queue.put(delivery(b"by itself", url=f"{base}/hook"))
        await asyncio.wait_for(arrived.wait(), timeout=5)
        await queue.flush()  # waits for the round under way
    assert (got, [one.status for one in queue.sent]) == ([b"by itself"], [204])


async def test_a_receiver_that_is_gone_counts_as_silent() -> None:
    queue = Deliveries(Clock(START))
    async with running(hook([])) as base:
        url = f"{base}/hook"
    queue.put(delivery(url=url, policy=TWICE))
    await queue.flush()
    assert ([one.status for one in queue.sent], queue.waiting) == ([None], 1)
