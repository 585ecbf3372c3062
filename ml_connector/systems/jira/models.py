"""The parts of Jira's answers that we read. Names are ours, aliases are Jira's; an issue's fields stay as they came."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from ml_connector.http.models import WireModel


def instant(value: Any) -> datetime | None:
    """An instant in UTC from ISO 8601 text (with or without colon in the offset) or milliseconds; None from neither."""
    if isinstance(value, int) and not isinstance(value, bool):
        return datetime.fromtimestamp(value / 1000, UTC)
    if not isinstance(value, str) or not value:
        return None
    moment = datetime.fromisoformat(value)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _text(value: Any) -> Any:
    # Ids come as text or as number, depending on the resource.
    if value is None:
        return ""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _mapping(value: Any) -> Any:
    return {} if value is None else value


def _list(value: Any) -> Any:
    return () if value is None else value


Text = Annotated[str, BeforeValidator(_text)]
Id = Annotated[str, BeforeValidator(_text), Field(min_length=1)]
Instant = Annotated[datetime | None, BeforeValidator(instant)]
Raw = Annotated[Mapping[str, Any], BeforeValidator(_mapping)]
Raws = Annotated[tuple[Mapping[str, Any], ...], BeforeValidator(_list)]
Words = Annotated[tuple[str, ...], BeforeValidator(_list)]


class JiraModel(WireModel):
    """One object of an answer."""

    self_: Any = Field(default=None, alias="self", repr=False)
    expand: Any = Field(default=None, repr=False)


class Account(JiraModel):
    """A person, an app or a service account."""

    account_id: Id = Field(alias="accountId")
    display_name: Text = Field(default="", alias="displayName", repr=False)
    active: bool = True
    time_zone: Text = Field(default="", alias="timeZone")
    account_type: Text = Field(default="", alias="accountType")


class Issue(JiraModel):
    """One issue; `fields` and `properties` hold what was asked for, as raw JSON with numbers as Decimal or int."""

    id: Id
    key: Text = ""
    fields: Raw = Field(default={}, repr=False)
    properties: Raw = Field(default={}, repr=False)

    @property
    def updated(self) -> datetime | None:
        """When the issue was changed last, if `updated` was asked for and can be read."""
        try:
            return instant(self.fields.get("updated"))
        except ValueError:
            return None


@dataclass(frozen=True, slots=True)
class Fetched:
    """What asking for known ids gave; `missing` are those that do not exist or cannot be seen."""

    issues: Mapping[str, Issue]
    missing: frozenset[str]


@dataclass(frozen=True, slots=True)
class Created:
    """An issue that Jira says it has created."""

    id: str
    key: str


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why one element of a bulk was not created; `detail` is Jira's own text.

    Not `sure` is one that tells of a fault of Jira's, after which the issue may exist all the same.
    """

    code: str
    detail: str = ""
    sure: bool = True


@dataclass(frozen=True, slots=True)
class BulkAnswer:
    """What Jira says about a bulk: created issues in its order, refusals by position in the request, as they came."""

    created: tuple[Created, ...] = ()
    failed: Mapping[int, Refusal] = field(default_factory=dict)


class TransitionField(JiraModel):
    """A field on the screen of a transition; `allowed` are its values as Jira shows them."""

    required: bool = False
    allowed: Raws = Field(default=(), alias="allowedValues")


class Transition(JiraModel):
    """A step that the issue can take now."""

    id: Id
    name: Text = ""
    to: Raw = Field(default={}, repr=False)
    available: bool = Field(default=True, alias="isAvailable")
    fields: Annotated[Mapping[str, TransitionField], BeforeValidator(_mapping)] = {}

    @property
    def to_id(self) -> str:
        """Id of the status it leads to."""
        return str(self.to.get("id") or "")

    @property
    def to_name(self) -> str:
        """Name of the status it leads to."""
        return str(self.to.get("name") or "")

    @property
    def to_category(self) -> str:
        """Key of that status's category: new, indeterminate, done or undefined."""
        return category_of(self.to)


