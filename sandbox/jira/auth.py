"""Who calls: API tokens, OAuth codes, and families of refresh tokens that rotate, age and die when stolen."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from sandbox.jira.errors import ApiError
from sandbox.jira.options import App, Options
from sandbox.jira.scopes import OFFLINE
from sandbox.kit.clock import Clock

CODE_LIFE = 300
LEEWAY = 600
IDLE_LIFE = 90 * 86_400
FAMILY_LIFE = 365 * 86_400
UNKNOWN_REFRESH = "Unknown or invalid refresh token."

Kind = Literal["classic", "scoped", "3lo", "service", "anonymous"]


@dataclass(frozen=True)
class Caller:
    """Who makes a call; scopes is None where scopes do not apply."""

    kind: Kind
    account: str | None
    scopes: frozenset[str] | None = None
    client_id: str | None = None
    failed_login: bool = False


@dataclass
class Family:
    """One consent and everything that was minted from it; instants are epoch seconds of the site's clock."""

    client_id: str
    account: str
    scopes: frozenset[str]
    consented: float
    dead: bool = False


@dataclass
class _Refresh:
    family: Family
    minted: float
    rotated: float | None = None


@dataclass(frozen=True)
class _Access:
    caller: Caller
    until: float
    family: Family | None


@dataclass
class _Code:
    client_id: str
    redirect_uri: str
    scopes: frozenset[str]
    account: str
    until: float
    used: bool = False


@dataclass
class Tokens:
    """Every code and token given out so far."""

    clock: Clock
    codes: dict[str, _Code] = field(default_factory=dict)
    refresh: dict[str, _Refresh] = field(default_factory=dict)
    access: dict[str, _Access] = field(default_factory=dict)
    families: list[Family] = field(default_factory=list)
    count: int = 0
    refreshed: int = 0

    def code(self, app: App, redirect_uri: str, scopes: frozenset[str], account: str) -> str:
        """A code for one exchange."""
        text = self._text("code")
        self.codes[text] = _Code(app.client_id, redirect_uri, scopes, account, self._now() + CODE_LIFE)
        return text

    def exchange(self, app: App, body: Mapping[str, Any], options: Options) -> dict[str, Any]:
        """Trade a code for tokens; raises ApiError."""
        code = self.codes.get(str(body.get("code")))
        known = code is not None and code.client_id == app.client_id and code.redirect_uri == body.get("redirect_uri")
        if code is None or not known or code.used or code.until <= self._now():
            raise refusal(403, "invalid_grant", "Invalid authorization code")
        code.used = True
        family = Family(app.client_id, code.account, code.scopes, self._now())
        self.families.append(family)
        return self._pair(family, options)

    def rotate(self, app: App, text: object, options: Options) -> dict[str, Any]:
        """Trade a refresh token for the next one; a reuse after the leeway ends the whole family."""
        known = self.refresh.get(str(text))
        if known is None or known.family.client_id != app.client_id or known.family.dead:
            raise refusal(403, "invalid_grant", UNKNOWN_REFRESH)
        now, family = self._now(), known.family
        if now - family.consented >= FAMILY_LIFE or now - known.minted >= IDLE_LIFE:
            family.dead = True
            raise refusal(403, "invalid_grant", "Token has been expired or revoked.")
        if known.rotated is not None and now - known.rotated > LEEWAY:
            self.revoke(family)
            raise refusal(403, "invalid_grant", UNKNOWN_REFRESH)
        if known.rotated is None:
            known.rotated = now
        self.refreshed += 1
        return self._pair(family, options)

    def service(self, app: App, account: str, options: Options) -> dict[str, Any]:
        """A token for a service account; there is nothing to refresh it with."""
        scopes = frozenset(app.scopes)
        caller = Caller("service", account, scopes, app.client_id)
        return self._answer(self._mint(caller, None, options), scopes, options)

    def bearer(self, text: str) -> Caller | None:
        """Who holds this access token; None when it does not work."""
        held = self.access.get(text)
        if held is None or held.until <= self._now() or (held.family is not None and held.family.dead):
            return None
        return held.caller

    def expire_access(self) -> int:
        """End every access token; returns how many."""
        gone = len(self.access)
        self.access.clear()
        return gone

    def revoke(self, family: Family) -> None:
        """End a consent with all its tokens."""
        family.dead = True

    def _pair(self, family: Family, options: Options) -> dict[str, Any]:
        caller = Caller("3lo", family.account, family.scopes, family.client_id)
        answer = self._answer(self._mint(caller, family, options), family.scopes, options)
        if OFFLINE in family.scopes:
            text = self._text("refresh")
            self.refresh[text] = _Refresh(family, self._now())
            answer["refresh_token"] = text
        return answer

    def _mint(self, caller: Caller, family: Family | None, options: Options) -> str:
        text = self._text("access")
        self.access[text] = _Access(caller, self._now() + options.access_token_life, family)
        return text

    def _answer(self, text: str, scopes: frozenset[str], options: Options) -> dict[str, Any]:
        return {
            "access_token": text,
            "expires_in": options.access_token_life,
            "token_type": "Bearer",
            "scope": " ".join(sorted(scopes)),
        }

    def _text(self, kind: str) -> str:
        self.count += 1
        digest = hashlib.sha256(f"{kind} {self.count} of the stand-in".encode()).digest()
        return f"{kind}.{self.count}.{base64.urlsafe_b64encode(digest).rstrip(b'=').decode()}"

    def _now(self) -> float:
        return self.clock.now().timestamp()


def refusal(status: int, error: str, description: str) -> ApiError:
    """A refusal of the authorisation server."""
    return ApiError(status, {"error": error, "error_description": description})


def basic_login(authorization: str) -> tuple[str, str] | None:
    """Name and token of a Basic header; None when it is none."""
    kind, _, text = authorization.partition(" ")
    if kind.lower() != "basic":
        return None
    try:
        pair = base64.b64decode(text.strip(), validate=True).decode()
    except ValueError:
        return "", ""
    name, _, token = pair.partition(":")
    return name, token


def same(secret: str, given: object) -> bool:
    """Compare without telling by time how much was right."""
    return isinstance(given, str) and hmac.compare_digest(secret.encode(), given.encode())
