"""What hangs on issues and comments: entity properties and remote links."""

from __future__ import annotations

from typing import Any

from sandbox.jira import bodies
from sandbox.jira.bodies import MOST_KEY, MOST_VALUE
from sandbox.jira.dispatch import Call, Operation, Reply, query
from sandbox.jira.errors import classic, invalid, no_issue
from sandbox.jira.store import Comment, Issue, Link
from sandbox.kit import jsontext


def _key(call: Call) -> str:
    key = call.path["key"]
    if len(key) > MOST_KEY:
        raise classic(400, [f"The property key must be at most {MOST_KEY} characters."])
    return key


def _value(call: Call) -> Any:
    if not call.raw.strip():
        raise classic(400, ["The property value must not be empty."])
    value = call.body()
    if len(jsontext.dumps(value).decode()) > MOST_VALUE:
        raise classic(400, [f"The property value must be at most {MOST_VALUE} characters."])
    return value


def _keys(call: Call, owner: str, held: dict[str, Any]) -> Reply:
    return Reply({"keys": [{"self": f"{call.base}/{owner}/properties/{key}", "key": key} for key in sorted(held)]})


def _shown(call: Call, held: dict[str, Any], what: str) -> Reply:
    key = _key(call)
    if key not in held:
        raise classic(404, [f"The {what} property {key} does not exist."])
    return Reply({"key": key, "value": held[key]})


def issue_keys(call: Call) -> Reply:
    """The keys of an issue's properties."""
    issue = call.issue()
    return _keys(call, f"issue/{issue.id}", issue.properties)


def issue_property(call: Call) -> Reply:
    """One property of an issue."""
    return _shown(call, call.issue().properties, "issue")


def set_issue_property(call: Call) -> Reply:
    """Set a property of an issue: 201 when it is new."""
    issue = call.tenant.writable(call.path["issue"], "EDIT_ISSUES")
    key, value = _key(call), _value(call)
    call.limit_writes(issue)
    status = 200 if key in issue.properties else 201
    issue.properties[key] = value
    call.tenant.index.put(issue)
    call.tenant.count("properties", issue)
    call.tenant.events.property_set(issue, key, call.account)
    return Reply({}, status)


def delete_issue_property(call: Call) -> Reply:
    """Take a property away."""
    issue = call.tenant.writable(call.path["issue"], "EDIT_ISSUES")
    _shown(call, issue.properties, "issue")
    call.limit_writes(issue)
    del issue.properties[_key(call)]
    call.tenant.index.put(issue)
    call.tenant.events.property_deleted(issue, _key(call), call.account)
    return Reply(status=204)


def _comment(call: Call) -> Comment:
    wanted = call.path["comment"]
    for issue in call.tenant.issues:
        for one in issue.comments:
            if str(one.id) == wanted:
                return one
    raise classic(404, [f"Can not find a comment for the id: {wanted}."])


def comment_keys(call: Call) -> Reply:
    """The keys of a comment's properties."""
    comment = _comment(call)
    return _keys(call, f"comment/{comment.id}", comment.properties)


def comment_property(call: Call) -> Reply:
    """One property of a comment."""
    return _shown(call, _comment(call).properties, "comment")


def set_comment_property(call: Call) -> Reply:
    """Set a property of a comment: 201 when it is new."""
    comment = _comment(call)
    key, value = _key(call), _value(call)
    status = 200 if key in comment.properties else 201
    comment.properties[key] = value
    return Reply({}, status)


_REMOTE = {
    "globalId": bodies.maybe(bodies.text),
    "application": bodies.maybe(bodies.mapping),
    "relationship": bodies.maybe(bodies.text),
    "object": bodies.maybe(bodies.mapping),
}


