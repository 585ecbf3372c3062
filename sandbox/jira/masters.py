"""What an administrator of the site sets up: people, projects, fields, screens, statuses and workflows."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

CUSTOM = "com.atlassian.jira.plugin.system.customfieldtypes:"
# kind of a custom field: (name of its type, JSON type, JSON type of its items, searcher)
CUSTOM_KINDS: dict[str, tuple[str, str, str | None, str | None]] = {
    "text": ("textfield", "string", None, "textsearcher"),
    "readonly": ("readonlyfield", "string", None, "textsearcher"),
    "url": ("url", "string", None, "exacttextsearcher"),
    "number": ("float", "number", None, "exactnumber"),
    "select": ("select", "option", None, "multiselectsearcher"),
    "multiselect": ("multiselect", "array", "option", "multiselectsearcher"),
    "date": ("datepicker", "date", None, "daterange"),
    "datetime": ("datetime", "datetime", None, "datetimerange"),
    "user": ("userpicker", "user", None, "userpickergroupsearcher"),
    "labels": ("labels", "array", "string", "labelsearcher"),
    "rich": ("textarea", "string", None, "textsearcher"),
}
_TYPE_TO_KIND = {name: kind for kind, (name, *_) in CUSTOM_KINDS.items()}


@dataclass(frozen=True)
class FieldDef:
    """A field of the site; `kind` decides which values it takes and how it is searched."""

    id: str
    name: str
    kind: str
    type: str
    items: str | None = None
    custom: str | None = None
    searcher: str | None = None
    clauses: tuple[str, ...] = ()
    options: tuple[tuple[str, str], ...] = ()
    project: str | None = None
    set_by_people: bool = True

    @property
    def number(self) -> int | None:
        """The number in the id of a custom field."""
        return int(self.id.removeprefix("customfield_")) if self.custom else None

    def schema(self) -> dict[str, Any]:
        """The type as Jira shows it."""
        shown: dict[str, Any] = {"type": self.type}
        if self.items:
            shown["items"] = self.items
        if self.custom:
            return shown | {"custom": self.custom, "customId": self.number}
        return shown | {"system": self.id}

    def option(self, key: str, value: Any) -> tuple[str, str] | None:
        """The option with this id or value."""
        at = 0 if key == "id" else 1
        return next((one for one in self.options if one[at] == value), None)


@dataclass(frozen=True)
class User:
    """A person, or an account of the connector."""

    account: str
    name: str
    email: str | None = None
    active: bool = True
    kind: str = "atlassian"
    zone: str = "Etc/UTC"
    assignable: bool = True


@dataclass(frozen=True)
class IssueType:
    """A type of issue; one with a project is that project's own."""

    id: str
    name: str
    project: str | None = None


@dataclass(frozen=True)
class Status:
    """A status; its category is new, indeterminate or done."""

    id: str
    name: str
    category: str
    project: str | None = None


@dataclass(frozen=True)
class Transition:
    """An edge of a workflow; without `sources` it leads there from everywhere."""

    id: str
    name: str
    to: str
    sources: tuple[str, ...] = ()
    screen: tuple[str, ...] = ()
    required: tuple[str, ...] = ()
    resolves: str | None = None


@dataclass
class Project:
    """A project with its types, screens and workflow."""

    id: str
    key: str
    name: str
    types: tuple[str, ...]
    statuses: tuple[str, ...]
    transitions: tuple[Transition, ...]
    team_managed: bool = False
    lead: str | None = None
    archived: bool = False
    next_number: int = 1
    old_keys: set[str] = field(default_factory=set)
    # type of issue -> ids of fields
    create: dict[str, list[str]] = field(default_factory=dict)
    edit: dict[str, list[str]] = field(default_factory=dict)
    required: tuple[str, ...] = ()

    @property
    def initial(self) -> str:
        """The status of a new issue."""
        return self.statuses[0]


