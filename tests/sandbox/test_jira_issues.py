"""Issues of the stand-in Jira site: what a create and an edit may hold, bulk, reading, steps, comments, history."""

from __future__ import annotations

from typing import Any

import pytest

from sandbox.jira.adf import is_valid
from tests.sandbox.jira_visitor import KEY_FIELD, Visitor, document, new_issue, visiting

TOKEN = "ACME7F2Q3XKJ5WPA9BCD"
NO_ISSUE = ["Issue does not exist or you do not have permission to see it."]
OFF_SCREEN = "Field '{}' cannot be set. It is not on the appropriate screen, or unknown."


async def errors(visitor: Visitor, body: dict[str, Any]) -> dict[str, str]:
    answer = await visitor.post("issue", body)
    assert answer.status_code == 400, answer.text
    found: dict[str, str] = answer.json()["errors"]
    return found


async def fields_of(visitor: Visitor, key: str) -> dict[str, Any]:
    shown: dict[str, Any] = (await visitor.get(f"issue/{key}")).json()["fields"]
    return shown


async def test_a_created_issue_has_its_fields_and_its_property_at_once() -> None:
    async with visiting() as visitor:
        answer = await visitor.post("issue", new_issue(token=TOKEN, customfield_10046={"id": "10101"}))
        assert (answer.status_code, answer.json()) == (
            201,
            {"id": "10000", "key": "AP-1", "self": "http://127.0.0.1/rest/api/3/issue/10000"},
        )
        shown = (
            await visitor.get("issue/10000", fields=f"{KEY_FIELD},customfield_10046", properties="ml-connector")
        ).json()
        assert shown["fields"][KEY_FIELD] == TOKEN
        assert shown["fields"]["customfield_10046"]["value"] == "Hold"
        assert shown["properties"] == {"ml-connector": {"token": TOKEN, "record": "INV-1"}}
        truth = await visitor.truth()
        assert (truth["tokens"], truth["field_tokens"], truth["creates"]) == ({TOKEN: 1}, {TOKEN: 1}, {TOKEN: 1})


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"customfield_10052": "x"}, {"customfield_10052": OFF_SCREEN.format("customfield_10052")}),
        ({"customfield_99999": "x"}, {"customfield_99999": OFF_SCREEN.format("customfield_99999")}),
        ({"customfield_10147": "x"}, {"customfield_10147": OFF_SCREEN.format("customfield_10147")}),
        ({"resolution": {"name": "Done"}}, {"resolution": OFF_SCREEN.format("resolution")}),
        ({"status": {"id": "3"}}, {"status": OFF_SCREEN.format("status")}),
        ({"summary": ""}, {"summary": "You must specify a summary of the issue."}),
        ({"summary": "a\nb"}, {"summary": "The summary is invalid because it contains newline characters."}),
        ({"summary": "a" * 255}, {"summary": "Summary must be less than 255 characters."}),
        ({"project": {"key": "NO"}}, {"project": "Specify a valid project ID or key"}),
        ({"issuetype": {"id": "10005"}}, {"issuetype": "Specify a valid issue type"}),
        (
            {"description": "plain"},
            {"description": "Operation value must be an Atlassian Document (see the Atlassian Document Format)"},
        ),
        (
            {"description": document("x" * 32_768)},
            {"description": "The entered text is too long. It exceeds the allowed limit of 32,767 characters."},
        ),
        (
            {"customfield_10040": "x" * 256},
            {"customfield_10040": "The entered text is too long. It exceeds the allowed limit of 255 characters."},
        ),
        ({"customfield_10040": 5}, {"customfield_10040": "Operation value must be a string"}),
        ({"customfield_10042": "5"}, {"customfield_10042": "Operation value must be a number"}),
        ({"customfield_10046": {"value": "Other"}}, {"customfield_10046": "Option value 'Other' is not valid"}),
        ({"customfield_10046": {"id": "1"}}, {"customfield_10046": "Option id '1' is not valid"}),
        ({"labels": ["a b"]}, {"labels": "The label 'a b' contains spaces which is invalid."}),
        ({"assignee": {"accountId": "nobody"}}, {"assignee": "Specify a valid accountId for Assignee"}),
        (
            {"assignee": {"accountId": "712020:former-0006"}},
            {"assignee": "User '712020:former-0006' cannot be assigned issues."},
        ),
        ({"duedate": "3/2/2026"}, {"duedate": "Operation value must be a string in the format 'yyyy-MM-dd'"}),
        ({"customfield_10049": "not a url"}, {"customfield_10049": "Not a valid URL"}),
    ],
)
async def test_fields_are_refused_by_name(fields: dict[str, Any], expected: dict[str, str]) -> None:
    async with visiting() as visitor:
        assert await errors(visitor, new_issue(**fields)) == expected
        assert (await visitor.truth())["issues"] == 0


