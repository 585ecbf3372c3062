"""The rest of the stand-in Jira site: what it has, people, properties, links, limits, faults, admin API, start."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from typing import Any

import pytest

from sandbox.__main__ import load
from sandbox.jira.app import create
from sandbox.kit.app import BadRequest
from sandbox.kit.faults import ConnectionAborted
from tests.sandbox.jira_visitor import KEY_FIELD, SERVICE, document, new_issue, visiting

TOKEN = "ACME7F2Q3XKJ5WPA9BCD"


async def test_fields_tell_their_searcher_and_whose_they_are() -> None:
    async with visiting() as visitor:
        fields = {one["id"]: one for one in (await visitor.get("field")).json()}
        assert fields[KEY_FIELD]["clauseNames"] == ["cf[10047]", "ml-connector key"]
        assert fields[KEY_FIELD]["schema"]["customId"] == 10047
        assert fields["customfield_10147"]["scope"]["project"]["id"] == "10020"
        found = (await visitor.get("field/search", type="custom", id=KEY_FIELD, expand="searcherKey")).json()
        assert found["values"][0]["searcherKey"].endswith(":textsearcher")
        assert (await visitor.get("field/search", id="customfield_10147")).json()["values"] == []
        url = (await visitor.get("field/search", id="customfield_10049", expand="searcherKey")).json()["values"][0]
        assert url["searcherKey"].endswith(":exacttextsearcher")


async def test_create_screens_are_listed_by_page() -> None:
    async with visiting() as visitor:
        types = (await visitor.get("issue/createmeta/AP/issuetypes")).json()
        assert [one["name"] for one in types["issueTypes"]] == ["Task", "Incident"]
        seen: list[dict[str, Any]] = []
        while len(seen) < 28:
            page = (await visitor.get("issue/createmeta/AP/issuetypes/10001", startAt=len(seen), maxResults=10)).json()
            seen += page["fields"]
        assert page["total"] == 28
        required = {one["fieldId"] for one in seen if one["required"]}
        assert required == {"project", "issuetype", "summary"}
        kind = next(one for one in seen if one["fieldId"] == "customfield_10046")
        assert [one["value"] for one in kind["allowedValues"]] == ["Match", "Hold", "Late"]
        assert (await visitor.get("issue/createmeta/AP/issuetypes/10005")).status_code == 400
        assert (await visitor.get("issue/createmeta/NO/issuetypes")).status_code == 404


async def test_people_are_found_by_the_beginning_of_their_names() -> None:
    async with visiting() as visitor:
        names = [one["displayName"] for one in (await visitor.get("user/search", query="ap")).json()]
        assert names == ["AP Manager", "AP Clerk"]
        inactive = (await visitor.get("user/search", accountId="712020:former-0006")).json()
        assert [one["active"] for one in inactive] == [False]
        assert (await visitor.get("user/search")).status_code == 400
        assert (await visitor.get("user/search", query="a", accountId="b")).status_code == 400
        await visitor.option(hidden_emails=True)
        assert (await visitor.get("user/search", query="plant.b")).json() == []
        [exact] = (await visitor.get("user/search", query="plant.buyer@acme.example")).json()
        assert "emailAddress" not in exact
        await visitor.do("refuse_permission", permission="USER_PICKER")
        assert (await visitor.get("user/search", query="ap")).json() == []


async def test_only_active_people_are_assignable() -> None:
    async with visiting() as visitor:
        found = (await visitor.get("user/assignable/search", project="AP", query="")).json()
        assert "712020:former-0006" not in [one["accountId"] for one in found]
        await visitor.do("set_user", account="712020:clerk-0004", assignable=False)
        none = await visitor.get("user/assignable/search", project="AP", accountId="712020:clerk-0004")
        assert none.json() == []
        assert (await visitor.get("user/assignable/search", query="a")).status_code == 400
        key = await visitor.create()
        refused = await visitor.put(f"issue/{key}/assignee", {"accountId": "712020:clerk-0004"})
        assert refused.json()["errors"] == {"assignee": "User '712020:clerk-0004' cannot be assigned issues."}
        assert (await visitor.put(f"issue/{key}/assignee", {"accountId": "712020:buyer-0005"})).status_code == 204
        assert (await visitor.put(f"issue/{key}/assignee", {"accountId": None})).status_code == 204
        for body in ({}, {"accountId": "712020:buyer-0005", "key": "x"}):
            assert (await visitor.put(f"issue/{key}/assignee", body)).status_code == 400


async def test_permissions_are_told_and_enforced() -> None:
    async with visiting() as visitor:
        key = await visitor.create()
        for permission in ("BROWSE_PROJECTS", "EDIT_ISSUES", "ADD_COMMENTS", "LINK_ISSUES", "CREATE_ISSUES"):
            await visitor.do("refuse_permission", permission=permission)
            told = (await visitor.get("mypermissions", permissions=permission)).json()["permissions"]
            assert told[permission]["havePermission"] is False
            if permission == "BROWSE_PROJECTS":
                assert (await visitor.get(f"issue/{key}")).status_code == 404
                await visitor.do("refuse_permission", permission=permission, refused=False)
        assert (await visitor.put(f"issue/{key}", {"fields": {"summary": "x"}})).status_code == 403
        assert (await visitor.post(f"issue/{key}/comment", {"body": document("x")})).status_code == 403
        assert (await visitor.post("issue", new_issue())).json()["errors"].keys() == {"project"}
        assert (await visitor.get("mypermissions")).status_code == 400
        assert (await visitor.get("mypermissions", permissions="FLY")).status_code == 400


async def test_properties_are_created_then_updated() -> None:
    async with visiting() as visitor:
        key = await visitor.create()
        assert (await visitor.put(f"issue/{key}/properties/p", {"a": 1})).status_code == 201
        assert (await visitor.put(f"issue/{key}/properties/p", [2])).status_code == 200
        assert (await visitor.get(f"issue/{key}/properties/p")).json() == {"key": "p", "value": [2]}
        assert (await visitor.put(f"issue/{key}/properties/p", "x" * 32_769)).status_code == 400
        assert (await visitor.put(f"issue/{key}/properties/{'k' * 256}", 1)).status_code == 400
        empty = await visitor.call("PUT", f"issue/{key}/properties/p", headers={"Content-Type": "application/json"})
        assert empty.status_code == 400
        assert (await visitor.call("DELETE", f"issue/{key}/properties/p")).status_code == 204
        assert (await visitor.get(f"issue/{key}/properties/p")).status_code == 404


async def test_remote_links_are_upserts_within_their_issue() -> None:
    async with visiting(max_remote_links=2) as visitor:
        first, second = await visitor.create(), await visitor.create()
        target = {"url": "https://erp.example/1", "title": "One"}
        body = {"globalId": "g", "relationship": "from", "object": target}
        made = await visitor.post(f"issue/{first}/remotelink", body)
        again = await visitor.post(f"issue/{first}/remotelink", {"globalId": "g", "object": target | {"title": "Two"}})
        assert (made.status_code, again.status_code, made.json()["id"]) == (201, 200, again.json()["id"])
        [shown] = (await visitor.get(f"issue/{first}/remotelink")).json()
        assert (shown["object"]["title"], "relationship" in shown) == ("Two", False)
        assert (await visitor.post(f"issue/{second}/remotelink", body)).status_code == 201
        assert (await visitor.post(f"issue/{first}/remotelink", {"object": {"url": "x"}})).json()["errors"].keys() == {
            "title"
        }
        for status in (201, 413):
            assert (await visitor.post(f"issue/{first}/remotelink", {"object": target})).status_code == status
        bare = await visitor.call("DELETE", f"issue/{first}/remotelink?globalId=g")
        assert (bare.status_code, bare.headers["content-type"]) == (415, "application/problem+json")
        kind = {"Content-Type": "application/json"}
        for status in (204, 404):
            gone = await visitor.call("DELETE", f"issue/{first}/remotelink?globalId=g", headers=kind)
            assert gone.status_code == status


async def test_writes_on_one_issue_are_counted() -> None:
    async with visiting() as visitor:
        key, other = await visitor.create(), await visitor.create()
        for number in range(20):
            assert (await visitor.put(f"issue/{key}/properties/p", number)).status_code in (200, 201)
        refused = await visitor.put(f"issue/{key}/properties/p", 0)
        assert (refused.status_code, refused.headers["RateLimit-Reason"]) == (429, "jira-per-issue-on-write")
        assert refused.headers["Retry-After"] == "2"
        assert (await visitor.put(f"issue/{other}/properties/p", 0)).status_code == 201
        await visitor.option(retry_after=False)
        assert "Retry-After" not in (await visitor.put(f"issue/{key}/properties/p", 0)).headers
        await visitor.advance(2)
        assert (await visitor.put(f"issue/{key}/properties/p", 0)).status_code == 200


async def test_points_run_out_until_the_hour_is_full_for_oauth_alone() -> None:
    async with visiting(quota_points=5) as visitor:
        key = await visitor.create()
        await visitor.advance(600)
        granted = await visitor.token(grant_type="client_credentials", **SERVICE)
        for _ in range(3):
            assert (await visitor.get(f"issue/{key}")).status_code == 200
        visitor.use(bearer=granted.json()["access_token"], gateway=True)
        seen = [await visitor.get(f"issue/{key}") for _ in range(3)]
        assert [one.headers["X-RateLimit-Remaining"] for one in seen] == ["3", "1", "0"]
        assert ["X-RateLimit-NearLimit" in one.headers for one in seen] == [False, False, True]
        wall = await visitor.get(f"issue/{key}")
        assert (wall.status_code, wall.headers["RateLimit-Reason"]) == (429, "jira-quota-global-based")
        assert wall.headers["X-RateLimit-Reset"] == "2026-03-02T10:00Z"
        assert 2990 <= int(wall.headers["Retry-After"]) <= 3001
        await visitor.advance(3000)
        assert (await visitor.get(f"issue/{key}")).status_code == 200
        assert (await visitor.truth())["points"] == 8


async def test_bursts_are_counted_per_address() -> None:
    async with visiting(burst_per_s=2) as visitor:
        statuses = [(await visitor.get("priority")).status_code for _ in range(3)]
        assert statuses == [200, 200, 429]
        assert (await visitor.get("status")).status_code == 200
        assert (await visitor.get("priority")).headers["RateLimit-Reason"] == "jira-burst-based"


async def test_a_lost_answer_leaves_an_issue_behind() -> None:
    async with visiting() as visitor:
        await visitor.fault(method="POST", path="/issue$", kind="reset_after")
        with pytest.raises(ConnectionAborted):
            await visitor.post("issue", new_issue(token=TOKEN))
        assert (await visitor.truth())["tokens"] == {TOKEN: 1}
        await visitor.fault(method="PUT", path="/issue/AP-1", kind="status", status=409)
        assert (await visitor.put("issue/AP-1", {"fields": {"summary": "x"}})).status_code == 409


async def test_what_is_not_modelled_says_so() -> None:
    async with visiting() as visitor:
        key = await visitor.create()
        for verb, path, body in (
            ("GET", "dashboard", None),
            ("GET", f"issue/{key}/worklog", None),
            ("GET", f"issue/{key}?expand=renderedFields", None),
            ("GET", "project/AP?nosuch=1", None),
            ("POST", "issue", new_issue() | {"transition": {"id": "11"}}),
            ("POST", f"issue/{key}/comment", {"body": document("x"), "parentId": 1}),
            ("GET", "/rest/agile/1.0/board", None),
        ):
            answer = await visitor.call(verb, path, body)
            assert answer.status_code == 501, path
            assert "does not model" in answer.json()["errorMessages"][0]


async def test_page_numbers_must_be_numbers() -> None:
    async with visiting() as visitor:
        answer = await visitor.get("project/search", startAt="x")
        assert (answer.status_code, answer.headers["content-type"]) == (400, "application/problem+json")


async def test_people_work_through_the_admin_api() -> None:
    async with visiting() as visitor:
        made = await visitor.do(
            "create", fields=new_issue("By hand")["fields"], properties={"ml-connector": {"token": "x"}}
        )
        await visitor.do("comment", issue=made["key"], text="Two\nlines")
        await visitor.do("transition", issue=made["key"], to="Decline", account="712020:clerk-0004")
        shown = (await visitor.get(f"issue/{made['key']}")).json()["fields"]
        assert (shown["creator"]["displayName"], shown["resolution"]["name"]) == ("AP Manager", "Won't Do")
        assert len(shown["comment"]["comments"][0]["body"]["content"]) == 2
        truth = await visitor.truth()
        assert (truth["tokens"], truth["creates"], truth["comments"]) == ({"x": 1}, {}, {})
        assert truth["events"] == {"jira:issue_created": 1, "comment_created": 1, "jira:issue_updated": 1}
        for action, given in (("set_fields", {"issue": "AP-9"}), ("move", {"issue": made["key"], "to": "NO"})):
            answer = await visitor.http.post(f"/_sandbox/do/{action}", json=given)
            assert answer.status_code == 404
        [state] = (await visitor.http.get("/_sandbox/state/issues")).json()
        assert state["properties"] == {"ml-connector": {"token": "x"}}


async def test_seeds_hold_issues_too_and_refuse_what_they_do_not_know() -> None:
    async with visiting() as visitor:
        issue = {"fields": new_issue("Old", None)["fields"], "properties": {"p": 1}, "status": "Done"}
        assert (await visitor.http.post("/_sandbox/seed", json={"issues": [issue]})).json() == {"issues": 1}
        assert (await visitor.get("issue/AP-1")).json()["fields"]["status"]["name"] == "Done"
        wrongs: list[dict[str, Any]] = [
            {"boards": []},
            {"fields": [{"id": "x", "type": "float"}]},
            {"issues": [{"fields": {}}]},
        ]
        for wrong in wrongs:
            assert (await visitor.http.post("/_sandbox/seed", json=wrong)).status_code == 400
        await visitor.http.post("/_sandbox/reset")
        assert (await visitor.get("project/search")).json()["total"] == 0


def test_unknown_options_are_refused() -> None:
    with pytest.raises(BadRequest):
        create(options={"lag": 1})


def test_the_story_is_the_base_with_nothing_on_top() -> None:
    tenant = create().state.tenant
    load(tenant, ["story"])
    assert (len(tenant.projects), len(tenant.issues)) == (2, 0)


def test_the_site_starts_from_the_command_line() -> None:
    command = [sys.executable, "-m", "sandbox", "jira", "--seed", "base", "--option", "index_lag_s=0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            ready = json.loads(process.stdout.readline())
            with urllib.request.urlopen(ready["url"] + "/_edge/tenant_info") as answer:
                assert set(json.load(answer)) == {"cloudId"}
        finally:
            process.terminate()
    assert (ready["sandbox"], process.returncode) == ("jira", 0)