class Comment(JiraModel):
    """A comment; `body` is a document, `properties` what Jira shows of them (often nothing)."""

    id: Id
    author: Raw = Field(default={}, repr=False)
    created: Instant = None
    body: Raw = Field(default={}, repr=False)
    shown: Raws = Field(default=(), alias="properties", repr=False)

    @property
    def author_id(self) -> str:
        """Account that wrote it; empty for a stranger."""
        return str(self.author.get("accountId") or "")

    @property
    def properties(self) -> dict[str, Any]:
        """The comment's properties by key."""
        return {str(one.get("key")): one.get("value") for one in self.shown}


class ChangeSeen(JiraModel):
    """One entry of an issue's history: when which fields were changed, by their ids."""

    created: Instant = None
    items: Raws = Field(default=(), repr=False)

    @property
    def fields(self) -> frozenset[str]:
        """Ids of the fields that were changed."""
        return frozenset(map(_changed_field, self.items))

    def new_value(self, field: str) -> tuple[str, str]:
        """Id and name of a field's new value; both empty where it was not changed, or was emptied."""
        found = next((one for one in self.items if _changed_field(one) == field), {})
        return str(found.get("to") or ""), str(found.get("toString") or "")


def _changed_field(item: Mapping[str, Any]) -> str:
    return str(item.get("fieldId") or item.get("field") or "")


class JiraField(JiraModel):
    """A field of the site; `scope` is the id of the only project that has it, empty for a field of all projects."""

    id: Id
    name: Text = ""
    custom: bool = False
    searchable: bool = False
    clause_names: Words = Field(default=(), alias="clauseNames")
    schema_: Raw = Field(default={}, alias="schema")
    scope_: Raw = Field(default={}, alias="scope")

    @property
    def schema_type(self) -> str:
        """What the field holds: string, number, option, user, date, array and so on."""
        return str(self.schema_.get("type") or "")

    @property
    def schema_custom(self) -> str:
        """Kind of a custom field without the name of its plugin, such as textfield."""
        return str(self.schema_.get("custom") or "").rpartition(":")[2]

    @property
    def scope(self) -> str:
        """Id of the project that owns the field, if one does."""
        project = self.scope_.get("project")
        return str(project.get("id") or "") if isinstance(project, Mapping) else ""


class CreateField(JiraModel):
    """A field on the create screen of a project and issue type; `schema` and `allowed_values` are Jira's own."""

    field_id: Text = Field(default="", alias="fieldId")
    key: Text = ""
    name: Text = ""
    required: bool = False
    has_default: bool = Field(default=False, alias="hasDefaultValue")
    schema_: Raw = Field(default={}, alias="schema")
    allowed_values: Raws = Field(default=(), alias="allowedValues")

    @property
    def schema(self) -> Mapping[str, Any]:  # type: ignore[override]
        """What the field holds: `type`, for lists `items`, for custom fields `custom` and `customId`."""
        return self.schema_


class Project(JiraModel):
    """A project."""

    id: Id
    key: Text = ""
    name: Text = ""
    archived: bool = False
    simplified: bool = False


class IssueType(JiraModel):
    """An issue type that can be created in a project."""

    id: Id
    name: Text = ""
    subtask: bool = False


class Status(JiraModel):
    """A status; `issue_types` are the names of the issue types of the project that can have it."""

    id: Id
    name: Text = ""
    category_: Raw = Field(default={}, alias="statusCategory", repr=False)
    issue_types: tuple[str, ...] = ()

    @property
    def category(self) -> str:
        """Key of its category: new, indeterminate, done or undefined."""
        return category_of({"statusCategory": self.category_})


class Named(JiraModel):
    """A resolution or priority."""

    id: Id
    name: Text = ""


class Site(JiraModel):
    """A site that a login reaches."""

    cloud_id: Id = Field(alias="id")
    url: Text = ""
    name: Text = ""
    scopes: Words = ()


class DynamicWebhook(JiraModel):
    """A webhook that the OAuth app has registered."""

    id: int
    url: Text = ""
    events: Words = ()
    jql: Text = Field(default="", alias="jqlFilter")
    field_ids: Words = Field(default=(), alias="fieldIdsFilter")
    expires: Instant = Field(default=None, alias="expirationDate")


def category_of(status: Mapping[str, Any]) -> str:
    """Key of the category of a status: new, indeterminate, done or undefined; empty when Jira does not show it."""
    category = status.get("statusCategory")
    return str(category.get("key") or "") if isinstance(category, Mapping) else ""
