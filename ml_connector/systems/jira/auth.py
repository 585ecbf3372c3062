"""The three ways to log in to Jira (README: Login). A rotated refresh token is stored before anybody uses it.

Only a definite refusal denies a login; trouble at the token endpoint is passing, and the same refresh token is good for
ten more minutes, so an answer that was lost is asked for again.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator, Mapping
from datetime import datetime, timedelta
from typing import Any

import httpx

from ml_connector.clock import Clock
from ml_connector.errors import (
    AuthenticationError,
    ConfigurationError,
    ConnectorError,
    ContractError,
    TransientError,
)
from ml_connector.http.client import HttpClient
from ml_connector.http.json import loads
from ml_connector.http.limits import Limits
from ml_connector.http.tokens import COPY_LIFE_S, Token, TokenAuth, TokenStore
from ml_connector.systems.jira.config import JiraApiTokenLogin, JiraOAuthLogin, JiraServiceAccountLogin
from ml_connector.systems.jira.errors import SYSTEM, lacks_scope, login_failed

OPERATION = "login"
TOKEN_PATH = "/oauth/token"
RENEW_BEFORE_S = 180
DEFAULT_LIFE_S = 3600
CONSENT_DAYS = 365
WARN_AFTER_DAYS = 335
# One try must end well within a refresher's lease of 60 s; the calls that need the token try again by themselves.
LOGIN_LIMITS = Limits(concurrency=2, per_second=5, timeout_s=20, attempts=1, total_s=20)

OAuthLogin = JiraOAuthLogin | JiraServiceAccountLogin


class TokenEndpoint:
    """Atlassian's token endpoint, for one OAuth client."""

    def __init__(self, login: OAuthLogin, http: HttpClient) -> None:
        self._login = login
        self.http = http

    async def ask(self, grant: Mapping[str, str], *, before: Token | None = None) -> Token:
        """A token for a grant; what `before` knew of the consent is carried on.

        AuthenticationError or ConfigurationError on a definite refusal, else TransientError.
        """
        secret = self._login.client_secret.get_secret_value()
        body = {**grant, "client_id": self._login.client_id, "client_secret": secret}
        headers = {"Accept": "application/json"}
        try:
            response = await self.http.send_raw("POST", TOKEN_PATH, operation=OPERATION, json=body, headers=headers)
        except ContractError as error:
            raise _error(ConfigurationError, f"{error.message}; check auth_url") from error
        answer = _object(response)
        if response.status_code >= 500 or answer is None:
            raise _error(TransientError, f"the token endpoint answered HTTP {response.status_code} without a token")
        if response.status_code != 200:
            raise self._refusal(response.status_code, _word(answer.get("error")))
        return self._token(answer, before)

    def _token(self, answer: Mapping[str, Any], before: Token | None) -> Token:
        access, refresh = answer.get("access_token"), answer.get("refresh_token")
        if not isinstance(access, str) or not access:
            raise _error(TransientError, "access_token is missing in the answer of the token endpoint")
        life = answer.get("expires_in", DEFAULT_LIFE_S)
        seconds = int(life) if str(life).isdecimal() and int(life) > 0 else DEFAULT_LIFE_S
        now = self.http.clock.now()
        extra = dict(before.extra) if before else {}
        return Token(
            access=access,
            refresh=refresh if isinstance(refresh, str) and refresh else before.refresh if before else "",
            minted_at=now,
            expires_at=now + timedelta(seconds=seconds),
            extra=extra | {"scope": str(answer.get("scope") or extra.get("scope") or "")},
        )

    def _refusal(self, status: int, code: str) -> ConnectorError:
        client = f"client {self._login.client_id}"
        if code == "invalid_grant":
            return _error(AuthenticationError, f"the consent for {client} has ended or was withdrawn; connect it again")
        if code in {"access_denied", "invalid_client"} or (not code and status == 401):
            return _error(AuthenticationError, f"client_id or client_secret is wrong for {client}")
        if status == 404:
            return _error(ConfigurationError, "HTTP 404 at the token endpoint: check auth_url")
        return _error(
            ConfigurationError, f"the token endpoint refuses {client}: {code or 'no reason given'} (HTTP {status})"
        )


