"""Every request of the Jira client is judged by Atlassian's description of the interface, and the judge can say no."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from ml_connector.http.tokens import MemoryTokenStore, Token
from ml_connector.systems.jira.adf import doc, paragraph, text
from ml_connector.systems.jira.client import JiraClient, open_client
from ml_connector.systems.jira.config import JiraApiTokenLogin, JiraOAuthLogin, JiraTenant
from ml_connector.systems.jira.consent import authorize_url, exchange, new_state, read_answer
from ml_connector.systems.jira.sites import cloud_id_at
from sandbox.jira.app import create
from sandbox.kit.app import seed_by_name
from tests import jira_openapi
from tests.conftest import pytest_runtest_call
from tests.jira_openapi import ABSENT, Judge, Judged, Tally, official

URL = "http://127.0.0.1"
BACK = "http://127.0.0.1:8787/callback"
LOGIN = JiraOAuthLogin(
    client_id="jira-demo-client",
    client_secret=SecretStr("jira-demo-secret"),
    site_url=URL,
    api_url=URL,
    auth_url=URL,
)
TENANT = JiraTenant(project="AP", issue_type="Task", token_field="customfield_10047")
NOTE = doc(paragraph(text("Look at this.")))
HOOK = {"events": ["jira:issue_updated"], "jqlFilter": 'project = "AP"', "fieldIdsFilter": ["status"]}
JSON = {"Content-Type": "application/json"}
BASE = "/rest/api/3"


def document(**more: Any) -> dict[str, Any]:
    """A new issue as the connector sends it."""
    fields = {"project": {"key": "AP"}, "issuetype": {"name": "Task"}, "summary": "Held", "description": NOTE, **more}
    mark = {"key": "ml-connector", "value": {"token": "ACME7F2Q3XKJ5WPA9BCD", "record": "qad:invoice:1"}}
    return {"fields": fields, "properties": [mark]}


async def found(client: JiraClient, jql: str) -> list[Any]:
    """What a search finds, with everything that one can ask for."""
    pages = client.search(jql, fields=["summary"], properties=["ml-connector"], reconcile=[10000], page_size=1)
    return [one async for page in pages for one in page]


Call = Callable[[JiraClient, str], Awaitable[Any]]
# Method -> a call of it about an issue, and the operations of the document that it is made of.
CALLS: dict[str, tuple[Call, set[str]]] = {
    "who_am_i": (lambda client, _: client.who_am_i(), {"getCurrentUser"}),
    "myself": (lambda client, _: client.myself(), {"getCurrentUser"}),
    "search": (lambda client, _: found(client, "project = AP"), {"searchAndReconsileIssuesUsingJqlPost"}),
    "bulk_fetch": (
        lambda client, issue: client.bulk_fetch([issue, "9"], fields=["summary"], properties=["ml-connector"]),
        {"bulkFetchIssues"},
    ),
    "get_issue": (
        lambda client, issue: client.get_issue(issue, fields=["summary", "status"], properties=["ml-connector"]),
        {"getIssue"},
    ),
    "create": (lambda client, _: client.create(document(), "1"), {"createIssue"}),
    "bulk_create": (lambda client, _: client.bulk_create([document(), document()]), {"createIssues"}),
    "edit": (lambda client, issue: client.edit(issue, {"summary": "Changed"}, "1"), {"editIssue"}),
    "transitions": (lambda client, issue: client.transitions(issue), {"getTransitions"}),
    "transition": (
        lambda client, issue: client.transition(issue, "31", fields={"resolution": {"name": "Done"}}, external_id="1"),
        {"doTransition"},
    ),
    "changes": (lambda client, issue: client.changes(issue), {"getChangeLogs"}),
    "comments": (lambda client, issue: client.comments(issue), {"getComments"}),
    "add_comment": (
        lambda client, issue: client.add_comment(issue, NOTE, properties={"ml-connector": 1}, external_id="1"),
        {"addComment"},
    ),
    "jql_problems": (lambda client, _: client.jql_problems(["project = AP", "a b"]), {"parseJqlQueries"}),
    "fields": (lambda client, _: client.fields(), {"getFields"}),
    "field_searchers": (
        lambda client, _: client.field_searchers(["customfield_10047", "customfield_10042", "summary"]),
        {"getFieldsPaginated", "getFields"},
    ),
    "create_fields": (lambda client, _: client.create_fields("AP", "10001"), {"getCreateIssueMetaIssueTypeId"}),
    "edit_fields": (lambda client, issue: client.edit_fields(issue), {"getEditIssueMeta"}),
    "issue_types": (lambda client, _: client.issue_types("AP"), {"getCreateIssueMetaIssueTypes"}),
    "projects": (lambda client, _: client.projects("a"), {"searchProjects"}),
    "permissions": (lambda client, _: client.permissions("AP"), {"getMyPermissions"}),
    "statuses": (lambda client, _: client.statuses("AP"), {"getAllStatuses"}),
    "resolutions": (lambda client, _: client.resolutions(), {"getResolutions"}),
    "priorities": (lambda client, _: client.priorities(), {"getPriorities"}),
    "assignable": (lambda client, _: client.assignable("AP", "712020:buyer-0005"), {"findAssignableUsers"}),
    "register_webhooks": (
        lambda client, _: client.register_webhooks("http://127.0.0.1:9/hook", [HOOK]),
        {"registerDynamicWebhooks"},
    ),
    "list_webhooks": (lambda client, _: client.list_webhooks(), {"getDynamicWebhooksForApp"}),
    "refresh_webhooks": (lambda client, _: client.refresh_webhooks([1000]), {"refreshWebhooks"}),
    "delete_webhooks": (lambda client, _: client.delete_webhooks([1000]), {"deleteWebhookById"}),
}
# These ask the login server, the gateway or the site itself, or nobody.
UNDESCRIBED = {"aclose", "cloud_id", "consent_age_days", "sites"}


@pytest.fixture
def judge() -> Judge:
    known = official()
    if known is None:
        pytest.skip(ABSENT)
    return known


@pytest.fixture
async def opened() -> AsyncIterator[tuple[JiraClient, Judged]]:
    """A client with a person's consent on the stand-in site, and the judge on its way."""
    app = create(options={"require_resolution": True})
    seed_by_name(app.state.tenant, "base")
    way, store, state = Judged(httpx.ASGITransport(app)), MemoryTokenStore(), new_state()
    async with httpx.AsyncClient(transport=way.inner) as browser:
        sent_back = await browser.get(authorize_url(LOGIN, BACK, state))
    code = read_answer(httpx.URL(sent_back.headers["location"]).params, state)
    first = await exchange(LOGIN, code, BACK, transport=way)

    async def given(_: Token | None) -> Token:
        return first

    await store.renew("jira", None, given)
    login = LOGIN.model_copy(update={"cloud_id": await cloud_id_at(URL, transport=way)})
    async with open_client(login, TENANT, name="acme", store=store, slot="jira", transport=way) as client:
        yield client, way


