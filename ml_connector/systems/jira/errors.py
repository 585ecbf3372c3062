"""What Jira's refusals mean for us, and a reader for every shape that it and its gateway give them (README: Errors)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
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
from ml_connector.http.json import loads
from ml_connector.http.redact import redact
from ml_connector.systems.jira.models import Refusal

SYSTEM = "jira"
MAX_DETAIL = 1000
MAX_NAMED = 5

# Status -> consequence for (a read, a write). Redirects, 429 and 5xx never get here: the HTTP client owns them.
CONSEQUENCES: dict[int, tuple[type[ConnectorError], type[ConnectorError]]] = {
    400: (ContractError, RecordRejectedError),
    401: (AuthenticationError, AuthenticationError),
    403: (PermissionDeniedError, PermissionDeniedError),
    404: (ContractError, RecordRejectedError),
    405: (ContractError, ContractError),
    408: (TransientError, UnknownOutcomeError),
    409: (TransientError, RecordRejectedError),
    410: (ContractError, ContractError),
    413: (ContractError, RecordRejectedError),
    415: (ContractError, ConfigurationError),
    422: (ContractError, RecordRejectedError),
}
OTHER = (ContractError, RecordRejectedError)
_STATUS_CODES = {404: "not_found", 409: "conflict", 413: "limit", 422: "workflow"}

# First match wins; the code is ours and free of business data. `{}` takes the ids of the fields that are named.
_CODES: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), code)
    for pattern, code in (
        (r"INVALID_INPUT|Atlassian Document|Comment body is not valid|unsupported content", "invalid_adf"),
        (r"Invalid request payload", "invalid_payload"),
        (r"not on the appropriate screen", "screen"),
        (r"contains newline", "summary_newline"),
        (r"must be less than \d+ characters|too long|exceeds? the (?:allowed|maximum)", "too_long"),
        (r"valid project ID or key|project.*(?:does not exist|is required|archived)", "bad_project"),
        (r"valid issue type|issue type.*(?:invalid|is required)", "bad_issue_type"),
        (r"cannot be assigned", "not_assignable"),
        (r"user.*(?:does not exist|not found|is not valid|is invalid)|valid (?:accountId|user)", "unknown_user"),
        (r"is required|must specify|cannot be empty", "required"),
        (r"not valid for the current state|transition.*(?:not valid|invalid|not found)", "bad_transition"),
        (r"Issue does not exist", "not_found"),
        (r"JQL|^Field '.*' does not exist|for the field '|operator '.*' is not supported", "jql"),
        (r"contains spaces", "label_space"),
        (r"not valid|invalid|specify a valid|specify a number|does not exist", "invalid_value"),
    )
)
# Codes that say everything; the others name the fields.
_ALONE = frozenset(
    {"summary_newline", "unknown_user", "not_assignable", "not_found", "invalid_payload", "bad_transition"}
)
_FIELD = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,59}")
_FIELD_IN_TEXT = re.compile(r"customfield_\d{1,10}")


@dataclass(frozen=True, slots=True)
class About:
    """What an error says about the call it belongs to; `one_record` is a read that concerns a single issue."""

    operation: str
    external_id: str = ""
    write: bool = False
    one_record: bool = False

    def error(self, kind: type[ConnectorError], message: str) -> ConnectorError:
        """An error of this call."""
        return kind(message, system=SYSTEM, operation=self.operation, external_id=self.external_id)

    def refused(self, status: int, refusal: Refusal) -> RecordRejectedError:
        """The definite refusal of one record."""
        return RecordRejectedError(
            f"HTTP {status}: {refusal.code}",
            code=refusal.code,
            detail=refusal.detail,
            system=SYSTEM,
            operation=self.operation,
            external_id=self.external_id,
        )


def check(response: httpx.Response, about: About) -> httpx.Response:
    """Pass a success on; raise what the table says otherwise."""
    served_as_stranger(response, about)
    if response.is_success:
        return response
    status = response.status_code
    if status == 401 and lacks_scope(response):
        text = "the login lacks a scope: consent again with all scopes, or add it to the service account's credential"
        raise about.error(PermissionDeniedError, text)
    if status == 401:
        raise about.error(AuthenticationError, "HTTP 401: Jira refuses the login; connect it again")
    if status == 404 and from_gateway(response):
        raise about.error(ConfigurationError, "HTTP 404 from the gateway: check cloud_id")
    if status == 404 and not is_missing(response):
        raise about.error(ContractError, "HTTP 404 that is not Jira's own: check the site's address")
    kind = CONSEQUENCES.get(status, OTHER)[about.write or about.one_record]
    refusal = read_refusal(response)
    if issubclass(kind, PermissionDeniedError):
        raise about.error(kind, f"HTTP 403: {_denied(refusal.detail)}")
    if issubclass(kind, RecordRejectedError):
        raise about.refused(status, refusal)
    # Jira's own text may name people and prices, and messages end up in Prefect in clear.
    raise about.error(kind, f"HTTP {status}: {refusal.code}")


def served_as_stranger(response: httpx.Response, about: About) -> None:
    """AuthenticationError when Jira did not accept the login but answered all the same (README: API token).

    A write that succeeded that way is UnknownOutcomeError.
    """
    if response.status_code == 401 or not login_failed(response):
        return
    if about.write and response.is_success:
        raise about.error(UnknownOutcomeError, "Jira answered, but as to a stranger")
    raise about.error(AuthenticationError, "Jira does not accept the login and answers as to a stranger")


def login_failed(response: httpx.Response) -> bool:
    """Whether Jira says beside its answer that it did not accept the login."""
    reason: str = response.headers.get("X-Seraph-LoginReason", "").upper()
    return reason.startswith(("AUTHENTICATED_FAILED", "AUTHENTICATION_DENIED"))


def lacks_scope(response: httpx.Response) -> bool:
    """Whether a 401 is about a missing scope, which no renewal mends."""
    return response.status_code == 401 and "scope" in str(_gateway_message(response)).lower()


def from_gateway(response: httpx.Response) -> bool:
    """Whether Atlassian's gateway answered instead of Jira."""
    return _gateway_message(response) is not None


