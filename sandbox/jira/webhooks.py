"""Webhooks over the API: apps register, refresh and delete their own; administrators set up theirs."""

from __future__ import annotations

from typing import Any

from sandbox.jira import bodies, jql, jql_run
from sandbox.jira.dispatch import PAGING, Call, Operation, Reply, paged, query
from sandbox.jira.errors import classic
from sandbox.jira.hooks import LIFE, Admin, Dynamic, shown_admin, shown_dynamic, stamp
from sandbox.kit.deliveries import is_loopback

MOST_PER_USER = 5
APPS_ONLY = "Only Connect and OAuth 2.0 apps can use this operation"
EVENTS = frozenset(
    {
        "jira:issue_created",
        "jira:issue_updated",
        "jira:issue_deleted",
        "comment_created",
        "comment_updated",
        "comment_deleted",
        "issue_property_set",
        "issue_property_deleted",
    }
)
# Known to the site, but nothing here makes them happen.
SILENT_EVENTS = frozenset(
    {f"sprint_{what}" for what in ("created", "updated", "closed", "deleted", "started")}
    | {
        f"jira:version_{what}"
        for what in ("released", "unreleased", "created", "moved", "updated", "merged", "deleted")
    }
)
_FIELDS = frozenset({"issuekey", "key", "issue", "project", "issuetype", "type", "status", "assignee", "reporter"})
_OPERATORS = frozenset({"=", "!=", "in", "not in"})


def _app(call: Call) -> str:
    if call.caller.kind != "3lo" or call.caller.client_id is None:
        raise classic(403, [APPS_ONLY])
    return call.caller.client_id


def _own(call: Call) -> list[Dynamic]:
    client_id = _app(call)
    now = call.tenant.clock.now()
    hooks = call.tenant.hooks.dynamic.values()
    return [one for one in hooks if (one.client_id, one.account) == (client_id, call.account) and one.expires > now]


def register(call: Call) -> Reply:
    """Register webhooks under the app's one address; each entry works or fails by itself."""
    client_id = _app(call)
    body = bodies.closed(
        call.body(), {"url": bodies.text, "webhooks": bodies.many(bodies.mapping)}, ("url", "webhooks")
    )
    rules = {
        "events": bodies.many(bodies.text),
        "jqlFilter": bodies.text,
        "fieldIdsFilter": bodies.maybe(bodies.many(bodies.text)),
        "issuePropertyKeysFilter": bodies.maybe(bodies.many(bodies.text)),
    }
    entries = [bodies.closed(one, rules, ("events", "jqlFilter")) for one in body["webhooks"]]
    url = body["url"].partition("?")[0]
    if not (url.startswith("https://") or is_loopback(url)) or not is_loopback(url):
        raise classic(400, ["The url must be reachable over HTTPS."])
    now = call.tenant.clock.now()
    others = {one.url for one in call.tenant.hooks.dynamic.values() if one.client_id == client_id and one.expires > now}
    if others - {url}:
        raise classic(400, ["Only a single URL per app is allowed to be registered via REST API."])
    results = [_registered(call, client_id, url, one) for one in entries]
    return Reply({"webhookRegistrationResult": results})


def _registered(call: Call, client_id: str, url: str, entry: dict[str, Any]) -> dict[str, Any]:
    errors = _wrong_events(entry["events"]) + _wrong_filter(call, entry["jqlFilter"])
    if not errors and len(_own(call)) >= MOST_PER_USER:
        errors = [f"The limit of {MOST_PER_USER} webhooks per user was reached."]
    if errors:
        return {"errors": errors}
    number = call.tenant.next_id("webhook")
    names, keys = entry.get("fieldIdsFilter"), entry.get("issuePropertyKeysFilter")
    call.tenant.hooks.dynamic[number] = Dynamic(
        number,
        client_id,
        call.account,
        url,
        tuple(entry["events"]),
        entry["jqlFilter"],
        call.tenant.clock.now() + LIFE,
        tuple(names) if names is not None else None,
        tuple(keys) if keys is not None else None,
    )
    return {"createdWebhookId": number}


def _wrong_events(events: list[str]) -> list[str]:
    if not events:
        return ["At least one event is required."]
    return [f"The event {one} is not supported." for one in events if one not in EVENTS | SILENT_EVENTS]


def _wrong_filter(call: Call, text: str) -> list[str]:
    try:
        parsed = jql.parse(text)
    except jql.JqlError as error:
        return [str(error)]
    if parsed.order:
        return ["The ORDER BY clause is unsupported"]
    for clause in jql.clauses(parsed.where):
        if clause.field.lower() not in _FIELDS:
            return [f"The clause {clause.field} is unsupported"]
        if clause.operator not in _OPERATORS or any(one.empty for one in clause.operands):
            return [f"The operator {clause.operator} is unsupported"]
    return jql_run.complaints(call.tenant, parsed)


