"""Fills the site: statuses, types, people, fields, projects with screens and workflow, and issues."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from sandbox.jira import bodies, masters, writing
from sandbox.jira.errors import ApiError
from sandbox.jira.masters import IssueType, Project, Status, User
from sandbox.jira.store import Issue
from sandbox.kit.app import BadRequest, Document

if TYPE_CHECKING:
    from sandbox.jira.tenant import JiraTenant

Json = dict[str, Any]


def seed(tenant: JiraTenant, document: Document) -> Document:
    """Add records in the order that they need each other; raises BadRequest."""
    strangers = document.keys() - _ADDERS.keys()
    if strangers:
        raise BadRequest(f"no collection {sorted(strangers)[0]}; there are {list(_ADDERS)}")
    counts: Document = {}
    for name, add in _ADDERS.items():
        for record in document.get(name, ()):
            try:
                add(tenant, record)
            except (KeyError, ValueError, ApiError) as error:
                raise BadRequest(f"{name}: {error}") from error
            counts[name] = counts.get(name, 0) + 1
    return counts


def _user(tenant: JiraTenant, given: Json) -> None:
    account = str(given["accountId"])
    tenant.users[account] = User(
        account,
        str(given["displayName"]),
        given.get("emailAddress"),
        bool(given.get("active", True)),
        str(given.get("accountType", "atlassian")),
        str(given.get("timeZone", "Etc/UTC")),
        bool(given.get("assignable", True)),
    )


def _status(tenant: JiraTenant, given: Json) -> None:
    if given["category"] not in masters.CATEGORIES:
        raise ValueError(f"no category {given['category']!r}")
    tenant.statuses[str(given["id"])] = Status(str(given["id"]), given["name"], given["category"], given.get("project"))


def _type(tenant: JiraTenant, given: Json) -> None:
    tenant.types[str(given["id"])] = IssueType(str(given["id"]), given["name"], given.get("project"))


def _field(tenant: JiraTenant, given: Json) -> None:
    field = masters.custom_field(given)
    tenant.fields[field.id] = field


def _project(tenant: JiraTenant, given: Json) -> None:
    types = tuple(map(str, given["types"]))
    project = Project(
        str(given["id"]),
        given["key"],
        given["name"],
        types,
        tuple(map(str, given["statuses"])),
        tuple(masters.transition(one) for one in given["transitions"]),
        team_managed=bool(given.get("teamManaged", False)),
        lead=given.get("lead"),
        create=masters.screens(given["createScreen"], types),
        edit=masters.screens(given["editScreen"], types),
        required=tuple(given.get("required", ())),
    )
    for names in (*project.create.values(), *project.edit.values()):
        unknown = [name for name in names if name not in tenant.fields]
        if unknown:
            raise ValueError(f"the screens of {project.key} name the unknown field {unknown[0]}")
    tenant.projects[project.key] = project


def _issue(tenant: JiraTenant, given: Json) -> None:
    add_issue(tenant, given, given.get("account") or tenant.consenter)


def add_issue(tenant: JiraTenant, given: Json, account: str) -> Issue:
    """An issue that a person made: {fields, properties as object, status?}; screens are not asked."""
    body = {"fields": given.get("fields") or {}, "update": {}}
    issue = writing.create(tenant, body, account, 3, screens=False)
    issue.properties = bodies.properties(
        [{"key": key, "value": value} for key, value in (given.get("properties") or {}).items()]
    )
    if "status" in given:
        issue.status = next(
            (one for one in issue.project.statuses if given["status"] in (one, tenant.statuses[one].name)), issue.status
        )
    tenant.issues.add(issue)
    tenant.index.put(issue)
    return issue


_ADDERS: dict[str, Callable[[JiraTenant, Json], None]] = {
    "users": _user,
    "statuses": _status,
    "issueTypes": _type,
    "fields": _field,
    "projects": _project,
    "issues": _issue,
}
