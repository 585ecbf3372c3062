"""Rich text as plain text, and plain text as rich text: what the older interface and the webhooks speak."""

from __future__ import annotations

from typing import Any

_BLOCKS = frozenset({"paragraph", "heading", "codeBlock", "listItem", "tableRow", "rule", "panel"})


def plain(document: Any) -> str | None:
    """The words of a document, one line for each block; None for None."""
    if document is None:
        return None
    lines: list[str] = [""]
    _walk(document, lines)
    return "\n".join(line.rstrip() for line in lines if line.strip())


def rich(text: str) -> dict[str, Any]:
    """A document with one paragraph for each line."""
    content: list[dict[str, Any]] = []
    for line in text.split("\n"):
        paragraph: dict[str, Any] = {"type": "paragraph"}
        if line:
            paragraph["content"] = [{"type": "text", "text": line}]
        content.append(paragraph)
    return {"version": 1, "type": "doc", "content": content}


def _walk(node: Any, lines: list[str]) -> None:
    kind, attrs = node.get("type"), node.get("attrs", {})
    match kind:
        case "text":
            lines[-1] += node["text"]
        case "hardBreak":
            lines.append("")
        case "mention":
            lines[-1] += f"[~accountid:{attrs['id']}]"
        case "status" | "emoji" | "inlineCard" | "date":
            lines[-1] += str(attrs.get("text") or attrs.get("url") or attrs.get("timestamp") or attrs.get("shortName"))
    for child in node.get("content", ()):
        _walk(child, lines)
    if kind in ("tableCell", "tableHeader"):
        lines[-1] += " | "
    elif kind in _BLOCKS:
        lines.append("")
