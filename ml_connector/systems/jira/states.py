"""Moves an issue when its exception has cleared in the ERP, and back when it returns (README: Transitions).

Which step leads to a status differs from project to project, so it is looked up each time by the status it leads to.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from ml_connector.domain.writes import Absent, Done, Doubt, Finding, Found, Gone, Order, Refused, Sent
from ml_connector.errors import ConnectorError, UnknownOutcomeError
from ml_connector.systems.jira.client import JiraClient
from ml_connector.systems.jira.config import JiraTenant
from ml_connector.systems.jira.documents import plain
from ml_connector.systems.jira.models import Issue, Transition, category_of
from ml_connector.systems.jira.writing import told
from ml_connector.systems.sending import send_each

CLEARED = "cleared"
CLOSED, REOPENED = "closed", "reopened"
_MOVED_AT = "statuscategorychangedate"
_SHOWN = ("status", "resolution", _MOVED_AT)
Payload = Mapping[str, Any]


class IssueStates:
    """Target: the status of an issue. Payload: `state` (open or cleared), `to` (id or name of a status; empty leaves
    the issue where it is), `resolution` (name or id, for a step that asks for one).

    Needs what it told last as `before`: an issue is moved when the state has changed, never because people moved it.
    A move is noted with the status and the moment that Jira shows for it (`closed:<status id>:<moment>`, `reopened:`),
    so that nobody takes it for a person's decision, nor a person's later one for ours.
    """

    name = "jira.state"

    def __init__(self, client: JiraClient, tenant: JiraTenant) -> None:
        self._client = client
        self.settle = timedelta(seconds=tenant.settle_s)
        self.per_second = tenant.per_second
        self.concurrency = tenant.concurrency

    async def find(self, orders: Sequence[Order]) -> Mapping[str, Finding]:
        """Whether the issues stand as they should."""
        fetched = await self._client.bulk_fetch([order.target_id for order in orders], fields=_SHOWN)
        findings = {order.external_id: _finding(order, fetched.issues.get(order.target_id)) for order in orders}
        if any(isinstance(one, Gone) for one in findings.values()):
            await self._client.myself()
        return findings

    async def send(self, orders: Sequence[Order]) -> Mapping[str, Sent]:
        """Move the issues whose state has changed, each on a fresh look at it."""
        return await send_each(orders, self._answered, self.concurrency)

    async def _answered(self, order: Order) -> Sent:
        state = order.payload["state"]
        before = order.before.get("state", "" if state == CLEARED else state)
        if before == state or not order.payload.get("to"):
            return Done(order.target_id, {"moved": False})
        try:
            return await self._send(order)
        except Exception as error:
            return told(error)

    async def _send(self, order: Order) -> Sent:
        issue = await self._client.get_issue(order.target_id, fields=_SHOWN)
        if issue is None:
            await self._client.myself()
            return Refused("not_found", "Jira shows no issue with this id")
        if _as_wanted(order.payload, issue):
            return Done(order.target_id, {"status": _status(issue), "moved": False})
        wanted = str(order.payload["to"])
        steps = [one for one in await self._client.transitions(order.target_id) if _leads_to(one, wanted)]
        if not steps:
            return Refused("no_transition", f"no step leads from {_status_name(issue)} to {wanted}")
        step, fields = _chosen(steps, str(order.payload.get("resolution") or ""))
        if fields is None:
            return Refused("transition_field", f"resolution: step {step.name} asks for one; name one that it allows")
        return await self._take(order, step, fields)

    async def _take(self, order: Order, step: Transition, fields: Mapping[str, Any]) -> Sent:
        lost = ""
        try:
            await self._client.transition(order.target_id, step.id, fields=fields, external_id=order.external_id)
        except UnknownOutcomeError as error:
            lost = error.message
        # Looked at now, because later nobody could tell our move from a person's.
        try:
            issue = await self._client.get_issue(order.target_id, fields=_SHOWN)
        except ConnectorError as error:
            return Doubt(lost or error.message)
        if issue is None or (lost and _status(issue) != step.to_id):
            return Doubt(lost or "the issue cannot be seen after it was moved")
        return Done(order.target_id, {"status": step.to_id, "moved": True}, (_note(order.payload, issue),))


def _finding(order: Order, issue: Issue | None) -> Finding:
    if issue is None:
        return Gone(order.target_id)
    if order.payload.get("to") and not _as_wanted(order.payload, issue):
        return Absent()
    moved = [_note(order.payload, issue)] if _stands_in(issue, str(order.payload.get("to") or "")) else []
    return Found(order.target_id, data={"status": _status(issue), "notes": moved})


def _note(payload: Payload, issue: Issue) -> str:
    what = CLOSED if payload["state"] == CLEARED else REOPENED
    return f"{what}:{_status(issue)}:{plain(issue.fields.get(_MOVED_AT))}"


def _as_wanted(payload: Payload, issue: Issue) -> bool:
    done = category_of(_mapping(issue.fields.get("status"))) == "done"
    if payload["state"] == CLEARED:
        return done or _stands_in(issue, str(payload["to"]))
    return not done


def _stands_in(issue: Issue, status: str) -> bool:
    return bool(status) and status.casefold() in (_status(issue), _status_name(issue).casefold())


def _leads_to(step: Transition, status: str) -> bool:
    return status.casefold() in (step.to_id, step.to_name.casefold())


def _chosen(steps: Sequence[Transition], resolution: str) -> tuple[Transition, dict[str, Any] | None]:
    """Of several steps one that can be taken, if possible with the resolution, and that asks for least."""

    def worse(one: tuple[Transition, dict[str, Any] | None]) -> tuple[bool, bool, int]:
        step, fields = one
        return fields is None, bool(resolution) and not fields, sum(field.required for field in step.fields.values())

    return min(((step, _fields(step, resolution)) for step in steps), key=worse)


def _fields(step: Transition, resolution: str) -> dict[str, Any] | None:
    """What the step's screen is told; None when it asks for a resolution that is not configured or not allowed."""
    asked = step.fields.get("resolution")
    if asked is None:
        return {}
    allowed = [one for one in asked.allowed if one.get("id") or one.get("name")]
    wanted = resolution.casefold()
    hits = [one for one in allowed if wanted in (str(one.get("id")), str(one.get("name") or "").casefold())]
    if wanted and hits:
        return {"resolution": {"id": str(hits[0]["id"])} if hits[0].get("id") else {"name": hits[0]["name"]}}
    if wanted and not allowed:
        return {"resolution": {"name": resolution}}
    return None if asked.required else {}


def _status(issue: Issue) -> str:
    return str(_mapping(issue.fields.get("status")).get("id") or "")


def _status_name(issue: Issue) -> str:
    return str(_mapping(issue.fields.get("status")).get("name") or "")


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
