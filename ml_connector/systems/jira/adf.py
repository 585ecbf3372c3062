"""Rich text as Jira stores it (Atlassian Document Format), valid whatever text it is given (README: Documents)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal
from urllib.parse import urlsplit

import orjson

Node = Mapping[str, Any]
Inline = str | Sequence[Node]
PanelType = Literal["info", "note", "tip", "warning", "error", "success"]

# Jira stops at 32,767 and does not say of what, so that the written JSON stays below it.
MOST_CHARACTERS = 30_000
_LONGEST_POINTER = 1_000
POINTER = "This text is shortened; the record itself says the rest."

# Controls, half surrogates, and the two characters of the first plane that are none.
_NO_TEXT = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
_NEWLINE = re.compile("\r\n|[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]")
# These are nothing without a child, and a row without one of its cells would shift the others.
_NEVER_EMPTY = frozenset({"bulletList", "listItem", "table", "panel"})
_NEVER_CUT = frozenset({"tableRow", "hardBreak"})


def doc(*blocks: Node, pointer: Node | None = None) -> dict[str, Any]:
    """A document of these blocks; its largest ones are cut where it is too long, and `pointer` says so."""
    shown = list(blocks) or [paragraph()]
    if _size(_doc(shown)) <= MOST_CHARACTERS:
        return _doc(shown)
    if pointer is None or _size(pointer) > _LONGEST_POINTER:
        pointer = paragraph(text(POINTER, em=True))
    return _doc(_shortened(shown, pointer))


def paragraph(*inline: Inline) -> Node:
    """A paragraph; line breaks in its texts are kept."""
    return _holding("paragraph", _joined(inline))


def heading(level: int, *inline: Inline) -> Node:
    """A heading of a level from 1 to 6, on one line."""
    spaced = [text(" ") if node["type"] == "hardBreak" else (node,) for node in _joined(inline)]
    node = _holding("heading", _joined(spaced))
    return {**node, "attrs": {"level": min(max(level, 1), 6)}}


def text(value: str, *, strong: bool = False, em: bool = False, code: bool = False) -> Inline:
    """A text with marks; `code` stands alone, because it goes with no other mark."""
    marks = [{"type": name} for name, on in (("strong", strong), ("em", em)) if on and not code]
    return _texts(value, [{"type": "code"}] if code else marks)


def link(label: str, address: str) -> Inline:
    """A link to an http(s) address; any other address leaves the bare label."""
    if not _is_web(address):
        return _texts(label, [])
    return _texts(label if clean(label).strip() else address, [{"type": "link", "attrs": {"href": address}}])


def table(header: Sequence[Inline], rows: Iterable[Sequence[Inline]]) -> Node:
    """A table with a header row; short rows are filled up with empty cells."""
    lines = [list(row) for row in rows]
    width = max([len(header), *(len(row) for row in lines)])
    if not width:
        return paragraph()
    head = [_row("tableHeader", list(header), width)] if header else []
    return {"type": "table", "content": head + [_row("tableCell", row, width) for row in lines]}


def bullet_list(items: Iterable[Inline]) -> Node:
    """A list with one point per item."""
    points = [{"type": "listItem", "content": [paragraph(item)]} for item in items]
    return {"type": "bulletList", "content": points} if points else paragraph()


def panel(kind: PanelType, *inline: Inline) -> Node:
    """A coloured box around one paragraph."""
    return {"type": "panel", "attrs": {"panelType": kind}, "content": [paragraph(*inline)]}


def packed(document: Node) -> str:
    """A document as one text: equal documents have equal texts, and nobody has to walk through it to copy it."""
    return orjson.dumps(document, option=orjson.OPT_SORT_KEYS).decode()


def unpacked(value: Any) -> Any:
    """The document that a packed text holds; any other text as a paragraph, anything else as it is."""
    if not isinstance(value, str) or not value:
        return value
    try:
        found = orjson.loads(value)
    except orjson.JSONDecodeError:
        found = None
    return found if isinstance(found, dict) and found.get("type") == "doc" else doc(paragraph(value))


def clean(value: str) -> str:
    """The text without characters that no document may hold; line breaks of any kind become newlines."""
    if value.isprintable():
        return value
    return _NO_TEXT.sub("", _NEWLINE.sub("\n", value).replace("\t", " "))


def plain(document: Any) -> str:
    """The text of a document, one line per block, table cells divided by bars; a bare text is returned as it is."""
    if isinstance(document, str):
        return document
    return "\n".join(_lines(document)).strip("\n")


def normalised(document: Any) -> Any:
    """A form in which two documents are equal when they read and look the same: Jira adds attributes of its own."""
    if not isinstance(document, Mapping):
        return document or None
    found: dict[str, Any] = {"type": document.get("type")}
    if attrs := {name: value for name, value in _mapping(document.get("attrs")).items() if name in _MEANT}:
        found["attrs"] = attrs
    if marks := sorted((normalised(one) for one in _list(document.get("marks"))), key=repr):
        found["marks"] = marks
    if "text" in document:
        found["text"] = document["text"]
    if content := _merged([normalised(one) for one in _list(document.get("content"))]):
        found["content"] = content
    return found


_MEANT = frozenset({"level", "panelType", "href", "url", "id", "timestamp", "language", "order", "title", "text"})


def _joined(inline: Iterable[Inline]) -> list[Node]:
    return [node for one in inline for node in (_texts(one, []) if isinstance(one, str) else one)]


def _texts(value: str, marks: Sequence[Node]) -> list[Node]:
    nodes: list[Node] = []
    for number, line in enumerate(clean(value).split("\n")):
        if number:
            nodes.append({"type": "hardBreak"})
        if line:
            nodes.append({"type": "text", "text": line} | ({"marks": list(marks)} if marks else {}))
    return nodes


def _row(kind: str, cells: list[Inline], width: int) -> Node:
    filled = [*cells, *[""] * (width - len(cells))]
    return {"type": "tableRow", "content": [{"type": kind, "content": [paragraph(cell)]} for cell in filled]}


def _holding(kind: str, content: Sequence[Node]) -> Node:
    return {"type": kind, "content": list(content)} if content else {"type": kind}


def _doc(content: Sequence[Node]) -> dict[str, Any]:
    return {"version": 1, "type": "doc", "content": list(content)}


def _is_web(address: str) -> bool:
    if address != clean(address) or any(one.isspace() for one in address):
        return False
    try:
        parts = urlsplit(address)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname)


# ---- keeping it short enough


def _size(value: Any) -> int:
    # Jira counts as Java does: a character beyond the first plane is two.
    return len(orjson.dumps(value).decode().encode("utf-16-le")) // 2


def _shortened(blocks: Sequence[Node], pointer: Node) -> list[Node]:
    """The largest blocks are cut first, with the pointer behind the largest: what ends a text, a link say, stays."""
    shown: list[Node | None] = list(blocks)
    sizes = [_size(block) + 1 for block in blocks]
    excess = _size(_doc([*blocks, pointer])) - MOST_CHARACTERS
    by_size = sorted(range(len(blocks)), key=lambda one: (sizes[one], one), reverse=True)
    for place in by_size:
        if excess <= 0:
            break
        shown[place] = _cut(blocks[place], sizes[place] - 1 - excess)
        excess -= sizes[place] - (_size(shown[place]) + 1 if shown[place] else 0)
    shown.insert(by_size[0] + 1, pointer)
    return [block for block in shown if block is not None]


def _cut(node: Node, room: int) -> Node | None:
    """As much of a node from its start as fits into so many characters; None when nothing sensible does."""
    if _size(node) <= room:
        return node
    if node["type"] in _NEVER_CUT:
        return None
    if node["type"] == "text":
        return _cut_text(node, room)
    frame = _size({**node, "content": []})
    content: list[Node] = []
    for child in node.get("content", ()):
        kept = _cut(child, room - frame - len(content))
        if kept is not None:
            content.append(kept)
            frame += _size(kept)
        if kept is not child:
            break
    if frame > room or (not content and node["type"] in _NEVER_EMPTY):
        return None
    return {**node, "content": content} if content else {name: node[name] for name in node if name != "content"}


def _cut_text(node: Node, room: int) -> Node | None:
    low, high = 0, len(node["text"])
    while low < high:
        middle = (low + high + 1) // 2
        fits = _size({**node, "text": node["text"][:middle] + "…"}) <= room
        low, high = (middle, high) if fits else (low, middle - 1)
    return {**node, "text": node["text"][:low] + "…"} if low else None


# ---- reading it back

_INLINE = frozenset({"text", "hardBreak", "mention", "emoji", "date", "status", "inlineCard"})


def _lines(node: Any) -> list[str]:
    if not isinstance(node, Mapping):
        return []
    content = _list(node.get("content"))
    if node.get("type") == "tableRow":
        return [" | ".join(" ".join(_lines(cell)) for cell in content)]
    lines: list[str] = []
    words = ""
    for child in content:
        if isinstance(child, Mapping) and child.get("type") in _INLINE:
            words += _word(child)
        else:
            lines += [*words.split("\n")] if words else []
            lines, words = lines + _lines(child), ""
    return lines + words.split("\n") if words or not content else lines


def _word(node: Mapping[str, Any]) -> str:
    if node.get("type") == "hardBreak":
        return "\n"
    attrs = _mapping(node.get("attrs"))
    shown = (node.get("text"), *(attrs.get(name) for name in ("text", "url", "shortName", "timestamp")))
    return str(next(filter(None, shown), ""))


def _merged(content: list[Any]) -> list[Any]:
    """Neighbouring texts with equal marks as one."""
    merged: list[Any] = []
    for node in content:
        last = merged[-1] if merged else None
        if last and node and "text" in node and "text" in last and node.get("marks") == last.get("marks"):
            merged[-1] = {**last, "text": last["text"] + node["text"]}
        else:
            merged.append(node)
    return merged


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