async def test_all_offenders_are_named_at_once() -> None:
    async with visiting() as visitor:
        found = await errors(visitor, new_issue(summary="a\nb", customfield_10052="x", customfield_10042="5"))
        assert set(found) == {"summary", "customfield_10052", "customfield_10042"}


async def test_a_field_cannot_stand_in_both_maps() -> None:
    async with visiting() as visitor:
        body = new_issue(labels=["a"]) | {"update": {"labels": [{"add": "b"}]}}
        assert set(await errors(visitor, body)) == {"labels"}


@pytest.mark.parametrize(
    "body", [[], {"fields": []}, {"update": {"labels": {"add": "x"}}}, {"properties": [{"kee": 1}]}]
)
async def test_misshapen_bodies_are_invalid_payloads(body: Any) -> None:
    async with visiting() as visitor:
        answer = await visitor.post("issue", body)
        assert (answer.status_code, set(answer.json())) == (400, {"errorMessages"})
        text = await visitor.call("POST", "issue", content=b"{}", headers={"Content-Type": "text/plain"})
        assert text.status_code == 415


@pytest.mark.parametrize(
    "content",
    [
        [{"type": "paragraph", "content": [{"type": "text", "text": ""}]}],
        [{"type": "text", "text": "loose"}],
        [{"type": "paragraph", "content": [{"type": "paragraph"}]}],
        [{"type": "heading", "attrs": {"level": 7}}],
        [{"type": "heading"}],
        [{"type": "paragraph", "colour": "red"}],
        [{"type": "bulletList", "content": []}],
        [{"type": "codeBlock", "content": [{"type": "text", "text": "x", "marks": [{"type": "strong"}]}]}],
        [{"type": "table", "content": [{"type": "tableRow", "content": [{"type": "tableCell", "content": []}]}]}],
        [
            {
                "type": "table",
                "content": [
                    {"type": "tableRow", "content": [{"type": "tableCell", "content": [{"type": "text", "text": "x"}]}]}
                ],
            }
        ],
        [{"type": "panel", "attrs": {"panelType": "loud"}, "content": [{"type": "paragraph"}]}],
        [
            {
                "type": "paragraph",
                "content": [{"type": "text", "text": "x", "marks": [{"type": "code"}, {"type": "strong"}]}],
            }
        ],
        [{"type": "paragraph", "content": [{"type": "text", "text": "x", "marks": [{"type": "link"}]}]}],
        [{"type": "carousel"}],
    ],
)
async def test_rich_text_outside_the_format_is_invalid_input(content: list[Any]) -> None:
    async with visiting() as visitor:
        body = {"version": 1, "type": "doc", "content": content}
        answer = await visitor.post("issue", new_issue(description=body))
        assert (answer.status_code, answer.json()) == (400, {"errorMessages": ["INVALID_INPUT"], "errors": {}})
        key = await visitor.create()
        said = await visitor.post(f"issue/{key}/comment", {"body": body})
        assert said.json()["errors"] == {"comment": "INVALID_INPUT"}


def test_the_usual_rich_text_is_valid() -> None:
    text = {
        "type": "text",
        "text": "x",
        "marks": [{"type": "link", "attrs": {"href": "https://e.x"}}, {"type": "code"}],
    }
    inline = [text, {"type": "hardBreak"}, {"type": "mention", "attrs": {"id": "712020:x"}}]
    inline += [
        {"type": "status", "attrs": {"text": "Held", "color": "red"}},
        {"type": "date", "attrs": {"timestamp": "0"}},
    ]
    paragraph = {"type": "paragraph", "content": inline}
    items = {"type": "orderedList", "attrs": {"order": 1}, "content": [{"type": "listItem", "content": [paragraph]}]}
    cells = [{"type": "tableHeader", "attrs": {"colspan": 2}, "content": [paragraph]}]
    cells += [{"type": "tableCell", "content": [{"type": "paragraph"}]}]
    content = [
        {"type": "heading", "attrs": {"level": 2}, "content": [{"type": "text", "text": "x"}]},
        paragraph,
        items,
        {"type": "panel", "attrs": {"panelType": "warning"}, "content": [paragraph]},
        {"type": "codeBlock", "attrs": {"language": "json"}, "content": [{"type": "text", "text": "{}"}]},
        {"type": "rule"},
        {"type": "blockquote", "content": [paragraph]},
        {"type": "expand", "attrs": {"title": "More"}, "content": [paragraph]},
        {"type": "table", "content": [{"type": "tableRow", "content": cells}]},
    ]
    assert is_valid({"version": 1, "type": "doc", "content": content})
    assert not is_valid({"version": 1, "type": "doc", "content": content, "extra": 1})


