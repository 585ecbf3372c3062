"""Jira issues as the write protocol sees them: found by our token, created in bulk, edited member by member.

An issue is ours when the property that was set with its creation carries the token; one that has the token in the field
only was copied by somebody (README: Identity).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from datetime import timedelta
from typing import Any

from ml_connector.domain.writes import Absent, Finding, Foreign, Found, Gone, Order, Sent, Several
from ml_connector.systems.jira import jql
from ml_connector.systems.jira.client import MAX_RECONCILED, JiraClient
from ml_connector.systems.jira.config import JiraTenant
from ml_connector.systems.jira.documents import (
    Shapes,
    carries,
    differing,
    members,
    plain,
    shown,
    token_in,
    token_text,
    wire_names,
)
from ml_connector.systems.jira.layout import Layout
from ml_connector.systems.jira.models import Issue
from ml_connector.systems.jira.writing import IssueWriter

Sighted = Callable[[], Awaitable[Sequence[int]]]


async def _nothing_sighted() -> Sequence[int]:
    return ()


class Issues:
    """Target: issues of one project and type. Payload: see `documents`.

    What the fields hold and how the token field is indexed is read from Jira where it is not given. `sighted` names
    issues of which an event told that they were created lately: a search is made to know at least these.
    """

    name = "jira.issue"

    def __init__(
        self,
        client: JiraClient,
        tenant: JiraTenant,
        shapes: Shapes | None = None,
        token_searcher: str | None = None,
        *,
        sighted: Sighted = _nothing_sighted,
    ) -> None:
        self._client = client
        self._tenant = tenant
        self._sighted = sighted
        self._layout = Layout(client, tenant, shapes, token_searcher)
        self._writer = IssueWriter(client, tenant, self._layout)
        self.settle = timedelta(seconds=tenant.settle_s)
        self.per_second = tenant.per_second
        self.concurrency = tenant.concurrency

    async def find(self, orders: Sequence[Order]) -> Mapping[str, Finding]:
        """What Jira shows of each issue: by id where that is known, else by token."""
        shapes = await self._layout.shapes()
        known = [order for order in orders if order.target_id]
        findings = await self._by_id(known, shapes) if known else {}
        unknown = [order for order in orders if not order.target_id]
        findings |= await self._by_token(unknown, shapes) if unknown else {}
        if any(isinstance(one, Gone | Absent) for one in findings.values()):
            # To a login that has ended Jira may answer as to a stranger, who sees nothing.
            await self._client.myself()
        return findings

    async def send(self, orders: Sequence[Order]) -> Mapping[str, Sent]:
        """Create those without an id, in bulk where there are many, and edit the others; all are read back."""
        return await self._writer.send(orders)

    async def problem(self, target_id: str, payload: Mapping[str, Any]) -> str:
        """What is wrong with an id that a person gives: no id, no such issue, or one that is not this record's."""
        if not jql.is_issue_name(target_id):
            return f"{target_id!r} is no issue id"
        issue = await self._client.get_issue(
            target_id, fields=["project", *wire_names([payload])], properties=[self._tenant.property_key]
        )
        if issue is None:
            return "Jira shows no such issue"
        if issue.id != target_id:
            return f"name it by its id, which is {issue.id}: its key changes when it is moved"
        if plain((issue.fields.get("project") or {}).get("key")) != self._tenant.project:
            return f"that issue is not in project {self._tenant.project}"
        if not token_in(issue, self._tenant.property_key):
            return "that issue was not created by the connector"
        told = [name for name in members(payload) if payload[name]]
        if told and len(differing(payload, issue, await self._layout.shapes(), told)) == len(told):
            return "that issue shows nothing of this record"
        return ""

    async def _by_id(self, orders: Sequence[Order], shapes: Shapes) -> dict[str, Finding]:
        names = wire_names(order.payload for order in orders)
        issues = await self._writer.read([order.target_id for order in orders], names)
        findings: dict[str, Finding] = {}
        for order in orders:
            issue = issues.get(order.target_id)
            if issue is None:
                findings[order.external_id] = Gone(order.target_id)
            elif token_in(issue, self._tenant.property_key) == order.token:
                findings[order.external_id] = _found(order, issue, shapes)
            else:
                # The same number on another site, say: it is not to be edited.
                findings[order.external_id] = Foreign(issue.id)
        return findings

    async def _by_token(self, orders: Sequence[Order], shapes: Shapes) -> dict[str, Finding]:
        kind = shapes.get(self._tenant.token_field, "text")
        ids = await self._search([token_text(order.token, kind) for order in orders])
        # The index may show an issue as it was some minutes ago, so it only says where to look.
        names = wire_names(order.payload for order in orders)
        issues = (await self._writer.read(ids, names)).values() if ids else ()
        return {order.external_id: self._judged(order, issues, shapes) for order in orders}

    def _judged(self, order: Order, issues: Collection[Issue], shapes: Shapes) -> Finding:
        key, field = self._tenant.property_key, self._tenant.token_field
        ours = [issue for issue in issues if token_in(issue, key) == order.token]
        if len(ours) > 1:
            return Several(tuple(issue.id for issue in ours))
        if ours:
            return _found(order, ours[0], shapes)
        text = token_text(order.token, shapes.get(field, "text"))
        copies = (issue for issue in issues if carries(issue.fields.get(field), text))
        return next((Foreign(issue.id) for issue in copies), Absent())

    async def _search(self, texts: Sequence[str]) -> list[str]:
        """Ids of the issues that carry one of the tokens in their field, as far as the index knows."""
        tenant = self._tenant
        reconcile = list(await self._sighted())[:MAX_RECONCILED]
        searcher = await self._layout.token_searcher()
        found: dict[str, None] = {}
        for query in jql.carrying(tenant.token_field, texts, searcher):
            async for page in self._client.search(query, fields=[tenant.token_field], reconcile=reconcile):
                found |= dict.fromkeys(issue.id for issue in page)
        return list(found)


def _found(order: Order, issue: Issue, shapes: Shapes) -> Found:
    data = {"key": issue.key, "shown": shown(order.payload, issue)}
    return Found(issue.id, differing(order.payload, issue, shapes), data)
