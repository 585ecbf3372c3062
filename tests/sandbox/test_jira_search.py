"""Search in the stand-in Jira site: lag, operators, pages, strictness, and judging queries beforehand."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.sandbox.jira_visitor import KEY_FIELD, Visitor, document, new_issue, visiting

TOKEN = "ACME7F2Q3XKJ5WPA9BCD"
BY_TOKEN = f'project = AP AND cf[10047] ~ "{TOKEN}"'
UNBOUNDED = "Unbounded JQL queries are not allowed here. Please add a search restriction to your query."


async def search(visitor: Visitor, jql: str, **more: Any) -> httpx.Response:
    return await visitor.post("search/jql", {"jql": jql, **more})


async def messages(visitor: Visitor, jql: str, **more: Any) -> list[str]:
    answer = await search(visitor, jql, **more)
    assert answer.status_code == 400, answer.text
    found: list[str] = answer.json()["errorMessages"]
    return found


async def test_search_lags_and_reading_does_not() -> None:
    async with visiting() as visitor:
        key = await visitor.create(token=TOKEN)
        assert (await visitor.get(f"issue/{key}")).status_code == 200
        assert await visitor.find(BY_TOKEN) == []
        await visitor.advance(2)
        assert await visitor.find(BY_TOKEN) == [key]
        await visitor.put(f"issue/{key}", {"fields": {KEY_FIELD: None}})
        assert await visitor.find(BY_TOKEN) == [key]
        await visitor.advance(2)
        assert await visitor.find(BY_TOKEN) == []


async def test_reconciled_issues_are_found_as_they_stand() -> None:
    async with visiting(index_lag_s=60) as visitor:
        key = await visitor.create(token=TOKEN)
        assert await visitor.find("project = AP", reconcileIssues=[10000]) == [key]
        assert await visitor.find("project = AP", reconcileIssues=[10001]) == []
        many = await search(visitor, "project = AP", reconcileIssues=list(range(51)))
        assert many.status_code == 400


async def test_a_fresh_issue_may_vanish_again() -> None:
    async with visiting(index_flap_s=60) as visitor:
        key = await visitor.create(token=TOKEN)
        await visitor.advance(3)
        assert [await visitor.find(BY_TOKEN) for _ in range(4)] == [[key], [], [key], []]
        await visitor.advance(60)
        assert [await visitor.find(BY_TOKEN) for _ in range(2)] == [[key], [key]]


async def test_text_fields_refuse_equality_and_split_words() -> None:
    async with visiting() as visitor:
        key = await visitor.create(customfield_10040="PO-100/7", customfield_10049="https://erp.example/inv/1")
        await visitor.advance(2)
        assert await messages(visitor, "cf[10040] = x") == [
            "The operator '=' is not supported by the 'PO number' field."
        ]
        for text in ("100", "po", "7 po", '\\"PO-100\\"', '\\"100 7\\"', "PO\\\\-100", "1*"):
            assert await visitor.find(f'cf[10040] ~ "{text}"') == [key], text
        for text in ("10", '\\"7 100\\"', "\\\\-"):
            assert await visitor.find(f'cf[10040] ~ "{text}"') == [], text
        assert await visitor.find('cf[10049] = "https://erp.example/inv/1"') == [key]
        assert await messages(visitor, 'cf[10040] ~ "*1"')
        await visitor.option(phrases=False)
        assert await visitor.find('cf[10040] ~ "\\"PO-100\\""') == []


async def test_operators_and_joins() -> None:
    async with visiting() as visitor:
        first = await visitor.create(
            "First", "T1", customfield_10042=5, customfield_10046={"value": "Match"}, labels=["a"]
        )
        second = await visitor.create("Second", "T2", customfield_10042=7.5, description=document("wrong price"))
        await visitor.do("transition", issue=second, to="In Progress")
        await visitor.advance(90)
        for jql, expected in {
            "project = AP ORDER BY key": [first, second],
            "project = AP": [second, first],
            "project = ap AND Kind = Match": [first],
            "project = AP AND Kind IS EMPTY": [second],
            "project = AP AND Kind != Match": [],
            "project = AP AND NOT Kind = Match": [second],
            "labels in (a, b) OR status = 'In Progress' ORDER BY id ASC": [first, second],
            "cf[10042] >= 6": [second],
            "Amount < 6": [first],
            "statusCategory != Done AND (summary ~ 'first' OR description ~ price) ORDER BY key DESC": [second, first],
            f"key in ({first}, {second}) AND assignee is EMPTY AND resolution = EMPTY ORDER BY created, key": [
                first,
                second,
            ],
            "project = AP AND created >= -1m": [],
            "project = AP AND created >= -2m ORDER BY updated ASC, key ASC": [first, second],
            'project = AP AND created > "2026-03-03"': [],
            "reporter = currentUser() AND key = " + first: [first],
            "project in (AP, OPS) AND issuetype = Incident": [],
            "id = 10000": [first],
            "project = AP AND (cf[10047] ~ t1 OR cf[10047] ~ t2) ORDER BY key": [first, second],
            "project = AP AND (cf[10047] ~ t1 OR cf[10042] > 100)": [first],
            "NOT cf[10047] ~ t1 AND project = AP": [second],
        }.items():
            assert await visitor.find(jql) == expected, jql


async def test_remote_links_can_be_found_by_their_global_id() -> None:
    async with visiting() as visitor:
        key = await visitor.create()
        await visitor.post(
            f"issue/{key}/remotelink", {"globalId": "g1", "object": {"url": "https://e.x", "title": "t"}}
        )
        await visitor.advance(2)
        assert await visitor.find('issue in issuesWithRemoteLinksByGlobalId("g1")') == [key]
        assert await visitor.find('issue in issuesWithRemoteLinksByGlobalId("g2")') == []


async def test_unless_fields_are_named_only_the_id_comes() -> None:
    async with visiting() as visitor:
        await visitor.create(token=TOKEN)
        await visitor.advance(2)
        assert (await search(visitor, BY_TOKEN)).json() == {"issues": [{"id": "10000"}], "isLast": True}
        more = {"fields": ["summary"], "properties": ["ml-connector"], "expand": "names"}
        shown = (await search(visitor, BY_TOKEN, **more)).json()
        assert shown["issues"][0]["fields"] == {"summary": "Invoice on hold"}
        assert shown["issues"][0]["properties"]["ml-connector"]["token"] == TOKEN
        assert shown["names"] == {"summary": "Summary"}


async def test_pages_follow_tokens_that_belong_to_their_query() -> None:
    async with visiting() as visitor:
        await visitor.post("issue/bulk", {"issueUpdates": [new_issue(f"Nr {n}") for n in range(5)]})
        await visitor.advance(2)
        seen: list[str] = []
        token = None
        for _ in range(3):
            page = (await search(visitor, "project = AP ORDER BY key", maxResults=2, nextPageToken=token)).json()
            seen += [one["id"] for one in page["issues"]]
            token = page.get("nextPageToken", token)
        assert seen == ["10000", "10001", "10002", "10003", "10004"]
        assert (page["isLast"], "nextPageToken" in page) == (True, False)
        assert await messages(visitor, "project = OPS", nextPageToken=token)
        assert await messages(visitor, "project = AP ORDER BY key", nextPageToken="garbage")
        assert await messages(visitor, "project = AP", nextPageToken=7)
        await visitor.advance(7 * 86_400)
        assert await messages(visitor, "project = AP ORDER BY key", maxResults=2, nextPageToken=token)
        twice = await visitor.call("GET", "search/jql?jql=project=AP&nextPageToken=a&nextPageToken=b")
        assert twice.status_code == 400


@pytest.mark.parametrize("size", [0, -1, 5001])
async def test_page_sizes_have_bounds(size: int) -> None:
    async with visiting() as visitor:
        assert await messages(visitor, "project = AP", maxResults=size)
        # The token is judged before the size, and the size before the query.
        assert "nextPageToken" in (await messages(visitor, "", maxResults=size, nextPageToken="x"))[0]
        assert "maxResults" in (await messages(visitor, "", maxResults=size))[0]


async def test_queries_need_a_restriction() -> None:
    async with visiting() as visitor:
        for jql in ("", "  ", "ORDER BY created"):
            assert await messages(visitor, jql) == [UNBOUNDED]


async def test_the_old_search_is_gone() -> None:
    async with visiting() as visitor:
        gone = await visitor.get("search", jql="project = AP")
        assert gone.status_code == 410
        assert "search/jql" in gone.json()["errorMessages"][0]
        assert (await visitor.post("search", {"jql": "project = AP"})).status_code == 410


@pytest.mark.parametrize(
    "body",
    [
        {"jql": "project = AP", "startAt": 0},
        {"jql": "project = AP", "fields": "summary"},
        {"jql": "project = AP", "expand": ["names"]},
        {"jql": 7},
        {"jql": "project = AP", "maxResults": "5"},
        ["project = AP"],
    ],
)
async def test_bodies_are_closed(body: Any) -> None:
    async with visiting() as visitor:
        answer = await visitor.post("search/jql", body)
        assert (answer.status_code, set(answer.json())) == (400, {"errorMessages"})
        assert answer.json()["errorMessages"][0].startswith("Invalid request payload")


@pytest.mark.parametrize(
    ("jql", "text"),
    [
        ("nofield = 1", "Field 'nofield' does not exist or you do not have permission to view it."),
        ("project = NONE", "The value 'NONE' does not exist for the field 'project'."),
        ("cf[10047] = x", "The operator '=' is not supported by the 'ml-connector key' field."),
        ("Kind = Other", "The value 'Other' does not exist for the field 'Kind'."),
        ("key = AP-99", "An issue with key 'AP-99' does not exist for field 'key'."),
        ("summary in test", "The operator 'in' is not supported by the 'summary' field."),
        ("status in Done", "Operator 'in' does not support the non-list value '\"Done\"' for field 'status'."),
        ("this is not jql", "(line 1, character"),
    ],
)
async def test_queries_that_do_not_fit_are_refused_or_find_nothing(jql: str, text: str) -> None:
    async with visiting() as visitor:
        assert text in (await messages(visitor, jql))[0]
        judged = await visitor.call("POST", "jql/parse", {"queries": [jql]}, params={"validation": "strict"})
        assert text in judged.json()["queries"][0]["errors"][0]
        await visitor.option(semantic_errors="empty200")
        assert (await search(visitor, jql)).json() == {"issues": [], "isLast": True}


@pytest.mark.parametrize(
    ("jql", "text"),
    [
        ('summary ~ "open', "has not been completed"),
        ("(project = AP", "Expecting ')'"),
        ("project =", "Expecting a value"),
        ("project = AP AND", "Expecting a field"),
        ('summary ~ "\\!"', "'\\!' is an illegal JQL escape sequence"),
        ("project = a.b", "The character '.' is a reserved JQL character"),
        ("project = DO", "'DO' is a reserved JQL word"),
        ("project = AP ORDER BY", "Expecting a field"),
    ],
)
async def test_broken_queries_are_refused_in_either_mode(jql: str, text: str) -> None:
    async with visiting(semantic_errors="empty200") as visitor:
        assert text in (await messages(visitor, jql))[0]


async def test_what_is_not_modelled_says_so() -> None:
    async with visiting() as visitor:
        for jql in ("status WAS Done", "created > startOfDay()", 'summary ~ "-no"'):
            answer = await search(visitor, jql)
            assert answer.status_code == 501, jql
        assert (await visitor.get("search/jql", jql="project = AP", startAt=0)).status_code == 501


async def test_counts_and_membership() -> None:
    async with visiting() as visitor:
        await visitor.create(token=TOKEN)
        counted = await visitor.post("search/approximate-count", {"jql": BY_TOKEN})
        assert counted.json() == {"count": 0}
        matched = await visitor.post("jql/match", {"issueIds": [10000, 10001], "jqls": [BY_TOKEN, "nofield = 1"]})
        first, second = matched.json()["matches"]
        assert first == {"matchedIssues": [10000], "errors": []}
        assert second["errors"]


async def test_archived_projects_and_deleted_issues_are_not_found() -> None:
    async with visiting() as visitor:
        first, second = await visitor.create(), await visitor.create()
        await visitor.advance(2)
        await visitor.call("DELETE", f"issue/{first}")
        assert await visitor.find("project = AP") == [second]
        await visitor.do("archive_project", project="AP")
        assert await visitor.find("project = AP") == []


async def test_dates_are_read_in_the_callers_zone() -> None:
    async with visiting() as visitor:
        key = await visitor.create()
        await visitor.advance(2)
        assert await visitor.find('project = AP AND created >= "2026-03-02 09:00"') == [key]
        users = [{"accountId": "712020:manager-0003", "displayName": "AP Manager", "timeZone": "America/Chicago"}]
        await visitor.http.post("/_sandbox/seed", json={"users": users})
        await visitor.consent()
        assert await visitor.find('project = AP AND created >= "2026-03-02 03:00"') == [key]
        assert await visitor.find('project = AP AND created >= "2026-03-02 03:01"') == []
