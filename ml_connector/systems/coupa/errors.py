"""What Coupa's refusals mean for us, and a reader for every shape in which it words them (README: Errors)."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator
from typing import Any

import httpx

from ml_connector.errors import (
    AuthenticationError,
    ConfigurationError,
    ConnectorError,
    ContractError,
    PermissionDeniedError,
    RecordRejectedError,
    TransientError,
    UnknownOutcomeError,
)
from ml_connector.http.redact import redact

# Status -> consequence for (a read, a write). Redirects, 429 and 5xx never get here: the HTTP client owns them.
CONSEQUENCES: dict[int, tuple[type[ConnectorError], type[ConnectorError]]] = {
    400: (ContractError, RecordRejectedError),
    401: (AuthenticationError, AuthenticationError),
    403: (PermissionDeniedError, PermissionDeniedError),
    404: (ContractError, RecordRejectedError),
    406: (ContractError, ConfigurationError),
    408: (TransientError, UnknownOutcomeError),
    409: (TransientError, RecordRejectedError),
    415: (ContractError, ConfigurationError),
    422: (ContractError, RecordRejectedError),
}
OTHER = (ContractError, RecordRejectedError)

# First match wins; the code is ours and free of business data.
_CODES: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"Unable to find valid (\w+) record"), r"unknown_reference:\1"),
    (re.compile(r"has already been taken", re.IGNORECASE), "duplicate"),
    (re.compile(r"can't be blank", re.IGNORECASE), "missing_value"),
    (re.compile(r"must be one of|is not a valid|is invalid", re.IGNORECASE), "invalid_value"),
    (re.compile(r"inactive|is not active", re.IGNORECASE), "inactive_reference"),
)
_XML_ERROR = re.compile(r"<error(?:\s[^>]*)?>(.*?)</error>", re.IGNORECASE | re.DOTALL)
_TAG = re.compile(r"<[^>]*>")
MAX_DETAIL = 1000

# Resource -> the scope that opens it for (reading, writing).
SCOPES: dict[str, tuple[str, str]] = {
    "invoices": ("core.invoice.read", "core.invoice.write"),
    "purchase_orders": ("core.purchase_order.read", "core.purchase_order.write"),
    "suppliers": ("core.supplier.read", "core.supplier.write"),
    "lookups": ("core.common.read", "core.common.write"),
    "lookup_values": ("core.common.read", "core.common.write"),
    "currencies": ("core.common.read", "core.common.write"),
    "integrations": ("core.integration.read", "core.integration.write"),
    "history_records": ("core.integration.read", "core.integration.write"),
    "runs": ("core.integration.read", "core.integration.write"),
}


def check(
    response: httpx.Response, *, resource: str, operation: str, external_id: str = "", write: bool = False
) -> httpx.Response:
    """Pass a success on; raise what the table says otherwise."""
    if response.is_success:
        return response
    kind = CONSEQUENCES.get(response.status_code, OTHER)[write]
    about = {"system": "coupa", "operation": operation, "external_id": external_id}
    if issubclass(kind, PermissionDeniedError):
        scope = SCOPES[resource][write]
        raise kind(f"HTTP 403 on {resource}: the client probably lacks scope {scope}", **about)
    if issubclass(kind, AuthenticationError):
        raise kind(
            "HTTP 401 with a token that was just renewed: ask Coupa's administrator to check the client", **about
        )
    code, detail = read_error(response)
    if issubclass(kind, RecordRejectedError):
        code = "not_found" if response.status_code == 404 else code
        raise kind(f"HTTP {response.status_code}: {code}", code=code, detail=detail, **about)
    # Coupa's own text may name people and prices, and messages end up in Prefect in clear.
    raise kind(f"HTTP {response.status_code}: {code}", **about)


def read_error(response: httpx.Response) -> tuple[str, str]:
    """Our code and Coupa's own text of an error answer, whatever its shape; never raises."""
    text = response.content.decode("utf-8", errors="replace").strip()
    if not text:
        return "empty_answer", ""
    start = text[:200].lower()
    if "<html" in start or start.startswith("<!doctype"):
        return "html_page", "an HTML page instead of an error"
    if text.startswith("<"):
        messages = [html.unescape(_TAG.sub(" ", part)).strip() for part in _XML_ERROR.findall(text[:20_000])]
    else:
        messages = list(_json_messages(text))
    detail = redact("; ".join(message for message in messages if message))[:MAX_DETAIL]
    return _code(detail), detail


def _json_messages(text: str) -> Iterator[str]:
    try:
        body = json.loads(text)
    except (ValueError, RecursionError):
        yield text
        return
    if isinstance(body, dict):
        body = next((body[name] for name in ("errors", "error", "message") if body.get(name)), body)
    yield from _texts(body, "")


def _texts(value: Any, about: str, depth: int = 0) -> Iterator[str]:
    if isinstance(value, dict) and depth < 5:
        for name, inner in value.items():
            yield from _texts(inner, str(name), depth + 1)
    elif isinstance(value, list) and depth < 5:
        for inner in value:
            yield from _texts(inner, about, depth + 1)
    elif value is not None:
        yield f"{about}: {value}" if about and about not in {"base", "error"} else str(value)


def _code(detail: str) -> str:
    for pattern, code in _CODES:
        if match := pattern.search(detail):
            return match.expand(code)
    return "refused"
