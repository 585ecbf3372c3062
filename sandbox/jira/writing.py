"""How an issue comes to be and changes: screens, required fields, verbs of an update, history."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from sandbox.jira import texts, values
from sandbox.jira.errors import OFF_SCREEN, classic, invalid, unmodelled
from sandbox.jira.masters import DEFAULT_PRIORITY, Project
from sandbox.jira.store import Change, Issue, Item

if TYPE_CHECKING:
    from sandbox.jira.tenant import JiraTenant

Body = Mapping[str, Any]
PLACE = frozenset({"project", "issuetype"})
BOTH = "Field '{}' cannot be in both 'fields' and 'update'."


def create(tenant: JiraTenant, body: Body, account: str, version: int, *, screens: bool = True) -> Issue:
    """Make an issue from a checked body without storing it; raises ApiError, and then nothing has changed."""
    fields = dict(body.get("fields") or {})
    project, type_ = _place(tenant, fields, body.get("update") or {}, by_person=not screens)
    allowed = project.create[type_] if screens else None
    values_alone = {**body, "fields": {name: one for name, one in fields.items() if name not in PLACE}}
    changes = read(tenant, project, values_alone, allowed=allowed, version=version)
    missing = _missing(tenant, project, type_, changes) if screens else {}
    if missing:
        raise invalid(missing)
    now = tenant.clock.now()
    issue = Issue(
        tenant.next_id("issue"),
        f"{project.key}-{project.next_number}",
        project,
        type_,
        project.initial,
        now,
        now,
        account,
        now,
    )
    project.next_number += 1
    issue.fields = {"reporter": account, "priority": DEFAULT_PRIORITY, "labels": ()}
    issue.fields |= {name: value for name, value in changes.items() if value is not None}
    return issue


def read(
    tenant: JiraTenant,
    project: Project,
    body: Body,
    *,
    allowed: Iterable[str] | None,
    version: int = 3,
    present: Body | None = None,
) -> dict[str, Any]:
    """The stored values that a body asks for; raises ApiError naming every field that cannot be set.

    Without `allowed` no screen is asked: that is how people change what the API may not.
    """
    fields, update = body.get("fields") or {}, body.get("update") or {}
    screen = None if allowed is None else set(allowed)
    errors: dict[str, str] = {name: BOTH.format(name) for name in fields.keys() & update.keys()}
    changes: dict[str, Any] = {}
    for name in [*fields, *(name for name in update if name not in fields)]:
        field = tenant.fields.get(name)
        on_screen = field is not None and (screen is None or name in screen)
        in_project = field is not None and field.project in (None, project.key)
        if field is None or not on_screen or not in_project or field.kind not in values.WRITABLE:
            errors.setdefault(name, OFF_SCREEN.format(name))
            continue
        try:
            wanted = fields[name] if name in fields else _updated((present or {}).get(name), update[name], field.kind)
            changes[name] = values.stored(tenant, field, wanted, version)
        except values.BadValue as error:
            errors.setdefault(name, str(error))
    if errors:
        raise invalid(errors)
    return changes


def change(
    tenant: JiraTenant, issue: Issue, changes: Body, account: str, *, status: str | None = None
) -> Change | None:
    """Let an issue take stored values and a status; notes history and tells whoever listens."""
    items: list[Item] = []
    for name, value in changes.items():
        before = issue.fields.get(name)
        if before == value or (not before and not value):
            continue
        items.append(texts.item(tenant, name, before, value))
        if value is None:
            issue.fields.pop(name, None)
        else:
            issue.fields[name] = value
    now = tenant.clock.now()
    if status is not None and status != issue.status:
        items.append(texts.status_item(tenant, issue.status, status))
        if tenant.statuses[issue.status].category != tenant.statuses[status].category:
            issue.status_changed = now
        issue.status = status
    if not items:
        return None
    if "resolution" in changes:
        issue.fields["resolutiondate"] = values.instant(now) if changes["resolution"] else None
    made = Change(tenant.next_id("change"), account, now, tuple(items))
    issue.changes.append(made)
    touch(tenant, issue)
    tenant.events.updated(issue, made)
    return made


def touch(tenant: JiraTenant, issue: Issue) -> None:
    """Stamp an issue that has changed and hand it to the search index."""
    issue.updated = tenant.clock.now()
    tenant.index.put(issue)


def _place(tenant: JiraTenant, fields: dict[str, Any], update: Body, *, by_person: bool) -> tuple[Project, str]:
    if PLACE & update.keys():
        raise classic(400, ["Field 'project' and 'issuetype' cannot be updated."])
    given = fields.get("project")
    project = tenant.project_of(given) if isinstance(given, dict) else None
    if project is None or project.archived:
        raise invalid({"project": "Specify a valid project ID or key"})
    if not (by_person or tenant.may("CREATE_ISSUES")):
        raise invalid({"project": "You cannot create issues in this project."})
    wanted = fields.get("issuetype")
    if not isinstance(wanted, dict):
        raise invalid({"issuetype": "Specify an issue type"})
    for type_ in project.types:
        known = tenant.types[type_]
        if wanted.get("id") == known.id or ("id" not in wanted and wanted.get("name") == known.name):
            return project, type_
    raise invalid({"issuetype": "Specify a valid issue type"})


def _missing(tenant: JiraTenant, project: Project, type_: str, changes: Body) -> dict[str, str]:
    missing: dict[str, str] = {}
    for name in ("summary", *project.required):
        if name in project.create[type_] and changes.get(name) in (None, ()):
            text = values.NO_SUMMARY if name == "summary" else f"{tenant.fields[name].name} is required."
            missing[name] = text
    return missing


def _updated(present: Any, verbs: Any, kind: str) -> Any:
    """What a field is to be after its verbs, in the spelling of a body."""
    outcome: Any = None
    started = False
    for verb in verbs:
        if len(verb) != 1 or not verb.keys() <= {"set", "add", "remove", "edit", "copy"}:
            raise values.BadValue("Every update needs exactly one verb.")
        name, value = next(iter(verb.items()))
        if name == "set":
            outcome, started = value, True
        elif kind == "labels" and name in ("add", "remove"):
            held = list(outcome if started and isinstance(outcome, list) else present or ())
            outcome = [one for one in held if one != value] + ([value] if name == "add" else [])
            started = True
        elif kind == "multiselect" and name in ("add", "remove"):
            raise unmodelled(f"the verb {name} on a list of options")
        else:
            raise values.BadValue(f"The operation '{name}' is not supported for this field.")
    if not started:
        raise values.BadValue("Every update needs exactly one verb.")
    return outcome
