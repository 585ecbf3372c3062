"""Rich text stays valid, short enough and readable whatever text it is given."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml_connector.systems.jira import adf

ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=40)
BLOCKS = {"paragraph", "heading", "bulletList", "table", "panel"}


def check(document: Any) -> None:
    """Judge a document by the rules of the format, as far as our words of it go; AssertionError names the node."""
    assert set(document) == {"version", "type", "content"}, document
    assert document["version"] == 1
    assert document["type"] == "doc"
    _children(document, BLOCKS)
    assert len(json.dumps(document, ensure_ascii=False, separators=(",", ":"))) <= adf.MOST_CHARACTERS


def _children(node: Mapping[str, Any], allowed: set[str], *, least: int = 0) -> None:
    content = node.get("content", [])
    assert len(content) >= least, node
    for child in content:
        assert child["type"] in allowed, (node["type"], child["type"])
        RULES[child["type"]](child)


def _only(node: Mapping[str, Any], *names: str) -> None:
    assert set(node) <= {"type", *names}, node


def _text(node: Mapping[str, Any]) -> None:
    _only(node, "text", "marks")
    assert node["text"]
    assert not any(ord(one) < 32 or 0xD800 <= ord(one) < 0xE000 for one in node["text"])
    kinds = [mark["type"] for mark in node.get("marks", [])]
    assert len(set(kinds)) == len(kinds)
    assert set(kinds) <= {"strong", "em", "code", "link"}
    assert "code" not in kinds or set(kinds) <= {"code", "link"}
    for mark in node.get("marks", []):
        if mark["type"] == "link":
            assert set(mark) == {"type", "attrs"}
            assert set(mark["attrs"]) == {"href"}
            assert mark["attrs"]["href"].startswith(("http://", "https://"))
        else:
            assert set(mark) == {"type"}


def _inline(node: Mapping[str, Any]) -> None:
    _only(node, "content")
    _children(node, {"text", "hardBreak"})


def _heading(node: Mapping[str, Any]) -> None:
    _only(node, "content", "attrs")
    assert set(node["attrs"]) == {"level"}
    assert 1 <= node["attrs"]["level"] <= 6
    _children(node, {"text"})


def _table(node: Mapping[str, Any]) -> None:
    _only(node, "content")
    _children(node, {"tableRow"}, least=1)
    assert len({len(row["content"]) for row in node["content"]}) == 1


def _panel(node: Mapping[str, Any]) -> None:
    _only(node, "content", "attrs")
    assert set(node["attrs"]) == {"panelType"}
    assert node["attrs"]["panelType"] in {"info", "note", "tip", "warning", "error", "success"}
    _children(node, {"paragraph"}, least=1)


RULES: dict[str, Callable[[Mapping[str, Any]], None]] = {
    "text": _text,
    "hardBreak": _only,
    "paragraph": _inline,
    "heading": _heading,
    "table": _table,
    "tableRow": lambda node: _children(node, {"tableHeader", "tableCell"}, least=1),
    "tableHeader": lambda node: _children(node, {"paragraph"}, least=1),
    "tableCell": lambda node: _children(node, {"paragraph"}, least=1),
    "bulletList": lambda node: _children(node, {"listItem"}, least=1),
    "listItem": lambda node: _children(node, {"paragraph"}, least=1),
    "panel": _panel,
}

inlines = st.one_of(
    ANY_TEXT,
    st.builds(adf.text, ANY_TEXT, strong=st.booleans(), em=st.booleans(), code=st.booleans()),
    st.builds(adf.link, ANY_TEXT, st.one_of(ANY_TEXT, ANY_TEXT.map(lambda one: f"https://qad.example/{one}"))),
)
rows = st.lists(st.lists(inlines, max_size=3), max_size=4)
blocks = st.one_of(
    st.lists(inlines, max_size=4).map(lambda some: adf.paragraph(*some)),
    st.builds(adf.heading, st.integers(-2, 9), inlines),
    st.builds(adf.table, st.lists(inlines, max_size=3), rows),
    st.builds(adf.bullet_list, st.lists(inlines, max_size=4)),
    st.builds(adf.panel, st.sampled_from(["info", "warning"]), inlines),
)


@settings(deadline=None)
@given(st.lists(blocks, max_size=6))
def test_a_document_of_any_texts_is_valid(some: list[adf.Node]) -> None:
    check(adf.doc(*some))


@settings(max_examples=25, deadline=None)
@given(
    st.lists(blocks, min_size=1, max_size=4), st.integers(1, 5), st.sampled_from(["x", "\\", "\u00e9", "\U0001f642"])
)
def test_a_document_that_is_too_long_is_cut_and_says_so(some: list[adf.Node], factor: int, letter: str) -> None:
    long = adf.paragraph(letter * 9_000)
    table = adf.table(("A", "B"), [(letter * 50, str(number)) for number in range(100 * factor)])
    document = adf.doc(*some, long, table, long, adf.bullet_list([letter * 90] * 200))
    check(document)
    assert adf.paragraph(adf.text(adf.POINTER, em=True)) in document["content"]


def test_what_stands_below_a_long_table_is_not_cut() -> None:
    link = adf.paragraph(adf.link("Open in QAD", "https://qad.example/1"))
    pointer = adf.paragraph("More is in QAD.")
    table = adf.table(("Line", "Item"), [(str(number), "x" * 100) for number in range(1000)])
    document = adf.doc(adf.paragraph("Late."), table, link, pointer=pointer)
    check(document)
    assert [block["type"] for block in document["content"]] == ["paragraph", "table", "paragraph", "paragraph"]
    assert document["content"][2:] == [pointer, link]
    shown = document["content"][1]["content"]
    assert 50 < len(shown) < 1000
    assert shown == table["content"][: len(shown)]


def test_a_pointer_that_is_itself_long_gives_way_to_the_usual_one() -> None:
    document = adf.doc(adf.paragraph("x" * 40_000), pointer=adf.paragraph("y" * 20_000))
    check(document)
    assert adf.plain(document).endswith(adf.POINTER)


def test_line_breaks_are_kept_and_controls_dropped() -> None:
    assert adf.paragraph("a\r\nb\u2028c\td\x00\x07\ud800e") == {
        "type": "paragraph",
        "content": [
            {"type": "text", "text": "a"},
            {"type": "hardBreak"},
            {"type": "text", "text": "b"},
            {"type": "hardBreak"},
            {"type": "text", "text": "c de"},
        ],
    }
    assert adf.paragraph("") == {"type": "paragraph"}


@pytest.mark.parametrize(
    "address",
    ["", "javascript:alert(1)", "mailto:a@b.example", "https://", "http://[::1", "https://a b.example", "//x"],
)
def test_only_web_addresses_become_links(address: str) -> None:
    assert adf.link("QAD", address) == [{"type": "text", "text": "QAD"}]


def test_a_link_without_label_shows_its_address() -> None:
    (node,) = list(adf.link(" ", "https://qad.example/1"))
    assert node == {
        "type": "text",
        "text": "https://qad.example/1",
        "marks": [{"type": "link", "attrs": {"href": "https://qad.example/1"}}],
    }


def test_the_text_of_a_document_reads_line_by_line() -> None:
    document = adf.doc(
        adf.heading(2, "Held\ninvoice"),
        adf.paragraph("one\n", adf.text("two", strong=True)),
        adf.paragraph(),
        adf.table(("Fact", "In QAD"), [("Hold", "10 USD")]),
        adf.bullet_list(["first", "second"]),
        adf.paragraph("last"),
    )
    assert adf.plain(document) == "Held invoice\none\ntwo\n\nFact | In QAD\nHold | 10 USD\nfirst\nsecond\nlast"


@pytest.mark.parametrize(
    ("value", "text"), [("as it is", "as it is"), (None, ""), ({}, ""), (3, ""), ({"content": 1}, "")]
)
def test_what_is_no_document_reads_as_its_text_or_nothing(value: Any, text: str) -> None:
    assert adf.plain(value) == text


def test_nodes_that_people_put_in_are_read_as_well() -> None:
    content = [
        {"type": "mention", "attrs": {"id": "acc:1", "text": "@Buyer"}},
        {"type": "text", "text": " see "},
        {"type": "inlineCard", "attrs": {"url": "https://qad.example/1"}},
    ]
    assert adf.plain({"type": "doc", "content": [{"type": "paragraph", "content": content}]}) == (
        "@Buyer see https://qad.example/1"
    )


def test_what_jira_adds_to_a_document_makes_no_difference() -> None:
    sent = adf.doc(adf.paragraph("held since ", "Monday"), adf.table(("A",), [("1",)]), adf.paragraph())
    stored = json.loads(json.dumps(sent))
    stored["content"][0]["content"] = [{"type": "text", "text": "held since Monday", "marks": []}]
    stored["content"][0]["attrs"] = {"localId": "7"}
    stored["content"][1]["attrs"] = {"isNumberColumnEnabled": False, "layout": "default"}
    stored["content"][1]["content"][0]["content"][0]["attrs"] = {"colspan": 1}
    stored["content"][2]["content"] = []
    assert adf.normalised(stored) == adf.normalised(sent)


@pytest.mark.parametrize(
    "other",
    [
        adf.doc(adf.paragraph("held")),
        adf.doc(adf.heading(1, "Held")),
        adf.doc(adf.paragraph(adf.text("Held", strong=True))),
        adf.doc(adf.paragraph(adf.link("Held", "https://qad.example/1"))),
        adf.doc(adf.paragraph("Held"), adf.paragraph("twice")),
        None,
    ],
)
def test_what_people_see_makes_a_difference(other: Any) -> None:
    assert adf.normalised(other) != adf.normalised(adf.doc(adf.paragraph("Held")))
