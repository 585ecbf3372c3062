"""Clients that others wrote for real Jira work against the stand-in over real HTTP without knowing that it is none."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from atlassian import Jira
from jira import JIRA
from starlette.applications import Starlette

from sandbox.jira.app import create
from sandbox.kit.app import seed_by_name
from sandbox.kit.serve import running
from tests.sandbox.jira_visitor import CLASSIC, KEY_FIELD, document

TOKEN = "ACME7F2Q3XKJ5WPA9BCD"


@asynccontextmanager
async def served() -> AsyncIterator[tuple[str, Starlette]]:
    """A site with the base seed over real HTTP, whose search index does not lag."""
    app = create(options={"index_lag_s": 0})
    seed_by_name(app.state.tenant, "base")
    async with running(app) as url:
        yield url, app


def work_with_jira(url: str) -> dict[str, Any]:
    client: Any = JIRA(server=url, basic_auth=CLASSIC, options={"rest_api_version": "3"}, max_retries=0)
    try:
        made = client.create_issue(
            fields={
                "project": {"key": "AP"},
                "issuetype": {"name": "Task"},
                "summary": "Price differs",
                "description": document("Twelve instead of ten"),
                KEY_FIELD: TOKEN,
                "customfield_10046": {"value": "Match"},
            }
        )
        client.create_issues([{"project": {"key": "AP"}, "issuetype": {"id": "10001"}, "summary": "Second"}])
        found = client.search_issues(f'project = AP AND cf[10047] ~ "{TOKEN}"', fields=["summary", "status"])
        client.add_comment(made, document("Looked at"))
        steps = {one["name"]: one["id"] for one in client.transitions(made)}
        client.transition_issue(made, steps["Decline"])
        made.update(fields={"customfield_10050": {"value": "Rejected"}}, notify=False)
        client.add_simple_link(made.key, {"url": "https://erp.example/INV-1", "title": "INV-1"})
        after: Any = client.issue(made.key)
        return {
            "me": client.myself()["accountId"],
            "found": [(one.key, one.fields.summary) for one in found],
            "status": after.fields.status.name,
            "resolution": after.fields.resolution.name,
            "approval": after.fields.customfield_10050.value,
            "comments": len(client.comments(made)),
            "types": [one.name for one in client.issue_types()],
            "project": client.project("AP").name,
            "links": len(client.remote_links(made)),
            "count": client.approximate_issue_count("project = AP"),
        }
    finally:
        client.close()


def work_with_atlassian(url: str) -> dict[str, Any]:
    client: Any = Jira(url=url, username=CLASSIC[0], password=CLASSIC[1], cloud=True)
    try:
        made: Any = client.issue_create(
            {
                "project": {"key": "AP"},
                "issuetype": {"name": "Task"},
                "summary": "Late goods",
                "description": "Expected last week",
                KEY_FIELD: TOKEN,
            }
        )
        key = made["key"]
        client.issue_add_comment(key, "Looked at")
        client.set_issue_status(key, "In Progress")
        client.set_issue_property(key, "ml-connector", {"token": TOKEN})
        client.update_issue_field(key, {"customfield_10042": 12.5})
        found: Any = client.enhanced_jql(f'project = AP AND cf[10047] ~ "{TOKEN}"', fields="summary,status")
        issue: Any = client.issue(key)
        comments: Any = client.issue_get_comments(key)
        myself: Any = client.myself()
        return {
            "me": myself["accountId"],
            "found": [one["key"] for one in found["issues"]],
            "status": issue["fields"]["status"]["name"],
            "amount": issue["fields"]["customfield_10042"],
            "description": issue["fields"]["description"],
            "comments": [one["body"] for one in comments["comments"]],
            "fields": len(client.get_all_fields() or []),
        }
    finally:
        client.close()


async def test_the_jira_package_creates_finds_comments_and_moves() -> None:
    async with served() as (url, app):
        outcome = await asyncio.to_thread(work_with_jira, url)
        calls = {entry["status"] for entry in app.state.journal.since(0)}
    assert outcome == {
        "me": "712020:connector-0001",
        "found": [("AP-1", "Price differs")],
        "status": "Done",
        "resolution": "Won't Do",
        "approval": "Rejected",
        "comments": 1,
        "types": ["Task", "Incident", "Task"],
        "project": "Accounts Payable",
        "links": 1,
        "count": 2,
    }
    assert calls <= {200, 201, 204}


async def test_the_atlassian_package_creates_finds_comments_and_moves_in_the_older_shapes() -> None:
    async with served() as (url, app):
        outcome = await asyncio.to_thread(work_with_atlassian, url)
        calls = {entry["status"] for entry in app.state.journal.since(0)}
        truth = app.state.tenant.truth()
    assert outcome == {
        "me": "712020:connector-0001",
        "found": ["AP-1"],
        "status": "In Progress",
        "amount": 12.5,
        "description": "Expected last week",
        "comments": ["Looked at"],
        "fields": 41,
    }
    assert calls <= {200, 201, 204}
    assert (truth["tokens"], truth["field_tokens"]) == ({TOKEN: 1}, {TOKEN: 1})
