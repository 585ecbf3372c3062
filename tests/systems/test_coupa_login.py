"""Logging in to Coupa: one token for long, one renewal, one plain sentence for each thing that can be wrong."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from ml_connector.clock import ManualClock
from ml_connector.errors import AuthenticationError, ConfigurationError, TransientError
from ml_connector.http.tokens import MemoryTokenStore
from ml_connector.systems.coupa.client import CoupaClient
from ml_connector.systems.coupa.config import CoupaTenant
from tests.systems.coupa_server import CREDENTIALS, NOW, Coupa, invoice, open_coupa

Opened = Callable[..., CoupaClient]


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW)


@pytest.fixture
def opened(clock: ManualClock) -> Opened:
    store = MemoryTokenStore()

    def build(server: Any, *, login: Any = None, **tenant: Any) -> CoupaClient:
        credentials = CREDENTIALS.model_copy(update=login or {})
        return open_coupa(server, credentials=credentials, clock=clock, store=store, **tenant)

    return build


async def test_logs_in_once_and_sends_the_documented_headers(opened: Opened) -> None:
    server = Coupa(invoice(1))
    async with opened(server).http as http:
        client = CoupaClient(http, CoupaTenant())
        await client.invoices()
        await client.mark_exported(1, external_id="c:invoice:1", key="k1")
    token, listed, marked = server.requests
    assert token.headers["content-type"] == "application/x-www-form-urlencoded"
    assert b"grant_type=client_credentials" in token.content
    for request in (listed, marked):
        assert request.headers["accept"] == request.headers["content-type"] == "application/json"
        assert request.headers["x-coupa-api-version"] == "44"
        assert request.headers["user-agent"].startswith("ml-connector")
    assert token.headers["x-coupa-api-version"] == "44"
    assert marked.headers["idempotency-key"] == "k1"
    assert "idempotency-key" not in listed.headers
    assert marked.content == b""


async def test_leaves_optional_headers_out_when_their_setting_is_empty(opened: Opened) -> None:
    server = Coupa(invoice(1))
    client = opened(server, api_version="", idempotency_header="")
    await client.mark_exported(1, external_id="c:invoice:1", key="k1")
    assert not {"x-coupa-api-version", "idempotency-key"} & set(server.requests[-1].headers)


async def test_renews_once_on_401_in_the_middle_of_a_run(opened: Opened, clock: ManualClock) -> None:
    server = Coupa(invoice(1))
    client = opened(server)
    await client.invoices()
    clock.advance(60)
    server.tokens += 1  # the instance forgot the token
    assert len(await client.invoices()) == 1
    assert server.tokens == 3


async def test_gives_a_young_token_five_seconds(opened: Opened, clock: ManualClock) -> None:
    server = Coupa(invoice(1))
    server.faults = [httpx.Response(401)]
    assert len(await opened(server).invoices()) == 1
    assert (server.tokens, clock.monotonic()) == (1, 5)


async def test_renews_four_hours_before_the_end(opened: Opened, clock: ManualClock) -> None:
    server = Coupa(invoice(1))
    client = opened(server)
    await client.invoices()
    clock.advance(timedelta(hours=19, minutes=59).total_seconds())
    await client.invoices()
    assert server.tokens == 1
    clock.advance(120)
    await client.invoices()
    assert server.tokens == 2


async def test_another_scope_set_does_not_use_the_stored_token(opened: Opened) -> None:
    server = Coupa(invoice(1))
    await opened(server).invoices()
    await opened(server, login={"scopes": ("core.invoice.read",)}).invoices()
    assert server.tokens == 2


async def test_says_that_the_secret_is_wrong_and_never_tries_again(opened: Opened) -> None:
    server = Coupa()
    client = opened(server, login={"client_secret": SecretStr("wrong-s3cret")})
    for _ in range(2):
        with pytest.raises(AuthenticationError, match="client_id or client_secret is wrong") as caught:
            await client.invoices()
    assert "wrong-s3cret" not in str(caught.value)
    assert len(server.requests) == 1


async def test_names_the_scope_that_was_not_granted(opened: Opened) -> None:
    server = Coupa()
    server.granted = server.granted.replace("core.supplier.read ", "")
    with pytest.raises(ConfigurationError, match=r"drop core\.supplier\.read$"):
        await opened(server).invoices()


@pytest.mark.parametrize(
    ("answer", "kind", "text"),
    [
        (httpx.Response(400, json={"error": "unsupported_grant_type"}), ConfigurationError, "client credentials"),
        (httpx.Response(400, json={"error": "invalid_request"}), ConfigurationError, "invalid_request"),
        (httpx.Response(401), AuthenticationError, "client_secret"),
        (httpx.Response(403, json={"error": "access_denied"}), AuthenticationError, "access denied"),
        (httpx.Response(404, json={}), ConfigurationError, "base_url"),
        (httpx.Response(302, headers={"Location": "/login"}), ConfigurationError, "redirects"),
        (httpx.Response(200, text="<!DOCTYPE html><html>"), TransientError, "HTML page"),
        (httpx.Response(200, text="ok"), TransientError, "not JSON"),
        (httpx.Response(200, json={"token": "x"}), ConfigurationError, "access_token"),
        (httpx.Response(503), TransientError, "HTTP 503"),
        (httpx.Response(429), TransientError, "HTTP 429"),
        (httpx.ConnectError("refused"), TransientError, "ConnectError"),
    ],
    ids=str,
)
async def test_each_login_trouble_has_its_consequence(answer: Any, kind: Any, text: str, opened: Opened) -> None:
    def server(request: httpx.Request) -> httpx.Response:
        if isinstance(answer, Exception):
            raise answer
        return httpx.Response(answer.status_code, headers=dict(answer.headers), content=answer.content)

    with pytest.raises(kind, match=text) as caught:
        await opened(server).mark_exported(1, external_id="c:invoice:1", key="k")
    assert "\n" not in str(caught.value)
    assert "s3cretvalue" not in str(caught.value)


async def test_trouble_at_the_login_is_not_held_against_the_credential(opened: Opened) -> None:
    server = Coupa(invoice(1))
    down = [httpx.Response(503)] * 3

    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(down.pop().status_code) if down else server(request)

    client = opened(answer)
    with pytest.raises(TransientError):
        await client.invoices()
    assert len(await client.invoices()) == 1


async def test_basic_login_keeps_the_secret_out_of_the_form(opened: Opened) -> None:
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, json={"access_token": "t", "expires_in": 10} if len(seen) == 1 else [])

    await opened(answer, login={"sent_in": "basic"}).invoices()
    assert b"secret" not in seen[0].content
    assert seen[0].headers["authorization"].startswith("Basic ")


def test_refuses_an_instance_without_https() -> None:
    plain = CREDENTIALS.model_copy(update={"base_url": "http://acme.coupahost.com"})
    with pytest.raises(ConfigurationError, match="base_url of tenant acme"):
        open_coupa(Coupa(), credentials=plain)
