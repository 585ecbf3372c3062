"""OAuth 2 client credentials as Coupa offers them: tokens with scopes, a life, and a moment before they work."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import parse_qs, unquote_plus

from sandbox.coupa.errors import forbidden, unauthorized
from sandbox.coupa.options import Client, Options
from sandbox.kit.clock import Clock

Answer = tuple[int, dict[str, object]]
FORM = "application/x-www-form-urlencoded"


@dataclass(frozen=True)
class Token:
    """What the tenant knows of a token it has given out; instants are epoch seconds of the tenant's clock."""

    client_id: str
    scopes: frozenset[str]
    valid_from: float
    valid_until: float


class Tokens:
    """The tokens given out so far."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._tokens: dict[str, Token] = {}
        self._count = 0

    def mint(self, client: Client, scopes: Sequence[str], options: Options) -> str:
        """A new token; its text grows with the scopes, as a JWT does."""
        self._count += 1
        now = self._clock.now().timestamp()
        head = {"alg": "HS256", "typ": "JWT"}
        body = {"jti": self._count, "client_id": client.client_id, "iat": int(now), "scope": list(scopes)}
        unsigned = ".".join(_url64(json.dumps(part).encode()) for part in (head, body))
        signature = hmac.new(b"stand-in", unsigned.encode(), hashlib.sha256).digest()
        text = f"{unsigned}.{_url64(signature)}"
        valid_from = now + options.token_delay
        self._tokens[text] = Token(client.client_id, frozenset(scopes), valid_from, now + options.token_life)
        return text

    def check(self, authorization: str, scope: str) -> Token:
        """The token of a call; raises ApiError 401 when it does not work and 403 when it lacks the scope."""
        kind, _, text = authorization.partition(" ")
        token = self._tokens.get(text.strip()) if kind.lower() == "bearer" else None
        now = self._clock.now().timestamp()
        if token is None or not token.valid_from <= now < token.valid_until:
            raise unauthorized()
        if scope not in token.scopes:
            raise forbidden(scope)
        return token

    def expire_all(self) -> int:
        """End every token that was given out; returns how many."""
        count = len(self._tokens)
        self._tokens.clear()
        return count

    def revoke(self, client_id: str) -> int:
        """End the tokens of one client; returns how many."""
        gone = [text for text, token in self._tokens.items() if token.client_id == client_id]
        for text in gone:
            del self._tokens[text]
        return len(gone)


def grant(tokens: Tokens, options: Options, headers: Mapping[str, str], body: bytes) -> Answer:
    """Answer a call of the token endpoint with a token or an RFC 6749 error."""
    if headers.get("content-type", "").split(";")[0].strip().lower() != FORM:
        return _refusal(400, "invalid_request", "The request must be a form.")
    form = {key: values[0] for key, values in parse_qs(body.decode("utf-8", "replace")).items()}
    client_id, secret = _credentials(form, headers.get("authorization", ""))
    client = next((one for one in options.clients if one.client_id == client_id), None)
    if client is None or not hmac.compare_digest(client.client_secret.get_secret_value().encode(), secret.encode()):
        return _refusal(401, "invalid_client", "Client authentication failed.")
    if form.get("grant_type") != "client_credentials":
        return _refusal(400, "unsupported_grant_type", "The authorization grant type is not supported.")
    # Without a scope the token carries all that the client was granted.
    scopes = form.get("scope", "").split() or client.scopes
    if not set(scopes) <= set(client.scopes):
        return _refusal(400, "invalid_scope", "The requested scope is invalid, unknown, or malformed.")
    return 200, {
        "access_token": tokens.mint(client, scopes, options),
        "token_type": "bearer",
        "expires_in": options.token_life,
        "scope": " ".join(scopes),
    }


def _credentials(form: Mapping[str, str], authorization: str) -> tuple[str, str]:
    kind, _, text = authorization.partition(" ")
    if kind.lower() != "basic":
        return form.get("client_id", ""), form.get("client_secret", "")
    try:
        pair = base64.b64decode(text.strip(), validate=True).decode()
    except ValueError:
        return "", ""
    client_id, _, secret = pair.partition(":")
    return unquote_plus(client_id), unquote_plus(secret)


def _refusal(status: int, error: str, description: str) -> Answer:
    return status, {"error": error, "error_description": description}


def _url64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