def listed(call: Call) -> Reply:
    """The app's webhooks of this person."""
    return Reply(paged([shown_dynamic(one) for one in _own(call)], call, 100, 100))


def _ids(call: Call) -> list[int]:
    body = bodies.closed(call.body(), {"webhookIds": bodies.many(bodies.whole)}, ("webhookIds",))
    if not body["webhookIds"]:
        raise classic(400, ["At least one webhook id is required."])
    return list(body["webhookIds"])


def delete(call: Call) -> Reply:
    """Take the app's own webhooks away; other ids are passed over."""
    own = {one.id for one in _own(call)}
    for number in _ids(call):
        if number in own:
            call.tenant.hooks.dynamic.pop(number, None)
    return Reply(status=202)


def refresh(call: Call) -> Reply:
    """Give the app's own webhooks thirty more days; other ids are passed over."""
    own = {one.id: one for one in _own(call)}
    until = call.tenant.clock.now() + LIFE
    for number in _ids(call):
        if number in own:
            own[number].expires = until
    return Reply({"expirationDate": stamp(until)})


def failed(call: Call) -> Reply:
    """Lost events are for Connect apps alone."""
    raise classic(403, ["Only Connect apps can use this operation"])


def _administer(call: Call) -> None:
    if not call.tenant.may("ADMINISTER"):
        raise classic(403, ["Administer Jira permission is required."])


def _admin_hook(call: Call) -> Admin:
    found = call.tenant.hooks.admin.get(int(call.path["id"])) if call.path["id"].isdigit() else None
    if found is None:
        raise classic(404, [f"No webhook could be found with id '{call.path['id']}'."])
    return found


_ADMIN_RULES = {
    "name": bodies.text,
    "url": bodies.text,
    "events": bodies.many(bodies.text),
    "filters": bodies.maybe(lambda value: isinstance(value, dict) and all(map(bodies.text, value.values()))),
    "excludeBody": bodies.flag,
    "enabled": bodies.flag,
    "secret": bodies.maybe(bodies.text),
}


def add_admin(call: Call) -> Reply:
    """Set up a webhook for the whole site."""
    _administer(call)
    body = bodies.opened(call.body(), _ADMIN_RULES, ("name", "url", "events"))
    _check_admin(call, body)
    return Reply(call.tenant.hooks.add_admin(body), 201)


def _check_admin(call: Call, body: dict[str, Any]) -> None:
    if "url" in body and not is_loopback(body["url"]):
        raise classic(400, ["The url is not valid."])
    if "events" in body and (wrong := _wrong_events(body["events"])):
        raise classic(400, wrong)
    filters = body.get("filters") or {}
    if text := filters.get("issue-related-events-section"):
        try:
            complaints = jql_run.complaints(call.tenant, jql.parse(text))
        except jql.JqlError as error:
            complaints = [str(error)]
        if complaints:
            raise classic(400, complaints)


def list_admin(call: Call) -> Reply:
    """The webhooks of the whole site."""
    _administer(call)
    return Reply([shown_admin(one, call.site) for one in call.tenant.hooks.admin.values()])


def show_admin(call: Call) -> Reply:
    """One webhook of the whole site."""
    _administer(call)
    return Reply(shown_admin(_admin_hook(call), call.site))


def change_admin(call: Call) -> Reply:
    """Change a webhook of the whole site; a secret that is not given stays."""
    _administer(call)
    hook = _admin_hook(call)
    body = bodies.opened(call.body(), _ADMIN_RULES)
    _check_admin(call, body)
    hook.name, hook.url = body.get("name", hook.name), body.get("url", hook.url)
    hook.events = tuple(body.get("events", hook.events))
    hook.filters = body.get("filters", hook.filters) or {}
    hook.exclude_body = body.get("excludeBody", hook.exclude_body)
    hook.enabled = body.get("enabled", hook.enabled)
    hook.secret = body.get("secret", hook.secret)
    return Reply(shown_admin(hook, call.site))


def delete_admin(call: Call) -> Reply:
    """Take a webhook of the whole site away."""
    _administer(call)
    del call.tenant.hooks.admin[_admin_hook(call).id]
    return Reply(status=204)


OPERATIONS = [
    Operation("POST", "/webhook", register),
    Operation("GET", "/webhook", listed, query(*PAGING)),
    Operation("DELETE", "/webhook", delete),
    Operation("PUT", "/webhook/refresh", refresh),
    Operation("GET", "/webhook/failed", failed, query("maxResults", "after")),
]
ADMIN_OPERATIONS = [
    Operation("POST", "/webhook", add_admin),
    Operation("GET", "/webhook", list_admin),
    Operation("GET", "/webhook/{id}", show_admin),
    Operation("PUT", "/webhook/{id}", change_admin),
    Operation("DELETE", "/webhook/{id}", delete_admin),
]
