"""Consent at the browser: a page of this machine takes the one answer that belongs to it, and the site is found out."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from pydantic import SecretStr

from blocks import JiraApiTokenCredentials, JiraOAuthCredentials, JiraServiceAccountCredentials
from deployments import asking, consent
from deployments.consent import Dance, ask_for_consent
from deployments.home import Home
from deployments.jira_logins import complete, keep_consent
from ml_connector.errors import AuthenticationError, ConfigurationError, TransientError
from ml_connector.installation import Installation
from ml_connector.settings import Settings
from ml_connector.systems.jira.config import JiraOAuthLogin
from sandbox.jira.app import create
from sandbox.jira.options import CLOUD_ID
from sandbox.kit.serve import running

Browse = Callable[[str], bool]


@pytest.fixture
async def site() -> AsyncIterator[str]:
    """A stand-in site."""
    async with running(create()) as url:
        yield url


@pytest.fixture
def dance() -> Dance:
    """A callback page at a port that nobody uses."""
    with closing(socket.socket()) as listener:
        listener.bind(("127.0.0.1", 0))
        return Dance(port=listener.getsockname()[1], patience_s=20)


def _login(site: str) -> JiraOAuthLogin:
    secret = SecretStr("jira-demo-secret")
    return JiraOAuthLogin(client_id="jira-demo-client", client_secret=secret, api_url=site, auth_url=site)


def _oauth(site: str) -> JiraOAuthCredentials:
    secret = SecretStr("jira-demo-secret")
    return JiraOAuthCredentials(
        client_id="jira-demo-client", client_secret=secret, site_url="", api_url=site, auth_url=site
    )


def _browser(monkeypatch: pytest.MonkeyPatch, *visits: Callable[[str, httpx.Client], None]) -> list[str]:
    """A browser that makes these visits, or else just follows the page to its end; what it was shown."""
    shown: list[str] = []

    def follow(url: str) -> bool:
        with httpx.Client(trust_env=False, follow_redirects=True, timeout=10) as client:
            for visit in visits:
                visit(url, client)
            shown.append(client.get(url).text)
        return True

    monkeypatch.setattr(consent, "open_browser", follow)
    return shown


async def test_a_person_consents_and_the_browser_says_that_it_can_be_closed(
    site: str, dance: Dance, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = _browser(monkeypatch)
    token = await ask_for_consent(_login(site), dance)
    assert token.access and token.refresh
    assert token.extra["consented_at"]
    assert "You can close this window" in shown[0]
    told = capsys.readouterr().err
    assert f"{site}/authorize?" in told
    assert dance.redirect_uri in told
    assert "jira-demo-secret" not in told + shown[0]
    assert token.access not in told


async def test_a_refusal_is_told_at_the_terminal_and_in_the_browser(
    dance: Dance, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = _browser(monkeypatch)
    async with running(create(options={"consent": "deny"})) as site:
        with pytest.raises(AuthenticationError, match="consent was not given"):
            await ask_for_consent(_login(site), dance)
    assert "Consent was not given" in shown[0]


async def test_an_answer_with_another_state_is_turned_away_and_the_wait_goes_on(
    site: str, dance: Dance, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers: list[httpx.Response] = []

    def attack(url: str, client: httpx.Client) -> None:
        for query in ("state=guess&code=stolen", "code=stolen", "state=&error=access_denied", ""):
            answers.append(client.get(f"{dance.redirect_uri}?{query}"))
        answers.append(client.get(f"http://127.0.0.1:{dance.port}/elsewhere"))
        answers.append(client.post(dance.redirect_uri))

    _browser(monkeypatch, attack)
    assert (await ask_for_consent(_login(site), dance)).access
    assert [one.status_code for one in answers] == [400, 400, 400, 400, 404, 404]


async def test_a_browser_that_says_nothing_or_too_much_does_not_end_the_wait(
    site: str, dance: Dance, monkeypatch: pytest.MonkeyPatch
) -> None:
    def babble(_url: str, _client: httpx.Client) -> None:
        for noise in (b"", b"\x00\xff\r\n\r\n", b"GET /callback" + b"x" * 100_000):
            with closing(socket.create_connection(("127.0.0.1", dance.port), timeout=5)) as caller:
                caller.sendall(noise)

    _browser(monkeypatch, babble)
    assert (await ask_for_consent(_login(site), dance)).access


async def test_the_wait_for_a_person_ends(site: str, dance: Dance, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consent, "open_browser", lambda _url: True)
    with pytest.raises(TransientError, match="nobody has consented within"):
        await ask_for_consent(_login(site), Dance(dance.port, patience_s=0.2))
    # The page has gone with it.
    with pytest.raises(ConnectionError):
        await asyncio.open_connection("127.0.0.1", dance.port)


async def test_a_taken_port_is_named_with_the_way_out(site: str, dance: Dance) -> None:
    with closing(socket.socket()) as other:
        other.bind(("127.0.0.1", dance.port))
        other.listen()
        with pytest.raises(ConfigurationError, match=rf"port {dance.port} .*--redirect-port"):
            await ask_for_consent(_login(site), dance)


async def test_without_a_browser_the_address_is_shown_for_another_machine(
    site: str, dance: Dance, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(consent, "open_browser", lambda _url: pytest.fail("a browser was opened"))
    asked = asyncio.create_task(ask_for_consent(_login(site), Dance(dance.port, browser=False, patience_s=20)))
    told = ""
    while "ssh -L" not in told:
        await asyncio.sleep(0.01)
        told += capsys.readouterr().err
    url = next(line.strip() for line in told.splitlines() if "/authorize?" in line)
    assert parse_qs(urlsplit(url).query)["prompt"] == ["consent"]
    async with httpx.AsyncClient(trust_env=False, follow_redirects=True) as elsewhere:
        await elsewhere.get(url)
    assert (await asked).access


async def test_several_sites_are_asked_about_and_a_named_one_is_taken(
    site: str, dance: Dance, monkeypatch: pytest.MonkeyPatch
) -> None:
    _browser(monkeypatch)
    monkeypatch.setattr(asking, "somebody_there", lambda: False)
    with pytest.raises(ConfigurationError, match=r"--site is missing; there is: .+, .+"):
        await complete(_oauth(site), site="", dance=dance)
    done = await complete(_oauth(site), site=site, dance=dance)
    assert (done.block.cloud_id, done.block.site_url) == (CLOUD_ID, site)
    assert done.token is not None
    with pytest.raises(ConfigurationError, match=r"does not reach https://other\.example; it reaches"):
        await complete(_oauth(site), site="https://other.example", dance=dance)


async def test_the_cloud_id_of_a_service_account_is_found_out(site: str, dance: Dance) -> None:
    secret = SecretStr("jira-svc-secret")
    block = JiraServiceAccountCredentials(
        client_id="jira-svc-client", client_secret=secret, site_url=site, api_url=site, auth_url=site
    )
    assert (await complete(block, site="", dance=dance)).block.cloud_id == CLOUD_ID


@pytest.mark.parametrize(("token", "cloud_id"), [("jira-demo-token", ""), ("jira-scoped-token", CLOUD_ID)])
async def test_a_token_with_scopes_is_recognised(site: str, dance: Dance, token: str, cloud_id: str) -> None:
    block = JiraApiTokenCredentials(email="connector@acme.example", token=SecretStr(token), site_url=site, api_url=site)
    assert (await complete(block, site="", dance=dance)).block.cloud_id == cloud_id


async def test_a_token_that_works_nowhere_is_refused(site: str, dance: Dance) -> None:
    block = JiraApiTokenCredentials(email="a@b.example", token=SecretStr("x"), site_url=site, api_url=site)
    with pytest.raises(AuthenticationError):
        await complete(block, site="", dance=dance)


async def test_a_new_consent_replaces_the_former_and_its_refusal(
    site: str, dance: Dance, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    _browser(monkeypatch)
    home = Settings(home=tmp_path / "home")
    Home.open(home)
    first, second = [await ask_for_consent(_login(site), dance) for _ in range(2)]
    async with Installation.open(home) as one:
        await keep_consent(one.vault, "jira/acme", first)
        assert (await one.vault.load("jira/acme")) == first
        await one.vault.deny("jira/acme", "withdrawn")
        await keep_consent(one.vault, "jira/acme", second)
        await one.vault.check_allowed("jira/acme")
        assert (await one.vault.load("jira/acme")) == second
