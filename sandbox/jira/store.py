"""The records of the site: issues with their comments, properties, links and history."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from sandbox.jira.masters import Project


@dataclass
class Comment:
    """A comment of an issue; the body is rich text."""

    id: int
    author: str
    body: dict[str, Any]
    created: datetime
    updated: datetime
    editor: str
    visibility: dict[str, Any] | None = None
    properties: dict[str, Any] = field(default_factory=dict)


@dataclass
class Link:
    """A remote link of an issue, as it was sent."""

    id: int
    global_id: str | None
    body: dict[str, Any]


@dataclass(frozen=True)
class Item:
    """One field's change: ids and texts, before and after."""

    field_id: str
    name: str
    custom: bool
    before: str | None
    before_text: str | None
    after: str | None
    after_text: str | None

    def shown(self) -> dict[str, Any]:
        """The change as Jira shows it."""
        return {
            "field": self.name,
            "fieldtype": "custom" if self.custom else "jira",
            "fieldId": self.field_id,
            "from": self.before,
            "fromString": self.before_text,
            "to": self.after,
            "toString": self.after_text,
        }


@dataclass(frozen=True)
class Change:
    """What one act changed."""

    id: int
    author: str
    at: datetime
    items: tuple[Item, ...]


@dataclass
class Issue:
    """An issue; `fields` holds stored values, which are replaced and never changed in place."""

    id: int
    key: str
    project: Project
    type: str
    status: str
    created: datetime
    updated: datetime
    creator: str
    status_changed: datetime
    fields: dict[str, Any] = field(default_factory=dict)
    properties: dict[str, Any] = field(default_factory=dict)
    comments: list[Comment] = field(default_factory=list)
    links: list[Link] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)

    def snapshot(self) -> Issue:
        """The issue as it stands now."""
        return replace(
            self,
            fields=dict(self.fields),
            properties=dict(self.properties),
            comments=list(self.comments),
            changes=list(self.changes),
        )


class Issues:
    """Every issue by number and by each key it ever had."""

    def __init__(self) -> None:
        self._by_id: dict[int, Issue] = {}
        self._by_key: dict[str, Issue] = {}

    def __len__(self) -> int:
        return len(self._by_id)

    def __iter__(self) -> Iterator[Issue]:
        return iter(self._by_id.values())

    def add(self, issue: Issue) -> None:
        """Store a new issue, or a known one under one more key."""
        self._by_id[issue.id] = issue
        self._by_key[issue.key] = issue

    def remove(self, issue: Issue) -> None:
        """Take an issue away with all its keys."""
        del self._by_id[issue.id]
        for key in [key for key, one in self._by_key.items() if one is issue]:
            del self._by_key[key]

    def number(self, number: int) -> Issue | None:
        """The issue with this id."""
        return self._by_id.get(number)

    def find(self, id_or_key: str) -> Issue | None:
        """The issue with this id, or with this present or former key."""
        if id_or_key.isdigit():
            return self._by_id.get(int(id_or_key))
        return self._by_key.get(id_or_key.upper())