async def test_bulk_succeeds_in_part_and_fails_only_as_a_whole() -> None:
    async with visiting() as visitor:
        body = [new_issue("One"), new_issue("a\nb"), new_issue("Three")]
        answer = await visitor.post("issue/bulk", {"issueUpdates": body})
        assert answer.status_code == 201
        assert [one["key"] for one in answer.json()["issues"]] == ["AP-1", "AP-2"]
        [failed] = answer.json()["errors"]
        assert (failed["status"], failed["failedElementNumber"]) == (400, 1)
        assert set(failed["elementErrors"]["errors"]) == {"summary"}
        answer = await visitor.post("issue/bulk", {"issueUpdates": [new_issue("a\nb")]})
        assert (answer.status_code, answer.json()["issues"], len(answer.json()["errors"])) == (400, [], 1)
        bodies: list[Any] = [{"issueUpdates": [new_issue()] * 51}, {"issueUpdates": []}, {"issueUpdates": {}}]
        for refused in bodies:
            answer = await visitor.post("issue/bulk", refused)
            assert (answer.status_code, "issues" in answer.json()) == (400, False)
        assert (await visitor.truth())["issues"] == 2


async def test_bulkfetch_answers_by_ascending_id_and_names_what_is_missing() -> None:
    async with visiting() as visitor:
        first, second = await visitor.create(token=TOKEN), await visitor.create()
        wanted = {
            "issueIdsOrKeys": [second, "10000", "AP-77", first],
            "fields": ["summary"],
            "properties": ["ml-connector"],
        }
        answer = (await visitor.post("issue/bulkfetch", wanted)).json()
        assert [one["key"] for one in answer["issues"]] == [first, second]
        assert answer["issues"][0]["properties"]["ml-connector"]["token"] == TOKEN
        assert answer["issueErrors"] == [{"id": "AP-77", "errorMessage": NO_ISSUE[0]}]
        for refused in ([], [str(n) for n in range(101)]):
            assert (await visitor.post("issue/bulkfetch", {"issueIdsOrKeys": refused})).status_code == 400
        assert (await visitor.post("issue/bulkfetch", {"issueIdsOrKeys": ["1"], "max": 1})).status_code == 400


async def test_an_edit_takes_all_or_nothing() -> None:
    async with visiting() as visitor:
        key = await visitor.create(customfield_10051="noted")
        refused = await visitor.put(f"issue/{key}", {"fields": {"summary": "New", "customfield_10051": "x"}})
        assert refused.json()["errors"] == {"customfield_10051": OFF_SCREEN.format("customfield_10051")}
        assert (await fields_of(visitor, key))["summary"] == "Invoice on hold"
        body = {"fields": {"summary": "New"}, "update": {"labels": [{"add": "x"}, {"add": "y"}, {"remove": "x"}]}}
        assert (await visitor.put(f"issue/{key}", body)).status_code == 204
        after = await fields_of(visitor, key)
        assert (after["summary"], after["labels"], after["customfield_10051"]) == ("New", ["y"], "noted")
        shown = await visitor.call("PUT", f"issue/{key}?returnIssue=true", {"fields": {"labels": []}})
        assert (shown.status_code, shown.json()["fields"]["labels"]) == (200, [])
        assert (await visitor.put(f"issue/{key}", {"fields": {"summary": None}})).status_code == 400
        assert (await visitor.put(f"issue/{key}", {})).status_code == 400
        assert (await visitor.put("issue/AP-99", {"fields": {}})).json()["errorMessages"] == NO_ISSUE


async def test_a_field_taken_off_the_screen_refuses_edits_from_then_on() -> None:
    async with visiting() as visitor:
        key = await visitor.create()
        await visitor.do("remove_field_from_screen", project="AP", field="customfield_10040")
        refused = await visitor.put(f"issue/{key}", {"fields": {"customfield_10040": "x"}})
        assert set(refused.json()["errors"]) == {"customfield_10040"}
        meta = (await visitor.get("issue/createmeta/AP/issuetypes/10001", maxResults=200)).json()["fields"]
        assert "customfield_10040" not in {one["fieldId"] for one in meta}


