"""Reads are retried, writes only when they provably did nothing, everything else is doubt."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

import httpx
import pytest

from ml_connector.clock import ManualClock, SystemClock
from ml_connector.errors import (
    ConfigurationError,
    ContractError,
    LeaseLostError,
    RateLimitedError,
    TransientError,
    UnknownOutcomeError,
)
from ml_connector.http.client import HttpClient
from ml_connector.http.limits import Limits

OK = httpx.Response(200, json={"id": 1})


async def write(client: HttpClient, **extra: Any) -> httpx.Response:
    return await client.write("PUT", "/api/invoices/1", operation="mark", external_id="c:invoice:1", **extra)


@pytest.mark.parametrize(
    "trouble",
    [
        httpx.ConnectError("refused"),
        httpx.ReadTimeout("slow"),
        httpx.ReadError("reset"),
        httpx.RemoteProtocolError("gone"),
        httpx.Response(429),
        httpx.Response(500),
        httpx.Response(502),
        httpx.Response(503),
        httpx.Response(504),
    ],
    ids=str,
)
async def test_retries_a_read_and_recovers(trouble: Any, server_of: Any, client_of: Any) -> None:
    server = server_of(trouble, OK)
    async with client_of(server) as client:
        response = await client.read("GET", "/api/invoices", operation="list")
    assert response.json() == {"id": 1}
    assert len(server.requests) == client.calls == 2


async def test_a_read_that_never_works_is_transient_after_the_last_attempt(server_of: Any, client_of: Any) -> None:
    server = server_of(httpx.Response(503))
    async with client_of(server) as client:
        with pytest.raises(TransientError, match="acme list: HTTP 503"):
            await client.read("GET", "/api/invoices", operation="list")
    assert len(server.requests) == 3


async def test_an_odd_server_error_on_a_read_is_transient_without_a_second_try(server_of: Any, client_of: Any) -> None:
    server = server_of(httpx.Response(501))
    async with client_of(server) as client:
        with pytest.raises(TransientError, match="HTTP 501"):
            await client.read("GET", "/api/invoices", operation="list")
    assert len(server.requests) == 1


async def test_waits_as_long_as_the_system_asks(server_of: Any, client_of: Any, clock: ManualClock) -> None:
    server = server_of(httpx.Response(429, headers={"Retry-After": "17"}), OK)
    async with client_of(server) as client:
        await client.read("GET", "/api/invoices", operation="list")
    assert clock.monotonic() == 17


async def test_reads_a_retry_after_date(server_of: Any, client_of: Any, clock: ManualClock) -> None:
    server = server_of(httpx.Response(503, headers={"Retry-After": "Mon, 02 Mar 2026 09:00:21 GMT"}), OK)
    async with client_of(server) as client:
        await client.read("GET", "/api/invoices", operation="list")
    assert clock.monotonic() == 21


async def test_does_not_begin_a_pause_longer_than_the_time_left(
    server_of: Any, client_of: Any, clock: ManualClock
) -> None:
    server = server_of(httpx.Response(429, headers={"Retry-After": "3600"}))
    async with client_of(server) as client:
        with pytest.raises(RateLimitedError) as caught:
            await client.read("GET", "/api/invoices", operation="list")
    assert caught.value.retry_after == 3600
    assert clock.monotonic() == 0


async def test_returns_a_refusal_for_the_system_to_judge(server_of: Any, client_of: Any) -> None:
    server = server_of(httpx.Response(404, json={"errors": {}}))
    async with client_of(server) as client:
        assert (await client.read("GET", "/api/invoices/9", operation="get")).status_code == 404
        assert (await write(client)).status_code == 404


async def test_never_follows_a_redirect(server_of: Any, client_of: Any) -> None:
    server = server_of(httpx.Response(302, headers={"Location": "http://169.254.169.254/"}))
    async with client_of(server) as client:
        with pytest.raises(ContractError, match="HTTP 302"):
            await client.read("GET", "/api/invoices", operation="list")
        with pytest.raises(ContractError, match="HTTP 302"):
            await write(client)
    assert len(server.requests) == 2


@pytest.mark.parametrize(
    "trouble",
    [
        httpx.ReadTimeout("slow"),
        httpx.WriteTimeout("slow"),
        httpx.ReadError("reset"),
        httpx.WriteError("reset"),
        httpx.RemoteProtocolError("gone"),
        httpx.Response(500),
        httpx.Response(502),
        httpx.Response(503, headers={"Retry-After": "1"}),
        httpx.Response(504),
    ],
    ids=str,
)
async def test_a_write_without_a_clear_reply_is_in_doubt_at_once(trouble: Any, server_of: Any, client_of: Any) -> None:
    server = server_of(trouble, OK)
    async with client_of(server) as client:
        with pytest.raises(UnknownOutcomeError) as caught:
            await write(client)
    assert len(server.requests) == 1
    assert caught.value.external_id == "c:invoice:1"


@pytest.mark.parametrize(
    "trouble",
    [httpx.ConnectError("refused"), httpx.ConnectTimeout("slow"), httpx.PoolTimeout("busy"), httpx.Response(429)],
    ids=str,
)
async def test_repeats_a_write_that_provably_did_nothing(trouble: Any, server_of: Any, client_of: Any) -> None:
    server = server_of(trouble, OK)
    async with client_of(server) as client:
        assert (await write(client)).status_code == 200
    assert len(server.requests) == 2


async def test_a_write_that_never_gets_through_is_transient(server_of: Any, client_of: Any) -> None:
    async with client_of(server_of(httpx.ConnectError("refused"))) as client:
        with pytest.raises(TransientError, match="not sent: ConnectError refused"):
            await write(client)
    async with client_of(server_of(httpx.Response(429))) as client:
        with pytest.raises(RateLimitedError):
            await write(client)


async def test_sends_nothing_when_too_little_of_the_lease_is_left(
    server_of: Any, client_of: Any, clock: ManualClock
) -> None:
    server = server_of(OK)
    async with client_of(server, deadline=lambda: 100.0) as client:
        clock.advance(70)
        await write(client)
        clock.advance(0.1)
        with pytest.raises(LeaseLostError):
            await write(client)
    assert len(server.requests) == 1


async def test_a_budget_that_keeps_a_write_waiting_past_its_lease_sends_nothing(
    server_of: Any, client_of: Any, clock: ManualClock
) -> None:
    class Slow:
        async def acquire(self) -> None:
            await clock.sleep(80)

    server = server_of(OK)
    async with client_of(server, budget=Slow(), deadline=lambda: 100.0) as client:
        with pytest.raises(LeaseLostError):
            await write(client)
    assert server.requests == []


async def test_asks_the_budget_before_every_attempt(server_of: Any, client_of: Any) -> None:
    class Counting:
        asked = 0

        async def acquire(self) -> None:
            self.asked += 1

    budget = Counting()
    async with client_of(server_of(httpx.Response(503), OK), budget=budget) as client:
        await client.read("GET", "/api/invoices", operation="list")
        await client.send_raw("POST", "/oauth2/token", operation="login", form={"grant_type": "client_credentials"})
    assert budget.asked == 3


async def test_sends_bytes_and_objects_exactly(server_of: Any, client_of: Any) -> None:
    server = server_of(OK)
    async with client_of(server) as client:
        await write(client, json={"amount": Decimal("12.50"), "flag": True})
        await write(client, json=b'{"a": 1.10}', params=[("exported", "true"), ("id[in]", "1,2")])
    first, second = server.requests
    assert first.content == b'{"amount":12.50,"flag":true}'
    assert first.headers["content-type"] == "application/json"
    assert second.content == b'{"a": 1.10}'
    assert second.url.params["id[in]"] == "1,2"


async def test_sends_no_body_and_no_content_type_when_there_is_none(server_of: Any, client_of: Any) -> None:
    server = server_of(OK)
    async with client_of(server) as client:
        await write(client)
    assert server.requests[0].content == b""
    assert "content-type" not in server.requests[0].headers


async def test_refuses_a_path_that_leaves_the_base(server_of: Any, client_of: Any) -> None:
    server = server_of(OK)
    async with client_of(server) as client:
        with pytest.raises(ConfigurationError):
            await client.read("GET", "/api/../admin", operation="list")
    assert server.requests == []


async def test_holds_concurrency_to_the_limit() -> None:
    running = highest = 0

    class Busy(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            nonlocal running, highest
            running += 1
            highest = max(highest, running)
            await asyncio.sleep(0.001)
            running -= 1
            return httpx.Response(200, json={})

    limits = Limits(concurrency=3, per_second=20)
    async with HttpClient("acme", "a", "https://acme.example", limits, transport=Busy()) as client:
        await asyncio.gather(*(client.read("GET", "/x", operation="x") for _ in range(12)))
    assert highest == 3


async def test_an_answer_that_drips_is_cut_off_by_the_attempts_own_limit() -> None:
    class Drip(httpx.AsyncByteStream):
        async def __aiter__(self) -> Any:
            while True:
                await asyncio.sleep(0.005)
                yield b" "

    class Dripping(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            return httpx.Response(200, stream=Drip())

    limits = Limits(concurrency=1, per_second=20, timeout_s=0.05)
    client = HttpClient("acme", "a", "https://acme.example", limits, transport=Dripping(), clock=SystemClock())
    async with client:
        with pytest.raises(UnknownOutcomeError, match="ReadTimeout"):
            await client.write("POST", "/x", operation="x", external_id="c:x:1")


async def test_a_login_that_renews_works_over_a_single_connection() -> None:
    """Over a real socket: the refused answer must give its connection back before the new login needs it."""
    heads: list[bytes] = []
    ended = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := await reader.readline():
            while (line := await reader.readline()).strip():
                head += line
            heads.append(head)
            good = b"Bearer new" in head or b"/token" in head
            status = b"200 OK" if good else b"401 Unauthorized"
            writer.write(b"HTTP/1.1 " + status + b"\r\nContent-Length: 2\r\n\r\n{}")
        writer.close()
        await writer.wait_closed()
        ended.set()

    class Renewing(httpx.Auth):
        async def async_auth_flow(self, request: httpx.Request) -> Any:
            request.headers["Authorization"] = "Bearer old"
            if (yield request).status_code == 401:
                await client.send_raw("GET", "/token", operation="login")
                request.headers["Authorization"] = "Bearer new"
                yield request

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    limits = Limits(concurrency=1, per_second=20, timeout_s=5)
    client = HttpClient("acme", "a", f"http://127.0.0.1:{port}", limits, auth=Renewing())
    async with client:
        response = await client.read("GET", "/x", operation="x")
    await ended.wait()
    listening.close()
    await listening.wait_closed()
    assert response.status_code == 200
    assert len(heads) == 3
