"""What people do in the site by hand, and what an administrator switches."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sandbox.jira import adf_text, seeding, workflow, writing
from sandbox.jira.errors import ApiError
from sandbox.jira.store import Comment, Issue
from sandbox.kit.app import Action, BadRequest, Document, UnknownRecord

if TYPE_CHECKING:
    from sandbox.jira.tenant import JiraTenant

Verb = Callable[["JiraTenant", Document], Document]


def table(tenant: JiraTenant) -> dict[str, Action]:
    """The admin verbs of this site by name."""
    return {name: _bound(tenant, verb) for name, verb in _VERBS.items()}


def _bound(tenant: JiraTenant, verb: Verb) -> Action:
    def act(given: Document) -> Document:
        try:
            return verb(tenant, given)
        except (ApiError, KeyError, ValueError) as error:
            raise BadRequest(str(error)) from error

    return act


def _issue(tenant: JiraTenant, given: Document) -> Issue:
    found = tenant.issues.find(str(given.get("issue", "")))
    if found is None:
        raise UnknownRecord(f"no issue {given.get('issue')!r}")
    return found


def _person(tenant: JiraTenant, given: Document) -> str:
    account = str(given.get("account") or tenant.consenter)
    if account not in tenant.users:
        raise UnknownRecord(f"no user {account!r}")
    return account


def _told(issue: Issue) -> Document:
    return {"id": str(issue.id), "key": issue.key, "status": issue.status}


def create(tenant: JiraTenant, given: Document) -> Document:
    """A person makes an issue: {fields, properties?, account?}."""
    account = _person(tenant, given)
    issue = seeding.add_issue(tenant, given, account)
    tenant.events.created(issue, account)
    return _told(issue)


def set_fields(tenant: JiraTenant, given: Document) -> Document:
    """A person changes {fields} of {issue}; no screen is asked."""
    issue, account = _issue(tenant, given), _person(tenant, given)
    changes = writing.read(tenant, issue.project, {"fields": given.get("fields") or {}}, allowed=None)
    writing.change(tenant, issue, changes, account)
    return _told(issue)


def transition(tenant: JiraTenant, given: Document) -> Document:
    """A person moves {issue} to the status {to} (its name or id, or the name of a step), with {fields}."""
    issue, account = _issue(tenant, given), _person(tenant, given)
    wanted = given.get("to")
    step = next(
        (one for one in workflow.steps(issue) if wanted in (one.to, tenant.statuses[one.to].name, one.name)), None
    )
    if step is None:
        raise BadRequest(f"no step leads {issue.key} to {wanted!r}")
    changes = writing.read(tenant, issue.project, {"fields": given.get("fields") or {}}, allowed=None)
    workflow.move(tenant, issue, step, changes, account=account)
    return _told(issue)


def comment(tenant: JiraTenant, given: Document) -> Document:
    """A person writes {text} (or a whole document {body}) under {issue}."""
    issue, account = _issue(tenant, given), _person(tenant, given)
    body = given.get("body") or adf_text.rich(str(given["text"]))
    now = tenant.clock.now()
    made = Comment(tenant.next_id("comment"), account, body, now, now, account)
    issue.comments.append(made)
    writing.touch(tenant, issue)
    tenant.events.commented(issue, made, account)
    return {"id": str(made.id), "issue": issue.key}


def delete(tenant: JiraTenant, given: Document) -> Document:
    """A person deletes {issue}."""
    issue, account = _issue(tenant, given), _person(tenant, given)
    tenant.issues.remove(issue)
    tenant.index.drop(issue)
    tenant.events.deleted(issue, account)
    return {"deleted": issue.key}


def clone(tenant: JiraTenant, given: Document) -> Document:
    """A person clones {issue}: every field comes along, properties do not."""
    issue, account = _issue(tenant, given), _person(tenant, given)
    body = {
        "fields": {
            "project": {"key": issue.project.key},
            "issuetype": {"id": issue.type},
            "summary": f"CLONE - {issue.fields['summary']}",
        }
    }
    made = writing.create(tenant, body, account, 3, screens=False)
    left = ("summary", "reporter", "resolution", "resolutiondate")
    made.fields |= {name: value for name, value in issue.fields.items() if name not in left}
    tenant.issues.add(made)
    tenant.index.put(made)
    tenant.events.created(made, account)
    return _told(made)


def move(tenant: JiraTenant, given: Document) -> Document:
    """A person moves {issue} to the project {to}: the key changes, the id stays, foreign fields fall away."""
    issue, account = _issue(tenant, given), _person(tenant, given)
    target = tenant.projects.get(str(given.get("to")))
    if target is None:
        raise UnknownRecord(f"no project {given.get('to')!r}")
    before = issue.key
    issue.key = f"{target.key}-{target.next_number}"
    target.next_number += 1
    issue.project, issue.type, issue.status = target, target.types[0], target.initial
    issue.fields = {
        name: value for name, value in issue.fields.items() if tenant.fields[name].project in (None, target.key)
    }
    tenant.issues.add(issue)
    writing.touch(tenant, issue)
    tenant.events.moved(issue, before, account)
    return _told(issue)


def expire_tokens(tenant: JiraTenant, given: Document) -> Document:
    """End tokens of {kind}: access (default) or api."""
    kind = given.get("kind", "access")
    if kind == "api":
        tenant.options.api_tokens_valid = False
        return {"expired": 2}
    if kind != "access":
        raise BadRequest(f"no kind of token {kind!r}")
    return {"expired": tenant.tokens.expire_access()}


def revoke_grant(tenant: JiraTenant, given: Document) -> Document:
    """The person takes the consent back: every token of the app dies, its webhooks stop."""
    families = [one for one in tenant.tokens.families if not one.dead]
    for family in families:
        tenant.tokens.revoke(family)
    return {"revoked": len(families)}


def remove_field_from_screen(tenant: JiraTenant, given: Document) -> Document:
    """Take {field} off the screens of {project}: {screen} is create, edit or both (default)."""
    project, field = _project(tenant, given), str(given["field"])
    which = given.get("screen", "both")
    touched = 0
    for name, screens in (("create", project.create), ("edit", project.edit)):
        for names in screens.values() if which in (name, "both") else ():
            if field in names:
                names.remove(field)
                touched += 1
    return {"screens": touched}


def _project(tenant: JiraTenant, given: Document) -> Any:
    found = tenant.projects.get(str(given.get("project")))
    if found is None:
        raise UnknownRecord(f"no project {given.get('project')!r}")
    return found


def archive_project(tenant: JiraTenant, given: Document) -> Document:
    """Archive {project}, or bring it back with {archived: false}."""
    project = _project(tenant, given)
    project.archived = bool(given.get("archived", True))
    return {"project": project.key, "archived": project.archived}


def refuse_permission(tenant: JiraTenant, given: Document) -> Document:
    """Take {permission} from the integration, or give it back with {refused: false}."""
    name = str(given["permission"])
    (tenant.refused.add if given.get("refused", True) else tenant.refused.discard)(name)
    return {"refused": sorted(tenant.refused)}


def hide(tenant: JiraTenant, given: Document) -> Document:
    """Hide {issue} from the integration, as a security level does, or show it again with {hidden: false}."""
    issue = _issue(tenant, given)
    (tenant.hidden.add if given.get("hidden", True) else tenant.hidden.discard)(issue.id)
    return {"hidden": sorted(tenant.hidden)}


def require_field(tenant: JiraTenant, given: Document) -> Document:
    """Make {field} required in {project}, or no longer with {required: false}."""
    project, field = _project(tenant, given), str(given["field"])
    others = tuple(one for one in project.required if one != field)
    project.required = (*others, field) if given.get("required", True) else others
    return {"required": list(project.required)}


def change_transitions(tenant: JiraTenant, given: Document) -> Document:
    """An administrator edits the workflow of {project}: the ids of its steps grow by {by}."""
    project = _project(tenant, given)
    by = int(given.get("by", 100))
    project.transitions = tuple(replace(one, id=str(int(one.id) + by)) for one in project.transitions)
    return {"transitions": [one.id for one in project.transitions]}


def set_user(tenant: JiraTenant, given: Document) -> Document:
    """Change {active, assignable} of {account}."""
    account = _person(tenant, given)
    known = tenant.users[account]
    active, assignable = bool(given.get("active", known.active)), bool(given.get("assignable", known.assignable))
    tenant.users[account] = replace(known, active=active, assignable=assignable)
    return {"account": account, "active": active, "assignable": assignable}


def deliver(tenant: JiraTenant, given: Document) -> Document:
    """Send every webhook delivery that is due (the front does so before this answers)."""
    return {"sent": len(tenant.deliveries.sent), "waiting": tenant.deliveries.waiting}


def redeliver(tenant: JiraTenant, given: Document) -> Document:
    """Queue the last {count} deliveries once more, under the same identifiers."""
    return {"queued": tenant.hooks.again(int(given.get("count", 1)))}


def add_admin_webhook(tenant: JiraTenant, given: Document) -> Document:
    """An administrator sets up a webhook in the site's settings."""
    return tenant.hooks.add_admin(given)


def set_option(tenant: JiraTenant, given: Document) -> Document:
    """Change switches given as {name: value, ...}."""
    tenant.change_options(given)
    return tenant.options.model_dump(mode="json", include=set(given))


_VERBS: dict[str, Verb] = {
    "create": create,
    "set_fields": set_fields,
    "transition": transition,
    "comment": comment,
    "delete": delete,
    "clone": clone,
    "move": move,
    "expire_tokens": expire_tokens,
    "revoke_grant": revoke_grant,
    "remove_field_from_screen": remove_field_from_screen,
    "archive_project": archive_project,
    "refuse_permission": refuse_permission,
    "change_transitions": change_transitions,
    "hide": hide,
    "require_field": require_field,
    "set_user": set_user,
    "deliver": deliver,
    "redeliver": redeliver,
    "add_admin_webhook": add_admin_webhook,
    "set_option": set_option,
}
