"""How records look in answers: issues with the fields that were asked for, people, comments, history."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from sandbox.jira import adf_text
from sandbox.jira.masters import CATEGORIES, PRIORITIES, RESOLUTIONS, FieldDef, IssueType, Project, Status, User
from sandbox.jira.store import Change, Comment, Issue
from sandbox.jira.values import instant

if TYPE_CHECKING:
    from sandbox.jira.tenant import JiraTenant

Json = dict[str, Any]
BARE = frozenset({"id", "key"})
EVERY = frozenset({"*all", "*navigable"})


@dataclass
class Renderer:
    """Writes records as one caller sees them: under which site address and in which version's shapes."""

    tenant: JiraTenant
    site: str
    version: int = 3
    zone: str = "Etc/UTC"
    emails: bool = True

    @property
    def base(self) -> str:
        """Where `self` links begin."""
        return f"{self.site}/rest/api/{self.version}"

    def at(self, moment: datetime) -> str:
        """An instant in the caller's time zone."""
        return instant(moment.astimezone(ZoneInfo(self.zone)))

    def user(self, account: str | None) -> Json | None:
        """A person; e-mail addresses may be hidden."""
        user: User | None = self.tenant.users.get(account) if account else None
        if user is None:
            return None
        shown: Json = {
            "self": f"{self.base}/user?accountId={user.account}",
            "accountId": user.account,
            "accountType": user.kind,
            "displayName": user.name,
            "active": user.active,
            "timeZone": user.zone,
        }
        if self.emails and user.email and not self.tenant.options.hidden_emails:
            shown["emailAddress"] = user.email
        return shown

    def status(self, status: Status) -> Json:
        """A status with its category."""
        return {
            "self": f"{self.base}/status/{status.id}",
            "description": "",
            "iconUrl": f"{self.site}/images/icons/status.png",
            "name": status.name,
            "id": status.id,
            "statusCategory": self.category(status.category),
        }

    def category(self, key: str) -> Json:
        """A status category."""
        number, name, colour = CATEGORIES[key]
        address = f"{self.base}/statuscategory/{number}"
        return {"self": address, "id": number, "key": key, "colorName": colour, "name": name}

    def type(self, type_: IssueType) -> Json:
        """A type of issue."""
        shown: Json = {
            "self": f"{self.base}/issuetype/{type_.id}",
            "id": type_.id,
            "description": "",
            "iconUrl": f"{self.site}/images/icons/issuetype.png",
            "name": type_.name,
            "subtask": False,
            "hierarchyLevel": 0,
        }
        if type_.project is not None:
            shown["scope"] = {"type": "PROJECT", "project": {"id": self.tenant.projects[type_.project].id}}
        return shown

    def project(self, project: Project) -> Json:
        """A project as it stands in issues and lists."""
        return {
            "self": f"{self.base}/project/{project.id}",
            "id": project.id,
            "key": project.key,
            "name": project.name,
            "projectTypeKey": "software",
            "simplified": project.team_managed,
            "avatarUrls": {"48x48": f"{self.site}/rest/api/3/universal_avatar/view/type/project/avatar/1"},
        }

    def option(self, field: FieldDef, identifier: str) -> Json:
        """A choice of a select field."""
        found = field.option("id", identifier)
        value = found[1] if found else identifier
        return {"self": f"{self.base}/customFieldOption/{identifier}", "value": value, "id": identifier}

    def priority(self, identifier: str) -> Json:
        """A priority."""
        icon = f"{self.site}/images/icons/priority.png"
        address = f"{self.base}/priority/{identifier}"
        return {"self": address, "iconUrl": icon, "name": PRIORITIES[identifier], "id": identifier}

    def resolution(self, identifier: str) -> Json:
        """A resolution."""
        name = RESOLUTIONS[identifier]
        return {"self": f"{self.base}/resolution/{identifier}", "id": identifier, "description": "", "name": name}

    def comment(self, issue: Issue, comment: Comment, *, properties: bool = False) -> Json:
        """A comment; its properties only where they were asked for."""
        shown: Json = {
            "self": f"{self.base}/issue/{issue.id}/comment/{comment.id}",
            "id": str(comment.id),
            "author": self.user(comment.author),
            "body": self._rich(comment.body),
            "updateAuthor": self.user(comment.editor),
            "created": self.at(comment.created),
            "updated": self.at(comment.updated),
            "jsdPublic": True,
        }
        if comment.visibility is not None:
            shown["visibility"] = comment.visibility
        if properties:
            shown["properties"] = [{"key": key, "value": value} for key, value in comment.properties.items()]
        return shown

    def change(self, change: Change) -> Json:
        """One entry of an issue's history."""
        items = [one.shown() for one in change.items]
        return {
            "id": str(change.id),
            "author": self.user(change.author),
            "created": self.at(change.at),
            "items": items,
        }

    def value(self, issue: Issue, field: FieldDef) -> Any:
        """What a field of an issue shows."""
        special = self._special(issue, field)
        if special is not None:
            return special
        value = issue.fields.get(field.id)
        if value is None:
            return None
        match field.kind:
            case "rich":
                return self._rich(value)
            case "user":
                return self.user(value)
            case "select":
                return self.option(field, value)
            case "multiselect":
                return [self.option(field, one) for one in value]
            case "labels":
                return list(value)
            case "priority":
                return self.priority(value)
            case "resolution":
                return self.resolution(value)
            case "datetime" | "stamp":
                return self.at(datetime.fromisoformat(value))
        return value

    def _special(self, issue: Issue, field: FieldDef) -> Any:
        match field.id:
            case "project":
                return self.project(issue.project)
            case "issuetype":
                return self.type(self.tenant.types[issue.type])
            case "status":
                return self.status(self.tenant.statuses[issue.status])
            case "creator":
                return self.user(issue.creator)
            case "created":
                return self.at(issue.created)
            case "updated":
                return self.at(issue.updated)
            case "statuscategorychangedate":
                return self.at(issue.status_changed)
            case "comment":
                shown = [self.comment(issue, one) for one in issue.comments]
                address = f"{self.base}/issue/{issue.id}/comment"
                return {
                    "comments": shown,
                    "self": address,
                    "maxResults": len(shown),
                    "total": len(shown),
                    "startAt": 0,
                }
            case "labels":
                return list(issue.fields.get("labels") or ())
        return None

    def issue(self, issue: Issue, wanted: Sequence[str], *, properties: Iterable[str] = ()) -> Json:
        """An issue with the wanted fields; nothing but the id when that is all that was asked for."""
        if list(wanted) == ["id"]:
            return {"id": str(issue.id)}
        shown: Json = {
            "expand": "operations,versionedRepresentations,editmeta,changelog,renderedFields",
            "id": str(issue.id),
            "self": f"{self.base}/issue/{issue.id}",
            "key": issue.key,
        }
        if not set(wanted) <= BARE:
            chosen = self.chosen(issue, wanted)
            shown["fields"] = {field.id: self.value(issue, field) for field in chosen}
        keys = [key for key in properties if key in issue.properties]
        if properties:
            shown["properties"] = {key: issue.properties[key] for key in keys}
        return shown

    def chosen(self, issue: Issue, wanted: Sequence[str]) -> list[FieldDef]:
        """The fields of an issue that a list of names picks; unknown names pick nothing."""
        dropped = {name[1:] for name in wanted if name.startswith("-")}
        everything = bool(EVERY & set(wanted)) or all(name.startswith("-") for name in wanted)
        found: list[FieldDef] = []
        names = self.tenant.fields if everything else dict.fromkeys(wanted)
        for name in names:
            field = self.tenant.fields.get(name)
            if field is None or name in dropped or field.project not in (None, issue.project.key):
                continue
            if "*navigable" in wanted and "*all" not in wanted and name == "comment":
                continue
            found.append(field)
        return found

    def _rich(self, document: Any) -> Any:
        return document if self.version == 3 else adf_text.plain(document)
