"""Deliveries about Coupa's records: who signed one, and which record it is about.

Coupa documents neither header nor payload of such deliveries, and a middleware may be the sender, so names and paths
are options of the ingress: `header`, `timestamp_header` with `tolerance_s`, `event_id_header`, and the dotted paths
`topic_field`, `object_field`, `event_id_field`, `site_field`, `time_field`.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from ml_connector.domain.deliveries import Event, header
from ml_connector.errors import ContractError, SignatureError

KINDS = ("coupa",)
# What an event is about, whatever the sender adds to it ("invoice.updated", "invoice-events").
TOPICS = frozenset({"invoice", "purchase-order", "payment", "supplier", "requisition", "expense-report"})
MOST_BYTES = 256 * 1024
MOST_AGE: timedelta | None = None

_HEADER = "X-Coupa-Signature"
_TOLERANCE_S = 300
_LONGEST = 120
_PATHS = {
    "topic_field": "event_type",
    "object_field": "object.id",
    "event_id_field": "id",
    "site_field": "",
    "time_field": "occurred_at",
}


def verify(
    kind: str,
    headers: Mapping[str, str],
    body: bytes,
    *,
    secrets: Sequence[str],
    options: Mapping[str, Any],
    now: datetime,
) -> None:
    """SignatureError unless one of the secrets signed the body, and its time stamp is fresh where one is asked for."""
    usable = [secret for secret in secrets if secret]
    if not usable or kind not in KINDS:
        raise _refused("no secret is configured")
    given = header(headers, options.get("header") or _HEADER).removeprefix("sha256=").encode()
    digests = [hmac.new(secret.encode(), body, hashlib.sha256).digest() for secret in usable]
    # Every form of every secret is compared, so that the time tells nothing.
    forms = [
        form for one in digests for form in (one.hex().encode(), base64.b64encode(one), base64.urlsafe_b64encode(one))
    ]
    if True not in [hmac.compare_digest(form, given) for form in forms]:
        raise _refused("the signature does not fit the body")
    if stamp := options.get("timestamp_header"):
        _check_time(header(headers, stamp), float(options.get("tolerance_s") or _TOLERANCE_S), now)


def read(body: bytes, headers: Mapping[str, str], *, options: Mapping[str, Any] | None = None) -> Event:
    """The event of a verified delivery; ContractError names what is missing or malformed."""
    options = options or {}
    content = _object(body)

    def member(option: str) -> object:
        return _at(content, str(options.get(option) or _PATHS[option]))

    topic = _topic(_text(member("topic_field"), options.get("topic_field") or _PATHS["topic_field"]))
    named = _text(member("object_field"), "object") if topic in TOPICS else ""
    delivery = header(headers, options["event_id_header"]) if options.get("event_id_header") else ""
    return Event(
        topic=topic,
        object_id=named,
        site=_optional(member("site_field")).lower(),
        delivery=delivery or _optional(member("event_id_field")),
        sent_at=_instant(member("time_field")),
    )


def _topic(text: str) -> str:
    family = text.partition(".")[0].strip().lower().replace("_", "-").removesuffix("-events").removesuffix("-event")
    return {"order": "purchase-order", "invoice-payment": "payment"}.get(family, family)


def _check_time(stamp: str, tolerance_s: float, now: datetime) -> None:
    """The stamp is not part of what is signed: it keeps late repeats out, no more."""
    try:
        moment = float(stamp) if stamp.isdecimal() else datetime.fromisoformat(stamp).astimezone(UTC).timestamp()
    except (ValueError, OverflowError):
        raise _refused("the time stamp cannot be read") from None
    if not abs(now.timestamp() - moment) <= tolerance_s:
        raise _refused("the time stamp is too far from now")


def _object(body: bytes) -> dict[str, Any]:
    try:
        content = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise _malformed("the body is not JSON") from None
    if not isinstance(content, dict):
        raise _malformed("the body is not an object")
    return content


def _at(content: object, path: str) -> object:
    for name in path.split(".") if path else ():
        content = content.get(name) if isinstance(content, dict) else None
    return content if path else None


def _optional(value: object) -> str:
    """A name or number as text; empty when it is neither."""
    if isinstance(value, bool) or not isinstance(value, int | str):
        return ""
    text = str(value).strip()
    return text if text.isprintable() else ""


def _text(value: object, path: str) -> str:
    text = _optional(value)
    if not 0 < len(text) <= _LONGEST:
        raise _malformed(path)
    return text


def _instant(value: object) -> datetime | None:
    """When the event happened; nothing depends on it, so one that cannot be read is as good as none."""
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else None
        return moment.astimezone(UTC) if moment and moment.tzinfo else None
    except (ValueError, OverflowError):
        return None


def _refused(why: str) -> SignatureError:
    return SignatureError(why, system="coupa", operation="verify webhook")


def _malformed(path: str) -> ContractError:
    return ContractError(path, system="coupa", operation="read webhook")
