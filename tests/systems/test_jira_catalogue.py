"""How a Jira site is set up, as the client reads it: fields, screens, rights, webhooks, sites."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from starlette.responses import Response

from ml_connector.errors import (
    ConfigurationError,
    PermissionDeniedError,
)
from ml_connector.systems.jira.client import JiraClient
from tests.systems.jira_server import OAUTH, SITE, Bench, caught, field


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


async def test_reads_fields_searchers_and_the_create_screen(bench: Bench, client: JiraClient) -> None:
    scope = {"type": "PROJECT", "project": {"id": "10001"}}
    bench.jira.fields += [field(10200, "Team field", "url", scope=scope), {"id": "labels", "schema": {"type": "array"}}]
    found = {one.id: one for one in await client.fields()}
    short = found["customfield_10101"]
    assert (short.schema_type, short.schema_custom, short.clause_names) == (
        "string",
        "textfield",
        ("cf[10101]", "Connector key"),
    )
    assert (found["customfield_10200"].scope, short.scope) == ("10001", "")
    # Jira shows no searcher for fields of team-managed projects: what is usual for the kind counts.
    assert await client.field_searchers(["customfield_10101", "customfield_10200", "labels", "customfield_1"]) == {
        "customfield_10101": "textsearcher",
        "customfield_10200": "exacttextsearcher",
        "labels": "labelsearcher",
    }
    screen = await client.create_fields("AP", "7")
    assert list(screen) == ["summary", "customfield_10101", "customfield_10102"]
    assert screen["summary"].required
    assert [(one.id, one.name) for one in await client.issue_types("AP")] == [("7", "Task")]


async def test_searchers_are_inferred_when_only_administrators_see_them(bench: Bench, client: JiraClient) -> None:
    bench.wire.instead = [("/field/search", refused(403, {"errorMessages": ["no"]}))]
    assert await client.field_searchers(["customfield_10101"]) == {"customfield_10101": "textsearcher"}


async def test_reads_what_a_project_is_made_of(bench: Bench, client: JiraClient) -> None:
    answers = bench.jira.answers
    todo = {"id": "1", "name": "Open", "statusCategory": {"key": "new"}}
    done = {"id": "3", "name": "Done", "statusCategory": {"key": "done"}}
    rows = [{"id": "7", "name": "Task", "statuses": [todo, done]}, {"id": "8", "name": "Bug", "statuses": [todo]}]
    answers["GET", "/project/AP/statuses"] = rows
    answers["GET", "/resolution"] = [{"id": "1", "name": "Fixed"}]
    answers["GET", "/priority"] = [{"id": "2", "name": "High"}]
    answers["GET", "/project/search"] = {"values": [{"id": "10", "key": "AP", "name": "Payables"}], "isLast": True}
    answers["GET", "/user/assignable/search"] = lambda request, _: [{"accountId": request.query_params["accountId"]}]
    found = [(one.id, one.category, one.issue_types) for one in await client.statuses("AP")]
    assert found == [("1", "new", ("Task", "Bug")), ("3", "done", ("Task",))]
    assert [one.name for one in await client.resolutions()] == ["Fixed"]
    assert [one.id for one in await client.priorities()] == ["2"]
    assert [one.key for one in await client.projects("pay")] == ["AP"]
    assert await client.assignable("AP", "acc:1")
    answers["GET", "/user/assignable/search"] = []
    assert not await client.assignable("AP", "acc:1")
    bench.jira.rights.discard("ADD_COMMENTS")
    assert [name for name, has in (await client.permissions("AP")).items() if not has] == ["ADD_COMMENTS"]


async def test_queries_are_judged_strictly(bench: Bench, client: JiraClient) -> None:
    bench.jira.queries = {"cf[9]": ["Field 'cf[9]' does not exist"]}
    assert await client.jql_problems(["project = AP", "cf[9] ~ x"]) == {
        "project = AP": (),
        "cf[9] ~ x": ("Field 'cf[9]' does not exist",),
    }
    assert bench.wire.requests[-1].url.params["validation"] == "strict"


async def test_registers_webhooks_and_shows_what_jira_has_against_some(bench: Bench) -> None:
    await bench.consented()
    client = bench.open(OAUTH)
    answers = bench.jira.answers
    told = [{"createdWebhookId": 1000}, {"errors": ["The clause watchCount is unsupported"]}]
    answers["POST", "/webhook"] = {"webhookRegistrationResult": told}
    hooks = [{"events": ["jira:issue_updated"], "jqlFilter": "project = AP"}] * 2
    made = await client.register_webhooks("https://hooks.example/w", hooks)
    assert made == [1000, ("The clause watchCount is unsupported",)]
    row = {"id": 1000, "events": ["jira:issue_updated"], "jqlFilter": "project = AP", "expirationDate": 1775379600000}
    answers["GET", "/webhook"] = {"values": [row], "isLast": True}
    bench.wire.instead = [("/webhook", refused(400, {"errorMessages": ["Only a single URL per app is allowed"]}))]
    error = await caught(client.register_webhooks("https://other.example", hooks), ConfigurationError)
    assert "Only a single URL per app" in str(error)
    (hook,) = await client.list_webhooks()
    assert (hook.id, hook.jql, hook.expires) == (1000, "project = AP", datetime(2026, 4, 5, 9, 0, tzinfo=UTC))
    answers["PUT", "/webhook/refresh"] = {"expirationDate": "2026-04-05T09:00:00.000+0000"}
    assert await client.refresh_webhooks([1000]) == hook.expires
    answers["DELETE", "/webhook"] = lambda *_: nothing(202)
    await client.delete_webhooks([1000])
    assert bench.jira.sent("DELETE", "/webhook") == [{"webhookIds": [1000]}]


async def test_only_an_app_may_register_webhooks(bench: Bench, client: JiraClient) -> None:
    no = {"errorMessages": ["Only Connect and OAuth 2.0 apps can use this operation"]}
    bench.wire.instead = [("/webhook", refused(403, no))]
    hook = {"events": ["comment_created"], "jqlFilter": 'project = "AP"'}
    error = await caught(client.register_webhooks("https://x.example", [hook]), PermissionDeniedError)
    assert "admin webhook" in str(error)


async def test_only_sites_of_jira_are_listed(client: JiraClient) -> None:
    assert [(one.name, one.url) for one in await client.sites()] == [("acme", SITE)]


def nothing(status: int) -> Response:
    """An answer without a body."""
    return Response(status_code=status)