async def test_numbers_come_back_as_doubles() -> None:
    async with visiting() as visitor:
        key = await visitor.create(customfield_10042=600, customfield_10043=-12.50)
        after = await fields_of(visitor, key)
        assert (after["customfield_10042"], after["customfield_10043"]) == (600.0, -12.5)


async def test_steps_follow_the_workflow() -> None:
    async with visiting() as visitor:
        key = await visitor.create()
        steps = (await visitor.get(f"issue/{key}/transitions")).json()["transitions"]
        assert [(one["id"], one["to"]["statusCategory"]["key"]) for one in steps] == [
            ("11", "indeterminate"),
            ("31", "done"),
        ]
        assert (await visitor.get(f"issue/{key}/transitions", transitionId="99")).json()["transitions"] == []
        early = await visitor.post(f"issue/{key}/transitions", {"transition": {"id": "21"}})
        assert "not valid for the current state" in early.json()["errorMessages"][0]
        assert (await visitor.post(f"issue/{key}/transitions", {})).status_code == 400
        assert (await visitor.post(f"issue/{key}/transitions", {"transition": {"id": "11"}})).status_code == 204
        off = await visitor.post(
            f"issue/{key}/transitions", {"transition": {"id": "21"}, "fields": {"resolution": {"name": "Done"}}}
        )
        assert off.json()["errors"] == {"resolution": OFF_SCREEN.format("resolution")}
        said = {"comment": [{"add": {"body": document("Done with it")}}]}
        body = {"transition": {"id": "21"}, "update": said}
        assert (await visitor.post(f"issue/{key}/transitions", body)).status_code == 204
        after = await fields_of(visitor, key)
        assert (after["status"]["name"], after["resolution"]["name"], after["comment"]["total"]) == ("Done", "Done", 1)
        await visitor.post(f"issue/{key}/transitions", {"transition": {"id": "41"}})
        after = await fields_of(visitor, key)
        assert (after["status"]["name"], after["resolution"], after["resolutiondate"]) == ("To Do", None, None)
        assert (await visitor.truth())["transitions"] == {key: 3}


async def test_the_step_to_done_may_demand_a_resolution() -> None:
    async with visiting(require_resolution=True) as visitor:
        key = await visitor.create()
        shown = (await visitor.get(f"issue/{key}/transitions", expand="transitions.fields")).json()["transitions"]
        assert shown[1]["fields"]["resolution"]["required"] is True
        bare = await visitor.post(f"issue/{key}/transitions", {"transition": {"id": "31"}})
        assert bare.json()["errors"] == {"resolution": "Resolution is required."}
        body = {"transition": {"id": "31"}, "fields": {"resolution": {"name": "Duplicate"}}}
        assert (await visitor.post(f"issue/{key}/transitions", body)).status_code == 204
        assert (await fields_of(visitor, key))["resolution"]["name"] == "Duplicate"


async def test_step_ids_differ_by_project_and_change_with_the_workflow() -> None:
    async with visiting() as visitor:
        body = {"fields": {"project": {"key": "OPS"}, "issuetype": {"name": "Task"}, "summary": "Other"}}
        key = (await visitor.post("issue", body)).json()["key"]
        steps = (await visitor.get(f"issue/{key}/transitions")).json()["transitions"]
        assert [one["id"] for one in steps] == ["12", "22", "32"]
        assert all(one["isGlobal"] for one in steps)
        await visitor.do("change_transitions", project="OPS", by=100)
        assert (await visitor.post(f"issue/{key}/transitions", {"transition": {"id": "32"}})).status_code == 400
        assert (await visitor.post(f"issue/{key}/transitions", {"transition": {"id": "132"}})).status_code == 204
        await visitor.do("refuse_permission", permission="TRANSITION_ISSUES")
        assert (await visitor.get(f"issue/{key}/transitions")).json()["transitions"] == []


