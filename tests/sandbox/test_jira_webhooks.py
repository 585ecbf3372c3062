"""Webhooks of the stand-in Jira site: registration, filters, proofs, retries, and what the payloads look like."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
from typing import Any

import httpx
import jwt
import pytest
from jwt.warnings import InsecureKeyLengthWarning
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sandbox.jira.app import create
from sandbox.jira.hooks import signature
from sandbox.kit.app import seed_by_name
from sandbox.kit.deliveries import Delivery
from sandbox.kit.serve import running
from tests.sandbox.jira_visitor import APP, CLASSIC, SERVICE, Visitor, document, new_issue, visiting

URL = "http://127.0.0.1:9999/hooks/jira"
UPDATED = {"events": ["jira:issue_updated"], "jqlFilter": "project = AP"}
VECTOR = "sha256=a4771c39fbe90f317c7824e83ddef3caae9cb3d976c214ace1f2937e133263c9"


async def register(visitor: Visitor, *hooks: dict[str, Any], url: str = URL) -> list[dict[str, Any]]:
    answer = await visitor.post("webhook", {"url": url, "webhooks": list(hooks)})
    assert answer.status_code == 200, answer.text
    results: list[dict[str, Any]] = answer.json()["webhookRegistrationResult"]
    return results


def told(delivery: Delivery) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(delivery.body)
    return body


async def test_a_dynamic_delivery_carries_a_token_signed_with_the_apps_secret() -> None:
    async with visiting(site_url="http://127.0.0.1:8093") as visitor:
        await visitor.consent()
        receiver = visitor.receiver()
        assert await register(visitor, UPDATED) == [{"createdWebhookId": 1000}]
        key = await visitor.create()
        await visitor.do("transition", issue=key, to="In Progress", account="712020:clerk-0004")
        await visitor.do("deliver")
        [delivery] = receiver.got
        headers = delivery.all_headers()
        kind, _, token = headers["Authorization"].partition(" ")
        # The demo app's secret is shorter than the library likes.
        with pytest.warns(InsecureKeyLengthWarning):
            claims = jwt.decode(
                token, APP["client_secret"], algorithms=["HS256"], options={"verify_exp": False, "verify_iat": False}
            )
        assert (kind, claims["iss"], claims["exp"] > claims["iat"]) == ("Bearer", APP["client_id"], True)
        assert "X-Hub-Signature" not in headers
        assert "X-Atlassian-Webhook-Retry" not in headers
        body = told(delivery)
        assert body["webhookEvent"] == "jira:issue_updated"
        assert body["matchedWebhookIds"] == [1000]
        assert body["user"]["accountId"] == "712020:clerk-0004"
        assert "emailAddress" not in body["user"]
        assert body["issue"]["self"].startswith("http://127.0.0.1:8093/rest/api/2/issue/")
        [item] = body["changelog"]["items"]
        assert (item["fieldId"], item["from"], item["to"], item["toString"]) == ("status", "10000", "3", "In Progress")


async def test_payloads_speak_the_older_shapes() -> None:
    async with visiting() as visitor:
        await visitor.consent()
        receiver = visitor.receiver()
        await register(visitor, {"events": ["jira:issue_created"], "jqlFilter": "project = AP"})
        await visitor.create(description=document("Price differs"))
        await visitor.do("deliver")
        body = told(receiver.got[0])
        assert body["issue"]["fields"]["description"] == "Price differs"
        assert "changelog" not in body


async def test_field_and_project_filters_decide_who_hears() -> None:
    async with visiting() as visitor:
        await visitor.consent()
        receiver = visitor.receiver()
        await register(
            visitor,
            UPDATED | {"fieldIdsFilter": ["status", "customfield_10050"]},
            {"events": ["jira:issue_updated"], "jqlFilter": "project = OPS"},
        )
        key = await visitor.create()
        await visitor.do("set_fields", issue=key, fields={"summary": "Nobody listens for this"})
        await visitor.do("set_fields", issue=key, fields={"customfield_10050": {"value": "Approved"}})
        await visitor.do("deliver")
        [delivery] = receiver.got
        [item] = told(delivery)["changelog"]["items"]
        assert (item["field"], item["fieldtype"], item["toString"]) == ("Approval", "custom", "Approved")
        assert told(delivery)["matchedWebhookIds"] == [1000]


async def test_entries_fail_one_by_one_and_the_sixth_is_too_many() -> None:
    async with visiting() as visitor:
        await visitor.consent()
        results = await register(
            visitor,
            UPDATED,
            UPDATED | {"jqlFilter": "watchCount = 1"},
            UPDATED | {"jqlFilter": "project = AP AND labels = a"},
            UPDATED | {"jqlFilter": "project = AP ORDER BY key"},
            UPDATED | {"events": ["issue_exploded"]},
            UPDATED | {"jqlFilter": "project ~ AP"},
        )
        assert results[0] == {"createdWebhookId": 1000}
        assert results[1] == {"errors": ["The clause watchCount is unsupported"]}
        assert all(set(one) == {"errors"} for one in results[1:])
        more = await register(visitor, *[UPDATED] * 5)
        assert [set(one) for one in more] == [{"createdWebhookId"}] * 4 + [{"errors"}]


async def test_an_app_has_one_address_and_its_query_is_dropped() -> None:
    async with visiting() as visitor:
        await visitor.consent()
        await register(visitor, UPDATED, url=URL + "?tenant=1")
        [shown] = (await visitor.get("webhook")).json()["values"]
        assert shown["url"] == URL
        other = await visitor.post("webhook", {"url": URL + "/other", "webhooks": [UPDATED]})
        assert other.status_code == 400


async def test_webhooks_expire_after_thirty_days_unless_refreshed() -> None:
    async with visiting() as visitor:
        await visitor.consent()
        await register(visitor, UPDATED, UPDATED)
        await visitor.advance(20 * 86_400)
        await visitor.consent()
        answer = await visitor.put("webhook/refresh", {"webhookIds": [1000, 7777]})
        assert answer.json() == {"expirationDate": "2026-04-21T09:00:00.000+0000"}
        await visitor.advance(10 * 86_400)
        await visitor.consent()
        assert [one["id"] for one in (await visitor.get("webhook")).json()["values"]] == [1000]
        gone = await visitor.call("DELETE", "webhook", {"webhookIds": [1000]})
        assert gone.status_code == 202
        assert (await visitor.get("webhook")).json()["values"] == []


async def test_only_apps_register_dynamic_webhooks() -> None:
    async with visiting() as visitor:
        body = {"url": URL, "webhooks": [UPDATED]}
        classic = await visitor.post("webhook", body)
        assert (classic.status_code, classic.json()["errorMessages"]) == (
            403,
            ["Only Connect and OAuth 2.0 apps can use this operation"],
        )
        await visitor.option(
            apps=[
                {
                    **SERVICE,
                    "kind": "service",
                    "scopes": ["read:jira-work", "manage:jira-webhook"],
                }
            ]
        )
        granted = await visitor.token(grant_type="client_credentials", **SERVICE)
        visitor.use(bearer=granted.json()["access_token"], gateway=True)
        assert (await visitor.post("webhook", body)).status_code == 403
        assert (await visitor.get("webhook/failed")).status_code == 403


async def test_a_withdrawn_consent_silences_its_webhooks() -> None:
    async with visiting() as visitor:
        await visitor.consent()
        receiver = visitor.receiver()
        await register(visitor, UPDATED)
        key = await visitor.create()
        await visitor.do("revoke_grant")
        await visitor.do("set_fields", issue=key, fields={"summary": "Unheard"})
        await visitor.do("deliver")
        assert receiver.got == []


async def add_admin(visitor: Visitor, **more: Any) -> dict[str, Any]:
    body = {"name": "Connector", "url": URL, "events": ["jira:issue_updated"], "secret": "hush", **more}
    answer = await visitor.post("/rest/webhooks/1.0/webhook", body)
    assert answer.status_code == 201, answer.text
    shown: dict[str, Any] = answer.json()
    return shown


async def test_an_admin_delivery_carries_a_hash_over_the_raw_body() -> None:
    async with visiting() as visitor:
        receiver = visitor.receiver()
        shown = await add_admin(visitor, filters={"issue-related-events-section": "project = AP"})
        assert (shown["isSigned"], "secret" in shown) == (True, False)
        key = await visitor.create()
        await visitor.put(f"issue/{key}", {"fields": {"summary": "Another"}})
        await visitor.do("deliver")
        [delivery] = receiver.got
        expected = hmac.new(b"hush", delivery.body, hashlib.sha256).hexdigest()
        assert delivery.all_headers()["X-Hub-Signature"] == f"sha256={expected}"
        assert "matchedWebhookIds" not in told(delivery)
        changed = await visitor.put("/rest/webhooks/1.0/webhook/1", {"name": "Renamed"})
        assert (changed.json()["name"], changed.json()["isSigned"]) == ("Renamed", True)


def test_the_hash_is_the_documented_one() -> None:
    assert signature("It's a Secret to Everybody", b"Hello World!")() == {"X-Hub-Signature": VECTOR}


async def test_an_admin_webhook_may_leave_the_body_out_and_needs_an_administrator() -> None:
    async with visiting() as visitor:
        receiver = visitor.receiver()
        await add_admin(visitor, excludeBody=True)
        key = await visitor.create()
        await visitor.put(f"issue/{key}", {"fields": {"summary": "Another"}})
        await visitor.do("deliver")
        assert receiver.got[0].body == b""
        await visitor.option(administrator=False)
        assert (await visitor.get("/rest/webhooks/1.0/webhook")).status_code == 403


@pytest.mark.parametrize("status", [408, 409, 425, 429, 500, 503, None])
async def test_a_failed_delivery_comes_back_up_to_five_times_under_one_identifier(status: int | None) -> None:
    async with visiting() as visitor:
        receiver = visitor.receiver(status)
        await add_admin(visitor)
        key = await visitor.create()
        await visitor.put(f"issue/{key}", {"fields": {"summary": "Another"}})
        await visitor.do("deliver")
        for _ in range(8):
            await visitor.advance(900)
        headers = [one.all_headers() for one in receiver.got]
        assert len({one["X-Atlassian-Webhook-Identifier"] for one in headers}) == 1
        assert [one.get("X-Atlassian-Webhook-Retry") for one in headers] == [None, "1", "2", "3", "4", "5"]


async def test_other_refusals_are_final() -> None:
    async with visiting() as visitor:
        receiver = visitor.receiver(404)
        await add_admin(visitor)
        key = await visitor.create()
        await visitor.put(f"issue/{key}", {"fields": {"summary": "Another"}})
        await visitor.do("deliver")
        await visitor.advance(7200)
        assert len(receiver.got) == 1


async def test_deliveries_can_be_doubled_and_come_again_by_hand() -> None:
    async with visiting(webhook_duplicate=2) as visitor:
        receiver = visitor.receiver()
        await add_admin(visitor)
        key = await visitor.create()
        await visitor.put(f"issue/{key}", {"fields": {"summary": "Another"}})
        await visitor.do("deliver")
        await visitor.do("redeliver", count=1)
        await visitor.do("deliver")
        assert len(receiver.got) == 4
        assert len({one.headers["X-Atlassian-Webhook-Identifier"] for one in receiver.got}) == 1


async def test_a_served_site_sends_by_itself() -> None:
    got: asyncio.Queue[tuple[str | None, bytes]] = asyncio.Queue()

    async def take(request: Request) -> Response:
        await got.put((request.headers.get("X-Hub-Signature"), await request.body()))
        return Response(status_code=204)

    site = create()
    seed_by_name(site.state.tenant, "base")
    listener = Starlette(routes=[Route("/hook", take, methods=["POST"])])
    async with (
        running(listener) as address,
        running(site) as url,
        httpx.AsyncClient(base_url=url, auth=CLASSIC) as http,
    ):
        hook = {"name": "Connector", "url": f"{address}/hook", "events": ["jira:issue_created"], "secret": "hush"}
        assert (await http.post("/rest/webhooks/1.0/webhook", json=hook)).status_code == 201
        assert (await http.post("/rest/api/3/issue", json=new_issue())).status_code == 201
        signed, body = await asyncio.wait_for(got.get(), 10)
    assert signed == f"sha256={hmac.new(b'hush', body, hashlib.sha256).hexdigest()}"
    assert json.loads(body)["issue"]["self"].startswith(url)


async def test_only_loopback_is_delivered_to() -> None:
    async with visiting() as visitor:
        hook = {"name": "Far", "url": "https://elsewhere.example/hook", "events": ["jira:issue_created"]}
        assert (await visitor.post("/rest/webhooks/1.0/webhook", hook)).status_code == 400
        assert (await visitor.http.post("/_sandbox/do/add_admin_webhook", json=hook)).status_code == 400
        await visitor.consent()
        body = {"url": "https://elsewhere.example/hook", "webhooks": [UPDATED]}
        assert (await visitor.post("webhook", body)).status_code == 400


async def test_comments_properties_moves_and_deletions_are_told() -> None:
    async with visiting() as visitor:
        await visitor.consent()
        receiver = visitor.receiver()
        events = ["comment_created", "comment_updated", "comment_deleted", "jira:issue_deleted", "jira:issue_updated"]
        events += ["issue_property_set", "issue_property_deleted"]
        keys = {"issuePropertyKeysFilter": ["wanted"]}
        await register(visitor, {"events": events, "jqlFilter": "project IN (AP, OPS)"} | keys)
        key = await visitor.create()
        said = (await visitor.post(f"issue/{key}/comment", {"body": document("Looks right")})).json()["id"]
        await visitor.put(f"issue/{key}/comment/{said}", {"body": document("Looks wrong")})
        await visitor.call("DELETE", f"issue/{key}/comment/{said}")
        await visitor.put(f"issue/{key}/properties/unwanted", {"a": 1})
        await visitor.put(f"issue/{key}/properties/wanted", {"a": 1})
        await visitor.call("DELETE", f"issue/{key}/properties/wanted")
        await visitor.do("move", issue=key, to="OPS")
        await visitor.do("delete", issue=key)
        await visitor.do("deliver")
        assert [told(one)["webhookEvent"] for one in receiver.got] == [
            "comment_created",
            "comment_updated",
            "comment_deleted",
            "issue_property_set",
            "issue_property_deleted",
            "jira:issue_updated",
            "jira:issue_deleted",
        ]
        assert told(receiver.got[0])["comment"]["body"] == "Looks right"
        assert told(receiver.got[5])["changelog"]["items"][0]["field"] == "Key"
