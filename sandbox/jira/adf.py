"""Judges rich text: the part of the Atlassian Document Format that this site accepts, by hand for speed."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

Check = Callable[[Any], bool]
LIMIT = 32_767

INLINE = frozenset({"text", "hardBreak", "mention", "date", "status", "inlineCard", "emoji"})
_LISTS = frozenset({"bulletList", "orderedList"})
_CELL = frozenset({"paragraph", "heading", "codeBlock", "panel", "rule", "blockquote", *_LISTS, "nestedExpand"})
BLOCK = frozenset({"paragraph", "heading", "codeBlock", "panel", "rule", "blockquote", "expand", "table", *_LISTS})


def _text(value: Any) -> bool:
    return isinstance(value, str)


def _some(value: Any) -> bool:
    return isinstance(value, str) and value != ""


def _whole(low: int, high: int = 10_000) -> Check:
    return lambda value: isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def _of(*words: str) -> Check:
    return lambda value: isinstance(value, str) and value in words


def _like(pattern: str) -> Check:
    compiled = re.compile(pattern)
    return lambda value: isinstance(value, str) and compiled.fullmatch(value) is not None


def _widths(value: Any) -> bool:
    return isinstance(value, list) and all(_whole(0)(one) for one in value)


_COLOUR = r"#[0-9a-fA-F]{6}"
_CELL_ATTRS: Mapping[str, Check] = {
    "colspan": _whole(1),
    "rowspan": _whole(1),
    "colwidth": _widths,
    "background": _some,
    "localId": _text,
}
# node: (attributes that it must have, attributes that it may have)
_ATTRS: dict[str, tuple[Mapping[str, Check], Mapping[str, Check]]] = {
    "paragraph": ({}, {"localId": _text}),
    "heading": ({"level": _whole(1, 6)}, {"localId": _text}),
    "orderedList": ({}, {"order": _whole(0), "localId": _text}),
    "bulletList": ({}, {"localId": _text}),
    "listItem": ({}, {"localId": _text}),
    "codeBlock": ({}, {"language": _text, "uniqueId": _text, "localId": _text}),
    "panel": (
        {"panelType": _of("info", "note", "tip", "warning", "error", "success", "custom")},
        {"panelIcon": _text, "panelIconId": _text, "panelIconText": _text, "panelColor": _text, "localId": _text},
    ),
    "rule": ({}, {"localId": _text}),
    "blockquote": ({}, {"localId": _text}),
    "expand": ({}, {"title": _text, "localId": _text}),
    "nestedExpand": ({}, {"title": _text, "localId": _text}),
    "table": (
        {},
        {
            "displayMode": _of("default", "fixed"),
            "isNumberColumnEnabled": lambda value: isinstance(value, bool),
            "layout": _of("wide", "full-width", "center", "align-end", "align-start", "default"),
            "width": _whole(1),
            "localId": _some,
        },
    ),
    "tableRow": ({}, {"localId": _text}),
    "tableCell": ({}, _CELL_ATTRS),
    "tableHeader": ({}, _CELL_ATTRS),
    "hardBreak": ({}, {"text": _of("\n"), "localId": _text}),
    "mention": ({"id": _text}, {"text": _text, "accessLevel": _text, "userType": _text, "localId": _text}),
    "date": ({"timestamp": _some}, {"localId": _text}),
    "status": (
        {"text": _some, "color": _of("neutral", "purple", "blue", "red", "yellow", "green")},
        {"localId": _text, "style": _text},
    ),
    "inlineCard": ({"url": _some}, {"localId": _text}),
    "emoji": ({"shortName": _text}, {"id": _text, "text": _text, "localId": _text}),
}
# node: (kinds of nodes inside, at least so many); nodes that are not here have no content
_INSIDE: dict[str, tuple[frozenset[str], int]] = {
    "paragraph": (INLINE, 0),
    "heading": (INLINE, 0),
    "bulletList": (frozenset({"listItem"}), 1),
    "orderedList": (frozenset({"listItem"}), 1),
    "listItem": (frozenset({"paragraph", "codeBlock", *_LISTS}), 1),
    "codeBlock": (frozenset({"text"}), 0),
    "panel": (frozenset({"paragraph", "heading", "codeBlock", "rule", *_LISTS}), 1),
    "blockquote": (frozenset({"paragraph", "codeBlock", *_LISTS}), 1),
    "expand": (_CELL | {"table"}, 1),
    "nestedExpand": (frozenset({"paragraph", "heading", "codeBlock", "panel", "rule", *_LISTS}), 1),
    "table": (frozenset({"tableRow"}), 1),
    "tableRow": (frozenset({"tableCell", "tableHeader"}), 0),
    "tableCell": (_CELL, 1),
    "tableHeader": (_CELL, 1),
}
_MARKS: dict[str, tuple[Mapping[str, Check], Mapping[str, Check]]] = {
    "strong": ({}, {}),
    "em": ({}, {}),
    "underline": ({}, {}),
    "strike": ({}, {}),
    "code": ({}, {}),
    "subsup": ({"type": _of("sub", "sup")}, {}),
    "textColor": ({"color": _like(_COLOUR)}, {}),
    "backgroundColor": ({"color": _like(_COLOUR)}, {}),
    "link": ({"href": _some}, {"title": _text, "id": _text, "collection": _text, "occurrenceKey": _text}),
}
_NEED_ATTRS = frozenset(name for name, (needed, _) in _ATTRS.items() if needed)


def is_document(value: Any) -> bool:
    """Whether the value at least looks like a document, so that it is judged as one."""
    return isinstance(value, dict) and value.get("type") == "doc"


def is_valid(document: Any) -> bool:
    """Whether a document is one that the site takes."""
    if not isinstance(document, dict) or set(document) != {"version", "type", "content"}:
        return False
    if document["version"] != 1 or isinstance(document["version"], bool) or document["type"] != "doc":
        return False
    content = document["content"]
    return isinstance(content, list) and all(_node(child, BLOCK) for child in content)


def _node(node: Any, allowed: frozenset[str]) -> bool:
    if not isinstance(node, dict) or node.get("type") not in allowed:
        return False
    kind = node["type"]
    if kind == "text":
        return _text_node(node, allowed)
    known = {"type", "attrs"} | ({"content"} if kind in _INSIDE else set())
    if not node.keys() <= known or not _attributes(kind, node):
        return False
    return kind not in _INSIDE or _content(kind, node)


def _attributes(kind: str, node: dict[str, Any]) -> bool:
    if "attrs" not in node:
        return kind not in _NEED_ATTRS
    return _checked(_ATTRS[kind], node["attrs"])


def _checked(rules: tuple[Mapping[str, Check], Mapping[str, Check]], given: Any) -> bool:
    needed, possible = rules
    if not isinstance(given, dict) or not needed.keys() <= given.keys():
        return False
    return all((check := needed.get(name) or possible.get(name)) and check(value) for name, value in given.items())


def _content(kind: str, node: dict[str, Any]) -> bool:
    inside, least = _INSIDE[kind]
    content = node.get("content")
    if content is None:
        return least == 0 and "content" not in node and kind != "tableRow"
    if not isinstance(content, list) or len(content) < least:
        return False
    if kind == "codeBlock" and any(isinstance(child, dict) and "marks" in child for child in content):
        return False
    if kind == "listItem" and content and isinstance(content[0], dict) and content[0].get("type") in _LISTS:
        return False
    return all(_node(child, inside) for child in content)


def _text_node(node: dict[str, Any], allowed: frozenset[str]) -> bool:
    if not node.keys() <= {"type", "text", "marks"} or not _some(node.get("text")):
        return False
    marks = node.get("marks")
    if marks is None:
        return "marks" not in node
    return isinstance(marks, list) and _marks_fit(marks)


def _marks_fit(marks: list[Any]) -> bool:
    names: list[str] = []
    for mark in marks:
        if not isinstance(mark, dict) or mark.get("type") not in _MARKS or not mark.keys() <= {"type", "attrs"}:
            return False
        rules = _MARKS[mark["type"]]
        if not _checked(rules, mark.get("attrs", {})) or ("attrs" in mark and not rules[0]):
            return False
        names.append(mark["type"])
    if len(set(names)) != len(names):
        return False
    return "code" not in names or set(names) <= {"code", "link"}
