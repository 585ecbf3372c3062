"""Holds the stand-in Jira site against Atlassian's own interface description, where that is at hand.

The description is not part of this repository: set ML_CONNECTOR_SPECS to the folder that holds
`jira-platform-v3.openapi.json`, or keep it in `shared/specs` beside the checkout.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import pytest
from openapi_schema_validator import OAS30Validator

from sandbox.jira import scopes
from sandbox.jira.app import OPERATIONS
from tests.sandbox.jira_visitor import Visitor, document, new_issue, visiting

NAME = "jira-platform-v3.openapi.json"
TOKEN = "ACME7F2Q3XKJ5WPA9BCD"
# Parts where the description contradicts its own examples, or itself.
CONTRADICTED = (
    "expirationDate",  # a number in the schema, a text in every example
    "structure.where",  # its schema lets no member pass at all
)


def path_of_description() -> Path:
    named = os.environ.get("ML_CONNECTOR_SPECS")
    return (Path(named) if named else Path(__file__).parents[3] / "shared" / "specs") / NAME


@cache
def description() -> dict[str, Any]:
    path = path_of_description()
    if not path.is_file():
        pytest.skip(f"{NAME} was not found: set ML_CONNECTOR_SPECS to the folder that holds it")
    text: dict[str, Any] = json.loads(path.read_text())
    return text


def operation(verb: str, path: str) -> tuple[str, dict[str, Any]]:
    """The description of a call by its address; fixed words win over placeholders."""
    parts = path.split("/")
    fitting = []
    for template, verbs in description()["paths"].items():
        words = template.split("/")
        same = len(words) == len(parts) and all(
            one == other or one.startswith("{") for one, other in zip(words, parts, strict=True)
        )
        if same and verb.lower() in verbs:
            fitting.append(([word.startswith("{") for word in words], template))
    assert fitting, f"{verb} {path} is not in the description"
    template = min(fitting)[1]
    return template, description()["paths"][template][verb.lower()]


def without_nulls(value: Any) -> Any:
    """Jira writes null for what is not set; the description never says so."""
    if isinstance(value, dict):
        return {key: without_nulls(one) for key, one in value.items() if one is not None}
    return [without_nulls(one) for one in value] if isinstance(value, list) else value


def complaints(schema: dict[str, Any], value: Any, at: str) -> list[str]:
    validator = OAS30Validator({"allOf": [schema], "components": description()["components"]})
    found = [
        f"{at}: {'.'.join(map(str, error.absolute_path))}: {error.message[:200]}"
        for error in validator.iter_errors(without_nulls(value))
    ]
    return [one for one in found if not any(part in one for part in CONTRADICTED)]


@dataclass
class Referee:
    """Looks at every exchange of a visitor."""

    seen: set[tuple[str, str]] = field(default_factory=set)
    found: list[str] = field(default_factory=list)

    async def watch(self, answer: httpx.Response) -> None:
        request = answer.request
        if "/rest/api/3/" not in request.url.path:
            return
        await answer.aread()
        path = request.url.path[request.url.path.index("/rest/api/3/") :]
        template, described = operation(request.method, path)
        self.seen.add((request.method, template))
        at = f"{request.method} {template} {answer.status_code}"
        known = {one["name"] for one in described.get("parameters", ()) if one["in"] == "query"}
        self.found += [f"{at}: unknown argument {name}" for name in request.url.params if name not in known]
        if request.content and answer.status_code < 400:
            schema = described["requestBody"]["content"]["application/json"]["schema"]
            self.found += complaints(schema, json.loads(request.content), f"{at} request")
        expected = described["responses"].get(str(answer.status_code))
        if expected is None:
            self.found.append(f"{at}: status not described")
            return
        schema = expected.get("content", {}).get("application/json", {}).get("schema")
        if schema and answer.content:
            self.found += complaints(schema, answer.json(), at)


async def tour(visitor: Visitor) -> None:
    """Most of what the site can do."""
    await issues(visitor)
    await finding(visitor)
    await looking(visitor)


async def issues(visitor: Visitor) -> None:
    rich = {"description": document("Text"), "customfield_10056": document("More"), "customfield_10042": 12.5}
    key = await visitor.create("First", TOKEN, **rich, labels=["a"], assignee={"accountId": "712020:clerk-0004"})
    await visitor.post("issue", {"fields": {"summary": "No project"}})
    await visitor.post("issue/bulk", {"issueUpdates": [new_issue(), {"fields": {}}]})
    await visitor.post("issue/bulk", {"issueUpdates": [{"fields": {}}]})
    await visitor.put(f"issue/{key}", {"fields": {"summary": "Second"}, "update": {"labels": [{"add": "b"}]}})
    await visitor.put(f"issue/{key}/assignee", {"accountId": None})
    await visitor.get(f"issue/{key}/transitions", expand="transitions.fields")
    await visitor.post(f"issue/{key}/transitions", {"transition": {"id": "11"}})
    await visitor.get(f"issue/{key}", expand="changelog,names,schema,transitions,editmeta", properties="ml-connector")
    await visitor.post("issue/bulkfetch", {"issueIdsOrKeys": [key, "AP-999"], "properties": ["ml-connector"]})
    await visitor.get(f"issue/{key}/changelog")
    await visitor.get(f"issue/{key}/editmeta")
    said = {"body": document("Said"), "properties": [{"key": "k", "value": 1}]}
    number = (await visitor.post(f"issue/{key}/comment", said)).json()["id"]
    await visitor.get(f"issue/{key}/comment", orderBy="-created", expand="properties")
    await visitor.get(f"issue/{key}/comment/{number}")
    await visitor.put(f"issue/{key}/comment/{number}", {"body": document("Changed")})
    await visitor.put(f"comment/{number}/properties/other", {"a": 1})
    await visitor.get(f"comment/{number}/properties")
    await visitor.get(f"comment/{number}/properties/k")
    await visitor.call("DELETE", f"issue/{key}/comment/{number}")
    await visitor.put(f"issue/{key}/properties/p", [1])
    await visitor.get(f"issue/{key}/properties")
    await visitor.get(f"issue/{key}/properties/p")
    await visitor.call("DELETE", f"issue/{key}/properties/p")
    link = {"globalId": "g", "object": {"url": "https://erp.example/1", "title": "One", "status": {"resolved": True}}}
    for _ in range(2):
        number = (await visitor.post(f"issue/{key}/remotelink", link)).json()["id"]
    await visitor.get(f"issue/{key}/remotelink")
    await visitor.get(f"issue/{key}/remotelink/{number}")
    json_type = {"headers": {"Content-Type": "application/json"}}
    await visitor.call("DELETE", f"issue/{key}/remotelink", params={"globalId": "g"}, **json_type)


async def finding(visitor: Visitor) -> None:
    await visitor.advance(5)
    query = f'project = AP AND cf[10047] ~ "{TOKEN}" ORDER BY key'
    body = {"jql": query, "fields": ["summary"], "properties": ["ml-connector"], "expand": "names,schema"}
    await visitor.post("search/jql", body | {"reconcileIssues": [10000]})
    await visitor.get("search/jql", jql="project = AP", fields="*all", maxResults=1)
    await visitor.post("search/jql", {"jql": "project = NONE"})
    await visitor.post("search/approximate-count", {"jql": query})
    judged = await visitor.call(
        "POST", "jql/parse", {"queries": [query, "no = 1", "x"]}, params={"validation": "strict"}
    )
    assert [set(one) for one in judged.json()["queries"]] == [{"query", "structure"}, *[{"query", "errors"}] * 2]
    await visitor.post("jql/match", {"issueIds": [10000, 10001], "jqls": [query, "no = 1"]})


async def looking(visitor: Visitor) -> None:
    for path in (
        "myself",
        "user?accountId=712020:clerk-0004",
        "user/search?query=ap",
        "user/assignable/search?project=AP&query=",
        "mypermissions?permissions=BROWSE_PROJECTS,ADMINISTER",
        "project/search?query=a&action=create",
        "project/AP",
        "project/OPS/statuses",
        "issuetype/project?projectId=10010",
        "issuetype",
        "field",
        "field/search?type=custom&expand=searcherKey,isLocked,screensCount",
        "issue/createmeta/AP/issuetypes",
        "issue/createmeta/AP/issuetypes/10001",
        "priority",
        "resolution",
        "status",
        "statuscategory",
        "serverInfo",
    ):
        answer = await visitor.get(path)
        assert answer.status_code == 200, path


async def hooks(visitor: Visitor) -> None:
    await visitor.consent()
    hook = {"events": ["jira:issue_updated"], "jqlFilter": "project = AP", "fieldIdsFilter": ["status"]}
    await visitor.post("webhook", {"url": "http://127.0.0.1:9/hook", "webhooks": [hook, hook | {"jqlFilter": "x = 1"}]})
    await visitor.get("webhook")
    await visitor.put("webhook/refresh", {"webhookIds": [1000]})
    await visitor.call("DELETE", "webhook", {"webhookIds": [1000]})
    await visitor.get("webhook/failed")


async def test_requests_and_answers_fit_the_description() -> None:
    description()
    referee = Referee()
    async with visiting() as visitor:
        visitor.http.event_hooks["response"].append(referee.watch)
        await tour(visitor)
        await hooks(visitor)
        await visitor.call("DELETE", "issue/AP-2")
    assert referee.found == []
    assert len(referee.seen) >= 50


def test_every_call_stands_in_the_description_with_its_scopes() -> None:
    for one in OPERATIONS:
        _, described = operation(one.verb, "/rest/api/3" + one.path)
        needed = {entry.get("state"): frozenset(entry["scopes"]) for entry in described["x-atlassian-oauth2-scopes"]}
        assert scopes.allows(needed["Current"], one.name), one.name
        assert scopes.allows(needed["Beta"], one.name), one.name
        for some in needed["Current"]:
            assert not scopes.allows(needed["Current"] - {some}, one.name), one.name


def test_a_named_folder_holds_the_description() -> None:
    named = os.environ.get("ML_CONNECTOR_SPECS")
    assert named is None or path_of_description().is_file(), f"ML_CONNECTOR_SPECS is {named}, but it has no {NAME}"
