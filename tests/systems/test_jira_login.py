"""Logging in to Jira: three ways, one refresh at a time, and no denial for what is only trouble."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from pydantic import SecretStr, TypeAdapter, ValidationError

from ml_connector.errors import (
    AuthenticationError,
    ConfigurationError,
    PermissionDeniedError,
    RateLimitedError,
    TransientError,
    UnknownOutcomeError,
)
from ml_connector.http.tokens import MemoryTokenStore, Mint, Token
from ml_connector.store.crypto import Keys
from ml_connector.store.database import Database
from ml_connector.store.vault import Vault
from ml_connector.systems.jira.config import JiraTenant
from tests.systems.jira_server import CLASSIC, NOW, OAUTH, SCOPED, SECRET, SERVICE, SITE, Bench, Wire, caught

TOKEN = TypeAdapter(Token)


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    found = Bench()
    yield found
    await found.close()


def refreshes(wire: Wire) -> int:
    """How often the token endpoint was asked."""
    return len(wire.to("/oauth/token"))


async def test_a_service_account_logs_in_once_and_goes_through_the_gateway(bench: Bench) -> None:
    client = bench.open(SERVICE)
    for _ in range(3):
        assert (await client.myself()).account_id == "acc:1"
    assert refreshes(bench.wire) == 1
    assert bench.jira.bodies[0][2] == {"grant_type": "client_credentials", "client_id": "svc", "client_secret": SECRET}
    asked = bench.wire.to("/myself")[0]
    assert asked.url.host == "api.atlassian.com"
    assert asked.headers["authorization"] == "Bearer access-1"
    assert await client.who_am_i() == f"acc:1 at {SITE}"


async def test_a_classic_token_goes_to_the_site_and_a_scoped_one_through_the_gateway(bench: Bench) -> None:
    for login, host in ((CLASSIC, "acme.atlassian.net"), (SCOPED, "api.atlassian.com")):
        await bench.open(login).myself()
        assert bench.wire.requests[-1].url.host == host
        assert bench.wire.requests[-1].headers["authorization"].startswith("Basic ")
    assert refreshes(bench.wire) == 0


async def test_a_consent_is_refreshed_early_and_the_new_refresh_token_is_kept(bench: Bench) -> None:
    await bench.consented()
    client = bench.open(OAUTH)
    bench.clock.advance(3600 - 181)
    await client.myself()
    assert refreshes(bench.wire) == 0
    bench.clock.advance(2)
    await client.myself()
    kept = await bench.store.load("jira")
    assert refreshes(bench.wire) == 1
    assert kept is not None
    assert (kept.refresh, kept.access) == ("refresh-2", "access-2")


async def test_the_day_of_consent_survives_every_refresh(bench: Bench) -> None:
    await bench.consented()
    client = bench.open(OAUTH)
    for _ in range(4):
        bench.clock.advance(timedelta(days=80).total_seconds())
        await client.myself()
    assert await client.consent_age_days() == 320
    assert bench.jira.family[-1] == "refresh-5"


async def test_many_calls_at_once_use_up_one_refresh_token(bench: Bench) -> None:
    await bench.consented()
    client = bench.open(OAUTH)
    bench.clock.advance(3600)
    await asyncio.gather(*(client.myself() for _ in range(20)))
    assert refreshes(bench.wire) == 1


async def test_renews_once_on_401_in_the_middle_of_a_run(bench: Bench) -> None:
    client = bench.open(SERVICE)
    await client.myself()
    bench.jira.minted += 1  # the gateway forgot the token
    await client.myself()
    assert refreshes(bench.wire) == 2


async def test_a_second_401_is_final_for_the_call(bench: Bench) -> None:
    client = bench.open(SERVICE)
    no = httpx.Response(401, json={"code": 401, "message": "Unauthorized"})
    bench.wire.instead = [("/myself", no), ("/myself", no)]
    assert "connect it again" in str(await caught(client.myself(), AuthenticationError))
    assert refreshes(bench.wire) == 2


async def test_a_missing_scope_is_never_answered_by_a_refresh(bench: Bench) -> None:
    bench.jira.scopes = "write:jira-work read:jira-user"
    client = bench.open(SERVICE)
    error = await caught(client.myself(), PermissionDeniedError)
    assert "consent again" in str(error)
    assert refreshes(bench.wire) == 1
    assert len(bench.wire.to("/myself")) == 1


async def test_an_answer_that_was_lost_is_asked_for_again_with_the_same_refresh_token(bench: Bench) -> None:
    await bench.consented()
    client = bench.open(OAUTH)
    bench.clock.advance(3600)
    bench.wire.lost = ["/oauth/token"]
    await client.myself()
    asked = [body["refresh_token"] for _, path, body in bench.jira.bodies if path == "/oauth/token"]
    assert asked == ["refresh-1", "refresh-1"]


async def test_a_crash_between_answer_and_store_recovers_within_the_leeway(bench: Bench) -> None:
    await bench.consented()
    bench.clock.advance(3600)

    kept = bench.store

    class Crashing(MemoryTokenStore):
        async def renew(self, slot: str, stale: Token | None, mint: Mint) -> Token:
            await mint(await kept.load(slot))
            raise KeyboardInterrupt

    bench.store = Crashing()
    with pytest.raises(KeyboardInterrupt):
        await bench.open(OAUTH).myself()
    bench.store = kept
    bench.clock.advance(500)
    assert (await bench.open(OAUTH).myself()).account_id == "acc:1"
    assert refreshes(bench.wire) == 2


async def test_a_refresh_token_that_is_used_again_too_late_ends_the_consent(bench: Bench) -> None:
    await bench.consented()
    bench.jira.spent_at["refresh-1"] = NOW
    bench.clock.advance(3600)
    client = bench.open(OAUTH)
    for _ in range(2):
        error = await caught(client.myself(), AuthenticationError)
        assert "connect it again" in str(error)
    assert refreshes(bench.wire) == 1
    assert "refresh-1" not in str(error)


async def test_trouble_at_the_token_endpoint_denies_nobody(bench: Bench) -> None:
    client = bench.open(SERVICE, attempts=1)
    page = httpx.Response(403, text="<html>blocked</html>")
    trouble: list[httpx.Response | Exception] = [
        httpx.Response(503),
        httpx.Response(200, text="ok"),
        page,
        httpx.ConnectError("down"),
    ]
    for fault in trouble:
        bench.wire.instead = [("/oauth/token", fault)]
        await caught(client.myself(), TransientError)
    assert (await client.myself()).active


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (401, {"error": "access_denied"}, AuthenticationError),
        (403, {"error": "invalid_grant"}, AuthenticationError),
        (400, {"error": "unsupported_grant_type"}, ConfigurationError),
        (404, {}, ConfigurationError),
        (302, {}, ConfigurationError),
        (429, {}, RateLimitedError),
        (500, {"error": "server_error"}, TransientError),
        (200, {"token": "x"}, TransientError),
    ],
)
async def test_each_answer_of_the_token_endpoint_has_its_consequence(
    status: int, body: object, kind: type[Exception], bench: Bench
) -> None:
    bench.wire.instead = [("/oauth/token", httpx.Response(status, json=body))]
    error = await caught(bench.open(SERVICE, attempts=1).myself(), kind)
    assert type(error) is kind
    assert SECRET not in str(error)


async def test_a_wrong_secret_is_tried_once(bench: Bench) -> None:
    client = bench.open(SERVICE.model_copy(update={"client_secret": SecretStr("wrong-s3cret")}))
    for _ in range(2):
        error = await caught(client.myself(), AuthenticationError)
    assert "client_id or client_secret is wrong" in str(error)
    assert "wrong-s3cret" not in str(error)
    assert refreshes(bench.wire) == 1


async def test_a_wrong_api_token_stops_every_other_call(bench: Bench) -> None:
    client = bench.open(CLASSIC.model_copy(update={"token": SecretStr("wrong-t0ken")}))
    error = await caught(client.myself(), AuthenticationError)
    assert "wrong-t0ken" not in str(error)
    await caught(bench.open(CLASSIC).myself(), AuthenticationError)
    assert len(bench.wire.requests) == 1


async def test_an_answer_given_to_a_stranger_is_not_believed(bench: Bench) -> None:
    marked = {"X-Seraph-LoginReason": "AUTHENTICATED_FAILED"}
    bench.wire.instead = [("/search/jql", httpx.Response(200, json={"issues": []}, headers=marked))]
    pages = bench.open(CLASSIC).search("project = AP", fields=["summary"])
    await caught(anext(pages), AuthenticationError)


async def test_a_write_accepted_from_a_stranger_is_in_doubt(bench: Bench) -> None:
    marked = {"X-Seraph-LoginReason": "AUTHENTICATED_FAILED"}
    bench.wire.instead = [("/issue", httpx.Response(201, json={"id": "1", "key": "AP-1"}, headers=marked))]
    await caught(bench.open(CLASSIC).create({"fields": {}}, "c:1"), UnknownOutcomeError)


async def test_without_consent_nobody_is_asked(bench: Bench) -> None:
    error = await caught(bench.open(OAUTH).myself(), AuthenticationError)
    assert "nobody has given consent" in str(error)
    assert bench.wire.requests == []


async def test_a_refusal_counts_for_nothing_when_another_process_has_renewed_meanwhile(
    bench: Bench, db: Database, keys: Keys
) -> None:
    def encode(token: Token) -> dict[str, object]:
        packed: dict[str, object] = TOKEN.dump_python(token, mode="json")
        return packed

    vault = Vault(db, keys, bench.clock, encode=encode, decode=TOKEN.validate_python)
    bench.store = vault
    old = await bench.consented()
    bench.clock.advance(3600)
    client = bench.open(OAUTH)

    class Overtaken(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            bench.clock.advance(61)  # our turn is over, and somebody else renews

            async def other(_: Token | None) -> Token:
                fresh = NOW + timedelta(days=1)
                return Token(access="access-1", refresh="refresh-9", minted_at=NOW, expires_at=fresh)

            await vault.renew("jira", old, other)
            return httpx.Response(403, json={"error": "invalid_grant"})

    inner = bench.wire.handle_async_request

    async def routed(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/oauth/token":
            return await Overtaken().handle_async_request(request)
        return await inner(request)

    bench.wire.handle_async_request = routed  # type: ignore[method-assign]
    assert (await client.myself()).account_id == "acc:1"
    kept = await vault.load("jira")
    assert kept is not None and kept.refresh == "refresh-9"
    await vault.check_allowed("jira")


async def test_every_login_keeps_its_secrets_out_of_sight(bench: Bench, tmp_path: Path) -> None:
    await bench.consented()
    client = bench.open(OAUTH)
    bench.clock.advance(3600)
    await client.myself()
    shown = "".join(str(one.url) for one in bench.wire.requests) + repr(OAUTH) + repr(CLASSIC) + repr(client)
    for secret in (SECRET, "refresh-", "access-", "api-t0ken-value"):
        assert secret not in shown


async def test_a_login_without_its_site_says_so_before_any_call(bench: Bench) -> None:
    client = bench.open(SERVICE.model_copy(update={"cloud_id": ""}))
    assert "cloud_id" in str(await caught(client.myself(), ConfigurationError))
    assert [(one.url, one.cloud_id[:8]) for one in await client.sites()] == [(SITE, "11223344")]


@pytest.mark.parametrize(
    "change",
    [{"site_url": "http://acme.atlassian.net"}, {"api_url": "http://api.example.com"}, {"auth_url": "ftp://x.example"}],
)
async def test_refuses_a_site_without_https(change: dict[str, str], bench: Bench) -> None:
    with pytest.raises(ConfigurationError, match="https"):
        bench.open(OAUTH.model_copy(update=change))
    bench.open(OAUTH.model_copy(update={"site_url": "http://127.0.0.1:8080", "api_url": "http://127.0.0.1:8080"}))


def test_refuses_a_cloud_id_that_could_leave_its_place() -> None:
    with pytest.raises(ValidationError, match="cloud id"):
        type(SERVICE)(client_id="a", client_secret=SecretStr("b"), site_url=SITE, cloud_id="../admin")


@pytest.mark.parametrize("wrong", [{"project": "ap x"}, {"token_field": "10101"}, {"property_key": ""}])
def test_refuses_settings_that_jira_cannot_know(wrong: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        JiraTenant.model_validate(wrong)
