"""Jira's deliveries: who signed one, and which issue it is about.

An admin webhook signs the raw body (`X-Hub-Signature`). A dynamic webhook brings a JWT of its OAuth app, which proves
the sender but says nothing about the body: one more reason to take an event as a hint only.
"""

from __future__ import annotations

import hashlib
import hmac
import warnings
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import jwt
import orjson
from jwt.warnings import InsecureKeyLengthWarning

from ml_connector.domain.deliveries import Event, header
from ml_connector.errors import ContractError, SignatureError

KINDS = ("dynamic", "admin")
TOPICS = frozenset(
    {
        "jira:issue_created",
        "jira:issue_updated",
        "jira:issue_deleted",
        "comment_created",
        "comment_updated",
        "comment_deleted",
    }
)
# Jira itself drops what is larger than 25 MB; an issue that needs more than this is not one of ours.
MOST_BYTES = 1024 * 1024
# Jira gives up after hours, so an older event is a recording that somebody plays again.
MOST_AGE: timedelta | None = timedelta(days=7)
SKEW_S = 60
# Jira counts issues in 64 bits; a search that is asked about a larger id is refused as a whole.
LONGEST_ID = 18

_METHODS = frozenset({"sha256", "sha384", "sha512"})
_ALGORITHMS = ("HS256", "HS384", "HS512")
_LONGEST_JWT = 8192
# The instants are checked here, against the connector's clock; what else a token claims is not documented.
_UNCHECKED = {f"verify_{claim}": False for claim in ("exp", "nbf", "iat", "aud", "iss", "sub", "jti")}


def verify(
    kind: str,
    headers: Mapping[str, str],
    body: bytes,
    *,
    secrets: Sequence[str],
    options: Mapping[str, Any],
    now: datetime,
) -> None:
    """SignatureError unless one of the secrets signed this delivery; `kind` says in which of the two ways."""
    usable = [secret for secret in secrets if secret]
    if not usable:
        raise _refused("no secret is configured")
    if kind == "admin":
        _verify_body(header(headers, "X-Hub-Signature"), body, usable, options)
    elif kind == "dynamic":
        _verify_token(header(headers, "Authorization"), usable, now)
    else:
        raise _refused("unknown kind of webhook")


def read(body: bytes, headers: Mapping[str, str], *, options: Mapping[str, Any] | None = None) -> Event:
    """The event of a verified delivery; ContractError names what is missing or malformed."""
    content = _object(body)
    topic = content.get("webhookEvent")
    if not isinstance(topic, str) or not topic:
        raise _malformed("webhookEvent")
    issue = content.get("issue")
    needed = topic in TOPICS and topic.startswith("jira:")
    site = _site(issue, content.get("comment"), needed=needed)
    # A comment's event may show a part of the issue, or nothing of it: then it is of no use here.
    shown = topic in TOPICS and bool(site) and isinstance(issue, dict) and "id" in issue
    identifier = header(headers, "X-Atlassian-Webhook-Identifier")
    return Event(
        topic=topic,
        object_id=_issue_id(issue) if needed or shown else "",
        site=site,
        webhooks=_matched(content.get("matchedWebhookIds")),
        delivery=f"{site}/{identifier}" if identifier else "",
        sent_at=_instant(content.get("timestamp")),
    )


def site_of(url: str) -> str:
    """The host that an address of a site names, in small letters; empty when it names none."""
    try:
        parts = urlsplit(url)
        return (parts.hostname or "").lower() if parts.scheme in ("http", "https") else ""
    except ValueError:
        return ""


def _verify_body(signature: str, body: bytes, secrets: Sequence[str], options: Mapping[str, Any]) -> None:
    method, _, given = signature.partition("=")
    allowed = options.get("methods", "sha256")
    names = allowed.split(",") if isinstance(allowed, str) else allowed
    if method not in _METHODS.intersection(names):
        raise _refused("no signature by an allowed method")
    hashed = getattr(hashlib, method)
    expected = [hmac.new(secret.encode(), body, hashed).hexdigest().encode() for secret in secrets]
    # Every secret is tried whatever the first one said, so that the time tells nothing.
    if True not in [hmac.compare_digest(one, given.encode()) for one in expected]:
        raise _refused("the signature does not fit the body")


def _verify_token(authorization: str, secrets: Sequence[str], now: datetime) -> None:
    scheme, _, token = authorization.partition(" ")
    if scheme.lower() not in ("bearer", "jwt") or len(token) > _LONGEST_JWT:
        raise _refused("no token")
    proven = [claims for secret in secrets if (claims := _claims(token.strip(), secret)) is not None]
    if not proven:
        raise _refused("the token is not signed by this app")
    moment = now.timestamp()
    if not moment - SKEW_S <= _seconds(proven[0], "exp", default=moment):
        raise _refused("the token has expired")
    for claim in ("nbf", "iat"):
        if not _seconds(proven[0], claim, default=moment) <= moment + SKEW_S:
            raise _refused("the token is not valid yet")


def _claims(token: str, secret: str) -> dict[str, Any] | None:
    try:
        with warnings.catch_warnings():
            # Atlassian chooses how long the secret of an app is.
            warnings.simplefilter("ignore", InsecureKeyLengthWarning)
            claims: dict[str, Any] = jwt.decode(token, secret, algorithms=list(_ALGORITHMS), options=_UNCHECKED)  # type: ignore[arg-type]
    except (jwt.PyJWTError, ValueError, TypeError, RecursionError):
        return None
    return claims


def _seconds(claims: Mapping[str, Any], name: str, *, default: float) -> float:
    value = claims.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _refused(f"the token's {name} is no instant")
    return value


def _object(body: bytes) -> dict[str, Any]:
    try:
        content = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise _malformed("the body is not JSON") from None
    if not isinstance(content, dict):
        raise _malformed("the body is not an object")
    return content


def _issue_id(issue: object) -> str:
    value = issue.get("id") if isinstance(issue, dict) else None
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if not isinstance(text, str) or not (text.isascii() and text.isdecimal()) or len(text) > LONGEST_ID:
        raise _malformed("issue.id")
    return text


def _site(issue: object, comment: object, *, needed: bool) -> str:
    """The host of the issue's own address; of the comment's where a comment event shows no issue."""
    for one in (issue, comment):
        link = one.get("self") if isinstance(one, dict) else None
        if isinstance(link, str) and 0 < len(host := site_of(link)) <= 200 and host.isprintable():
            return host
        if needed:
            raise _malformed("issue.self")
    return ""


def _matched(value: object) -> tuple[str, ...]:
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(one, int) and not isinstance(one, bool) for one in value):
        raise _malformed("matchedWebhookIds")
    return tuple(str(one) for one in value)


def _instant(value: object) -> datetime | None:
    if value is None:
        return None
    try:
        if isinstance(value, bool) or not isinstance(value, int):
            raise _malformed("timestamp")
        return datetime.fromtimestamp(value / 1000, UTC)
    except (ValueError, OverflowError, OSError):
        raise _malformed("timestamp") from None


def _refused(why: str) -> SignatureError:
    return SignatureError(why, system="jira", operation="verify webhook")


def _malformed(path: str) -> ContractError:
    return ContractError(path, system="jira", operation="read webhook")
