"""What each JQL field means: which operators it takes, which values exist, and how an issue is compared."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sandbox.jira.masters import CATEGORIES, PRIORITIES, RESOLUTIONS, FieldDef
from sandbox.jira.store import Issue

if TYPE_CHECKING:
    from sandbox.jira.tenant import JiraTenant

_TEXT = frozenset({"~", "!~", "is", "is not"})
_EXACT = frozenset({"=", "!=", "in", "not in", "is", "is not"})
_RANGE = _EXACT | {"<", ">", "<=", ">="}
OPERATORS: dict[str, frozenset[str]] = {
    "text": _TEXT,
    "textsearcher": _TEXT,
    "exacttextsearcher": _EXACT,
    "exactnumber": _RANGE,
    "daterange": _RANGE,
    "datetimerange": _RANGE,
    "date": _RANGE,
    "multiselectsearcher": _EXACT,
    "labelsearcher": _EXACT,
    "labels": _EXACT,
    "userpickergroupsearcher": _EXACT,
    "user": _EXACT,
    "enum": _EXACT,
    "issue": _RANGE - {"is", "is not"},
}
DATES = frozenset({"daterange", "datetimerange", "date"})
TEXTS = frozenset({"text", "textsearcher"})


@dataclass(frozen=True)
class Known:
    """A field that queries may name; the ids it has in an issue, and which ids a word stands for."""

    name: str
    searcher: str
    get: Callable[[Issue], Any]
    ids: Callable[[str], Iterable[Any]] | None = None  # an empty answer: no such value
    field: FieldDef | None = None

    def takes(self, operator: str) -> bool:
        """Whether the operator is supported."""
        return operator in OPERATORS[self.searcher]


def find(tenant: JiraTenant, name: str) -> list[Known]:
    """The fields of a name, of which only the first system one counts; empty for an unknown name."""
    low = name.lower()
    special = _special(tenant, low)
    if special is not None:
        return [special]
    found = [
        _plain(tenant, field)
        for field in tenant.fields.values()
        if field.searcher and low in (clause.lower() for clause in field.clauses)
    ]
    system = [one for one in found if one.field is not None and one.field.custom is None]
    return system[:1] or found


def _special(tenant: JiraTenant, low: str) -> Known | None:
    match low:
        case "key" | "issuekey" | "issue" | "id":
            return Known(low, "issue", lambda issue: issue.id, lambda word: _issues(tenant, word))
        case "project":
            return Known(
                "project",
                "enum",
                lambda issue: issue.project.id,
                lambda word: [
                    one.id
                    for one in tenant.projects.values()
                    if word == one.id or word.lower() in (one.key.lower(), one.name.lower())
                ],
            )
        case "issuetype" | "type":
            types = ((one.id, one.name) for one in tenant.types.values())
            return Known("issuetype", "enum", lambda issue: issue.type, _named(types))
        case "status":
            statuses = ((one.id, one.name) for one in tenant.statuses.values())
            return Known("status", "enum", lambda issue: issue.status, _named(statuses))
        case "statuscategory":
            pairs = [(key, word) for key, (number, name, _) in CATEGORIES.items() for word in (name, str(number))]
            return Known("statusCategory", "enum", lambda issue: tenant.statuses[issue.status].category, _named(pairs))
        case "created" | "createddate":
            return Known("created", "date", lambda issue: issue.created)
        case "updated" | "updateddate":
            return Known("updated", "date", lambda issue: issue.updated)
        case "creator":
            return Known("creator", "user", lambda issue: issue.creator)
    return None


def _plain(tenant: JiraTenant, field: FieldDef) -> Known:
    def get(issue: Issue) -> Any:
        return issue.fields.get(field.id)

    words: Callable[[str], Iterable[Any]] | None = None
    if field.id == "priority":
        words = _named(PRIORITIES.items())
    elif field.id == "resolution":
        words = _named(RESOLUTIONS.items())
    elif field.options:
        words = _named(field.options)
    return Known(field.name if field.custom else field.id, str(field.searcher), get, words, field)


def _named(pairs: Iterable[tuple[str, str]]) -> Callable[[str], list[str]]:
    table = list(pairs)
    return lambda word: list(dict.fromkeys(key for key, name in table if word == key or word.lower() == name.lower()))


def _issues(tenant: JiraTenant, word: str) -> list[int]:
    found = tenant.issues.find(word)
    return [found.id] if found is not None else []
