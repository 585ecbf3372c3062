"""The Jira client asks exactly what the interface documents, and reads every shape of answer and refusal."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.responses import Response

from ml_connector.errors import (
    ConfigurationError,
    ContractError,
    LeaseLostError,
    RecordRejectedError,
    TransientError,
    UnknownOutcomeError,
)
from ml_connector.systems.jira.client import JiraClient
from ml_connector.systems.jira.models import Created
from tests.systems.jira_server import MISSING, Bench, caught

SYSTEM = Path(__file__).parents[2] / "ml_connector" / "systems" / "jira"


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


# Searching and reading


async def test_searches_to_the_last_page_and_asks_for_what_it_needs(bench: Bench, client: JiraClient) -> None:
    for number in range(1, 6):
        bench.jira.put(number)
    pages = client.search(
        "project = AP", fields=["summary"], properties=["ml-connector"], reconcile=range(60), page_size=2
    )
    found = [[one.key for one in page] async for page in pages]
    assert found == [["AP-1", "AP-2"], ["AP-3", "AP-4"], ["AP-5"]]
    first, second, third = bench.jira.sent("POST", "/search/jql")
    assert first == {
        "jql": "project = AP",
        "fields": ["summary"],
        "maxResults": 2,
        "properties": ["ml-connector"],
        "reconcileIssues": list(range(50)),
    }
    assert (second["nextPageToken"], third["nextPageToken"]) == ("2", "4")
    assert second["reconcileIssues"] == first["reconcileIssues"]


async def test_an_empty_search_is_one_question(bench: Bench, client: JiraClient) -> None:
    assert [page async for page in client.search("project = AP", fields=["key"])] == [[]]
    assert bench.jira.sent("POST", "/search/jql") == [{"jql": "project = AP", "fields": ["key"], "maxResults": 100}]


async def test_a_page_token_that_comes_again_stops_the_search(bench: Bench, client: JiraClient) -> None:
    bench.jira.answers["POST", "/search/jql"] = {"issues": [], "nextPageToken": "same"}
    pages = client.search("project = AP", fields=["key"])
    await anext(pages)
    await anext(pages)
    assert "do not go forward" in str(await caught(anext(pages), ContractError))


async def test_numbers_keep_their_digits_and_instants_are_in_utc(bench: Bench, client: JiraClient) -> None:
    text = b'{"id":"7","key":"AP-7","fields":{"customfield_1":1234567890.10,"updated":"2026-03-05T10:00:00.000+0100"}}'
    bench.jira.put(7)
    bench.wire.instead = [("/issue/7", httpx.Response(200, content=text))]
    found = await client.get_issue("7", fields=["updated"])
    assert found is not None
    assert found.fields["customfield_1"] == Decimal("1234567890.10")
    assert found.updated == datetime(2026, 3, 5, 9, 0, tzinfo=UTC)


async def test_an_issue_that_jira_does_not_know_is_none_but_a_wrong_address_is_an_error(
    bench: Bench, client: JiraClient
) -> None:
    assert await client.get_issue("404", fields=["summary"]) is None
    bench.wire.instead = [("/issue/404", httpx.Response(404, text="<html>not here</html>"))]
    await caught(client.get_issue("404", fields=["summary"]), ContractError)
    bench.wire.instead = [("/issue/404", httpx.Response(404, json={"code": 404, "message": "Not Found"}))]
    assert "cloud_id" in str(await caught(client.get_issue("404", fields=["summary"]), ConfigurationError))


async def test_known_ids_are_fetched_in_lots_and_the_missing_are_named(bench: Bench, client: JiraClient) -> None:
    for number in range(1, 251):
        bench.jira.put(number)
    wanted = [str(number) for number in range(1, 261)]
    found = await client.bulk_fetch(wanted, fields=["summary"], properties=["ml-connector"])
    assert len(found.issues) == 250
    assert found.missing == {str(number) for number in range(251, 261)}
    assert sorted(len(one["issueIdsOrKeys"]) for one in bench.jira.sent("POST", "/issue/bulkfetch")) == [60, 100, 100]
    assert (await client.bulk_fetch([], fields=["summary"])).issues == {}


async def test_a_question_by_post_is_repeated_like_any_other_read(bench: Bench, client: JiraClient) -> None:
    bench.jira.put(1)
    bench.wire.instead = [
        ("/bulkfetch", httpx.Response(503)),
        ("/bulkfetch", httpx.Response(503, headers={"Retry-After": "7"})),
        ("/bulkfetch", httpx.ReadTimeout("slow")),
    ]
    assert "1" in (await client.bulk_fetch(["1"], fields=["key"])).issues
    bench.wire.instead = [("/bulkfetch", httpx.Response(500))] * 4
    await caught(client.bulk_fetch(["1"], fields=["key"]), TransientError)


@pytest.mark.parametrize(
    ("answer", "text"),
    [({"values": []}, "issues"), ([], "issues"), ({"issues": [{"key": "AP-1"}]}, "id"), ({"issues": ["x"]}, "Issue")],
)
async def test_an_answer_that_breaks_its_contract_stops_the_run(
    answer: Any, text: str, bench: Bench, client: JiraClient
) -> None:
    bench.jira.answers["POST", "/search/jql"] = answer
    assert text in str(await caught(anext(client.search("x", fields=["key"])), ContractError))


# Writing


async def test_a_create_says_what_was_created(bench: Bench, client: JiraClient) -> None:
    made = await client.create({"fields": {"summary": "New", "customfield_1": Decimal("10.10")}}, "c:1")
    assert made == Created("10000", "AP-10000")
    assert b'"customfield_1":10.10' in bench.wire.requests[-1].content


@pytest.mark.parametrize(
    "fault",
    [
        httpx.Response(201, text="<html>"),
        httpx.Response(201, json={"key": "AP-1"}),
        httpx.Response(503, headers={"Retry-After": "1"}),
        httpx.Response(500),
        httpx.ReadTimeout("slow"),
    ],
    ids=str,
)
async def test_a_create_without_a_clear_answer_is_in_doubt_and_never_repeated(
    fault: Any, bench: Bench, client: JiraClient
) -> None:
    bench.wire.instead = [("/issue", fault)]
    await caught(client.create({"fields": {}}, "c:1"), UnknownOutcomeError)
    assert len(bench.wire.to("/issue")) == 1


async def test_a_create_whose_answer_is_lost_is_in_doubt(bench: Bench, client: JiraClient) -> None:
    bench.wire.lost = ["/issue"]
    await caught(client.create({"fields": {}}, "c:1"), UnknownOutcomeError)
    assert len(bench.jira.issues) == 1


async def test_a_create_that_was_turned_away_unread_is_sent_again(bench: Bench, client: JiraClient) -> None:
    bench.wire.instead = [("/issue", httpx.ConnectError("down")), ("/issue", httpx.Response(429))]
    assert (await client.create({"fields": {}}, "c:1")).id == "10000"
    assert len(bench.jira.issues) == 1


async def test_no_write_begins_when_the_lease_is_over(bench: Bench) -> None:
    bench.clock.advance(100)
    client = bench.open()
    client.http._deadline = lambda: 120
    await client.myself()
    await caught(client.create({"fields": {}}, "c:1"), LeaseLostError)
    assert bench.wire.to("/issue") == []


async def test_a_bulk_tells_of_each_element(bench: Bench, client: JiraClient) -> None:
    told = {"customfield_10103": "It is not on the appropriate screen, or unknown."}
    errors = {"errorMessages": [], "errors": told}
    elements = [{"status": 400, "elementErrors": errors, "failedElementNumber": 1}]
    rows = [{"id": "1", "key": "AP-1", "self": "x"}, {"id": 3, "key": "AP-3"}]
    bench.wire.instead = [("/issue/bulk", refused(201, {"issues": rows, "errors": elements}))]
    answer = await client.bulk_create([{"fields": {"summary": str(n)}} for n in range(3)])
    assert answer.created == (Created("1", "AP-1"), Created("3", "AP-3"))
    assert {place: one.code for place, one in answer.failed.items()} == {1: "screen:customfield_10103"}


async def test_a_bulk_refused_element_by_element_is_no_error(bench: Bench, client: JiraClient) -> None:
    rows = [
        {"status": 400, "elementErrors": {"errors": {"summary": "is required"}}, "failedElementNumber": 0},
        {"status": 413, "elementErrors": {"errorMessages": ["too many"]}, "failedElementNumber": 1},
    ]
    bench.wire.instead = [("/issue/bulk", refused(400, {"issues": [], "errors": rows}))]
    answer = await client.bulk_create([{}, {}])
    assert answer.created == ()
    assert {place: one.code for place, one in answer.failed.items()} == {0: "required:summary", 1: "limit"}


async def test_a_bulk_refused_as_a_whole_is_a_refusal(bench: Bench, client: JiraClient) -> None:
    bench.wire.instead = [("/issue/bulk", refused(400, {"errorMessages": ["Invalid request payload. Refer to"]}))]
    error = await caught(client.bulk_create([{}]), RecordRejectedError)
    assert error.code == "invalid_payload"


async def test_counts_that_do_not_add_up_are_shown_as_they_are(bench: Bench, client: JiraClient) -> None:
    rows = [{"status": 400, "elementErrors": {"errorMessages": ["no"]}}] * 2
    bench.wire.instead = [("/issue/bulk", refused(201, {"issues": [{"id": "1"}, {"key": "x"}], "errors": rows}))]
    answer = await client.bulk_create([{}, {}, {}])
    assert answer.created == (Created("1", ""),)
    assert set(answer.failed) == {-1, -2}
    bench.wire.instead = [("/issue/bulk", refused(201, {}))]
    await caught(client.bulk_create([{}]), UnknownOutcomeError)


async def test_an_edit_is_all_or_nothing(bench: Bench, client: JiraClient) -> None:
    await client.edit("7", {"summary": "Other"}, "c:1")
    assert bench.jira.sent("PUT", "/issue/7") == [{"fields": {"summary": "Other"}}]
    bench.wire.instead = [("/issue/7", refused(404, MISSING)), ("/issue/7", refused(409, {"errorMessages": ["busy"]}))]
    for code in ("not_found", "conflict"):
        error = await caught(client.edit("7", {"summary": "Other"}, "c:1"), RecordRejectedError)
        assert (error.code, error.external_id) == (code, "c:1")


async def test_transitions_show_where_they_lead_and_what_they_ask_for(bench: Bench, client: JiraClient) -> None:
    to = {"id": "10002", "name": "Done", "statusCategory": {"id": 3, "key": "done"}}
    screen = {"resolution": {"required": True, "allowedValues": [{"id": "1", "name": "Fixed"}], "operations": ["set"]}}
    rows = [{"id": "31", "name": "Finish", "to": to, "fields": screen}, {"id": "41", "to": to, "isAvailable": False}]
    bench.jira.answers["GET", "/issue/7/transitions"] = {"expand": "x", "transitions": rows}
    (one,) = await client.transitions("7")
    assert (one.id, one.name, one.to_id, one.to_name, one.to_category) == ("31", "Finish", "10002", "Done", "done")
    assert one.fields["resolution"].required
    assert [dict(value) for value in one.fields["resolution"].allowed] == [{"id": "1", "name": "Fixed"}]
    bench.jira.answers["POST", "/issue/7/transitions"] = lambda *_: nothing(204)
    await client.transition("7", "31", fields={"resolution": {"name": "Fixed"}}, external_id="c:1")
    sent = {"transition": {"id": "31"}, "fields": {"resolution": {"name": "Fixed"}}}
    assert bench.jira.sent("POST", "/issue/7/transitions") == [sent]


async def test_what_concerns_a_deleted_issue_is_a_refusal_of_that_record(bench: Bench, client: JiraClient) -> None:
    bench.wire.instead = [("/transitions", refused(404, MISSING)), ("/comment", refused(404, MISSING))]
    for action in (client.transitions("7"), client.comments("7")):
        assert (await caught(action, RecordRejectedError)).code == "not_found"


async def test_reads_the_newest_comments_and_adds_one_with_properties(bench: Bench, client: JiraClient) -> None:
    rows: list[dict[str, Any]] = [
        {
            "id": str(n),
            "author": {"accountId": "acc:1"},
            "created": "2026-03-05T08:00:00.000+0000",
            "body": {"type": "doc"},
        }
        for n in range(130)
    ]
    rows[0]["properties"] = [{"key": "ml-connector", "value": {"note": "k"}}]

    def listed(request: Any, _: Any) -> Any:
        start, size = int(request.query_params["startAt"]), int(request.query_params["maxResults"])
        assert request.query_params["orderBy"] == "-created"
        return {"comments": rows[start : start + size], "startAt": start, "maxResults": size, "total": len(rows)}

    bench.jira.answers["GET", "/issue/7/comment"] = listed
    found = await client.comments("7")
    assert (len(found), found[0].author_id, found[0].properties) == (100, "acc:1", {"ml-connector": {"note": "k"}})
    assert len(await client.comments("7", newest=500)) == 130
    bench.jira.answers["POST", "/issue/7/comment"] = {"id": "900", "body": {}}
    made = await client.add_comment("7", {"type": "doc"}, properties={"ml-connector": {"note": "k"}}, external_id="c:1")
    assert made == "900"
    sent = {"body": {"type": "doc"}, "properties": [{"key": "ml-connector", "value": {"note": "k"}}]}
    assert bench.jira.sent("POST", "/issue/7/comment") == [sent]


def test_every_readme_section_that_the_code_cites_exists() -> None:
    headings = set(re.findall(r"^#+ (.+)$", (SYSTEM / "README.md").read_text(), re.MULTILINE))
    for path in SYSTEM.glob("*.py"):
        for cited in re.findall(r"README(?::|, \")\s?([A-Z][A-Za-z ]+)", path.read_text()):
            assert cited.strip() in headings, f"{path.name} cites {cited}"


def nothing(status: int) -> Response:
    """An answer without a body."""
    return Response(status_code=status)
