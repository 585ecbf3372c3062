"""Logging in to Coupa: a token for the OAuth2 client, renewed hours before it ends (README: Authentication)."""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta

import httpx

from ml_connector.errors import (
    AuthenticationError,
    ConfigurationError,
    ConnectorError,
    ContractError,
    TransientError,
)
from ml_connector.http.client import HttpClient
from ml_connector.http.json import loads
from ml_connector.http.tokens import Token, TokenAuth, TokenStore
from ml_connector.systems.coupa.config import CoupaCredentialsData, CoupaTenant

OPERATION = "login"
# A token may be refused in the first seconds of its life (README: Authentication).
YOUNG_S = 10.0
MIN_RENEW_BEFORE_S = 60
DEFAULT_LIFE_S = 3600


class CoupaLogin:
    """Mints tokens for one OAuth2 client and knows when one is due for renewal."""

    def __init__(self, http: HttpClient, credentials: CoupaCredentialsData, tenant: CoupaTenant) -> None:
        self._http = http
        self._credentials = credentials
        self._tenant = tenant
        identity = "\n".join((http.base_url, credentials.client_id, *sorted(credentials.scopes)))
        self._identity = hashlib.sha256(identity.encode()).hexdigest()[:16]

    def auth(self, store: TokenStore, slot: str) -> TokenAuth:
        """The login as the HTTP client wants it, its token kept in that slot of the store."""
        return TokenAuth(
            store, slot, mint=self.mint, clock=self._http.clock, fresh_for=self.fresh, young_retry_s=YOUNG_S
        )

    def fresh(self, token: Token, now: datetime) -> bool:
        """Whether a stored token belongs to this client and scope set and is not yet due for renewal."""
        if token.extra.get("login") != self._identity:
            return False
        life = (token.expires_at - token.minted_at).total_seconds()
        early = min(max(self._tenant.renew_before_s, MIN_RENEW_BEFORE_S), life / 2)
        return now < token.expires_at - timedelta(seconds=early)

    async def mint(self, current: Token | None) -> Token:
        """Ask for a token: AuthenticationError or ConfigurationError on a definite refusal, else TransientError."""
        response = await self._ask()
        if response.status_code >= 500 or _is_html(response):
            seen = "an HTML page" if _is_html(response) else "trouble"
            raise self._error(
                TransientError,
                f"the token endpoint answered HTTP {response.status_code} with {seen}; "
                "if it stays so, check that base_url is the instance's own address",
            )
        if response.status_code != 200:
            raise self._refusal(response)
        return self._token(response)

    async def _ask(self) -> httpx.Response:
        login = self._credentials
        secret = login.client_secret.get_secret_value()
        form = {"grant_type": "client_credentials"}
        if login.scopes:
            form["scope"] = " ".join(login.scopes)
        basic = httpx.BasicAuth(login.client_id, secret) if login.sent_in == "basic" else None
        if basic is None:
            form |= {"client_id": login.client_id, "client_secret": secret}
        headers = {"Accept": "application/json"}
        if self._tenant.api_version:
            headers[self._tenant.api_version_header] = self._tenant.api_version
        path = self._tenant.paths.token
        try:
            return await self._http.send_raw("POST", path, operation=OPERATION, form=form, headers=headers, auth=basic)
        except ContractError as error:
            message = f"{error.message}; check that base_url is the instance's own address"
            raise self._error(ConfigurationError, message) from error

    def _token(self, response: httpx.Response) -> Token:
        try:
            body = loads(response.content)
        except ContractError as error:
            raise self._error(TransientError, f"the token endpoint: {error.message}") from None
        access = body.get("access_token") if isinstance(body, dict) else None
        if not isinstance(access, str) or not access:
            message = "access_token is missing in the answer of the token endpoint: check the token path"
            raise self._error(ConfigurationError, message)
        life = body.get("expires_in", DEFAULT_LIFE_S)
        now = self._http.clock.now()
        seconds = int(life) if str(life).isdecimal() else DEFAULT_LIFE_S
        return Token(
            access=access,
            minted_at=now,
            expires_at=now + timedelta(seconds=seconds),
            extra={"login": self._identity, "scope": str(body.get("scope") or "")},
        )

    def _refusal(self, response: httpx.Response) -> ConnectorError:
        code, told = _oauth_error(response)
        client = f"client {self._credentials.client_id} at {self._http.base_url}"
        if code == "invalid_client" or (not code and response.status_code == 401):
            return self._error(AuthenticationError, f"client_id or client_secret is wrong for {client}")
        if code == "invalid_scope":
            named = [scope for scope in self._credentials.scopes if scope in told.split()]
            scopes = ", ".join(named or self._credentials.scopes)
            return self._error(
                ConfigurationError, f"scope not granted to {client}: tick on the client or drop {scopes}"
            )
        if code in {"unauthorized_client", "unsupported_grant_type"}:
            return self._error(
                ConfigurationError, f"{client} may not use the client credentials grant: change its type"
            )
        if code == "access_denied":
            return self._error(AuthenticationError, f"access denied for {client}")
        if code:
            return self._error(ConfigurationError, f"the token endpoint refused {client} with {code}")
        path = self._tenant.paths.token
        return self._error(
            ConfigurationError, f"HTTP {response.status_code} at {path}: check base_url and the token path"
        )

    @staticmethod
    def _error(kind: type[ConnectorError], message: str) -> ConnectorError:
        return kind(message, system="coupa", operation=OPERATION)


def _oauth_error(response: httpx.Response) -> tuple[str, str]:
    try:
        body = loads(response.content)
    except ContractError:
        return "", ""
    if not isinstance(body, dict):
        return "", ""
    code, told = body.get("error"), str(body.get("error_description") or "")
    known = code if isinstance(code, str) and code.replace("_", "").isalpha() and len(code) <= 40 else ""
    return known, told.replace(",", " ").replace("'", " ").replace('"', " ")


def _is_html(response: httpx.Response) -> bool:
    start = response.content[:200].lstrip().lower()
    return start.startswith((b"<!doctype", b"<html")) or b"<html" in start
