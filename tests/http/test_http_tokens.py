"""One renewal, one wait for a young token, one refresher at a time, and no login after a definite refusal."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest

from ml_connector.clock import ManualClock
from ml_connector.errors import AuthenticationError, TransientError
from ml_connector.http.tokens import MemoryTokenStore, Token, TokenAuth


class Minter:
    """Mints tokens named t1, t2, ... after a moment; `error` is raised instead when set."""

    def __init__(self, clock: ManualClock) -> None:
        self.clock = clock
        self.count = 0
        self.error: Exception | None = None

    async def __call__(self, current: Token | None) -> Token:
        self.count += 1
        await asyncio.sleep(0)
        if self.error:
            raise self.error
        now = self.clock.now()
        return Token(access=f"t{self.count}", minted_at=now, expires_at=now + timedelta(hours=24))


def fresh(token: Token, now: datetime) -> bool:
    return now < token.expires_at


@pytest.fixture
def minter(clock: ManualClock) -> Minter:
    return Minter(clock)


@pytest.fixture
def store() -> MemoryTokenStore:
    return MemoryTokenStore()


@pytest.fixture
def auth_of(minter: Minter, store: MemoryTokenStore, clock: ManualClock) -> Callable[..., TokenAuth]:
    def build(**extra: Any) -> TokenAuth:
        return TokenAuth(store, "slot", mint=minter, clock=clock, fresh_for=fresh, **extra)

    return build


async def drive(auth: TokenAuth, *statuses: int) -> list[str]:
    """The Authorization headers sent when the server answers with these statuses."""
    sent: list[str] = []
    flow = auth.async_auth_flow(httpx.Request("GET", "https://acme.example/x"))
    request = await anext(flow)
    sent.append(request.headers["Authorization"])
    for status in statuses:
        try:
            request = await flow.asend(httpx.Response(status, request=request))
        except StopAsyncIteration:
            return sent
        sent.append(request.headers["Authorization"])
    await flow.aclose()
    return [*sent, "unfinished"]


async def test_mints_once_and_reuses_the_token(auth_of: Any, minter: Minter) -> None:
    auth = auth_of()
    assert await drive(auth, 200) == ["Bearer t1"]
    assert await drive(auth, 200) == ["Bearer t1"]
    assert minter.count == 1


async def test_renews_once_on_401_and_retries(auth_of: Any, minter: Minter, clock: ManualClock) -> None:
    auth = auth_of()
    await drive(auth, 200)
    assert await drive(auth, 401, 200) == ["Bearer t1", "Bearer t2"]


async def test_returns_the_second_401_to_the_caller(auth_of: Any) -> None:
    assert await drive(auth_of(), 401, 401) == ["Bearer t1", "Bearer t2"]


async def test_waits_for_a_token_that_is_not_active_yet(auth_of: Any, minter: Minter, clock: ManualClock) -> None:
    assert await drive(auth_of(young_retry_s=10), 401, 200) == ["Bearer t1", "Bearer t1"]
    assert clock.monotonic() == 5
    assert minter.count == 1


async def test_a_young_token_refused_twice_is_not_renewed(auth_of: Any, minter: Minter) -> None:
    assert await drive(auth_of(young_retry_s=10), 401, 401) == ["Bearer t1", "Bearer t1"]
    assert minter.count == 1


async def test_an_old_token_is_renewed_and_the_new_one_given_its_moment(auth_of: Any, clock: ManualClock) -> None:
    auth = auth_of(young_retry_s=10)
    await drive(auth, 200)
    clock.advance(60)
    assert await drive(auth, 401, 401, 200) == ["Bearer t1", "Bearer t2", "Bearer t2"]


async def test_uses_a_token_that_another_process_renewed(
    auth_of: Any, store: MemoryTokenStore, minter: Minter, clock: ManualClock
) -> None:
    auth = auth_of()
    await drive(auth, 200)
    other = Token(access="other", minted_at=clock.now(), expires_at=clock.now() + timedelta(hours=1))

    async def mint(current: Token | None) -> Token:
        return other

    await store.renew("slot", await store.load("slot"), mint)
    assert await drive(auth, 401, 200) == ["Bearer t1", "Bearer other"]
    assert minter.count == 1


async def test_eight_callers_cause_one_renewal(auth_of: Any, minter: Minter) -> None:
    auth = auth_of()
    await asyncio.gather(*(drive(auth, 200) for _ in range(8)))
    assert minter.count == 1


async def test_renews_a_token_that_is_no_longer_fresh(auth_of: Any, clock: ManualClock) -> None:
    auth = auth_of()
    await drive(auth, 200)
    clock.advance(86_400)
    assert await drive(auth, 200) == ["Bearer t2"]


async def test_a_definite_refusal_stops_every_later_login(auth_of: Any, minter: Minter) -> None:
    minter.error = AuthenticationError("client id or secret is wrong")
    for _ in range(3):
        with pytest.raises(AuthenticationError, match="client id or secret is wrong"):
            await drive(auth_of(), 200)
    assert minter.count == 1


async def test_trouble_at_the_login_denies_nobody(auth_of: Any, minter: Minter) -> None:
    minter.error = TransientError("HTTP 503")
    with pytest.raises(TransientError):
        await drive(auth_of(), 200)
    minter.error = None
    assert await drive(auth_of(), 200) == ["Bearer t2"]


async def test_learns_within_seconds_that_another_process_was_refused(
    auth_of: Any, store: MemoryTokenStore, clock: ManualClock
) -> None:
    auth = auth_of()
    await drive(auth, 200)
    await store.deny("slot", "refused elsewhere")
    clock.advance(15)
    with pytest.raises(AuthenticationError, match="refused elsewhere"):
        await drive(auth, 200)


async def test_header_and_prefix_can_be_another(auth_of: Any) -> None:
    flow = auth_of(header="X-Session", prefix="").async_auth_flow(httpx.Request("GET", "https://acme.example/x"))
    assert (await anext(flow)).headers["X-Session"] == "t1"
    await flow.aclose()


def test_cannot_be_used_without_async(auth_of: Callable[..., TokenAuth]) -> None:
    with pytest.raises(RuntimeError):
        auth_of().sync_auth_flow(httpx.Request("GET", "https://acme.example/x"))


def test_a_token_hides_its_secrets(clock: ManualClock) -> None:
    token = Token(access="abc", refresh="def", minted_at=clock.now(), expires_at=clock.now(), extra={"s": "ghi"})
    assert not any(secret in repr(token) for secret in ("abc", "def", "ghi"))
