"""Logging in to QAD: never twice after a refusal, renewed before its end and after idling, one word per fault."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from ml_connector.clock import ManualClock
from ml_connector.errors import AuthenticationError, ConfigurationError, TransientError
from ml_connector.http.tokens import MemoryTokenStore
from ml_connector.systems.qad.client import QadClient
from ml_connector.systems.qad.config import QadBasicLogin, QadClientCredentialsLogin, QadSessionLogin
from tests.systems.qad_server import BASE, LOGIN, NOW, Qad, bare, open_qad, supplier

WRONG = SecretStr("wr0ng-word")
BASIC = QadBasicLogin(base_url=BASE, username="svc@acme", password=SecretStr("pa55-word"))
SESSION = QadSessionLogin(base_url=BASE, username="svc@acme", password=SecretStr("pa55-word"))
Opened = Callable[..., QadClient]


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW)


@pytest.fixture
def store() -> MemoryTokenStore:
    return MemoryTokenStore()


@pytest.fixture
def opened(clock: ManualClock, store: MemoryTokenStore) -> Opened:
    def build(server: Any, **more: Any) -> QadClient:
        return open_qad(server, **{"clock": clock, "store": store, **more})

    return build


def logins(server: Qad) -> list[httpx.Request]:
    return server.calls("/oauth/token") + server.calls("/qracore/login")


async def test_logs_in_once_for_many_calls_with_the_workspace_in_every_call(opened: Opened) -> None:
    server = Qad(supplier=[supplier()])
    client = opened(server)
    for _ in range(3):
        await client.browse("supplier", [])
    assert len(logins(server)) == 1
    assert all(call.headers["x-qad-workspace-id"] == "10USA_10USACO" for call in server.calls("/browses"))
    assert all(call.headers["Accept"] == "application/json" for call in server.seen)


async def test_credentials_travel_in_the_body_and_in_the_query_only_when_told(opened: Opened) -> None:
    server = Qad()
    await opened(server).browse("supplier", [])
    assert server.calls("/oauth/token")[0].url.query == b""
    other = Qad()
    await open_qad(other, login=LOGIN.model_copy(update={"credentials_in": "query"})).browse("supplier", [])
    sent = other.calls("/oauth/token")[0]
    assert sent.url.params["password"] == "pa55-word"
    assert sent.content == b""


async def test_a_wrong_password_is_tried_once_and_then_by_nobody(opened: Opened) -> None:
    server = Qad()
    login = LOGIN.model_copy(update={"password": WRONG})
    first, second = opened(server, login=login), opened(server, login=login)
    answers = await asyncio.gather(
        *(client.browse("supplier", []) for client in (first, second, first)), return_exceptions=True
    )
    with pytest.raises(AuthenticationError):
        await first.browse("supplier", [])
    assert all(isinstance(answer, AuthenticationError) for answer in answers)
    assert len(logins(server)) == 1


async def test_an_unknown_client_and_a_refused_session_login_are_final(
    opened: Opened, store: MemoryTokenStore
) -> None:
    server = Qad()
    with pytest.raises(AuthenticationError, match="invalid_client"):
        await opened(server, login=LOGIN.model_copy(update={"client_id": "OTHER"})).browse("supplier", [])
    with pytest.raises(AuthenticationError):
        await store.check_allowed("qad-acme")
    other = Qad()
    with pytest.raises(AuthenticationError, match="refuses the login"):
        await open_qad(other, login=SESSION.model_copy(update={"password": WRONG})).browse("supplier", [])
    assert len(logins(other)) == 1


@pytest.mark.parametrize(
    "trouble",
    [
        lambda request: httpx.Response(503),
        lambda request: httpx.Response(502, html="<html>gateway</html>"),
        lambda request: httpx.Response(200, html="<html>log in</html>"),
        lambda request: httpx.ReadTimeout("slow", request=request),
    ],
)
async def test_trouble_at_the_token_endpoint_denies_nobody_and_passes(opened: Opened, trouble: Any) -> None:
    server = Qad(supplier=[supplier()])
    server.fail("/oauth/token", trouble, times=20)
    client = opened(server)
    with pytest.raises(TransientError):
        await client.browse("supplier", [])
    server.faults.clear()
    assert len(await client.browse("supplier", [])) == 1


async def test_a_wrong_token_path_is_a_setting_to_correct(opened: Opened) -> None:
    server = Qad()
    server.fail("/oauth/token", lambda request: bare("404", "Not found"))
    with pytest.raises(ConfigurationError, match="base_url"):
        await opened(server).browse("supplier", [])


async def test_renews_by_refresh_token_before_the_end(opened: Opened, clock: ManualClock) -> None:
    server = Qad()
    client = opened(server, session_minutes=480, idle_minutes=480)
    await client.browse("supplier", [])
    clock.advance(1800 - 61)
    await client.browse("supplier", [])
    assert len(logins(server)) == 1
    clock.advance(2)
    await client.browse("supplier", [])
    assert [b"grant_type=refresh_token" in call.content for call in logins(server)] == [False, True]


async def test_renews_after_idling_and_not_while_in_use(opened: Opened, clock: ManualClock) -> None:
    server = Qad()
    server.rules = {"sessionLength": 480, "timeoutMinutes": 5}
    client = opened(server)
    for _ in range(3):
        await client.browse("supplier", [])
        clock.advance(5 * 60 - 20)
    assert server.minted == 1
    clock.advance(11)
    await client.browse("supplier", [])
    assert server.minted == 2


async def test_the_session_length_bounds_the_life_of_a_token(opened: Opened, clock: ManualClock) -> None:
    server = Qad()
    server.rules = {"sessionLength": 10, "timeoutMinutes": 0}
    client = opened(server)
    await client.browse("supplier", [])
    clock.advance(9 * 60 + 1)
    await client.browse("supplier", [])
    assert server.minted == 2


async def test_the_birth_counts_as_last_use_when_another_process_used_the_token(
    opened: Opened, clock: ManualClock
) -> None:
    server = Qad()
    await opened(server).browse("supplier", [])
    clock.advance(15 * 60 - 5)
    await opened(server).browse("supplier", [])
    assert server.minted == 2


async def test_a_refused_refresh_leads_to_exactly_one_full_login(opened: Opened, clock: ManualClock) -> None:
    server = Qad()
    client = opened(server)
    await client.browse("supplier", [])
    server.refreshes.clear()
    clock.advance(1800)
    await client.browse("supplier", [])
    assert len(logins(server)) == 3
    server.refreshes.clear()
    server.password = "changed"
    clock.advance(1800)
    with pytest.raises(AuthenticationError):
        await client.browse("supplier", [])
    with pytest.raises(AuthenticationError):
        await client.browse("supplier", [])
    assert len(logins(server)) == 5


async def test_refreshes_once_on_401_and_then_gives_up(opened: Opened) -> None:
    server = Qad()
    client = opened(server)
    await client.browse("supplier", [])
    server.tokens.clear()
    await client.browse("supplier", [])
    assert server.minted == 2
    server.fail("/browses", lambda request: bare("401", "Unauthorized"), times=2)
    with pytest.raises(AuthenticationError):
        await client.browse("supplier", [])
    assert server.minted == 3


async def test_a_missing_right_is_not_mistaken_for_an_ended_session(opened: Opened) -> None:
    server = Qad()
    server.rules = None
    await opened(server).browse("supplier", [])
    assert server.minted == 1


async def test_session_login_sends_the_workspace_and_uses_the_token(opened: Opened, clock: ManualClock) -> None:
    server = Qad()
    client = opened(server, login=SESSION)
    await client.browse("supplier", [])
    clock.advance(15 * 60 - 9)
    await client.browse("supplier", [])
    assert len(server.calls("/qracore/login")) == 2
    assert server.calls("/browses")[0].headers["Authorization"] == "Bearer s-1"


async def test_basic_login_stops_at_the_first_401(opened: Opened, store: MemoryTokenStore) -> None:
    server = Qad(supplier=[supplier()])
    assert len(await opened(server, login=BASIC).browse("supplier", [])) == 1
    wrong = open_qad(server, login=BASIC.model_copy(update={"password": WRONG}), store=store)
    before = len(server.seen)
    answers = await asyncio.gather(*(wrong.browse("supplier", []) for _ in range(4)), return_exceptions=True)
    assert all(isinstance(answer, AuthenticationError) for answer in answers)
    assert len(server.seen) == before + 1
    with pytest.raises(AuthenticationError):
        await store.check_allowed("qad-acme")


async def test_client_credentials_may_come_from_another_host(opened: Opened) -> None:
    server = Qad()
    login = QadClientCredentialsLogin(
        base_url=BASE, client_id="CID", client_secret=SecretStr("s3cret"), token_url="http://localhost:9/id/oauth/token"
    )
    server.fail("/id/oauth/token", server._token)
    await opened(server, login=login).browse("supplier", [])
    sent = server.calls("/oauth/token")[0]
    assert sent.url.host == "localhost"
    assert "x-qad-workspace-id" not in sent.headers


async def test_secrets_show_nowhere(opened: Opened, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    server = Qad()
    login = LOGIN.model_copy(update={"credentials_in": "query"})
    client = opened(server, login=login)
    await client.browse("supplier", [])
    server.tokens.clear()
    server.refreshes.clear()
    server.password = "changed"
    with pytest.raises(AuthenticationError) as caught:
        await client.browse("supplier", [])
    shown = caplog.text + str(caught.value) + repr(login) + repr(caught.value.__cause__)
    assert "pa55-word" not in shown
    assert "eyJ-1" not in shown