CATEGORIES: dict[str, tuple[int, str, str]] = {
    "undefined": (1, "No Category", "medium-gray"),
    "new": (2, "To Do", "blue-gray"),
    "done": (3, "Done", "green"),
    "indeterminate": (4, "In Progress", "yellow"),
}
PRIORITIES = {"1": "Highest", "2": "High", "3": "Medium", "4": "Low", "5": "Lowest"}
DEFAULT_PRIORITY = "3"
RESOLUTIONS = {"10000": "Done", "10001": "Won't Do", "10002": "Duplicate", "10003": "Cannot Reproduce"}
DONE = "10000"


def _system(identifier: str, name: str, kind: str, type_: str, **more: Any) -> FieldDef:
    clauses = more.pop("clauses", (identifier,))
    return FieldDef(identifier, name, kind, type_, clauses=clauses, **more)


SYSTEM_FIELDS: tuple[FieldDef, ...] = (
    _system("summary", "Summary", "summary", "string", searcher="text"),
    _system("description", "Description", "rich", "string", searcher="text"),
    _system("environment", "Environment", "rich", "string", searcher="text"),
    _system("project", "Project", "project", "project", searcher="enum"),
    _system("issuetype", "Issue Type", "issuetype", "issuetype", searcher="enum", clauses=("issuetype", "type")),
    _system("status", "Status", "status", "status", searcher="enum", set_by_people=False),
    _system("priority", "Priority", "priority", "priority", searcher="enum"),
    _system("resolution", "Resolution", "resolution", "resolution", searcher="enum"),
    _system("labels", "Labels", "labels", "array", items="string", searcher="labels"),
    _system("assignee", "Assignee", "user", "user", searcher="user"),
    _system("reporter", "Reporter", "user", "user", searcher="user"),
    _system("creator", "Creator", "user", "user", searcher="user", set_by_people=False),
    _system("duedate", "Due date", "date", "date", searcher="date", clauses=("due", "duedate")),
    _system(
        "created",
        "Created",
        "stamp",
        "datetime",
        searcher="date",
        set_by_people=False,
        clauses=("created", "createdDate"),
    ),
    _system(
        "updated",
        "Updated",
        "stamp",
        "datetime",
        searcher="date",
        set_by_people=False,
        clauses=("updated", "updatedDate"),
    ),
    _system(
        "resolutiondate",
        "Resolved",
        "stamp",
        "datetime",
        searcher="date",
        set_by_people=False,
        clauses=("resolutiondate", "resolved"),
    ),
    _system(
        "statuscategorychangedate", "Status Category Changed", "stamp", "datetime", set_by_people=False, clauses=()
    ),
    _system("comment", "Comment", "comment", "comments-page", set_by_people=False, clauses=()),
)


def custom_field(given: dict[str, Any]) -> FieldDef:
    """A custom field as a seed spells it: {id, name, type, options?, project?}; raises ValueError."""
    kind = _TYPE_TO_KIND.get(str(given.get("type")))
    identifier, name = str(given.get("id")), str(given.get("name"))
    digits = identifier.removeprefix("customfield_")
    if kind is None or not digits.isdigit() or identifier == digits:
        raise ValueError(f"custom field {identifier}: type {given.get('type')!r} is not modelled")
    type_name, type_, items, searcher = CUSTOM_KINDS[kind]
    return FieldDef(
        identifier,
        name,
        kind,
        type_,
        items=items,
        custom=CUSTOM + type_name,
        searcher=searcher,
        clauses=(f"cf[{digits}]", name),
        options=tuple((str(one["id"]), str(one["value"])) for one in given.get("options", ())),
        project=given.get("project"),
    )


def transition(given: dict[str, Any]) -> Transition:
    """A workflow edge as a seed spells it."""
    return Transition(
        str(given["id"]),
        str(given["name"]),
        str(given["to"]),
        tuple(map(str, given.get("from", ()))),
        tuple(given.get("screen", ())),
        tuple(given.get("required", ())),
        given.get("resolves"),
    )


def screens(given: Any, types: Iterable[str]) -> dict[str, list[str]]:
    """Fields per type, from a list for all types or from {type: list}."""
    if isinstance(given, dict):
        return {one: list(given.get(one, ())) for one in types}
    return {one: list(given) for one in types}