async def called(opened: tuple[JiraClient, Judged], method: str) -> set[str]:
    """Call a method about a new issue; the operations that it was made of."""
    client, way = opened
    issue = (await client.create(document(), "1")).id
    if method == "refresh_webhooks":
        await client.register_webhooks("http://127.0.0.1:9/hook", [HOOK])
    way.operations.clear()
    await CALLS[method][0](client, issue)
    return way.operations


@pytest.mark.parametrize("method", CALLS)
async def test_the_stand_in_answers_each_call_of_the_client(opened: tuple[JiraClient, Judged], method: str) -> None:
    await called(opened, method)
    assert {status // 100 for status in opened[1].statuses} == {2}


@pytest.mark.parametrize("method", CALLS)
async def test_each_call_of_the_client_is_one_of_the_document(
    judge: Judge, opened: tuple[JiraClient, Judged], method: str
) -> None:
    assert await called(opened, method) == CALLS[method][1]


def test_no_call_of_the_client_is_left_out() -> None:
    public = {
        name
        for name, member in inspect.getmembers(JiraClient, inspect.isfunction)
        if not name.startswith("_") and (inspect.iscoroutinefunction(member) or inspect.isasyncgenfunction(member))
    }
    assert public == set(CALLS) | UNDESCRIBED


WRONG = [
    ("GET", f"{BASE}/nothing", {}, "not in the document"),
    ("GET", f"{BASE}/issue/createmeta", {}, "is deprecated"),
    ("PATCH", f"{BASE}/issue/AP-1", {"json": {}}, "not in the document"),
    ("GET", "/rest/api/2/myself", {}, "not below /rest/api/3"),
    ("GET", f"{BASE}/issue//comment", {}, "{issueIdOrKey} is empty"),
    ("GET", f"{BASE}/issue/AP-1?field=summary", {}, "field: no such query parameter"),
    ("GET", f"{BASE}/issue/AP-1/comment?startAt=one", {}, "startAt: 'one' is not of type 'integer'"),
    ("GET", f"{BASE}/issue/AP-1/comment?startAt=1&startAt=2", {}, "startAt: given 2 times"),
    ("GET", f"{BASE}/issue/AP-1/comment?orderBy=newest", {}, "orderBy: 'newest' is not one of"),
    ("GET", f"{BASE}/issue/createmeta/AP/issuetypes?maxResults=201", {}, "maxResults: 201 is greater than"),
    ("GET", f"{BASE}/field/search?id=a&id=a", {}, "id: ['a', 'a'] has non-unique elements"),
    ("GET", f"{BASE}/issue/AP-1?updateHistory=yes", {}, "updateHistory: 'yes' is not of type 'boolean'"),
    ("POST", f"{BASE}/jql/parse", {"json": {"queries": ["a"]}}, "validation: required query parameter is missing"),
    ("GET", f"{BASE}/myself", {"json": {}}, "takes no body"),
    ("POST", f"{BASE}/issue", {}, "the body is missing"),
    ("POST", f"{BASE}/issue", {"content": b"{}"}, "content type not given"),
    ("POST", f"{BASE}/issue", {"data": {"summary": "x"}}, "content type application/x-www-form-urlencoded"),
    ("POST", f"{BASE}/issue", {"content": b'{"fields":', "headers": JSON}, "the body is no JSON"),
    ("POST", f"{BASE}/issue", {"json": {"fields": []}}, "body.fields: [] is not of type 'object'"),
    ("POST", f"{BASE}/issue", {"json": {"properties": [{"name": "x"}]}}, "('name' was unexpected)"),
    ("POST", f"{BASE}/issue/AP-1/transitions", {"json": {"transition": {"id": 21}}}, "body.transition.id: 21 is not"),
    ("POST", f"{BASE}/issue/AP-1/transitions", {"json": {"transition": {"name": "Finish"}}}, "read-only"),
    ("POST", f"{BASE}/search/jql", {"json": {"jql": None}}, "body.jql: None"),
    ("POST", f"{BASE}/search/jql", {"json": {"reconcileIssues": ["1"]}}, "body.reconcileIssues.0: '1' is not of type"),
    ("POST", f"{BASE}/issue/bulkfetch", {"json": {"fields": []}}, "'issueIdsOrKeys' is a required property"),
    ("DELETE", f"{BASE}/webhook", {"json": {"webhookIds": [2**63]}}, "is not a 'int64'"),
]


@pytest.mark.parametrize(("method", "path", "more", "problem"), WRONG)
async def test_a_request_that_the_document_does_not_allow_is_told(
    judge: Judge, method: str, path: str, more: dict[str, Any], problem: str
) -> None:
    tally = Tally()
    inner = httpx.MockTransport(lambda _: pytest.fail("a wrong request was passed on"))
    async with httpx.AsyncClient(transport=Judged(inner, judge, tally=tally), base_url=URL) as http:
        with pytest.raises(AssertionError) as told:
            await http.request(method, path, **more)
    assert problem in str(told.value)
    assert tally.complaints == [str(told.value)]


async def test_the_client_does_not_swallow_what_the_judge_says(judge: Judge) -> None:
    app = create()
    seed_by_name(app.state.tenant, "base")
    way = Judged(httpx.ASGITransport(app), judge, tally=Tally())
    login = JiraApiTokenLogin(email="connector@acme.example", token=SecretStr("jira-demo-token"), site_url=URL)
    async with open_client(login, TENANT, name="a", store=MemoryTokenStore(), slot="jira", transport=way) as client:
        with pytest.raises(AssertionError, match=r"createIssue .*body\.properties"):
            await client.create({"fields": {}, "properties": {}}, "1")
        with pytest.raises(AssertionError, match=r"no operation .*not in the document"):
            await client.get_issue("1/nothing", fields=["summary"])
    assert app.state.journal.since(0) == []


def test_a_test_fails_when_its_code_swallows_what_the_judge_says(request: pytest.FixtureRequest) -> None:
    during = pytest_runtest_call(request.node)
    next(during)
    jira_openapi.TALLY.complaints.append("createIssue: body: wrong")
    with pytest.raises(AssertionError, match="createIssue: body: wrong"):
        during.send(None)
    assert jira_openapi.TALLY.complaints == []


async def test_without_the_document_requests_are_passed_on_and_counted(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("ML_CONNECTOR_SPECS", str(tmp_path))
    monkeypatch.setattr(jira_openapi, "official", jira_openapi.official.__wrapped__)
    tally = Tally()
    way = Judged(httpx.MockTransport(lambda _: httpx.Response(204)), tally=tally)
    async with httpx.AsyncClient(transport=way, base_url=URL) as http:
        for path in (f"{BASE}/nothing", "/oauth/token"):
            assert (await http.get(path)).status_code == 204
    assert tally == Tally(unjudged=1)