async def test_comments_are_made_anew_each_time_and_carry_properties() -> None:
    async with visiting(max_comments=3) as visitor:
        key = await visitor.create()
        said = {"body": document("Same"), "properties": [{"key": "event", "value": {"id": "e1"}}]}
        for _ in range(2):
            assert (await visitor.post(f"issue/{key}/comment", said)).status_code == 201
            await visitor.advance(1)
        shown = (await visitor.get(f"issue/{key}/comment", orderBy="-created", expand="properties")).json()
        assert (shown["total"], [one["id"] for one in shown["comments"]]) == (2, ["10101", "10100"])
        assert shown["comments"][0]["properties"] == [{"key": "event", "value": {"id": "e1"}}]
        assert "properties" not in (await visitor.get(f"issue/{key}/comment/10100")).json()
        assert (await visitor.get(f"issue/{key}/comment", orderBy="author")).status_code == 400
        page = (await visitor.get(f"issue/{key}/comment", startAt=1, maxResults=1)).json()
        assert [one["id"] for one in page["comments"]] == ["10101"]
        text = await visitor.post(f"issue/{key}/comment", {"body": "plain"})
        assert text.json()["errors"] == {"comment": "Comment body is not valid!"}
        await visitor.post(f"issue/{key}/comment", said)
        assert (await visitor.post(f"issue/{key}/comment", said)).status_code == 413
        assert (await visitor.truth())["comments"] == {key: 3}


async def test_history_is_oldest_first_and_newest_first_when_expanded() -> None:
    async with visiting() as visitor:
        key = await visitor.create()
        for summary in ("One", "Two"):
            await visitor.put(f"issue/{key}", {"fields": {"summary": summary}})
        listed = (await visitor.get(f"issue/{key}/changelog")).json()["values"]
        assert [one["items"][0]["toString"] for one in listed] == ["One", "Two"]
        expanded = (await visitor.get(f"issue/{key}", expand="changelog")).json()["changelog"]["histories"]
        assert [one["items"][0]["toString"] for one in expanded] == ["Two", "One"]
        await visitor.put(f"issue/{key}", {"fields": {"summary": "Two"}})
        assert (await visitor.get(f"issue/{key}/changelog")).json()["total"] == 2


async def test_people_clone_move_and_delete() -> None:
    async with visiting() as visitor:
        key = await visitor.create(token=TOKEN)
        copy = (await visitor.do("clone", issue=key))["key"]
        shown = (await visitor.get(f"issue/{copy}", properties="ml-connector")).json()
        assert (shown["fields"][KEY_FIELD], shown["properties"]) == (TOKEN, {})
        truth = await visitor.truth()
        assert (truth["tokens"], truth["field_tokens"], truth["creates"]) == ({TOKEN: 1}, {TOKEN: 2}, {TOKEN: 1})
        moved = await visitor.do("move", issue=key, to="OPS")
        assert (moved["id"], moved["key"]) == ("10000", "OPS-1")
        assert (await visitor.get(f"issue/{key}")).json()["key"] == "OPS-1"
        await visitor.do("delete", issue="OPS-1")
        for gone in ("10000", key, "OPS-1"):
            assert (await visitor.get(f"issue/{gone}")).json()["errorMessages"] == NO_ISSUE


async def test_a_security_level_hides_an_issue_everywhere() -> None:
    async with visiting() as visitor:
        key = await visitor.create(token=TOKEN)
        await visitor.advance(2)
        await visitor.do("hide", issue=key)
        assert (await visitor.get(f"issue/{key}")).json()["errorMessages"] == NO_ISSUE
        assert await visitor.find(f'cf[10047] ~ "{TOKEN}"') == []
        assert (await visitor.post("issue/bulkfetch", {"issueIdsOrKeys": [key]})).json()["issues"] == []
        await visitor.do("hide", issue=key, hidden=False)
        assert await visitor.find(f'cf[10047] ~ "{TOKEN}"') == [key]


async def test_a_field_may_become_required_later() -> None:
    async with visiting() as visitor:
        await visitor.do("require_field", project="AP", field="customfield_10040")
        assert await errors(visitor, new_issue()) == {"customfield_10040": "PO number is required."}
        key = await visitor.create(customfield_10040="PO1")
        emptied = await visitor.put(f"issue/{key}", {"fields": {"customfield_10040": None}})
        assert emptied.json()["errors"] == {"customfield_10040": "PO number is required."}


async def test_an_archived_project_is_read_only() -> None:
    async with visiting() as visitor:
        key = await visitor.create()
        await visitor.do("archive_project", project="AP")
        assert (await visitor.get(f"issue/{key}")).status_code == 200
        assert (await visitor.put(f"issue/{key}", {"fields": {"summary": "x"}})).status_code == 400
        assert set(await errors(visitor, new_issue())) == {"project"}
        assert [one["key"] for one in (await visitor.get("project/search")).json()["values"]] == ["OPS"]