def put_link(call: Call) -> Reply:
    """Create a remote link, or replace the one of the same globalId with all its members."""
    issue = call.tenant.writable(call.path["issue"], "LINK_ISSUES")
    body = bodies.opened(call.body(), _REMOTE)
    call.limit_writes(issue)
    target = body.get("object") or {}
    missing = [name for name in ("title", "url") if not isinstance(target.get(name), str) or not target[name]]
    if missing:
        raise invalid({name: f"'{name}' is required." for name in missing})
    global_id = body.get("globalId") or None
    if global_id is not None and len(global_id) > MOST_KEY:
        raise invalid({"globalId": f"'globalId' must be at most {MOST_KEY} characters."})
    known = next((one for one in issue.links if global_id is not None and one.global_id == global_id), None)
    if known is None and len(issue.links) >= call.tenant.options.max_remote_links:
        raise classic(413, ["The issue has reached the maximum number of remote links."])
    if known is None:
        link = Link(call.tenant.next_id("link"), global_id, body)
        issue.links.append(link)
    else:
        link, known.body = known, body
    call.tenant.count("links", issue)
    address = f"{call.base}/issue/{issue.id}/remotelink/{link.id}"
    return Reply({"id": link.id, "self": address}, 201 if known is None else 200)


def _link(call: Call, issue: Issue, link: Link) -> dict[str, Any]:
    body = {name: value for name, value in link.body.items() if value is not None}
    body.setdefault("application", {})
    address = f"{call.base}/issue/{issue.id}/remotelink/{link.id}"
    return {"id": link.id, "self": address} | body


def links(call: Call) -> Reply:
    """The remote links of an issue, or the one of a globalId."""
    issue = call.issue()
    wanted = call.argument("globalId")
    if wanted is None:
        return Reply([_link(call, issue, one) for one in issue.links])
    found = next((one for one in issue.links if one.global_id == wanted), None)
    if found is None:
        raise classic(404, [f"A remote link with the global id '{wanted}' does not exist."])
    return Reply(_link(call, issue, found))


def link_by_id(call: Call) -> Reply:
    """One remote link."""
    issue = call.issue()
    return Reply(_link(call, issue, _linked(call, issue)))


def _linked(call: Call, issue: Issue) -> Link:
    wanted = call.path["link"]
    for one in issue.links:
        if str(one.id) == wanted:
            return one
    raise classic(404, [f"The link with id '{wanted}' does not exist."])


def delete_link(call: Call) -> Reply:
    """Take a remote link away by its id."""
    issue = call.tenant.writable(call.path["issue"], "LINK_ISSUES")
    issue.links.remove(_linked(call, issue))
    return Reply(status=204)


def delete_link_by_global_id(call: Call) -> Reply:
    """Take a remote link away by its globalId."""
    issue = call.tenant.writable(call.path["issue"], "LINK_ISSUES")
    wanted = call.argument("globalId")
    if not wanted:
        raise classic(400, ["The 'globalId' query parameter is required."])
    found = next((one for one in issue.links if one.global_id == wanted), None)
    if found is None:
        raise classic(404, [f"A remote link with the global id '{wanted}' does not exist."])
    issue.links.remove(found)
    return Reply(status=204)


_NOBODY = no_issue()
_PROPERTY = "/issue/{issue}/properties/{key}"
_LINK = "/issue/{issue}/remotelink"
OPERATIONS = [
    Operation("GET", "/issue/{issue}/properties", issue_keys, anonymous=_NOBODY, also_v2=True),
    Operation("GET", _PROPERTY, issue_property, anonymous=_NOBODY, also_v2=True),
    Operation("PUT", _PROPERTY, set_issue_property, also_v2=True),
    Operation("DELETE", _PROPERTY, delete_issue_property, also_v2=True),
    Operation("GET", "/comment/{comment}/properties", comment_keys),
    Operation("GET", "/comment/{comment}/properties/{key}", comment_property),
    Operation("PUT", "/comment/{comment}/properties/{key}", set_comment_property),
    Operation("GET", _LINK, links, query("globalId"), anonymous=_NOBODY, also_v2=True),
    Operation("POST", _LINK, put_link, also_v2=True),
    Operation("DELETE", _LINK, delete_link_by_global_id, query("globalId"), needs_type=True),
    Operation("GET", _LINK + "/{link}", link_by_id, anonymous=_NOBODY),
    Operation("DELETE", _LINK + "/{link}", delete_link, needs_type=True, also_v2=True),
]
