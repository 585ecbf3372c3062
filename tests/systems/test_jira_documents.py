"""An issue's fields in our words and in Jira's, and what counts as the same value."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import orjson
import pytest

from ml_connector.errors import RecordRejectedError
from ml_connector.http.json import dumps
from ml_connector.systems.jira import adf
from ml_connector.systems.jira.documents import (
    FIELD,
    differing,
    fields_to_write,
    kind_of,
    members,
    new_issue,
    plain,
    shown,
)
from ml_connector.systems.jira.models import Issue

KINDS = "com.atlassian.jira.plugin.system.customfieldtypes:"
# One custom field per kind, a value in our words, Jira's form of it, and the form in which Jira shows it.
CASES: list[tuple[str, str, Any, Any]] = [
    ("text", "PO 1001", "PO 1001", "PO 1001"),
    ("text", " two\nlines ", "two lines", "two lines"),
    ("url", "https://qad.example/1", "https://qad.example/1", "https://qad.example/1"),
    ("number", "12.50", Decimal("12.50"), Decimal("12.5")),
    ("number", "-0.00", Decimal("0.00"), 0),
    ("number", "0.1234567890123456789", Decimal("0.1234567890123456789"), Decimal("0.12345678901234568")),
    ("option", "Hold", {"value": "Hold"}, {"self": "x", "id": "10101", "value": "Hold"}),
    ("options", "North", [{"value": "North"}], [{"id": "1", "value": "North"}]),
    ("labels", "a b", ["a", "b"], ["a", "b"]),
    ("date", "2026-03-09", "2026-03-09", "2026-03-09"),
    ("datetime", "2026-03-09T10:00:00+01:00", "2026-03-09T09:00:00.000+0000", "2026-03-09T03:00:00.000-0600"),
    ("user", "acc:1", {"accountId": "acc:1"}, {"accountId": "acc:1", "displayName": "Buyer"}),
    ("document", "a\nb", adf.doc(adf.paragraph("a\nb")), adf.doc(adf.paragraph("a\nb"))),
]


def issue(**fields: Any) -> Issue:
    return Issue.model_validate({"id": "1", "key": "AP-1", "fields": fields})


@pytest.mark.parametrize(("kind", "value", "wire", "there"), CASES)
def test_each_kind_of_field_is_written_and_recognised(kind: str, value: str, wire: Any, there: Any) -> None:
    payload = {f"{FIELD}customfield_1": value}
    shapes = {"customfield_1": kind}
    assert fields_to_write(payload, payload, shapes) == {"customfield_1": wire}
    assert differing(payload, issue(customfield_1=there), shapes) == ()
    assert differing(payload, issue(customfield_1=None), shapes) == tuple(payload)
    assert differing(payload, issue(), shapes) == tuple(payload)


@pytest.mark.parametrize("kind", sorted({kind for kind, *_ in CASES}))
def test_an_empty_value_clears_the_field(kind: str) -> None:
    payload = {f"{FIELD}customfield_1": ""}
    assert fields_to_write(payload, payload, {"customfield_1": kind}) == {"customfield_1": None}
    assert differing(payload, issue(customfield_1=None), {"customfield_1": kind}) == ()
    assert differing(payload, issue(customfield_1="x"), {"customfield_1": kind}) == tuple(payload)


@pytest.mark.parametrize(
    ("kind", "value"), [("number", "ten"), ("number", "NaN"), ("date", "9.3.2026"), ("datetime", "x")]
)
def test_a_value_that_is_none_names_its_field(kind: str, value: str) -> None:
    payload = {f"{FIELD}customfield_1": value}
    with pytest.raises(RecordRejectedError) as refused:
        fields_to_write(payload, payload, {"customfield_1": kind})
    assert refused.value.code == "invalid_value:customfield_1"
    assert differing(payload, issue(customfield_1="x"), {"customfield_1": kind}) == tuple(payload)


@pytest.mark.parametrize(
    ("schema", "kind"),
    [
        ({"type": "string", "custom": KINDS + "textfield"}, "text"),
        ({"type": "string", "custom": KINDS + "textarea"}, "document"),
        ({"type": "string", "custom": KINDS + "url"}, "url"),
        ({"type": "number", "custom": KINDS + "float"}, "number"),
        ({"type": "option", "custom": KINDS + "select"}, "option"),
        ({"type": "array", "items": "option", "custom": KINDS + "multiselect"}, "options"),
        ({"type": "array", "items": "string", "custom": KINDS + "labels"}, "labels"),
        ({"type": "user", "custom": KINDS + "userpicker"}, "user"),
        ({"type": "datetime", "custom": KINDS + "datetime"}, "datetime"),
        ({"type": "date", "custom": KINDS + "datepicker"}, "date"),
        ({}, "text"),
    ],
)
def test_the_kind_of_a_field_follows_from_its_schema(schema: dict[str, str], kind: str) -> None:
    assert kind_of(schema) == kind


def test_members_of_other_names_are_none_of_the_issues() -> None:
    payload = {"summary": "x", "seen": "10", "field:customfield_1": "y", "labels": []}
    assert members(payload) == ("summary", "field:customfield_1", "labels")


def test_a_new_issue_carries_the_mark_and_leaves_out_what_is_empty() -> None:
    payload = {"summary": "S", "priority": "2", "assignee": "", "field:customfield_1": "", "labels": ["two words"]}
    mark = {"token": "T", "record": "q:x:1"}
    document = new_issue(payload, {}, where={"project": {"key": "AP"}}, property_key="ml-connector", mark=mark)
    assert document == {
        "fields": {"summary": "S", "priority": {"id": "2"}, "labels": ["two_words"], "project": {"key": "AP"}},
        "properties": [{"key": "ml-connector", "value": mark}],
    }


@pytest.mark.parametrize(
    ("payload", "fields", "same"),
    [
        ({"priority": "High"}, {"priority": {"id": "2", "name": "high"}}, True),
        ({"priority": "2"}, {"priority": {"id": "2", "name": "High"}}, True),
        ({"priority": "Low"}, {"priority": {"id": "2", "name": "High"}}, False),
        ({"priority": "Low"}, {"priority": None}, False),
        ({"assignee": "acc:1"}, {"assignee": {"accountId": "acc:1"}}, True),
        ({"assignee": "acc:1"}, {"assignee": None}, False),
        ({"labels": ["a"]}, {"labels": ["a", "theirs"]}, True),
        ({"labels": ["a"]}, {"labels": []}, False),
        ({"labels": []}, {"labels": ["theirs"]}, True),
        ({"summary": "a\nb"}, {"summary": "a b"}, True),
        ({"summary": "a"}, {"summary": "A"}, False),
        ({"description": adf.doc(adf.paragraph("x"))}, {"description": adf.doc(adf.paragraph("x"))}, True),
        ({"description": adf.doc(adf.paragraph("x"))}, {"description": None}, False),
    ],
)
def test_what_counts_as_the_same(payload: dict[str, Any], fields: dict[str, Any], same: bool) -> None:
    assert (differing(payload, issue(**fields), {}) == ()) is same


LINK = adf.doc(adf.paragraph("Look ", adf.link("here", "https://qad.example/1"), "\nthen go"))


@pytest.mark.parametrize(("text", "document"), [(adf.packed(LINK), LINK), ('{"a": 1}', None), ("5", None), ("[", None)])
def test_a_description_may_travel_as_one_text(text: str, document: Any) -> None:
    document = document or adf.doc(adf.paragraph(text))
    payload = {"description": text}
    wire = fields_to_write(payload, payload, {})
    assert orjson.loads(dumps(wire)) == {"description": document}
    assert differing(payload, issue(description=document), {}) == ()
    assert differing(payload, issue(description=adf.doc(adf.paragraph("other"))), {}) == ("description",)
    assert differing({"description": ""}, issue(description=document), {}) == ("description",)


def test_equal_documents_have_equal_texts() -> None:
    turned = {name: LINK[name] for name in reversed(list(LINK))}
    assert adf.packed(turned) == adf.packed(LINK)
    assert adf.unpacked(adf.packed(LINK)) == adf.unpacked(LINK) == LINK


def test_what_an_issue_shows_is_told_as_plain_text() -> None:
    payload = {"summary": "x", "description": {}, "field:customfield_1": "1", "field:customfield_2": "y"}
    there = issue(summary="Theirs", customfield_1=Decimal("10.0"), description=adf.doc(), customfield_3="not asked")
    assert shown(payload, there) == {"summary": "Theirs", "field:customfield_1": "10", "field:customfield_2": ""}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        (True, "true"),
        (7, "7"),
        (Decimal("1E+3"), "1000"),
        ({"value": "North", "child": {"value": "Hall 2"}}, "North / Hall 2"),
        ({"accountId": "acc:1", "displayName": "Buyer"}, "acc:1"),
        ({"id": "3", "name": "In Progress"}, "In Progress"),
        ([{"value": "A"}, None, {"value": "B"}], "A, B"),
        (adf.doc(adf.paragraph("a"), adf.paragraph("b")), "a\nb"),
        ({"odd": 1}, ""),
    ],
)
def test_any_value_has_a_plain_text(value: Any, text: str) -> None:
    assert plain(value) == text


def test_a_long_text_is_shortened_as_jira_counts_it() -> None:
    payload = {"summary": "\U0001f642 " * 300, "field:customfield_1": "x" * 300}
    written = fields_to_write(payload, payload, {"customfield_1": "text"})
    assert len(written["summary"].encode("utf-16-le")) // 2 <= 254
    assert len(written["summary"].encode("utf-16-le")) // 2 > 240
    assert written["customfield_1"] == "x" * 254 + "…"
