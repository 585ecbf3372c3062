"""Who is who: the caller, people by name, who can be assigned, and what the caller may do."""

from __future__ import annotations

from typing import Any

from sandbox.jira.dispatch import PAGING, Call, Operation, Reply, query
from sandbox.jira.errors import classic
from sandbox.jira.masters import User
from sandbox.jira.tenant import PERMISSIONS

_NO_USER = "Specified user does not exist or you do not have required permissions"


def myself(call: Call) -> Reply:
    """The account that calls."""
    call.points = 3
    shown = call.writer().user(call.account)
    return Reply((shown or {}) | {"locale": "en_US"})


def user(call: Call) -> Reply:
    """One account."""
    wanted = call.argument("accountId")
    if not wanted:
        raise classic(400, ["The query parameter 'accountId' is required."])
    if wanted not in call.tenant.users:
        raise classic(404, [_NO_USER])
    call.points = 3
    return Reply(call.writer().user(wanted))


def _matches(call: Call, one: User, text: str) -> bool:
    low = text.lower()
    email = (one.email or "").lower()
    hidden = call.tenant.options.hidden_emails
    starts = any(word.startswith(low) for word in (one.name.lower(), *one.name.lower().split()))
    return starts or email == low or (not hidden and bool(low) and email.startswith(low))


def search(call: Call) -> Reply:
    """People by the beginning of their name or address, or by account id; one of both."""
    text, account = call.argument("query"), call.argument("accountId")
    if (text is None) == (account is None):
        raise classic(400, ["Exactly one of 'query' and 'accountId' must be given."])
    if not call.tenant.may("USER_PICKER"):
        return Reply([])
    found = [one for one in call.tenant.users.values() if _chosen(call, one, text, account)]
    return Reply(_page(call, found))


def _chosen(call: Call, one: User, text: str | None, account: str | None) -> bool:
    return one.account == account if text is None else _matches(call, one, text)


def assignable(call: Call) -> Reply:
    """People who can be assigned in a project or to an issue."""
    text, account = call.argument("query"), call.argument("accountId")
    place = [name for name in ("project", "issueKey", "issueId") if call.argument(name)]
    if len(place) != 1:
        raise classic(400, ["Exactly one of 'project', 'issueKey' and 'issueId' must be given."])
    if text is None and account is None:
        raise classic(400, ["Either 'query' or 'accountId' must be given."])
    name = call.argument(place[0]) or ""
    if place[0] == "project":
        call.tenant.project_named(name)
    else:
        call.tenant.issue(name)
    found = [
        one for one in call.tenant.users.values() if one.active and one.assignable and _chosen(call, one, text, account)
    ]
    return Reply(_page(call, found))


def _page(call: Call, found: list[User]) -> list[Any]:
    start, size = call.window(1000)
    page = found[start : start + size]
    call.points = 1 + 2 * len(page)
    writer = call.writer()
    return [writer.user(one.account) for one in page]


def permissions(call: Call) -> Reply:
    """Which of the named permissions the caller has."""
    wanted = call.arguments("permissions")
    if not wanted:
        raise classic(400, ["The 'permissions' query parameter is required."])
    if strangers := [name for name in wanted if name not in PERMISSIONS]:
        raise classic(400, [f"Unrecognized permission: {strangers[0]}"])
    key = call.argument("projectKey") or call.argument("projectId")
    if key:
        call.tenant.project_named(key)
    if issue := call.argument("issueKey") or call.argument("issueId"):
        call.tenant.issue(issue)
    call.points = 3
    return Reply({"permissions": {name: _permission(call, name) for name in wanted}})


def _permission(call: Call, name: str) -> dict[str, Any]:
    return {
        "id": str(PERMISSIONS.index(name) + 1),
        "key": name,
        "name": name.replace("_", " ").capitalize(),
        "type": "GLOBAL" if name in ("ADMINISTER", "USER_PICKER") else "PROJECT",
        "description": "",
        "havePermission": call.tenant.may(name),
    }


OPERATIONS = [
    Operation("GET", "/myself", myself, query("expand"), also_v2=True),
    Operation("GET", "/user", user, query("accountId", "expand"), also_v2=True),
    Operation("GET", "/user/search", search, query(*PAGING, "query", "accountId"), also_v2=True),
    Operation(
        "GET",
        "/user/assignable/search",
        assignable,
        query(*PAGING, "query", "accountId", "project", "issueKey", "issueId"),
        also_v2=True,
    ),
    Operation(
        "GET",
        "/mypermissions",
        permissions,
        query("permissions", "projectKey", "projectId", "issueKey", "issueId"),
        also_v2=True,
    ),
]
