"""Refusals in Jira's words: the classic envelope, the gateway's own shape, and problem documents."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

INVALID_PAYLOAD = "Invalid request payload. Refer to the REST API documentation and try again."
NO_ISSUE = "Issue does not exist or you do not have permission to see it."
REMOVED_SEARCH = (
    "The requested API has been removed. Please migrate to the /rest/api/3/search/jql API. A full migration guideline "
    "is available at https://developer.atlassian.com/changelog/#CHANGE-2046"
)
OFF_SCREEN = "Field '{}' cannot be set. It is not on the appropriate screen, or unknown."


class ApiError(Exception):
    """A call that is refused: HTTP status, body, headers and media type."""

    def __init__(
        self,
        status: int,
        body: Any,
        *,
        headers: Mapping[str, str] | None = None,
        media_type: str = "application/json",
    ) -> None:
        super().__init__(f"{status} {body}")
        self.status = status
        self.body = body
        self.headers = dict(headers or {})
        self.media_type = media_type


def classic(status: int, messages: Iterable[str] = (), errors: Mapping[str, str] | None = None) -> ApiError:
    """A refusal in Jira's usual envelope."""
    return ApiError(status, {"errorMessages": list(messages), "errors": dict(errors or {})})


def invalid(errors: Mapping[str, str]) -> ApiError:
    """Fields that cannot take their values."""
    return classic(400, (), errors)


def payload() -> ApiError:
    """A body that is not JSON, has a wrong type or a member that its closed schema does not know."""
    return ApiError(400, {"errorMessages": [INVALID_PAYLOAD]})


def no_issue() -> ApiError:
    """No such issue, or one that the caller may not see."""
    return classic(404, [NO_ISSUE])


def unmodelled(what: str) -> ApiError:
    """Something that real Jira may well have and this stand-in has not."""
    return classic(501, [f"The stand-in does not model {what}."])


def gateway(status: int, message: str) -> ApiError:
    """A refusal of the API gateway, which does not speak Jira's envelope."""
    return ApiError(status, {"code": status, "message": message})


def problem(status: int, title: str, detail: str) -> ApiError:
    """A refusal that comes before Jira's own code looks at the call."""
    body = {"type": "about:blank", "title": title, "status": status, "detail": detail}
    return ApiError(status, body, media_type="application/problem+json")
