"""Creating and editing issues: in bulk where there are many, and read back before anything is believed.

Jira knows no idempotency key, and a bulk's answer names what it created by order alone (README: Bulk creation).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from ml_connector.domain.writes import Done, Doubt, NotSent, Order, Refused, Sent, Stopped
from ml_connector.errors import ConnectorError, ContractError, RecordRejectedError, TransientError
from ml_connector.systems.bulk import Post, lane_by_lane, send_in_bulk
from ml_connector.systems.jira import adf
from ml_connector.systems.jira.client import JiraClient
from ml_connector.systems.jira.config import JiraTenant
from ml_connector.systems.jira.documents import (
    Shapes,
    carried,
    differing,
    fields_to_write,
    members,
    new_issue,
    token_in,
    wire_names,
)
from ml_connector.systems.jira.layout import Layout
from ml_connector.systems.jira.models import BulkAnswer, Issue
from ml_connector.systems.sending import meaning, send_each

MAX_BULK = 50
# Up to so many issues are created one by one: each answer then names its issue.
FEW = 5
# Somebody else was writing at the same moment; the next run sees more.
_PASSING = frozenset({"conflict"})

Documents = Mapping[str, Mapping[str, Any]]


class IssueWriter:
    """Sends orders about issues: those without an id are created, the others edited."""

    def __init__(self, client: JiraClient, tenant: JiraTenant, layout: Layout) -> None:
        self._client = client
        self._tenant = tenant
        self._layout = layout

    async def send(self, orders: Sequence[Order]) -> dict[str, Sent]:
        """Each order once; orders of a lane one after another."""
        try:
            shapes = await self._layout.shapes()
        except TransientError as error:
            return {order.external_id: NotSent(error.message) for order in orders}
        except ConnectorError as error:
            raise Stopped({}, error) from error

        async def one_round(some: Sequence[Order]) -> dict[str, Sent]:
            return await _both(_Creating(self, shapes).send, _Editing(self, shapes).send, some)

        return await lane_by_lane(orders, one_round)

    async def read(self, ids: Sequence[str], names: Sequence[str] = ()) -> Mapping[str, Issue]:
        """Issues by id as they are now, with our property."""
        tenant = self._tenant
        fetched = await self._client.bulk_fetch(
            ids, fields=[tenant.token_field or "summary", *names], properties=[tenant.property_key]
        )
        return fetched.issues

    def document(self, order: Order, shapes: Shapes) -> dict[str, Any]:
        """What creates the issue of an order; RecordRejectedError names a value that is none."""
        tenant = self._tenant
        where: dict[str, Any] = {"project": {"key": tenant.project}, "issuetype": {"name": tenant.issue_type}}
        if field := tenant.token_field:
            where[field] = carried(order.token, shapes.get(field, "text"))
        mark = {"token": order.token, "record": order.external_id}
        return new_issue(order.payload, shapes, where=where, property_key=tenant.property_key, mark=mark)

    @property
    def client(self) -> JiraClient:
        """The site."""
        return self._client

    @property
    def tenant(self) -> JiraTenant:
        """Its settings."""
        return self._tenant


class _Creating:
    """The new issues of one round."""

    def __init__(self, writer: IssueWriter, shapes: Shapes) -> None:
        self._writer = writer
        self._shapes = shapes
        self._documents: dict[str, Mapping[str, Any]] = {}
        self._posted: list[BulkAnswer] = []

    async def send(self, orders: Sequence[Order]) -> dict[str, Sent]:
        """Create the issues of those that have none."""
        refused: dict[str, Sent] = {}
        for order in orders:
            if order.target_id:
                continue
            try:
                self._documents[order.external_id] = self._writer.document(order, self._shapes)
            except RecordRejectedError as error:
                refused[order.external_id] = Refused(error.code, error.detail)
        good = [order for order in orders if order.external_id in self._documents]
        try:
            sent = await (self._each(good) if len(good) <= FEW else self._many(good))
        except Stopped as stopped:
            raise Stopped(refused | dict(stopped.sent), stopped.cause) from stopped
        return refused | sent

    async def _each(self, orders: Sequence[Order]) -> dict[str, Sent]:
        async def create(order: Order) -> Sent:
            try:
                created = await self._writer.client.create(self._documents[order.external_id], order.external_id)
            except Exception as error:
                return told(error)
            return Done(created.id, {"key": created.key})

        return await send_each(orders, create, self._writer.tenant.concurrency)

    async def _many(self, orders: Sequence[Order]) -> dict[str, Sent]:
        """Bulks first, then one look at everything they created."""
        cause: Exception | None = None
        try:
            sent = await send_in_bulk(orders, self._post, MAX_BULK)
        except Stopped as stopped:
            sent, cause = dict(stopped.sent), stopped.cause
        try:
            sent |= await self._proven(orders)
        except (TransientError, ContractError):
            pass  # what cannot be read back stays in doubt
        except ConnectorError as error:
            cause = cause or error
        if cause is not None:
            raise Stopped(sent, cause) from cause
        return sent

    async def _post(self, orders: Sequence[Order]) -> dict[str, Sent]:
        answer = await self._writer.client.bulk_create([self._documents[order.external_id] for order in orders])
        self._posted.append(answer)
        adds_up = len(answer.created) + len(answer.failed) == len(orders)
        in_range = all(0 <= place < len(orders) for place in answer.failed)
        unclear = Doubt("the answer to the bulk does not say which issue this is")
        sent: dict[str, Sent] = {order.external_id: unclear for order in orders}
        if adds_up and in_range:
            refusals = {orders[place].external_id: refusal for place, refusal in answer.failed.items()}
            sent |= {name: _refused(one.code, one.detail) for name, one in refusals.items() if one.sure}
        return sent

    async def _proven(self, orders: Sequence[Order]) -> dict[str, Sent]:
        """The orders whose token an issue shows that the bulks created."""
        ids = [created.id for answer in self._posted for created in answer.created]
        issues = (await self._writer.read(ids)).values() if ids else ()
        by_token = {token_in(issue, self._writer.tenant.property_key): issue for issue in issues}
        return {
            order.external_id: Done(issue.id, {"key": issue.key})
            for order in orders
            if (issue := by_token.get(order.token)) is not None
        }


class _Editing:
    """The edits of one round."""

    def __init__(self, writer: IssueWriter, shapes: Shapes) -> None:
        self._writer = writer
        self._shapes = shapes

    async def send(self, orders: Sequence[Order]) -> dict[str, Sent]:
        """Edit the issues of those that have one, and see whether they show it."""
        # Jira bounds the writes of one issue, so these go one after another.
        known = [replace(order, lane=f"jira.issue:{order.target_id}") for order in orders if order.target_id]
        try:
            sent = await send_each(known, self._edit, self._writer.tenant.concurrency)
        except Stopped as stopped:
            raise Stopped(await self._verified(known, stopped.sent), stopped.cause) from stopped
        return await self._verified(known, sent)

    async def _edit(self, order: Order) -> Sent:
        try:
            if fields := fields_to_write(order.payload, _chosen(order), self._shapes):
                await self._writer.client.edit(order.target_id, fields, order.external_id)
        except Exception as error:
            return told(error)
        return Done(order.target_id)

    async def _verified(self, orders: Sequence[Order], sent: Mapping[str, Sent]) -> dict[str, Sent]:
        done = [order for order in orders if isinstance(sent.get(order.external_id), Done)]
        if not done:
            return dict(sent)
        names = wire_names(order.payload for order in done)
        try:
            issues = await self._writer.read([order.target_id for order in done], names)
        except ConnectorError as error:
            unread = Doubt(f"not read back: {error.message}")
            return dict(sent) | dict.fromkeys((order.external_id for order in done), unread)
        return dict(sent) | {order.external_id: self._stored(order, issues) for order in done}

    def _stored(self, order: Order, issues: Mapping[str, Issue]) -> Sent:
        issue = issues.get(order.target_id)
        if issue is None:
            return Doubt("the issue is not shown after the edit")
        ignored = differing(order.payload, issue, self._shapes, _chosen(order))
        ignored = tuple(name for name in ignored if name != "description" or not _reads_alike(order, issue))
        if ignored:
            return Refused("not_stored", f"{issue.key} does not show as sent: {', '.join(ignored)}")
        return Done(issue.id, {"key": issue.key})


async def _both(creating: Post, editing: Post, orders: Sequence[Order]) -> dict[str, Sent]:
    sent = dict(await creating(orders))
    try:
        return sent | dict(await editing(orders))
    except Stopped as stopped:
        raise Stopped(sent | dict(stopped.sent), stopped.cause) from stopped


def _chosen(order: Order) -> tuple[str, ...]:
    """The members to write; an issue keeps its summary rather than have none."""
    names = [name for name in members(order.payload) if not order.changed or name in order.changed]
    return tuple(name for name in names if name != "summary" or order.payload[name])


def _reads_alike(order: Order, issue: Issue) -> bool:
    """Jira may store a document in another form than it was sent in."""
    there, sent = issue.fields.get("description"), adf.unpacked(order.payload["description"])
    return adf.plain(there).split() == adf.plain(sent).split()


def told(error: Exception) -> Sent:
    """What an error of a write to Jira means for its record; what concerns the whole run is raised again."""
    answer = meaning(error)
    if answer is None:
        raise error
    return _refused(answer.code, answer.detail) if isinstance(answer, Refused) else answer


def _refused(code: str, detail: str) -> Refused:
    # Jira says of an unknown account only that the value is none.
    named = "unknown_user" if code == "invalid_value:assignee" else code
    return Refused(named, detail, waits=named in _PASSING)
