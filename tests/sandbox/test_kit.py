"""The shared part of the stand-in tenants: clock, journal, admin API, and every kind of fault over real connections."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sandbox.kit import jsontext
from sandbox.kit.app import Action, Document, UnknownRecord, answer, build_app
from sandbox.kit.clock import Clock
from sandbox.kit.faults import KINDS, ConnectionAborted, ConnectionHung, FaultRule
from sandbox.kit.serve import running, serve

ROOT = Path(__file__).parents[2]


class Counting:
    """The smallest tenant: counts what was added per key."""

    name = "counting"

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.counts: Counter[str] = Counter()
        self.actions: dict[str, Action] = {"drop": self._drop}

    def _drop(self, given: Document) -> Document:
        if given.get("key") not in self.counts:
            raise UnknownRecord(f"no {given.get('key')}")
        return {"dropped": self.counts.pop(given["key"])}

    def seed(self, document: Document) -> Document:
        self.counts.update(document["keys"])
        return {"keys": len(document["keys"])}

    def reset(self) -> None:
        self.counts.clear()

    def truth(self) -> Document:
        return dict(self.counts)

    def state(self, collection: str) -> list[Document]:
        if collection != "keys":
            raise UnknownRecord(collection)
        return [{"key": key} for key in self.counts]

    async def add(self, request: Request) -> Response:
        """Count one more of the key in the address."""
        await request.body()
        self.counts[request.path_params["key"]] += 1
        return answer({"key": request.path_params["key"], "count": self.counts[request.path_params["key"]]}, 201)


def counting_app(clock: Clock | None = None) -> Any:
    tenant = Counting(clock or Clock())
    return build_app(tenant, [Route("/things/{key}", tenant.add, methods=["POST"])])


@pytest.fixture
async def live() -> AsyncIterator[httpx.AsyncClient]:
    async with (
        running(counting_app()) as url,
        httpx.AsyncClient(base_url=url, timeout=httpx.Timeout(5)) as client,
    ):
        yield client


async def arm(client: httpx.AsyncClient, **rule: Any) -> None:
    assert (await client.post("/_sandbox/faults", json=rule)).status_code == 200


async def truth(client: httpx.AsyncClient) -> dict[str, int]:
    counters: dict[str, int] = (await client.get("/_sandbox/truth")).json()
    return counters


async def test_frozen_clock_moves_only_by_advance() -> None:
    clock = Clock(start=datetime(2026, 1, 1, tzinfo=UTC))
    before = clock.now()
    await asyncio.sleep(0.01)
    assert clock.now() == before
    clock.advance(90)
    assert clock.now() - before == timedelta(seconds=90)


async def test_sleeping_on_the_clock_ends_when_it_is_advanced() -> None:
    clock = Clock(start=datetime(2026, 1, 1, tzinfo=UTC))
    sleeper = asyncio.create_task(clock.sleep(3600))
    await asyncio.sleep(0)
    clock.advance(1800)
    await asyncio.sleep(0.01)
    assert not sleeper.done()
    clock.advance(1800)
    async with asyncio.timeout(1):
        await sleeper


def test_clock_refuses_a_start_without_zone_and_to_run_backwards() -> None:
    with pytest.raises(ValueError, match="time zone"):
        Clock(start=datetime(2026, 1, 1))
    with pytest.raises(ValueError, match="backwards"):
        Clock().advance(-1)


def test_json_keeps_every_digit_of_a_number() -> None:
    assert jsontext.loads(b'{"a": 0.10}') == {"a": Decimal("0.10")}
    assert jsontext.dumps({"a": Decimal("10.50"), "b": Decimal("1E+3")}) == b'{"a":10.50,"b":1000}'


async def test_reset_before_loses_the_call_and_its_effect(live: httpx.AsyncClient) -> None:
    await arm(live, kind="reset_before", path="/things/")
    with pytest.raises(httpx.ReadError):
        await live.post("/things/a")
    assert await truth(live) == {}


async def test_reset_after_is_a_real_reset_and_the_effect_stays(live: httpx.AsyncClient) -> None:
    await arm(live, kind="reset_after", path="/things/")
    with pytest.raises(httpx.ReadError) as caught:
        await live.post("/things/a", json={"x": 1})
    chain: BaseException | None = caught.value
    while chain is not None and not isinstance(chain, ConnectionResetError):
        chain = chain.__cause__ or chain.__context__
    assert isinstance(chain, ConnectionResetError)
    assert await truth(live) == {"a": 1}


async def test_late_effect_comes_after_the_client_gave_up(live: httpx.AsyncClient) -> None:
    await arm(live, kind="late", seconds=0.2, path="/things/")
    with pytest.raises(httpx.ReadError):
        await live.post("/things/a")
    assert await truth(live) == {}
    await asyncio.sleep(0.35)
    assert await truth(live) == {"a": 1}


async def test_late_effect_comes_when_the_sandbox_clock_passes(live: httpx.AsyncClient) -> None:
    await arm(live, kind="late", seconds=600, path="/things/")
    with pytest.raises(httpx.ReadError):
        await live.post("/things/a")
    await live.post("/_sandbox/clock", json={"advance": 599})
    assert await truth(live) == {}
    await live.post("/_sandbox/clock", json={"advance": 1})
    assert await truth(live) == {"a": 1}


async def test_late_hang_keeps_the_client_waiting_and_then_takes_effect(live: httpx.AsyncClient) -> None:
    await arm(live, kind="late_hang", seconds=300, path="/things/")
    with pytest.raises(httpx.ReadTimeout):
        await live.post("/things/a", timeout=0.2)
    assert await truth(live) == {}
    await live.post("/_sandbox/clock", json={"advance": 300})
    assert await truth(live) == {"a": 1}


async def test_hang_before_and_after_differ_only_in_the_effect(live: httpx.AsyncClient) -> None:
    await arm(live, kind="hang_before", path="/things/before")
    await arm(live, kind="hang_after", path="/things/after")
    for key in ("before", "after"):
        with pytest.raises(httpx.ReadTimeout):
            await live.post(f"/things/{key}", timeout=0.2)
    assert await truth(live) == {"after": 1}


async def test_status_answers_without_effect_and_status_after_with_it(live: httpx.AsyncClient) -> None:
    await arm(live, kind="status", status=429, headers={"Retry-After": "7"}, body={"errors": ["slow"]}, path="/a")
    await arm(live, kind="status_after", status=500, body="broken", path="/b")
    first, second = await live.post("/things/a"), await live.post("/things/b")
    assert (first.status_code, first.headers["retry-after"], first.json()) == (429, "7", {"errors": ["slow"]})
    assert (second.status_code, second.text) == (500, "broken")
    assert await truth(live) == {"b": 1}


async def test_slow_waits_and_then_serves(live: httpx.AsyncClient) -> None:
    await arm(live, kind="slow", seconds=0.3, path="/things/")
    started = asyncio.get_running_loop().time()
    assert (await live.post("/things/a")).status_code == 201
    assert asyncio.get_running_loop().time() - started >= 0.3


async def test_malformed_takes_effect_and_answers_half_a_document(live: httpx.AsyncClient) -> None:
    await arm(live, kind="malformed", path="/things/")
    spoiled = await live.post("/things/a")
    assert spoiled.status_code == 200
    with pytest.raises(json.JSONDecodeError):
        spoiled.json()
    assert await truth(live) == {"a": 1}


async def test_html_shows_a_login_page_and_does_nothing(live: httpx.AsyncClient) -> None:
    await arm(live, kind="html", path="/things/")
    page = await live.post("/things/a")
    assert page.status_code == 200
    assert page.headers["content-type"].startswith("text/html")
    assert "<form" in page.text
    assert await truth(live) == {}


async def test_truncated_announces_more_than_it_sends(live: httpx.AsyncClient) -> None:
    await arm(live, kind="truncated", path="/things/")
    with pytest.raises(httpx.RemoteProtocolError):
        await live.post("/things/a")
    assert await truth(live) == {"a": 1}


async def test_rule_lets_calls_pass_then_hits_so_many_and_no_more(live: httpx.AsyncClient) -> None:
    await arm(live, kind="status", status=503, skip=2, times=3, method="post", path="/things/a$")
    codes = [(await live.post("/things/a")).status_code for _ in range(7)]
    assert codes == [201, 201, 503, 503, 503, 201, 201]
    described = (await live.get("/_sandbox/faults")).json()
    assert [(rule["passed"], rule["hit"]) for rule in described] == [(2, 3)]


async def test_rule_for_ever_ends_when_it_is_cleared_and_never_hits_the_admin_api(live: httpx.AsyncClient) -> None:
    await arm(live, kind="status", times=-1)
    assert [(await live.post("/things/a")).status_code for _ in range(3)] == [503, 503, 503]
    assert (await live.get("/_sandbox/health")).status_code == 200
    await live.delete("/_sandbox/faults")
    assert (await live.post("/things/a")).status_code == 201


async def test_rule_looks_at_path_with_query(live: httpx.AsyncClient) -> None:
    await arm(live, kind="status", path=r"/things/a\?mark=true")
    assert (await live.post("/things/a")).status_code == 201
    assert (await live.post("/things/a?mark=true")).status_code == 503


async def test_connection_works_again_after_each_kind_of_fault(live: httpx.AsyncClient) -> None:
    for kind in KINDS:
        await arm(live, kind=kind, seconds=0.01, path="/things/spoiled")
        with contextlib.suppress(httpx.TransportError):
            await live.post("/things/spoiled", timeout=0.2)
        assert (await live.post("/things/fine")).status_code == 201
    assert (await truth(live))["fine"] == len(KINDS)


async def test_bad_rules_are_refused(live: httpx.AsyncClient) -> None:
    for rule in ({"kind": "gremlin"}, {"kind": "slow", "colour": "red"}, {"kind": "slow", "path": "("}):
        assert (await live.post("/_sandbox/faults", json=rule)).status_code == 400


async def test_in_process_faults_raise_instead_of_cutting_a_connection() -> None:
    app = counting_app(Clock(start=datetime(2026, 1, 1, tzinfo=UTC)))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://127.0.0.1") as client:
        for kind, expected in (("reset_after", ConnectionAborted), ("hang_after", ConnectionHung)):
            app.state.faults.add(FaultRule(kind=kind))
            with pytest.raises(expected):
                await client.post("/things/a")
        app.state.faults.add(FaultRule(kind="late", seconds=60))
        with pytest.raises(ConnectionAborted):
            await client.post("/things/a")
        assert await truth(client) == {"a": 2}
        app.state.tenant.clock.advance(60)
        assert await truth(client) == {"a": 3}


async def test_journal_counts_calls_and_hides_secrets(live: httpx.AsyncClient) -> None:
    await arm(live, kind="reset_after", path="/things/lost")
    headers = {"Authorization": "Bearer hush", "Cookie": "hush", "Idempotency-Key": "k1", "X-Coupa-API-Version": "44"}
    await live.post("/things/a?user=me&password=hush", headers=headers)
    with pytest.raises(httpx.ReadError):
        await live.post("/things/lost")
    answered = (await live.get("/_sandbox/requests")).json()
    assert answered["last"] == 2
    first, second = answered["requests"]
    assert (first["n"], first["method"], first["path"], first["status"]) == (1, "POST", "/things/a", 201)
    assert first["headers"]["idempotency-key"] == "k1"
    assert first["headers"]["x-coupa-api-version"] == "44"
    assert first["headers"]["authorization"] == "Bearer ***"
    assert "hush" not in json.dumps(answered)
    assert (second["status"], second["fault"], second["applied"]) == (None, "reset_after", True)
    assert (await live.get("/_sandbox/requests?since=1")).json()["requests"] == [second]


async def test_admin_api_seeds_shows_acts_and_resets(live: httpx.AsyncClient) -> None:
    assert (await live.post("/_sandbox/seed", json={"keys": ["a", "b"]})).json() == {"keys": 2}
    assert (await live.get("/_sandbox/state/keys")).json() == [{"key": "a"}, {"key": "b"}]
    assert (await live.post("/_sandbox/do/drop", json={"key": "a"})).json() == {"dropped": 1}
    await live.post("/_sandbox/reset")
    assert await truth(live) == {}


async def test_admin_api_answers_404_for_what_is_not_there_and_400_for_nonsense(live: httpx.AsyncClient) -> None:
    missing = [
        await live.post("/_sandbox/do/drop", json={"key": "z"}),
        await live.post("/_sandbox/do/dance", json={}),
        await live.get("/_sandbox/state/nothing"),
        await live.post("/_sandbox/seed/no-such-seed"),
    ]
    assert [one.status_code for one in missing] == [404] * 4
    assert all("error" in one.json() for one in missing)
    nonsense = [
        await live.post("/_sandbox/seed", content=b"{"),
        await live.post("/_sandbox/seed", json=[]),
        await live.post("/_sandbox/clock", json={"advance": -1}),
        await live.post("/_sandbox/clock", json={"advance": "soon"}),
        await live.get("/_sandbox/requests?since=x"),
    ]
    assert [one.status_code for one in nonsense] == [400] * 5


async def test_answers_do_not_wait_for_delayed_acknowledgements(live: httpx.AsyncClient) -> None:
    started = asyncio.get_running_loop().time()
    for _ in range(20):
        await live.get("/_sandbox/health")
    # With Nagle on each answer takes 40 ms on any machine; without it 20 of them take a fraction of that.
    assert asyncio.get_running_loop().time() - started < 20 * 0.04


def test_serves_on_loopback_only() -> None:
    with pytest.raises(ValueError, match="loopback"):
        serve(counting_app(), host="0.0.0.0")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_command_says_when_it_is_ready_and_ends_cleanly_on_a_signal(number: signal.Signals) -> None:
    command = [sys.executable, "-m", "sandbox", "coupa", "--seed", "base", "--option", "throttle=false"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        ready = json.loads(process.stdout.readline())
        health = httpx.get(f"{ready['url']}/_sandbox/health")
        process.send_signal(number)
        assert process.wait(timeout=10) == 0
    assert ready["sandbox"] == "coupa"
    assert health.json()["sandbox"] == "coupa"
