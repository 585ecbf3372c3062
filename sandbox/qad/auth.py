"""Logins of the tenant: OAuth2 grants, the JWT session, Basic, lockout, token ageing and workspaces."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sandbox.kit.clock import Clock
from sandbox.qad.options import Options, User

WRONG_LOGIN = "Username or password is invalid, please try again."


class BareError(Exception):
    """A gateway error: a bare errors body with its HTTP status."""

    def __init__(self, status: int, message: str, name: str = "") -> None:
        super().__init__(message)
        self.status, self.message, self.name = status, message, name

    def body(self) -> dict[str, Any]:
        """The answer body."""
        error = {"severity": 1, "code": str(self.status), "message": self.message, "fieldName": self.name}
        return {"errors": [error]}


class OAuthError(Exception):
    """The token endpoint refuses; carries the OAuth error name and the HTTP status."""

    def __init__(self, error: str, description: str, status: int = 400) -> None:
        super().__init__(error)
        self.error, self.description, self.status = error, description, status

    def body(self) -> dict[str, str]:
        """The answer body."""
        return {"error": self.error, "error_description": self.description}


@dataclass
class Account:
    """A user as the login sees it: present password, failures in a row, lock."""

    user: User
    password: str = field(repr=False)
    failures: int = 0
    locked: bool = False


@dataclass
class Session:
    """An access token: dies at its end, or earlier when left idle."""

    username: str
    ends: datetime
    used: datetime


@dataclass
class Refresh:
    """A refresh token, good for one use."""

    username: str
    ends: datetime


@dataclass
class Auth:
    """Everything the tenant knows about logins and tokens."""

    clock: Clock
    options: Options
    accounts: dict[str, Account] = field(default_factory=dict)
    sessions: dict[str, Session] = field(default_factory=dict, repr=False)
    refreshes: dict[str, Refresh] = field(default_factory=dict, repr=False)
    counts: dict[str, int] = field(default_factory=lambda: {"ok": 0, "failed": 0, "refreshed": 0})
    issued: int = 0

    def __post_init__(self) -> None:
        """Create the accounts of the chosen users."""
        for user in self.options.users:
            self.accounts[user.username] = Account(user, user.password.get_secret_value())

    def grant(self, form: Mapping[str, str], basic: str | None) -> dict[str, Any]:
        """Answer a token request; raises OAuthError."""
        kind = form.get("grant_type", "")
        if kind == "client_credentials":
            return self._client_credentials(form, basic)
        self._known_client(form)
        if kind == "password":
            account = self.check(form.get("username", ""), form.get("password", ""))
            if account is None:
                raise OAuthError("invalid_grant", WRONG_LOGIN)
            return self._tokens(account.user.username)
        if kind == "refresh_token":
            return self._refresh(form.get("refresh_token", ""))
        raise OAuthError("unsupported_grant_type", f"Unsupported grant type: {kind}")

    def check(self, username: str, password: str, *, count: bool = True) -> Account | None:
        """The account when the password is right; counts failures and locks at the limit."""
        account = self.accounts.get(username)
        if account is None or account.locked or password != account.password:
            self.counts["failed"] += 1
            if account is not None and not account.locked:
                account.failures += 1
                account.locked = account.failures >= self.options.max_access_failures
            return None
        account.failures = 0
        self.counts["ok"] += count
        return account

    def jwt_session(self, username: str, password: str, workspace: str) -> dict[str, Any]:
        """Open a JWT session; raises BareError 401 on a wrong login and 403 on a wrong workspace."""
        account = self.check(username, password)
        if account is None:
            raise BareError(401, WRONG_LOGIN)
        self.workspace(account.user, workspace or None)
        session = {
            "token": self._access(username),
            "expiresInMinutes": self.options.session_minutes,
            "idleTimeoutMinutes": self.options.idle_minutes,
        }
        return {"data": session}

    def authenticate(self, header: str | None) -> User:
        """The user behind an Authorization header; raises BareError 401."""
        scheme, _, value = (header or "").partition(" ")
        if scheme.lower() == "basic":
            username, password = _basic(value)
            account = self.check(username, password, count=False)
            if account is None:
                raise BareError(401, "Unauthorized")
            return account.user
        session = self.sessions.get(value) if scheme.lower() == "bearer" else None
        now = self.clock.now()
        if session is None or now >= session.ends or now >= session.used + timedelta(minutes=self.options.idle_minutes):
            raise BareError(401, "Unauthorized")
        session.used = now
        return self.accounts[session.username].user

    def workspace(self, user: User, wanted: str | None) -> tuple[str, str]:
        """Domain and entity of the wanted (or default) workspace; raises BareError 403."""
        allowed = user.workspaces or self.options.workspaces
        name = wanted or allowed[0]
        if name not in allowed or name not in self.options.workspaces:
            raise BareError(403, "Access is denied")
        domain, _, entity = name.partition("_")
        return domain, entity

    def expire(self, *, refresh_too: bool = False) -> int:
        """End every access token (and refresh token); returns how many access tokens ended."""
        ended = len(self.sessions)
        self.sessions.clear()
        if refresh_too:
            self.refreshes.clear()
        return ended

    def _known_client(self, form: Mapping[str, str]) -> None:
        users = [item.user for item in self.accounts.values() if item.user.client_id == form.get("client_id")]
        secret = form.get("client_secret")
        if not users or (secret and all(secret != user.client_secret.get_secret_value() for user in users)):
            raise OAuthError("invalid_client", "Bad client credentials", 401)

    def _client_credentials(self, form: Mapping[str, str], basic: str | None) -> dict[str, Any]:
        client, secret = form.get("client_id", ""), form.get("client_secret", "")
        if basic:
            client, secret = _basic(basic)
        for account in self.accounts.values():
            user = account.user
            if user.client_id == client and user.client_secret.get_secret_value() == secret and not account.locked:
                self.counts["ok"] += 1
                answer = self._tokens(user.username)
                self.refreshes.pop(answer.pop("refresh_token"))
                return answer
        self.counts["failed"] += 1
        raise OAuthError("invalid_client", "Bad client credentials", 401)

    def _refresh(self, token: str) -> dict[str, Any]:
        found = self.refreshes.pop(token, None)
        if found is None or self.clock.now() >= found.ends or self.accounts[found.username].locked:
            raise OAuthError("invalid_grant", "Invalid refresh token")
        self.counts["refreshed"] += 1
        return self._tokens(found.username)

    def _tokens(self, username: str) -> dict[str, Any]:
        access = self._access(username)
        refresh = f"r-{self.issued}"
        ends = self.clock.now() + timedelta(minutes=self.options.refresh_minutes)
        self.refreshes[refresh] = Refresh(username, ends)
        return {
            "access_token": access,
            "token_type": "bearer",
            "refresh_token": refresh,
            "expires_in": self.options.session_minutes * 60,
        }

    def _access(self, username: str) -> str:
        self.issued += 1
        now = self.clock.now()
        claims = json.dumps({"sub": username, "jti": self.issued}).encode()
        token = f"eyJhbGciOiJub25lIn0.{base64.urlsafe_b64encode(claims).decode().rstrip('=')}.sandbox"
        self.sessions[token] = Session(username, now + timedelta(minutes=self.options.session_minutes), now)
        return token


def _basic(value: str) -> tuple[str, str]:
    try:
        username, _, password = base64.b64decode(value, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return "", ""
    return username, password
