"""Comments that say on an issue what has changed in the ERP, each written once (README: Comments).

Jira would add the same comment twice: before one is written, the newest ones are read for our reference in them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from ml_connector.domain.writes import Absent, Done, Finding, Found, Order, Refused, Sent
from ml_connector.errors import RecordRejectedError
from ml_connector.systems.jira import adf
from ml_connector.systems.jira.client import JiraClient
from ml_connector.systems.jira.config import JiraTenant
from ml_connector.systems.jira.models import Comment
from ml_connector.systems.jira.writing import told
from ml_connector.systems.sending import send_each

_NEWEST = 100
_KEY_SHOWN = 8
_NOTHING = "(nothing)"


class IssueNotes:
    """Target: comments on an issue. Payload: `head` (a sentence) and `lines`, pairs of a label and a value; a comment
    shows the lines that differ from those told before.

    With `first` a comment is written when nothing was told before; without it the issue itself has told that.
    """

    name = "jira.note"

    def __init__(self, client: JiraClient, tenant: JiraTenant, *, first: bool = False) -> None:
        self._client = client
        self._property_key = tenant.property_key
        self._first = first
        self._account = ""
        self._introducing = asyncio.Lock()
        self._asking = asyncio.Semaphore(tenant.concurrency)
        self.settle = timedelta(seconds=tenant.settle_s)
        self.per_second = tenant.per_second
        self.concurrency = tenant.concurrency

    async def find(self, orders: Sequence[Order]) -> Mapping[str, Finding]:
        """Whether the comments are there."""
        findings = await asyncio.gather(*(self._finding(order) for order in orders))
        return {order.external_id: finding for order, finding in zip(orders, findings, strict=True)}

    async def send(self, orders: Sequence[Order]) -> Mapping[str, Sent]:
        """Write those that are not there, one request each."""
        return await send_each(orders, self._answered, self.concurrency)

    async def _finding(self, order: Order) -> Finding:
        async with self._asking:
            try:
                found = await self._written(order)
            except RecordRejectedError:
                return Absent()
        return Found(found) if found else Absent()

    async def _answered(self, order: Order) -> Sent:
        if _lines(order.payload) == _lines(order.before) or not (order.before or self._first):
            return Done(order.target_id)
        try:
            found = await self._written(order)
            return Done(found) if found else await self._write(order)
        except Exception as error:
            return told(error)

    async def _write(self, order: Order) -> Sent:
        if not order.key:
            return Refused("no_reference", "a comment without a reference could be written twice")
        told_by = {self._property_key: {"note": order.key}}
        body = _body(order)
        comment = await self._client.add_comment(
            order.target_id, body, properties=told_by, external_id=order.external_id
        )
        return Done(comment)

    async def _written(self, order: Order) -> str:
        """Id of the comment with our reference; one that quotes it, or that somebody else wrote, is none."""
        account = await self._whoami()
        comments = await self._client.comments(order.target_id, newest=_NEWEST)
        return next((one.id for one in comments if _is_ours(one, account, _reference(order))), "")

    async def _whoami(self) -> str:
        async with self._introducing:
            if not self._account:
                self._account = (await self._client.myself()).account_id
            return self._account


def _is_ours(comment: Comment, account: str, reference: str) -> bool:
    last = adf.plain(comment.body).rpartition("\n")[2].strip()
    return comment.author_id == account and last == reference


def _reference(order: Order) -> str:
    return f"ml-connector {order.key[:_KEY_SHOWN]}"


def _body(order: Order) -> dict[str, Any]:
    before, now = _lines(order.before), _lines(order.payload)
    points = []
    for label in dict.fromkeys([*now, *before]):
        old, new = before.get(label, ""), now.get(label, "")
        if old != new:
            value = f"{old or _NOTHING} → {new or _NOTHING}" if order.before else new
            points.append([*adf.text(f"{label}: ", strong=True), *adf.text(value)])
    blocks = [adf.paragraph(str(order.payload.get("head") or "")), adf.bullet_list(points)]
    return adf.doc(*blocks, adf.paragraph(adf.text(_reference(order), em=True)))


def _lines(payload: Mapping[str, Any]) -> dict[str, str]:
    return {str(label): str(value or "") for label, value in payload.get("lines") or ()}
