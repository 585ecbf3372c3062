"""The four ways to log in to QAD. A refused login is never tried again, because ten of them lock the account.

README, "login": which answers are a refusal, how long a token lives and how long it may lie idle.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Generator, Mapping
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

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
from ml_connector.http.tokens import COPY_LIFE_S, Token, TokenAuth, TokenStore
from ml_connector.systems.qad.config import (
    QadBasicLogin,
    QadClientCredentialsLogin,
    QadLogin,
    QadPasswordLogin,
    QadSessionLogin,
    QadTenant,
)
from ml_connector.systems.qad.errors import SYSTEM

LIFE_RESERVE_S = 60
IDLE_RESERVE_S = 10
DEFAULT_LIFE_S = 1800
_LOGIN = "login"
# What a wrong setting is called; any other refusal may count towards the lock and is final.
_SETTINGS = frozenset({"invalid_request", "invalid_scope", "unsupported_grant_type", "unsupported_response_type"})
_REFUSED_STATUSES = frozenset({400, 401, 403, 423})


def build_auth(
    login: QadLogin, tenant: QadTenant, *, store: TokenStore, slot: str, http: HttpClient, login_http: HttpClient
) -> httpx.Auth:
    """The login as httpx understands it; `login_http` reaches the token endpoint (mostly it is `http` itself)."""
    if isinstance(login, QadBasicLogin):
        return BasicLogin(login, store=store, slot=slot, clock=http.clock)
    fresh, clock = Freshness(), http.clock
    if isinstance(login, QadSessionLogin):
        mint, header, prefix = SessionMint(login, tenant, http).mint, login.header, login.header_prefix
        return TokenAuth(store, slot, mint=mint, clock=clock, fresh_for=fresh, header=header, prefix=prefix)
    oauth = OAuthMint(login, login_http, SessionRules(http, tenant))
    return TokenAuth(store, slot, mint=oauth.mint, clock=clock, fresh_for=fresh)


class Freshness:
    """Whether a token can still be used: not near its end, and not idle for too long.

    Each yes is followed by a request, so it counts as a use. Of a token that another process used, only its birth
    is known here; it may be renewed earlier than needed, never used too late.
    """

    def __init__(self) -> None:
        self._access = ""
        self._used_at: datetime | None = None

    def __call__(self, token: Token, now: datetime) -> bool:
        """Judge a token that is about to be used."""
        known = self._used_at if token.access == self._access else None
        idle = (now - (known or token.minted_at)).total_seconds()
        permitted = float(token.extra.get("idle_s") or 0)
        fresh = now < token.expires_at and (not permitted or idle < _less(permitted, IDLE_RESERVE_S))
        if fresh:
            self._access, self._used_at = token.access, now
        return fresh


class SessionRules:
    """How long QAD lets a session live and lie idle: from the settings, else asked once per login."""

    def __init__(self, http: HttpClient, tenant: QadTenant) -> None:
        self._http = http
        self._tenant = tenant

    async def minutes(self, access: str) -> tuple[float, float]:
        """Longest life and longest idle time in minutes, 0 where QAD does not say; never a reason to fail a login."""
        life, idle = float(self._tenant.session_minutes), float(self._tenant.idle_minutes)
        if life and idle:
            return life, idle
        asked = await self._ask(access)
        return life or _number(asked.get("sessionLength")), idle or _number(asked.get("timeoutMinutes"))

    async def _ask(self, access: str) -> Mapping[str, Any]:
        if not self._tenant.paths.security_control:
            return {}
        path = "/" + self._tenant.paths.security_control.strip("/")
        headers = {"Authorization": f"Bearer {access}"}
        try:
            response = await self._http.send_raw("GET", path, operation="read session rules", headers=headers)
            answer = loads(response.content, system=SYSTEM) if response.status_code == 200 else {}
        except ConnectorError:
            return {}
        found = pointed(answer, "/data/securityControls/0")
        return found if isinstance(found, Mapping) else {}


class OAuthMint:
    """Tokens by OAuth 2: password or client credentials, refreshed where QAD gave a refresh token."""

    def __init__(
        self, login: QadPasswordLogin | QadClientCredentialsLogin, http: HttpClient, rules: SessionRules
    ) -> None:
        self._login = login
        self._http = http
        self._rules = rules

    async def mint(self, current: Token | None) -> Token:
        """A new token. A refused refresh leads to exactly one full login; a refused login is final."""
        if current is not None and current.refresh:
            form = {"grant_type": "refresh_token", "refresh_token": current.refresh}
            try:
                return await self._token(form, current)
            except AuthenticationError:
                pass  # The refresh token has ended, which says nothing about the password.
        return await self._token(self._grant(), None)

    def _grant(self) -> dict[str, str]:
        if isinstance(self._login, QadPasswordLogin):
            password = self._login.password.get_secret_value()
            return {"grant_type": "password", "username": self._login.username, "password": password}
        form = {"grant_type": "client_credentials", "client_secret": self._login.client_secret.get_secret_value()}
        return {**form, "scope": self._login.scope} if self._login.scope else form

    async def _token(self, form: dict[str, str], before: Token | None) -> Token:
        sent = {"client_id": self._login.client_id, **form}
        in_query = self._login.credentials_in == "query"
        response = await self._http.send_raw(
            "POST",
            token_path(self._login),
            operation=_LOGIN,
            params=sent if in_query else None,
            form=None if in_query else sent,
        )
        answer = login_answer(response)
        access = pointed(answer, "/access_token")
        if not isinstance(access, str) or not access:
            raise ContractError("access_token is missing from the answer", system=SYSTEM, operation=_LOGIN)
        return await self._dated(answer, access, before)

    async def _dated(self, answer: Mapping[str, Any], access: str, before: Token | None) -> Token:
        now = self._http.clock.now()
        if before is None:
            life, idle = await self._rules.minutes(access)
            extra = {"session_s": life * 60, "idle_s": idle * 60}
        else:
            extra = dict(before.extra)
        lives = [_number(answer.get("expires_in")), float(extra.get("session_s") or 0)]
        refresh = answer.get("refresh_token") or (before.refresh if before else "")
        return Token(access=access, refresh=str(refresh), minted_at=now, expires_at=now + _life(lives), extra=extra)


class SessionMint:
    """Tokens of a session login; every renewal is a full login."""

    def __init__(self, login: QadSessionLogin, tenant: QadTenant, http: HttpClient) -> None:
        self._login = login
        self._tenant = tenant
        self._http = http

    async def mint(self, _current: Token | None) -> Token:
        """A new token; a refused login is final."""
        body = {"username": self._login.username, "password": self._login.password.get_secret_value()}
        if self._tenant.workspace_id:
            body["workspaceId"] = self._tenant.workspace_id
        path = "/" + self._login.login_path.strip("/")
        answer = login_answer(await self._http.send_raw("POST", path, operation=_LOGIN, json=body))
        access = pointed(answer, self._login.token_pointer)
        if not isinstance(access, str) or not access:
            text = f"{self._login.token_pointer} is missing from the answer"
            raise ContractError(text, system=SYSTEM, operation=_LOGIN)
        life = 60 * _number(pointed(answer, self._login.expires_pointer))
        idle = 60 * (self._tenant.idle_minutes or _number(pointed(answer, self._login.idle_pointer)))
        now = self._http.clock.now()
        lives = [life, 60.0 * self._tenant.session_minutes]
        return Token(access=access, minted_at=now, expires_at=now + _life(lives), extra={"idle_s": idle})


class BasicLogin(httpx.Auth):
    """User name and password with every call; the first 401 stops it, here and in every other process.

    Until QAD has accepted the login once, calls go one at a time: several at once would each count as a failure.
    """

    def __init__(self, login: QadBasicLogin, *, store: TokenStore, slot: str, clock: Clock) -> None:
        self._basic = httpx.BasicAuth(login.username, login.password.get_secret_value())
        self._store = store
        self._slot = slot
        self._clock = clock
        self._first = asyncio.Lock()
        self._proven = False
        self._denied = ""
        self._checked_at: float | None = None

    def sync_auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Refused: the engine is asynchronous throughout."""
        raise RuntimeError("BasicLogin works with httpx.AsyncClient only")

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        """Send once with the login; AuthenticationError when it was refused before."""
        if self._proven:
            await self._check_allowed()
            response = yield self._signed(request)
            await self._judge(response)
            return
        async with self._first:
            await self._check_allowed()
            response = yield self._signed(request)
            await self._judge(response)

    def _signed(self, request: httpx.Request) -> httpx.Request:
        return next(self._basic.auth_flow(request))

    async def _check_allowed(self) -> None:
        if self._denied:
            raise AuthenticationError(self._denied, system=SYSTEM, operation=_LOGIN)
        now = self._clock.monotonic()
        if self._checked_at is None or now - self._checked_at >= COPY_LIFE_S:
            await self._store.check_allowed(self._slot)
            self._checked_at = now

    async def _judge(self, response: httpx.Response) -> None:
        if response.status_code != 401:
            self._proven = True
            return
        self._denied = "QAD refuses user name or password; nobody tries again before they are corrected"
        await self._store.deny(self._slot, self._denied)


