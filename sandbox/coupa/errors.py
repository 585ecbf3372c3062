"""Refusals in Coupa's words; each becomes an answer of its own, as JSON or XML."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping


class ApiError(Exception):
    """A call that is refused: HTTP status and texts keyed by model or attribute."""

    def __init__(self, status: int, errors: Mapping[str, list[str]], headers: Mapping[str, str] | None = None) -> None:
        super().__init__(f"{status} {dict(errors)}")
        self.status = status
        self.errors = dict(errors)
        self.headers = dict(headers or {})


def invalid(key: str, *texts: str) -> ApiError:
    """A validation error or a query that cannot be understood."""
    return ApiError(400, {key: list(texts)})


def unknown_reference(attribute: str, given: Mapping[str, object], possible: Iterable[str]) -> ApiError:
    """A reference to a record that does not exist, in the documented wording."""
    record = "".join(word.capitalize() for word in attribute.split("-"))
    keys = ", ".join(f"{json.dumps(key.replace('-', '_'))}=>{json.dumps(str(value))}" for key, value in given.items())
    listed = ", ".join(json.dumps(key.replace("-", "_")) for key in possible)
    text = (
        f"Unable to find valid {record} record for {attribute.replace('-', '_')} with keys {{{keys}}}. "
        f"Possible keys are [{listed}]. Please verify your xml."
    )
    return invalid(attribute.replace("-", "_"), text)


def not_found() -> ApiError:
    """No such record or address."""
    return ApiError(404, {"base": ["The requested record could not be found."]})


def unauthorized() -> ApiError:
    """No bearer token, or one that is unknown, expired or not valid yet."""
    return ApiError(401, {"base": ["The access token is missing, invalid or expired."]})


def forbidden(scope: str) -> ApiError:
    """The token lacks the scope that the call needs."""
    return ApiError(403, {"base": [f"The access token does not carry the scope {scope}."]})


def throttled(*, retry_after: bool) -> ApiError:
    """Too many calls; by default without a hint when to come back."""
    headers = {"Retry-After": "1"} if retry_after else {}
    return ApiError(429, {"base": ["Request limit exceeded."]}, headers)
