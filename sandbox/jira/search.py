"""Search over the API: pages by token, counts, judging queries, and testing issues against them."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import Any

from sandbox.jira import bodies, jql, jql_run
from sandbox.jira.dispatch import Call, Operation, Reply, query
from sandbox.jira.errors import classic, payload, problem
from sandbox.jira.issues import expanded, names_and_schema
from sandbox.jira.jql_tree import structure

UNBOUNDED = "Unbounded JQL queries are not allowed here. Please add a search restriction to your query."
BAD_TOKEN = "The provided nextPageToken is invalid or expired."
MOST_RESULTS = 5000
MOST_RECONCILED = 50
MOST_PROPERTIES = 5
TOKEN_LIFE = 7 * 86_400
_SEAL = b"the stand-in's pages"
_RULES = {
    "jql": bodies.maybe(bodies.text),
    "fields": bodies.maybe(bodies.many(bodies.text)),
    "maxResults": bodies.maybe(bodies.whole),
    "nextPageToken": bodies.maybe(bodies.text),
    "expand": bodies.maybe(bodies.text),
    "properties": bodies.maybe(bodies.many(bodies.text)),
    "fieldsByKeys": bodies.maybe(bodies.flag),
    "reconcileIssues": bodies.maybe(bodies.many(bodies.whole)),
}
_QUERY = ("jql", "fields", "maxResults", "nextPageToken", "expand", "properties", "fieldsByKeys", "reconcileIssues")


def by_post(call: Call) -> Reply:
    """Search with the query in the body."""
    return _search(call, bodies.closed(call.body(), _RULES))


def by_get(call: Call) -> Reply:
    """Search with the query in the address."""
    if sum(1 for name, _ in call.query if name == "nextPageToken") > 1:
        raise classic(400, [BAD_TOKEN])
    body: dict[str, Any] = {
        "jql": call.argument("jql"),
        "fields": call.arguments("fields"),
        "maxResults": call.number("maxResults", 50),
        "nextPageToken": call.argument("nextPageToken"),
        "expand": ",".join(call.arguments("expand")),
        "properties": call.arguments("properties"),
    }
    try:
        body["reconcileIssues"] = [int(one) for one in call.arguments("reconcileIssues")]
    except ValueError as error:
        raise problem(400, "Bad Request", "reconcileIssues takes issue ids") from error
    return _search(call, body)


def _search(call: Call, body: dict[str, Any]) -> Reply:
    text = body.get("jql") or ""
    start = _opened(call, body.get("nextPageToken"), text)
    size = body["maxResults"] if body.get("maxResults") is not None else 50
    if not 1 <= size <= MOST_RESULTS:
        raise classic(400, [f"The value of maxResults must be between 1 and {MOST_RESULTS}."])
    reconciled = body.get("reconcileIssues") or []
    if len(reconciled) > MOST_RECONCILED:
        raise classic(400, [f"At most {MOST_RECONCILED} issues can be reconciled."])
    keys = body.get("properties") or []
    if len(keys) > MOST_PROPERTIES:
        raise classic(400, [f"At most {MOST_PROPERTIES} properties can be asked for."])
    found = _found(call, text, reconciled)
    page = found[start : start + size]
    fields = body.get("fields") or ["id"]
    expand = [part.strip() for part in (body.get("expand") or "").split(",") if part.strip()]
    wants_issue = bool(keys or expand) and fields == ["id"]
    writer = call.writer()
    shown = [
        expanded(call, one, writer.issue(one, ["id", "key"] if wants_issue else fields, properties=keys), expand)
        for one in page
    ]
    call.points = 1 + len(page)
    more = start + size < len(found)
    answer: dict[str, Any] = {"issues": shown, "isLast": not more}
    if more:
        answer["nextPageToken"] = _sealed(call, start + size, text)
    return Reply(answer | names_and_schema(call, shown, expand))


def _found(call: Call, text: str, reconciled: list[int]) -> list[Any]:
    lenient = call.tenant.options.semantic_errors == "empty200"
    try:
        query_ = jql.parse(text)
    except jql.JqlError as error:
        if error.words and lenient:
            return []
        raise classic(400, [str(error)]) from error
    if query_.where is None:
        raise classic(400, [UNBOUNDED])
    complaints = jql_run.complaints(call.tenant, query_)
    if complaints:
        if lenient:
            return []
        raise classic(400, complaints)
    return jql_run.run(call.tenant, query_, call.account, reconciled=reconciled)


def _sealed(call: Call, offset: int, text: str) -> str:
    inside = json.dumps([offset, int(call.tenant.clock.now().timestamp()), _digest(text)]).encode()
    seal = hmac.new(_SEAL, inside, hashlib.sha256).digest()[:8]
    return base64.urlsafe_b64encode(seal + inside).decode().rstrip("=")


def _opened(call: Call, token: str | None, text: str) -> int:
    if not token:
        return 0
    try:
        raw = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
        seal, inside = raw[:8], raw[8:]
        if not hmac.compare_digest(seal, hmac.new(_SEAL, inside, hashlib.sha256).digest()[:8]):
            raise ValueError
        offset, at, digest = json.loads(inside)
    except ValueError as error:
        raise classic(400, [BAD_TOKEN]) from error
    if digest != _digest(text) or call.tenant.clock.now().timestamp() - at >= TOKEN_LIFE:
        raise classic(400, [BAD_TOKEN])
    return int(offset)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def count(call: Call) -> Reply:
    """About how many issues a query finds."""
    body = bodies.closed(call.body(), {"jql": bodies.maybe(bodies.text)})
    return Reply({"count": len(_found(call, body.get("jql") or "", []))})


def parse(call: Call) -> Reply:
    """Judge queries; what is wrong with one stands beside it."""
    mode = call.argument("validation")
    if mode not in ("strict", "warn", "none"):
        raise classic(400, ["The validation must be strict, warn or none."])
    body = bodies.closed(call.body(), {"queries": bodies.many(bodies.text)}, ("queries",))
    if not body["queries"] or "" in body["queries"]:
        raise payload()
    return Reply({"queries": [_parsed(call, text, mode) for text in body["queries"]]})


def _parsed(call: Call, text: str, mode: str) -> dict[str, Any]:
    try:
        query_ = jql.parse(text)
    except jql.JqlError as error:
        return {"query": text, "errors": [str(error)]}
    complaints = jql_run.complaints(call.tenant, query_) if mode != "none" else []
    if complaints and mode == "strict":
        return {"query": text, "errors": complaints}
    shown: dict[str, Any] = {"query": text, "structure": structure(query_)}
    return shown | ({"warnings": complaints} if complaints else {})


def match(call: Call) -> Reply:
    """Which of the given issues each query finds, as they really stand."""
    rules = {"issueIds": bodies.many(bodies.whole), "jqls": bodies.many(bodies.text)}
    body = bodies.closed(call.body(), rules, ("issueIds", "jqls"))
    return Reply({"matches": [_matched(call, text, body["issueIds"]) for text in body["jqls"]]})


def _matched(call: Call, text: str, wanted: list[int]) -> dict[str, Any]:
    try:
        query_ = jql.parse(text)
    except jql.JqlError as error:
        return {"matchedIssues": [], "errors": [str(error)]}
    complaints = jql_run.complaints(call.tenant, query_)
    if complaints:
        return {"matchedIssues": [], "errors": complaints}
    found = {one.id for one in jql_run.run(call.tenant, query_, call.account, fresh=True)}
    return {"matchedIssues": [one for one in wanted if one in found], "errors": []}


_NOTHING = {"issues": [], "isLast": True}
OPERATIONS = [
    Operation("GET", "/search/jql", by_get, query(*_QUERY, "failFast"), anonymous=_NOTHING, also_v2=True),
    Operation("POST", "/search/jql", by_post, anonymous=_NOTHING, also_v2=True),
    Operation("POST", "/search/approximate-count", count, anonymous={"count": 0}, also_v2=True),
    Operation("POST", "/jql/parse", parse, query("validation")),
    Operation("POST", "/jql/match", match, also_v2=True),
]