def login_answer(response: httpx.Response) -> Mapping[str, Any]:
    """The JSON of a login that worked. AuthenticationError only for a definite refusal.

    A wrong path or setting is a ConfigurationError; 5xx, a web page or anything unreadable is a TransientError.
    """
    status = response.status_code
    answer = _json_object(response)
    if status == 404:
        raise _login_error(ConfigurationError, "HTTP 404: no login at this address; check base_url and the path")
    if answer is None and status != 401:
        text = f"no JSON came back (HTTP {status}); if this lasts, check the context root in base_url"
        raise _login_error(TransientError, text)
    if status >= 500 or status == 408:
        raise _login_error(TransientError, f"HTTP {status}")
    code = str((answer or {}).get("error", ""))
    if status >= 400 and (code in _SETTINGS or status not in _REFUSED_STATUSES):
        raise _login_error(ConfigurationError, f"a login setting is wrong: {_safe(code) or 'refused'} (HTTP {status})")
    if status >= 400 or code:
        raise _login_error(AuthenticationError, f"QAD refuses the login: {_safe(code) or 'refused'} (HTTP {status})")
    return answer or {}


def token_path(login: QadLogin) -> str:
    """Path of the token endpoint below the address that `token_base` names."""
    if isinstance(login, QadPasswordLogin):
        return "/" + login.token_path.strip("/")
    if isinstance(login, QadClientCredentialsLogin) and login.token_url:
        return urlsplit(login.token_url).path or "/"
    return "/oauth/token"