def is_missing(response: httpx.Response) -> bool:
    """Whether Jira itself says that something does not exist or cannot be seen; a wrong address answers otherwise."""
    body = _body(response) if response.status_code == 404 else None
    return isinstance(body, Mapping) and ("errorMessages" in body or "errors" in body)


def read_refusal(response: httpx.Response) -> Refusal:
    """Our code and Jira's own text of an error answer, whatever its shape; never raises."""
    text = response.content.decode("utf-8", errors="replace").strip()
    known = _STATUS_CODES.get(response.status_code, "")
    if not text:
        return Refusal(known or "empty_answer")
    body = _body(response)
    if body is None:
        page = "<html" in text[:300].lower() or text.startswith("<")
        return Refusal(known or ("html_page" if page else "refused"), "a page for people" if page else _shown(text))
    refusal = judged(body)
    return Refusal(known or refusal.code, refusal.detail)


def judged(collection: Any, status: int = 0) -> Refusal:
    """Code and text of one error collection: both of its lists, fields by id."""
    told = list(_told(collection))
    detail = _shown("; ".join(f"{name}: {text}" if name else text for name, text in told))
    if status in _STATUS_CODES:
        return Refusal(_STATUS_CODES[status], detail)
    for pattern, code in _CODES:
        hits = [(name, text) for name, text in told if pattern.search(text)]
        if hits:
            return Refusal(_with_fields(code, hits), detail)
    return Refusal(_with_fields("refused", told), detail)


def _with_fields(code: str, hits: list[tuple[str, str]]) -> str:
    if code in _ALONE:
        return code
    named = [name for name, _ in hits if _FIELD.fullmatch(name)]
    named += [found for name, text in hits if not name for found in _FIELD_IN_TEXT.findall(text)]
    listed = list(dict.fromkeys(named))[:MAX_NAMED]
    return f"{code}:{','.join(listed)}" if listed else code


def _told(value: Any, depth: int = 0) -> Iterator[tuple[str, str]]:
    """Every message of an error answer with the field it is about (empty for none)."""
    if not isinstance(value, Mapping):
        yield "", str(value)
        return
    errors = value.get("errors")
    if isinstance(errors, Mapping):
        yield from ((str(name), str(text)) for name, text in errors.items())
    for name in ("errorMessages", "warningMessages", "errors" if isinstance(errors, list) else ""):
        texts = value.get(name)
        for text in texts if isinstance(texts, list) else ():
            if isinstance(text, Mapping) and depth < 3:
                yield from _told(text, depth + 1)
            else:
                yield "", str(text)
    for name in ("errorMessage", "message", "detail", "title", "error_description", "error"):
        if isinstance(value.get(name), str) and value[name]:
            yield "", value[name]


def _denied(told: str) -> str:
    if "Connect and OAuth 2.0 apps" in told:
        return "only an OAuth app may register webhooks; use an admin webhook or none"
    return "the login works, but its account lacks the permission"


def _gateway_message(response: httpx.Response) -> str | None:
    """The message of a gateway's error; None when the answer has another shape."""
    body = _body(response)
    if not isinstance(body, Mapping) or "errorMessages" in body or "errors" in body:
        return None
    return str(body.get("message") or "") if "code" in body and "message" in body else None


def _body(response: httpx.Response) -> Any:
    try:
        return loads(response.content)
    except ContractError:
        return None


def _shown(text: str) -> str:
    return redact(text)[:MAX_DETAIL]
