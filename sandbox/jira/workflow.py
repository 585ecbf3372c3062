"""Steps of an issue through its workflow: which ones are open now, what their screens ask, and taking one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sandbox.jira import bodies, comments, metadata, writing
from sandbox.jira.dispatch import Call, Operation, Reply, query
from sandbox.jira.errors import classic, invalid, no_issue
from sandbox.jira.masters import DONE, Transition
from sandbox.jira.store import Issue

if TYPE_CHECKING:
    from sandbox.jira.tenant import JiraTenant


def steps(issue: Issue) -> list[Transition]:
    """The edges that lead away from where an issue stands."""
    return [one for one in issue.project.transitions if not one.sources or issue.status in one.sources]


def screen(tenant: JiraTenant, step: Transition) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Fields on the screen of a step, and those of them that it demands."""
    if tenant.options.require_resolution and tenant.statuses[step.to].category == "done":
        shown = tuple(dict.fromkeys((*step.screen, "resolution")))
        return shown, tuple(dict.fromkeys((*step.required, "resolution")))
    return step.screen, step.required


def available(call: Call, issue: Issue, *, with_fields: bool) -> list[dict[str, Any]]:
    """The open steps as the API shows them."""
    if not call.tenant.may("TRANSITION_ISSUES") or issue.project.archived:
        return []
    return [_shown(call, issue, one, with_fields=with_fields) for one in steps(issue)]


def _shown(call: Call, issue: Issue, step: Transition, *, with_fields: bool) -> dict[str, Any]:
    fields, required = screen(call.tenant, step)
    shown: dict[str, Any] = {
        "id": step.id,
        "name": step.name,
        "to": call.writer().status(call.tenant.statuses[step.to]),
        "hasScreen": bool(fields),
        "isGlobal": not step.sources,
        "isInitial": False,
        "isAvailable": True,
        "isConditional": False,
        "looped": step.to == issue.status,
    }
    if with_fields:
        shown["fields"] = {
            name: metadata.described(call, issue.project, call.tenant.fields[name], required=name in required)
            for name in fields
        }
    return shown


def list_steps(call: Call) -> Reply:
    """The open steps; an unknown id finds none."""
    issue = call.issue()
    wanted = call.argument("transitionId")
    shown = available(call, issue, with_fields="transitions.fields" in call.arguments("expand"))
    if wanted is not None:
        shown = [one for one in shown if one["id"] == wanted]
    return Reply({"expand": "transitions", "transitions": shown})


def take_step(call: Call) -> Reply:
    """Move an issue along one step, with the fields of its screen and maybe a comment."""
    issue = call.tenant.issue(call.path["issue"])
    body = bodies.update_details(call.body())
    if not call.tenant.may("TRANSITION_ISSUES") or issue.project.archived:
        raise classic(400, ["You do not have the permission to transition this issue."])
    call.limit_writes(issue)
    step = _step(call, issue, body)
    fields, required = screen(call.tenant, step)
    said, rest = comments.from_update(call, body)
    changes = writing.read(call.tenant, issue.project, rest, allowed=fields, version=call.version, present=issue.fields)
    missing = [name for name in required if changes.get(name, issue.fields.get(name)) in (None, (), "")]
    if missing:
        raise invalid({name: f"{call.tenant.fields[name].name} is required." for name in missing})
    properties = bodies.properties(body.get("properties"))
    move(call.tenant, issue, step, changes, account=call.account)
    issue.properties.update(properties)
    for one in said:
        call.tenant.events.commented(issue, one(), call.account)
    call.tenant.count("transitions", issue)
    return Reply(status=204)


def move(tenant: JiraTenant, issue: Issue, step: Transition, changes: dict[str, Any], *, account: str) -> None:
    """Take a step: fields, status, and the resolution that the workflow sets or clears by itself."""
    category = tenant.statuses[step.to].category
    by_itself = dict(changes)
    if category == "done" and "resolution" not in by_itself and not tenant.options.require_resolution:
        by_itself["resolution"] = step.resolves or DONE
    elif category != "done" and issue.fields.get("resolution") is not None:
        by_itself["resolution"] = None
    writing.change(tenant, issue, by_itself, account, status=step.to)


def _step(call: Call, issue: Issue, body: dict[str, Any]) -> Transition:
    given = body.get("transition") or {}
    wanted = given.get("id")
    if wanted is None:
        raise classic(400, ["Transition id is required."])
    for one in issue.project.transitions:
        if one.id != str(wanted):
            continue
        if one.sources and issue.status not in one.sources:
            raise classic(
                400,
                [
                    f"It seems that you have tried to perform a workflow operation ({one.name}) that is not valid for "
                    f"the current state of this issue ({issue.key}). The likely cause is that somebody has changed "
                    "the issue recently, please look at the issue history for details."
                ],
            )
        return one
    raise classic(400, [f"Transition id '{wanted}' is not valid for this issue."])


OPERATIONS = [
    Operation(
        "GET",
        "/issue/{issue}/transitions",
        list_steps,
        query("expand", "transitionId", "includeUnavailableTransitions", "skipRemoteOnlyCondition"),
        anonymous=no_issue(),
        also_v2=True,
    ),
    Operation("POST", "/issue/{issue}/transitions", take_step, also_v2=True),
]
