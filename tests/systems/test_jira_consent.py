"""A person's consent: the address to open, the answer to believe, the token that begins a family."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from ml_connector.errors import AuthenticationError, ConfigurationError, ContractError, TransientError
from ml_connector.http.tokens import Token
from ml_connector.systems.jira.auth import consent_age_days
from ml_connector.systems.jira.consent import authorize_url, check_state, exchange, new_state, read_answer, sites_of
from ml_connector.systems.jira.models import Site
from ml_connector.systems.jira.sites import chosen_site, cloud_id_at
from tests.systems.jira_server import CLOUD, NOW, OAUTH, SECRET, SITE, Bench, caught

BACK = "http://127.0.0.1:8787/callback"


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    found = Bench()
    yield found
    await found.close()


def test_the_address_asks_for_lasting_consent_and_holds_no_secret() -> None:
    state = new_state()
    url = authorize_url(OAUTH, BACK, state)
    asked = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
    assert url.startswith("https://auth.atlassian.com/authorize?")
    assert asked == {
        "audience": "api.atlassian.com",
        "client_id": "app",
        "scope": "read:jira-work write:jira-work read:jira-user manage:jira-webhook offline_access",
        "redirect_uri": BACK,
        "state": state,
        "response_type": "code",
        "prompt": "consent",
    }
    assert SECRET not in url


def test_a_consent_that_would_not_last_is_not_asked_for() -> None:
    with pytest.raises(ConfigurationError, match="offline_access"):
        authorize_url(OAUTH.model_copy(update={"scopes": ("read:jira-work",)}), BACK, "state")


def test_states_are_long_and_never_the_same() -> None:
    states = {new_state() for _ in range(100)}
    assert len(states) == 100
    assert min(len(one) for one in states) >= 40


@pytest.mark.parametrize(("given", "expected"), [("", "s"), ("x", "s"), ("", ""), ("é", "e")])
def test_an_answer_with_a_foreign_state_is_refused(given: str, expected: str) -> None:
    with pytest.raises(AuthenticationError, match="start again"):
        check_state(given, expected)


def test_the_answer_brings_a_code_or_says_why_not() -> None:
    assert read_answer({"state": "s", "code": "code-1"}, "s") == "code-1"
    denied = {"state": "s", "error": "access_denied", "error_description": "User did not authorize the request"}
    for query, text in (
        (denied, "consent was not given"),
        ({"state": "s", "error": "invalid_scope"}, "invalid_scope"),
        ({"state": "s", "error": "<script>"}, "an error"),
        ({"state": "s"}, "no code"),
        ({**denied, "state": "t"}, "start again"),
    ):
        with pytest.raises(AuthenticationError, match=text):
            read_answer(query, "s")


async def test_a_code_becomes_the_first_token_of_a_family(bench: Bench) -> None:
    token = await exchange(OAUTH, "code-1", BACK, clock=bench.clock, transport=bench.wire)
    assert (token.access, token.refresh) == ("access-1", "refresh-1")
    assert token.expires_at == NOW + timedelta(hours=1)
    assert token.extra["consented_at"] == NOW.isoformat()
    assert consent_age_days(token, NOW + timedelta(days=335, hours=1)) == 335
    assert bench.jira.bodies[0][2] == {
        "grant_type": "authorization_code",
        "client_id": "app",
        "client_secret": SECRET,
        "code": "code-1",
        "redirect_uri": BACK,
    }


async def test_the_first_token_works_once_it_is_in_the_store(bench: Bench) -> None:
    token = await exchange(OAUTH, "code-1", BACK, clock=bench.clock, transport=bench.wire)

    async def given(_: Token | None) -> Token:
        return token

    await bench.store.renew("jira", None, given)
    client = bench.open(OAUTH)
    assert (await client.myself()).display_name == "Connector"
    assert await client.consent_age_days() == 0


async def test_a_used_up_code_a_lost_answer_and_a_passing_consent_are_told_apart(bench: Bench) -> None:
    await caught(exchange(OAUTH, "old", BACK, clock=bench.clock, transport=bench.wire), AuthenticationError)
    bench.wire.lost = ["/oauth/token"]
    lost = await caught(exchange(OAUTH, "code-1", BACK, clock=bench.clock, transport=bench.wire), TransientError)
    assert "start again" in str(lost)
    short = httpx.Response(200, json={"access_token": "a", "expires_in": 3600})
    bench.wire.instead = [("/oauth/token", short)]
    await caught(exchange(OAUTH, "code-1", BACK, clock=bench.clock, transport=bench.wire), ConfigurationError)


async def test_the_sites_of_a_fresh_consent_are_those_of_jira(bench: Bench) -> None:
    token = await exchange(OAUTH, "code-1", BACK, clock=bench.clock, transport=bench.wire)
    nowhere = OAUTH.model_copy(update={"cloud_id": "", "site_url": ""})
    sites = await sites_of(nowhere, token, clock=bench.clock, transport=bench.wire)
    assert [(one.cloud_id, one.url) for one in sites] == [(CLOUD, SITE)]
    bench.wire.instead = [("/accessible-resources", httpx.Response(200, json={}))]
    await caught(sites_of(nowhere, token, clock=bench.clock, transport=bench.wire), ContractError)


def test_one_site_is_chosen_and_never_guessed() -> None:
    one, two = (Site(cloud_id=name, url=f"https://{name}.atlassian.net", name=name) for name in ("acme", "beta"))
    assert chosen_site([one]) is one
    assert chosen_site([one, two], "https://BETA.atlassian.net/") is two
    for sites, wanted, text in (
        ([], "", "reaches no Jira site"),
        ([one, two], "", "several sites, name one of them: https://acme"),
        ([one], "https://beta.atlassian.net", "does not reach https://beta"),
    ):
        with pytest.raises(ConfigurationError, match=text):
            chosen_site(sites, wanted)


async def test_a_site_tells_its_cloud_id_to_anybody(bench: Bench) -> None:
    found = await cloud_id_at(SITE, allow_private=True, clock=bench.clock, transport=bench.wire)
    assert found == CLOUD
    for answer in (httpx.Response(404), httpx.Response(200, text="<html>"), httpx.Response(200, json={})):
        bench.wire.instead = [("/tenant_info", answer)]
        lookup = cloud_id_at(SITE, allow_private=True, clock=bench.clock, transport=bench.wire)
        assert "no Jira site" in str(await caught(lookup, ConfigurationError))