class OAuthMint:
    """Tokens of a consent: each renewal uses up the refresh token and brings the next one."""

    def __init__(self, endpoint: TokenEndpoint) -> None:
        self._endpoint = endpoint

    async def mint(self, current: Token | None) -> Token:
        """The next token; AuthenticationError when nobody has consented or the consent has ended."""
        if current is None or not current.refresh:
            raise _error(AuthenticationError, "nobody has given consent for this login yet; connect it")
        grant = {"grant_type": "refresh_token", "refresh_token": current.refresh}
        return await self._endpoint.ask(grant, before=current)


class ServiceAccountMint:
    """Tokens of a service account, which has no refresh token."""

    def __init__(self, endpoint: TokenEndpoint) -> None:
        self._endpoint = endpoint

    async def mint(self, _current: Token | None) -> Token:
        """A new token."""
        return await self._endpoint.ask({"grant_type": "client_credentials"})


class GatewayAuth(TokenAuth):
    """A token that is renewed once on 401, except when the 401 is about a missing scope: renewing cannot mend that."""

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        """Send with the current token; at most one renewal."""
        flow = super().async_auth_flow(request)
        try:
            sent = await anext(flow)
            while True:
                response = yield sent
                if lacks_scope(response):
                    return
                try:
                    sent = await flow.asend(response)
                except StopAsyncIteration:
                    return
        finally:
            await flow.aclose()


class ApiTokenAuth(httpx.Auth):
    """E-mail address and API token with every call; a definite refusal stops it here and in every other process."""

    def __init__(self, login: JiraApiTokenLogin, *, store: TokenStore, slot: str, clock: Clock) -> None:
        self._basic = httpx.BasicAuth(login.email, login.token.get_secret_value())
        self._store = store
        self._slot = slot
        self._clock = clock
        self._checked_at: float | None = None

    def sync_auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Refused: the engine is asynchronous throughout."""
        raise RuntimeError("ApiTokenAuth works with httpx.AsyncClient only")

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        """Send once with the login; AuthenticationError when it was refused before."""
        now = self._clock.monotonic()
        if self._checked_at is None or now - self._checked_at >= COPY_LIFE_S:
            await self._store.check_allowed(self._slot)
            self._checked_at = now
        response = yield next(self._basic.auth_flow(request))
        if _definitely_refused(request, response):
            self._checked_at = None
            await self._store.deny(self._slot, "Jira refuses the API token; make a new one and connect again")


def gateway_auth(login: OAuthLogin, login_http: HttpClient, *, store: TokenStore, slot: str) -> GatewayAuth:
    """The login of a consent or a service account as the HTTP client wants it."""
    endpoint = TokenEndpoint(login, login_http)
    mint = OAuthMint(endpoint).mint if isinstance(login, JiraOAuthLogin) else ServiceAccountMint(endpoint).mint
    return GatewayAuth(store, slot, mint=mint, clock=login_http.clock, fresh_for=fresh)


def fresh(token: Token, now: datetime) -> bool:
    """Whether a token is not yet due for renewal: three minutes before its end, a short-lived one at half its life."""
    life = (token.expires_at - token.minted_at).total_seconds()
    return now < token.expires_at - timedelta(seconds=min(RENEW_BEFORE_S, life / 2))


def consent_age_days(token: Token | None, now: datetime) -> int | None:
    """Full days since a person consented; None when the token knows of no consent."""
    try:
        consented = datetime.fromisoformat(str(token.extra["consented_at"])) if token else None
    except (KeyError, ValueError):
        return None
    return (now - consented).days if consented is not None else None


def _definitely_refused(request: httpx.Request, response: httpx.Response) -> bool:
    # Some other endpoint's 401 may be about that endpoint alone; the answer to "who am I" is not.
    if login_failed(response):
        return True
    return response.status_code == 401 and not lacks_scope(response) and request.url.path.endswith("/myself")


def _object(response: httpx.Response) -> Mapping[str, Any] | None:
    try:
        answer = loads(response.content)
    except ContractError:
        return None
    return answer if isinstance(answer, Mapping) else None


def _word(code: Any) -> str:
    return code if isinstance(code, str) and code.replace("_", "").isalpha() and len(code) <= 40 else ""


def _error(kind: type[ConnectorError], message: str) -> ConnectorError:
    return kind(message, system=SYSTEM, operation=OPERATION)
