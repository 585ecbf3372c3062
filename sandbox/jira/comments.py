"""Comments of an issue with their properties; each post makes a new one."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from sandbox.jira import bodies, values, writing
from sandbox.jira.dispatch import PAGING, Call, Operation, Reply, query
from sandbox.jira.errors import ApiError, classic, invalid, no_issue, unmodelled
from sandbox.jira.store import Comment, Issue

RULES = {
    "body": bodies.anything,
    "visibility": bodies.maybe(bodies.mapping),
    "properties": bodies.maybe(bodies.many(bodies.is_property)),
}
NOT_FOUND = "Can not find a comment for the id: {}."


def rich(body: Any, version: int) -> dict[str, Any]:
    """The rich text of a comment; raises ApiError 400."""
    try:
        document = values.rich_text(body, version)
    except values.BadValue as error:
        text = str(error)
        raise invalid({"comment": "Comment body is not valid!" if text == values.NOT_ADF else text}) from error
    except ApiError as error:
        raise invalid({"comment": error.body["errorMessages"][0]}) from error
    if document is None or not document["content"]:
        raise invalid({"comment": "Comment body can not be empty!"})
    return document


def from_update(call: Call, body: dict[str, Any]) -> tuple[list[Callable[[], Comment]], dict[str, Any]]:
    """Comments that an edit or a step adds, to be made once all else is judged, and the body without them."""
    update = dict(body.get("update") or {})
    made: list[Callable[[], Comment]] = []
    for verb in update.pop("comment", ()):
        given = verb.get("add")
        if set(verb) != {"add"} or not isinstance(given, dict):
            raise unmodelled("any verb on comments but add")
        text = rich(given.get("body"), call.version)
        properties = bodies.properties(given.get("properties"))
        made.append(partial(_add, call, call.issue(), text, properties))
    return made, {**body, "update": update}


def _add(call: Call, issue: Issue, text: dict[str, Any], properties: dict[str, Any]) -> Comment:
    comment = put(call, issue, text, call.account)
    comment.properties = properties
    call.tenant.count("comments", issue)
    return comment


def put(call: Call, issue: Issue, text: dict[str, Any], account: str) -> Comment:
    """Append a comment to an issue."""
    now = call.tenant.clock.now()
    comment = Comment(call.tenant.next_id("comment"), account, text, now, now, account)
    issue.comments.append(comment)
    writing.touch(call.tenant, issue)
    return comment


def add(call: Call) -> Reply:
    """Write a comment."""
    issue = call.tenant.writable(call.path["issue"], "ADD_COMMENTS")
    body = bodies.opened(call.body(), RULES)
    call.limit_writes(issue)
    text = rich(body.get("body"), call.version)
    properties = bodies.properties(body.get("properties"))
    if len(issue.comments) >= call.tenant.options.max_comments:
        raise classic(413, ["The issue has reached the maximum number of comments."])
    comment = _add(call, issue, text, properties)
    comment.visibility = body.get("visibility")
    call.tenant.events.commented(issue, comment, call.account)
    return Reply(call.writer().comment(issue, comment, properties=_with_properties(call)), 201)


def _with_properties(call: Call) -> bool:
    expand = call.arguments("expand")
    if set(expand) - {"properties"}:
        raise unmodelled(f"expand={','.join(expand)} of comments")
    return "properties" in expand


def listed(call: Call) -> Reply:
    """The comments of an issue, by creation."""
    issue = call.issue()
    order = call.argument("orderBy")
    if order not in (None, "created", "+created", "-created", " created"):
        raise classic(400, [f"Comments cannot be ordered by '{order}'."])
    shown = list(reversed(issue.comments)) if order == "-created" else list(issue.comments)
    start, size = call.window(5000, 100)
    page = shown[start : start + size]
    with_properties = _with_properties(call)
    writer = call.writer()
    call.points = 1 + len(page)
    return Reply(
        {
            "startAt": start,
            "maxResults": size,
            "total": len(shown),
            "comments": [writer.comment(issue, one, properties=with_properties) for one in page],
        }
    )


def _find(call: Call) -> tuple[Issue, Comment]:
    issue = call.issue()
    wanted = call.path["id"]
    for one in issue.comments:
        if str(one.id) == wanted:
            return issue, one
    raise classic(404, [NOT_FOUND.format(wanted)])


def show(call: Call) -> Reply:
    """One comment."""
    issue, comment = _find(call)
    return Reply(call.writer().comment(issue, comment, properties=_with_properties(call)))


def replace(call: Call) -> Reply:
    """Put another text in the place of a comment's."""
    call.tenant.writable(call.path["issue"], "EDIT_OWN_COMMENTS")
    issue, comment = _find(call)
    body = bodies.opened(call.body(), RULES)
    call.limit_writes(issue)
    text = rich(body.get("body"), call.version)
    properties = bodies.properties(body.get("properties"))
    comment.body, comment.updated, comment.editor = text, call.tenant.clock.now(), call.account
    comment.properties.update(properties)
    writing.touch(call.tenant, issue)
    call.tenant.count("comment_edits", issue)
    call.tenant.events.comment_changed(issue, comment, call.account)
    return Reply(call.writer().comment(issue, comment, properties=_with_properties(call)))


def remove(call: Call) -> Reply:
    """Take a comment away."""
    call.tenant.writable(call.path["issue"], "DELETE_OWN_COMMENTS")
    issue, comment = _find(call)
    call.limit_writes(issue)
    issue.comments.remove(comment)
    writing.touch(call.tenant, issue)
    call.tenant.events.comment_deleted(issue, comment, call.account)
    return Reply(status=204)


_NOBODY = no_issue()
OPERATIONS = [
    Operation("POST", "/issue/{issue}/comment", add, query("expand"), also_v2=True),
    Operation(
        "GET",
        "/issue/{issue}/comment",
        listed,
        query(*PAGING, "orderBy", "expand"),
        anonymous=_NOBODY,
        also_v2=True,
    ),
    Operation("GET", "/issue/{issue}/comment/{id}", show, query("expand"), anonymous=_NOBODY, also_v2=True),
    Operation("PUT", "/issue/{issue}/comment/{id}", replace, query("expand", "notifyUsers"), also_v2=True),
    Operation("DELETE", "/issue/{issue}/comment/{id}", remove, also_v2=True),
]
