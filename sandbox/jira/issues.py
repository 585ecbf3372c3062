"""Issues over the API: create one or fifty, read, edit, assign, delete, and their history."""

from __future__ import annotations

from typing import Any

from sandbox.jira import bodies, comments, metadata, workflow, writing
from sandbox.jira.dispatch import PAGING, Call, Operation, Reply, paged, query
from sandbox.jira.errors import ApiError, classic, invalid, no_issue, unmodelled
from sandbox.jira.store import Issue

MOST_AT_ONCE = 50
MOST_FETCHED = 100
MOST_PROPERTIES = 5
_EXPANSIONS = frozenset({"names", "schema", "changelog", "transitions", "editmeta", "operations"})


def create_one(call: Call) -> Reply:
    """Create an issue with its properties in one act."""
    issue = _created(call, bodies.update_details(call.body()))
    return Reply(_named(call, issue), 201)


def create_many(call: Call) -> Reply:
    """Create up to fifty; each stands alone, and only when none works is the whole refused."""
    body = bodies.opened(call.body(), {"issueUpdates": bodies.many(bodies.mapping)})
    given = [bodies.update_details(one) for one in body.get("issueUpdates") or ()]
    if not given:
        raise classic(400, ["No issues were given."])
    if len(given) > MOST_AT_ONCE:
        raise classic(400, [f"The maximum number of issues to create at once is {MOST_AT_ONCE}."])
    made: list[dict[str, Any]] = []
    failed: list[dict[str, Any]] = []
    for number, one in enumerate(given):
        try:
            made.append(_named(call, _created(call, one)))
        except ApiError as error:
            if error.status != 400:
                raise
            failed.append({"status": 400, "elementErrors": _collection(error), "failedElementNumber": number})
    call.points = max(1, len(given))
    return Reply({"issues": made, "errors": failed}, 201 if made else 400)


def _collection(error: ApiError) -> dict[str, Any]:
    return {"errorMessages": error.body.get("errorMessages", []), "errors": error.body.get("errors", {})}


def _named(call: Call, issue: Issue) -> dict[str, Any]:
    return {"id": str(issue.id), "key": issue.key, "self": f"{call.base}/issue/{issue.id}"}


def _created(call: Call, body: dict[str, Any]) -> Issue:
    if body.get("transition") is not None:
        raise unmodelled("a transition on create")
    if "comment" in (body.get("update") or {}):
        raise unmodelled("a comment on create")
    tenant = call.tenant
    properties = bodies.properties(body.get("properties"))
    issue = writing.create(tenant, body, call.account, call.version)
    issue.properties = properties
    tenant.issues.add(issue)
    tenant.index.put(issue)
    tenant.count("creates", issue)
    tenant.events.created(issue, call.account)
    return issue


def _wanted(names: list[str]) -> list[str]:
    return names or ["*all"]


def _property_keys(keys: list[str]) -> list[str]:
    if len(keys) > MOST_PROPERTIES:
        raise classic(400, [f"At most {MOST_PROPERTIES} properties can be asked for."])
    return keys


def expanded(call: Call, issue: Issue, shown: dict[str, Any], expand: list[str]) -> dict[str, Any]:
    """Add to an issue what `expand` asks for; raises ApiError 501 for what is not modelled."""
    strangers = set(expand) - _EXPANSIONS
    if strangers:
        raise unmodelled(f"expand={sorted(strangers)[0]}")
    writer = call.writer()
    if "changelog" in expand:
        histories = [writer.change(one) for one in reversed(issue.changes[-100:])]
        total = len(issue.changes)
        shown["changelog"] = {"startAt": 0, "maxResults": len(histories), "total": total, "histories": histories}
    if "transitions" in expand:
        shown["transitions"] = workflow.available(call, issue, with_fields=False)
    if "editmeta" in expand:
        shown["editmeta"] = {"fields": metadata.edit_fields(call, issue)}
    if "operations" in expand:
        shown["operations"] = {"linkGroups": []}
    return shown


def names_and_schema(call: Call, shown: list[dict[str, Any]], expand: list[str]) -> dict[str, Any]:
    """The names and types of the fields that stand in these issues, where `expand` asks for them."""
    used = dict.fromkeys(name for one in shown for name in one.get("fields", ()))
    fields = [call.tenant.fields[name] for name in used]
    extra: dict[str, Any] = {}
    if "names" in expand:
        extra["names"] = {field.id: field.name for field in fields}
    if "schema" in expand:
        extra["schema"] = {field.id: field.schema() for field in fields}
    return extra


def get_one(call: Call) -> Reply:
    """Read an issue as it stands."""
    issue = call.issue()
    keys = _property_keys(call.arguments("properties"))
    shown = call.writer().issue(issue, _wanted(call.arguments("fields")), properties=keys)
    if keys == ["*all"]:
        shown["properties"] = dict(issue.properties)
    call.points = 2
    expand = call.arguments("expand")
    shown = expanded(call, issue, shown, [*expand])
    return Reply(shown | names_and_schema(call, [shown], expand))


