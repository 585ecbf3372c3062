"""Every refusal of Jira has a code of ours, and every pause that it asks for is kept."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from ml_connector.errors import (
    ContractError,
    PermissionDeniedError,
    RateLimitedError,
    RecordRejectedError,
)
from ml_connector.systems.jira.client import JiraClient
from ml_connector.systems.jira.errors import read_refusal
from ml_connector.systems.jira.models import Refusal
from tests.systems.jira_server import Bench, caught

REASON, RESET = "RateLimit-Reason", "X-RateLimit-Reset"


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    found = Bench()
    yield found
    await found.close()


@pytest.fixture
def client(bench: Bench) -> JiraClient:
    return bench.open()


def refused(status: int, body: Any) -> httpx.Response:
    """A refusal in Jira's own shape."""
    return httpx.Response(status, json=body)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"errorMessages": [], "errors": {"customfield_10913": "Field 'x' cannot be set. It is not on the appropriate screen, or unknown."}}, "screen:customfield_10913"),  # noqa: E501
        ({"errorMessages": [], "errors": {"summary": "You must specify a summary of the issue."}}, "required:summary"),
        ({"errorMessages": [], "errors": {"customfield_1": "Cost code is required."}}, "required:customfield_1"),
        ({"errorMessages": ["Field 'priority' is required"], "errors": {}}, "required"),
        ({"errors": {"project": "Specify a valid project ID or key"}}, "bad_project:project"),
        ({"errors": {"issuetype": "Specify a valid issue type"}}, "bad_issue_type:issuetype"),
        ({"errors": {"issuetype": "The issue type selected is invalid."}}, "bad_issue_type:issuetype"),
        ({"errors": {"summary": "The summary is invalid because it contains newline characters."}}, "summary_newline"),
        ({"errors": {"summary": "Summary must be less than 255 characters."}}, "too_long:summary"),
        ({"errors": {"description": "The entered text is too long. It exceeds the allowed limit of 32,767 characters."}}, "too_long:description"),  # noqa: E501
        ({"errors": {"description": "Operation value must be an Atlassian Document (see the Atlassian Document Format)"}}, "invalid_adf:description"),  # noqa: E501
        ({"errors": {"comment": "Comment body is not valid!"}}, "invalid_adf:comment"),
        ({"errorMessages": ["INVALID_INPUT"], "errors": {}}, "invalid_adf"),
        ({"errorMessages": ["Invalid request payload. Refer to the REST API documentation and try again."]}, "invalid_payload"),  # noqa: E501
        ({"errors": {"assignee": "User 'x' cannot be assigned issues."}}, "not_assignable"),
        ({"errors": {"assignee": "User 'x' does not exist."}}, "unknown_user"),
        ({"errors": {"assignee": "Specify a valid accountId for Assignee"}}, "unknown_user"),
        ({"errorMessages": ["It seems that you have tried to perform a workflow operation (X) that is not valid for the current state of this issue"]}, "bad_transition"),  # noqa: E501
        ({"errors": {"customfield_2": "Option value 'x' is not valid"}}, "invalid_value:customfield_2"),
        ({"errors": {"a b; drop": "It is odd"}}, "refused"),
        ({"errors": {f"customfield_{n}": "is required" for n in range(9)}}, "required:" + ",".join(f"customfield_{n}" for n in range(5))),  # noqa: E501
        ({"warningMessages": ["The issue type selected is invalid."]}, "bad_issue_type"),
        (["odd"], "refused"),
    ],
)  # fmt: skip
async def test_every_refusal_has_a_code_of_ours_and_keeps_jiras_words_apart(
    body: Any, code: str, bench: Bench, client: JiraClient
) -> None:
    bench.wire.instead = [("/issue", refused(400, body))]
    error = await caught(client.create({"fields": {}}, "c:1"), RecordRejectedError)
    assert error.code == code
    assert str(error) == f"jira create issue [c:1]: HTTP 400: {code}"
    assert error.detail


def test_any_shape_of_error_can_be_read() -> None:
    shapes: list[tuple[httpx.Response, Refusal]] = [
        (httpx.Response(400), Refusal("empty_answer")),
        (httpx.Response(400, text="<html>x"), Refusal("html_page", "a page for people")),
        (httpx.Response(400, text="plain"), Refusal("refused", "plain")),
        (httpx.Response(413, text="plain"), Refusal("limit", "plain")),
        (httpx.Response(422, json={"errorMessages": ["workflow"]}), Refusal("workflow", "workflow")),
        (httpx.Response(400, json={"code": 400, "message": "Bad"}), Refusal("refused", "Bad")),
        (httpx.Response(400, json={"error": "x", "error_description": "y"}), Refusal("refused", "y; x")),
    ]
    for response, wanted in shapes:
        assert read_refusal(response) == wanted
    assert "abcdef123456" not in read_refusal(httpx.Response(400, json={"message": "Bearer abcdef123456"})).detail


@pytest.mark.parametrize(("status", "kind"), [(403, PermissionDeniedError), (410, ContractError), (400, ContractError)])
async def test_a_refused_question_tells_no_business_text(
    status: int, kind: type[Exception], bench: Bench, client: JiraClient
) -> None:
    bench.wire.instead = [("/jql", refused(status, {"errorMessages": ["Jane's price 12.50 is wrong"], "errors": {}}))]
    assert "Jane" not in str(await caught(anext(client.search("x", fields=["key"])), kind))


async def test_a_query_that_jira_refuses_says_that_it_is_the_query(bench: Bench, client: JiraClient) -> None:
    told = ["The operator '=' is not supported by the 'Key' field."]
    bench.wire.instead = [("/search/jql", refused(400, {"errorMessages": told, "errors": {}}))]
    assert str(await caught(anext(client.search("x", fields=["key"])), ContractError)) == "jira search: HTTP 400: jql"


# Limits


@pytest.mark.parametrize(
    ("headers", "pause"),
    [
        ({"Retry-After": "17"}, 17.0),
        ({REASON: "jira-quota-global-based", RESET: "2026-03-05T10:00Z", "Retry-After": "5"}, 3600.0),
        ({REASON: "jira-quota-tenant-based", RESET: "2026-03-05T10:00:00.000+00:00"}, 3600.0),
        ({REASON: "jira-burst-based", RESET: "2026-03-05T09:05:00Z", "Retry-After": "200"}, 200.0),
        ({"X-Failure-Category": "FAILURE_CLIENT_RATE_LIMITED", RESET: "2026-03-05T10:00Z"}, 3600.0),
        ({REASON: "jira-quota-global-based", RESET: "soon"}, None),
    ],
)  # fmt: skip
async def test_a_pause_is_as_long_as_jira_needs(headers: dict[str, str], pause: float | None, bench: Bench) -> None:
    client = bench.open(attempts=1)
    await client.myself()
    bench.wire.instead = [("/issue", httpx.Response(429, headers=headers))]
    error = await caught(client.create({"fields": {}}, "c:1"), RateLimitedError)
    assert error.retry_after == pause


async def test_a_short_pause_is_waited_for_and_a_used_up_hour_is_not(bench: Bench, client: JiraClient) -> None:
    bench.wire.instead = [("/issue", httpx.Response(429, headers={"Retry-After": "9"}))]
    await client.create({"fields": {}}, "c:1")
    assert bench.clock.monotonic() >= 9
    quota = {REASON: "jira-quota-global-based", RESET: "2026-03-05T10:00Z"}
    bench.wire.instead = [("/issue", httpx.Response(429, headers=quota))]
    await caught(client.create({"fields": {}}, "c:1"), RateLimitedError)
    assert len(bench.jira.issues) == 1
