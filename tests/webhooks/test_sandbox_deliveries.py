"""Stand-in tenants, which share no code with the receiver, deliver over real HTTP what people do in them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from ml_connector.store.ingresses import Subscription
from ml_connector.webhooks.app import build
from sandbox.kit.serve import running
from tests.sandbox import coupa_visitor, jira_visitor
from tests.sandbox.jira_visitor import visiting
from tests.webhooks.senders import COUPA_SECRET, NOW, SECRET, SITE, Desk

SITE_URL = f"https://{SITE}"
ISSUE_EVENTS = ["jira:issue_created", "jira:issue_updated", "jira:issue_deleted"]


@pytest.fixture
async def address(desk: Desk) -> AsyncIterator[str]:
    """Where the receiver listens; its clock shows the tenants' time."""
    desk.clock.advance((jira_visitor.START - NOW).total_seconds())
    async with running(build(desk.receiver)) as base:
        yield base


async def seen(desk: Desk) -> list[tuple[str, str, str]]:
    return [(row.ingress, row.topic, row.object_id) for row in await desk.rows()]


async def act(guest: jira_visitor.Visitor) -> str:
    """Somebody moves an issue to another state; returns its id."""
    key = await guest.create()
    await guest.do("transition", issue=key, to="In Progress", account="712020:clerk-0004")
    await guest.do("deliver")
    answer = await guest.get(f"issue/{key}")
    return str(answer.json()["id"])


async def test_takes_what_an_administrators_webhook_sends_once(desk: Desk, address: str) -> None:
    hook = {"name": "connector", "url": f"{address}/webhooks/jira/jira", "events": ISSUE_EVENTS, "secret": SECRET}
    async with visiting(site_url=SITE_URL) as guest:
        assert (await guest.post("/rest/webhooks/1.0/webhook", hook)).status_code == 201
        issue = await act(guest)
        expected = [("jira", "jira:issue_created", issue), ("jira", "jira:issue_updated", issue)]
        assert await seen(desk) == expected
        await guest.do("redeliver")
        await guest.do("deliver")
        assert {one.status for one in guest.app.state.deliveries.sent} == {202}
        assert len(guest.app.state.deliveries.sent) > 2
        assert await seen(desk) == expected


async def test_takes_what_a_dynamic_webhook_sends(desk: Desk, address: str) -> None:
    await desk.ingresses.set_secrets("app", [jira_visitor.APP["client_secret"]])
    async with visiting(site_url=SITE_URL) as guest:
        await guest.consent()
        hooks: list[dict[str, Any]] = [{"events": ISSUE_EVENTS, "jqlFilter": "project = AP"}]
        answer = await guest.post("webhook", {"url": f"{address}/webhooks/jira/app", "webhooks": hooks})
        number = str(answer.json()["webhookRegistrationResult"][0]["createdWebhookId"])
        mine = [Subscription("acme", "jira_to_qad", site=SITE, webhook=number)]
        await desk.ingresses.subscribe("app", "acme", mine)
        issue = await act(guest)
        assert await seen(desk) == [("app", "jira:issue_created", issue), ("app", "jira:issue_updated", issue)]


async def test_another_site_with_a_stolen_address_gets_nowhere(desk: Desk, address: str) -> None:
    hook = {"name": "connector", "url": f"{address}/webhooks/jira/jira", "events": ISSUE_EVENTS, "secret": SECRET}
    async with visiting(site_url="https://evil.atlassian.net") as guest:
        await guest.post("/rest/webhooks/1.0/webhook", hook)
        await act(guest)
        assert {one.status for one in guest.app.state.deliveries.sent} == {401}
    assert await seen(desk) == []


@pytest.mark.parametrize("encoding", ["hex", "base64"])
@pytest.mark.parametrize("prefix", [True, False])
async def test_takes_what_coupa_sends_in_each_form(desk: Desk, address: str, encoding: str, prefix: bool) -> None:
    options = {"webhook_secret": COUPA_SECRET, "webhook_encoding": encoding, "webhook_prefix": prefix}
    async with coupa_visitor.visitor(webhook_url=f"{address}/webhooks/coupa/coupa", **options) as guest:
        await guest.seed(invoices=[{"id": 4001, "status": "pending_approval", "invoice-lines": [{"price": "1"}]}])
        await guest.do("approve_invoice", id=4001)
        await guest.do("deliver")
    assert await seen(desk) == [("coupa", "invoice", "4001")]