def token_base(login: QadLogin) -> str:
    """Scheme and host of a token endpoint elsewhere; empty when it lies below the tenant's base address."""
    if not isinstance(login, QadClientCredentialsLogin) or not login.token_url:
        return ""
    parts = urlsplit(login.token_url)
    return f"{parts.scheme}://{parts.netloc}"


def pointed(value: Any, pointer: str) -> Any:
    """What a JSON pointer points to, or None."""
    for part in pointer.strip("/").split("/"):
        if isinstance(value, Mapping):
            value = value.get(part)
        elif isinstance(value, list) and part.isdecimal() and int(part) < len(value):
            value = value[int(part)]
        else:
            return None
    return value


def _life(candidates: list[float]) -> timedelta:
    given = [seconds for seconds in candidates if seconds > 0]
    return timedelta(seconds=_less(min(given, default=DEFAULT_LIFE_S), LIFE_RESERVE_S))


def _less(seconds: float, reserve: float) -> float:
    # A very short life would leave nothing after the reserve, and every call would log in anew.
    return max(seconds - reserve, seconds / 2)


def _number(value: Any) -> float:
    try:
        return max(float(value), 0.0)
    except (TypeError, ValueError):
        return 0.0


def _safe(code: str) -> str:
    return code if code.replace("_", "").isalnum() and len(code) <= 40 else ""


def _json_object(response: httpx.Response) -> Mapping[str, Any] | None:
    try:
        answer = loads(response.content, system=SYSTEM)
    except ContractError:
        return None
    return answer if isinstance(answer, Mapping) else None


def _login_error(kind: type[ConnectorError], message: str) -> ConnectorError:
    return kind(message, system=SYSTEM, operation=_LOGIN)
