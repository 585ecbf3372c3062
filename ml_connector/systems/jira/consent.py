"""A person's consent to the OAuth app, without the browser: the address to open, the answer to check, the first token.

README, "Consent": what is asked for, how long it lasts, and why the state must be compared.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Mapping
from dataclasses import replace

import httpx

from ml_connector.clock import Clock
from ml_connector.errors import AuthenticationError, ConfigurationError, TransientError
from ml_connector.http.client import HttpClient
from ml_connector.http.tokens import Token
from ml_connector.http.urls import check_base_url
from ml_connector.systems.jira.auth import LOGIN_LIMITS, TokenEndpoint
from ml_connector.systems.jira.config import JiraOAuthLogin
from ml_connector.systems.jira.errors import SYSTEM
from ml_connector.systems.jira.models import Site
from ml_connector.systems.jira.sites import read_sites

AUTHORIZE_PATH = "/authorize"
OPERATION = "consent"


def new_state() -> str:
    """A word that cannot be guessed, to be given out with the address and compared with the answer."""
    return secrets.token_urlsafe(32)


def authorize_url(login: JiraOAuthLogin, redirect_uri: str, state: str, *, allow_private: bool = False) -> str:
    """The address at which a person consents; it holds no secret."""
    if "offline_access" not in login.scopes:
        raise ConfigurationError("scopes: offline_access is missing, so the consent ends in an hour", system=SYSTEM)
    asked = {
        "audience": "api.atlassian.com",
        "client_id": login.client_id,
        "scope": " ".join(login.scopes),
        "redirect_uri": redirect_uri,
        "state": state,
        "response_type": "code",
        "prompt": "consent",
    }
    base = check_base_url(login.auth_url, tenant=login.client_id, allow_private=allow_private)
    return f"{base}{AUTHORIZE_PATH}?{httpx.QueryParams(asked)}"


def check_state(given: str, expected: str) -> None:
    """AuthenticationError unless the answer carries the state that was given out; compared in constant time."""
    if not expected or not hmac.compare_digest(given.encode(), expected.encode()):
        text = "the answer does not belong to this request for consent; start again"
        raise AuthenticationError(text, system=SYSTEM, operation=OPERATION)


def read_answer(query: Mapping[str, str], state: str) -> str:
    """The code in the parameters with which the browser comes back; AuthenticationError when consent was not given."""
    check_state(query.get("state", ""), state)
    if error := query.get("error", ""):
        known = error if error.replace("_", "").isalpha() and len(error) <= 40 else "an error"
        told = "consent was not given" if error == "access_denied" else f"Atlassian answered {known}"
        raise AuthenticationError(told, system=SYSTEM, operation=OPERATION)
    if code := query.get("code", ""):
        return code
    raise AuthenticationError("the answer holds no code; start again", system=SYSTEM, operation=OPERATION)


async def exchange(
    login: JiraOAuthLogin,
    code: str,
    redirect_uri: str,
    *,
    allow_private: bool = False,
    clock: Clock | None = None,
    transport: httpx.AsyncBaseTransport | None = None,
) -> Token:
    """The first token for a code, with the day of consent noted in it.

    A code works once: AuthenticationError when it is used up or too old, and after TransientError start again.
    """
    grant = {"grant_type": "authorization_code", "code": code, "redirect_uri": redirect_uri}
    async with _http(login, login.auth_url, allow_private=allow_private, clock=clock, transport=transport) as http:
        try:
            token = await TokenEndpoint(login, http).ask(grant)
        except TransientError as error:
            text = f"{error.message}; the code may be used up, so start again"
            raise TransientError(text, system=SYSTEM, operation=OPERATION) from error
    if not token.refresh:
        raise ConfigurationError("no refresh token came: offline_access is missing among the scopes", system=SYSTEM)
    return replace(token, extra={**token.extra, "consented_at": token.minted_at.isoformat()})


async def sites_of(
    login: JiraOAuthLogin,
    token: Token,
    *,
    allow_private: bool = False,
    clock: Clock | None = None,
    transport: httpx.AsyncBaseTransport | None = None,
) -> tuple[Site, ...]:
    """The Jira sites that a fresh consent reaches, before the login knows which of them it is for."""
    async with _http(login, login.api_url, allow_private=allow_private, clock=clock, transport=transport) as http:
        return await read_sites(http, access=token.access)


def _http(
    login: JiraOAuthLogin,
    url: str,
    *,
    allow_private: bool,
    clock: Clock | None,
    transport: httpx.AsyncBaseTransport | None,
) -> HttpClient:
    base = check_base_url(url, tenant=login.client_id, allow_private=allow_private)
    return HttpClient(SYSTEM, login.client_id, base, LOGIN_LIMITS, clock=clock, transport=transport)