def fetch_many(call: Call) -> Reply:
    """Read up to a hundred issues by id or key, in the order of their ids."""
    rules = {
        "issueIdsOrKeys": bodies.many(bodies.text),
        "fields": bodies.maybe(bodies.many(bodies.text)),
        "properties": bodies.maybe(bodies.many(bodies.text)),
        "expand": bodies.maybe(bodies.many(bodies.text)),
        "fieldsByKeys": bodies.flag,
    }
    body = bodies.closed(call.body(), rules, ("issueIdsOrKeys",))
    wanted = list(dict.fromkeys(body["issueIdsOrKeys"]))
    if not 1 <= len(wanted) <= MOST_FETCHED:
        raise classic(400, [f"The number of issues must be between 1 and {MOST_FETCHED}."])
    expand = body.get("expand") or []
    keys = _property_keys(body.get("properties") or [])
    found: dict[int, Issue] = {}
    errors: list[dict[str, str]] = []
    for name in wanted:
        try:
            issue = call.tenant.issue(name)
            found[issue.id] = issue
        except ApiError:
            errors.append({"id": name, "errorMessage": no_issue().body["errorMessages"][0]})
    writer = call.writer()
    fields = _wanted(body.get("fields") or [])
    shown = [
        expanded(call, issue, writer.issue(issue, fields, properties=keys), expand)
        for _, issue in sorted(found.items())
    ]
    call.points = 1 + len(shown)
    return Reply({"issues": shown, "issueErrors": errors} | names_and_schema(call, shown, expand))


def edit(call: Call) -> Reply:
    """Change fields that stand on the edit screen, all or none; a transition in the body is ignored."""
    issue = call.tenant.writable(call.path["issue"], "EDIT_ISSUES")
    body = bodies.update_details(call.body())
    call.limit_writes(issue)
    if not (body.get("fields") or body.get("update") or body.get("properties")):
        raise classic(400, ["one of 'fields' or 'update' required"])
    allowed = issue.project.edit[issue.type]
    said, rest = comments.from_update(call, body)
    changes = writing.read(
        call.tenant, issue.project, rest, allowed=allowed, version=call.version, present=issue.fields
    )
    for name in ("summary", *issue.project.required):
        if name in changes and changes[name] in (None, ()):
            raise invalid({name: f"{call.tenant.fields[name].name} is required."})
    properties = bodies.properties(body.get("properties"))
    writing.change(call.tenant, issue, changes, call.account)
    issue.properties.update(properties)
    for one in said:
        call.tenant.events.commented(issue, one(), call.account)
    call.tenant.count("edits", issue)
    if call.argument("returnIssue") == "true":
        return Reply(call.writer().issue(issue, ["*all"]))
    return Reply(status=204)


def assign(call: Call) -> Reply:
    """Give an issue to somebody, to nobody, or to the project's default."""
    issue = call.tenant.writable(call.path["issue"], "ASSIGN_ISSUES")
    rules = {"accountId": bodies.maybe(bodies.text), "name": bodies.anything, "key": bodies.anything}
    body = bodies.closed(call.body(), rules)
    call.limit_writes(issue)
    if set(body) != {"accountId"}:
        raise classic(400, ["Exactly one accountId must be given."])
    account = body["accountId"]
    given = {"accountId": issue.project.lead if account == "-1" else account}
    edit_body = {"fields": {"assignee": given if given["accountId"] else None}}
    changes = writing.read(call.tenant, issue.project, edit_body, allowed=None)
    writing.change(call.tenant, issue, changes, call.account)
    call.tenant.count("edits", issue)
    return Reply(status=204)


def delete(call: Call) -> Reply:
    """Take an issue away for good."""
    issue = call.tenant.writable(call.path["issue"], "DELETE_ISSUES")
    remove(call, issue)
    call.tenant.count("deletes", issue)
    return Reply(status=204)


def remove(call: Call, issue: Issue) -> None:
    """Forget an issue and tell whoever listens."""
    call.tenant.issues.remove(issue)
    call.tenant.index.drop(issue)
    call.tenant.events.deleted(issue, call.account)


def changelog(call: Call) -> Reply:
    """The history of an issue, oldest first."""
    issue = call.issue()
    writer = call.writer()
    page = paged([writer.change(one) for one in issue.changes], call, 100, 100)
    call.points = 1 + len(page["values"])
    return Reply(page)


_NOBODY = no_issue()
OPERATIONS = [
    Operation("POST", "/issue", create_one, query("updateHistory"), also_v2=True),
    Operation("POST", "/issue/bulk", create_many, also_v2=True),
    Operation("POST", "/issue/bulkfetch", fetch_many, anonymous={"issues": [], "issueErrors": []}),
    Operation(
        "GET",
        "/issue/{issue}",
        get_one,
        query("fields", "expand", "properties", "updateHistory", "fieldsByKeys", "failFast"),
        anonymous=_NOBODY,
        also_v2=True,
    ),
    Operation("PUT", "/issue/{issue}", edit, query("notifyUsers", "returnIssue"), also_v2=True),
    Operation("DELETE", "/issue/{issue}", delete, query("deleteSubtasks"), also_v2=True),
    Operation("PUT", "/issue/{issue}/assignee", assign, also_v2=True),
    Operation("GET", "/issue/{issue}/changelog", changelog, query(*PAGING), anonymous=_NOBODY, also_v2=True),
]
