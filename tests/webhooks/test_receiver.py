"""What the receiver answers, and that nothing is stored for anything it refuses."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import create_async_engine

from ml_connector.errors import ConfigurationError
from ml_connector.store import inbox
from ml_connector.store.ingresses import Subscription
from ml_connector.webhooks.app import build
from tests.webhooks.senders import (
    COUPA_SECRET,
    NOW,
    SECRET,
    SITE,
    Desk,
    Request,
    admin,
    coupa,
    dynamic,
    issue_event,
    signature,
    token,
)


async def refused(desk: Desk, request: Request, status: int) -> None:
    """The request gets this status, a single word, and leaves no trace."""
    answer = await desk.send(request)
    assert (answer.status_code, list(answer.json())) == (status, ["status"])
    assert await desk.rows() == []
    assert desk.bell.tried == 0


async def answered(desk: Desk, request: Request) -> str:
    answer = await desk.send(request)
    assert answer.status_code == 202
    return str(answer.json()["status"])


async def test_keeps_a_signed_delivery_and_wakes_its_direction(desk_on_each: Desk) -> None:
    desk = desk_on_each
    assert await answered(desk, admin()) == "accepted"
    (row,) = await desk.rows()
    assert (row.connection, row.direction, row.ingress) == ("acme", "jira_to_qad", "jira")
    assert (row.topic, row.object_id, row.delivery) == ("jira:issue_updated", "10001", f"{SITE}/d-1")
    assert (row.received_at, row.drained_at) == (NOW, None)
    await desk.receiver.alarm.settled()
    assert desk.bell.rung == [("acme", "jira_to_qad")]


async def test_a_delivery_that_comes_again_is_a_duplicate(desk_on_each: Desk) -> None:
    desk = desk_on_each
    assert [await answered(desk, admin()) for _ in range(3)] == ["accepted", "duplicate", "duplicate"]
    assert len(await desk.rows()) == 1


async def test_a_drained_delivery_that_comes_again_stays_a_duplicate(desk_on_each: Desk) -> None:
    desk = desk_on_each
    await answered(desk, admin())
    async with desk.store.db.write() as tx:
        await inbox.drained(tx, [row.id for row in await desk.rows()], NOW)
    assert await answered(desk, admin()) == "duplicate"


async def test_without_an_id_the_body_tells_deliveries_apart_until_it_is_drained(desk_on_each: Desk) -> None:
    desk = desk_on_each
    plain = coupa({"event_type": "invoice-events", "object": {"id": 4001}})
    assert [await answered(desk, plain) for _ in range(2)] == ["accepted", "duplicate"]
    assert await answered(desk, coupa({"event_type": "invoice-events", "object": {"id": 4002}})) == "accepted"
    async with desk.store.db.write() as tx:
        await inbox.drained(tx, [row.id for row in await desk.rows()], NOW)
    assert [await answered(desk, plain) for _ in range(2)] == ["accepted", "duplicate"]
    assert [row.object_id for row in await desk.rows()] == ["4001", "4002", "4001"]


async def test_a_dynamic_delivery_goes_to_whom_its_registrations_belong(desk: Desk) -> None:
    body = issue_event(matchedWebhookIds=[1, 2, 3, 77])
    assert await answered(desk, dynamic(body)) == "accepted"
    assert [(row.connection, row.direction) for row in await desk.rows()] == [
        ("acme", "jira_to_qad"),
        ("other", "jira_to_qad"),
    ]
    await desk.receiver.alarm.settled()
    assert sorted(desk.bell.rung) == [("acme", "jira_to_qad"), ("other", "jira_to_qad")]


@pytest.mark.parametrize(
    "body",
    [
        issue_event(matchedWebhookIds=[77]),
        issue_event(),
        issue_event(site="another.atlassian.net", matchedWebhookIds=[1]),
        issue_event(topic="sprint_started", matchedWebhookIds=[1]),
        issue_event(topic="comment_created", issue=None, matchedWebhookIds=[1]),
    ],
)
async def test_what_concerns_nobody_is_taken_and_forgotten(desk: Desk, body: bytes) -> None:
    assert await answered(desk, dynamic(body)) == "ignored"
    assert await desk.rows() == []


async def test_a_comment_counts_for_the_issue_it_shows(desk: Desk) -> None:
    comment = {"id": "1", "self": f"https://{SITE}/rest/api/2/issue/10001/comment/1"}
    assert await answered(desk, admin(issue_event(topic="comment_created", comment=comment))) == "accepted"
    part = issue_event(topic="comment_created", comment=comment, issue={"id": "10002"})
    assert await answered(desk, admin(part, delivery="d-2")) == "accepted"
    none = issue_event(topic="comment_created", comment=comment, issue={"key": "AP-1"})
    assert await answered(desk, admin(none, delivery="d-3")) == "ignored"
    assert [row.object_id for row in await desk.rows()] == ["10001", "10002"]


async def test_old_and_new_secret_are_valid_while_the_sender_changes_over(desk: Desk) -> None:
    new = "the-next-secret"
    await refused(desk, admin(secret=new), 401)
    await desk.ingresses.rotate("jira", new)
    assert await answered(desk, admin(secret=new)) == "accepted"
    assert await answered(desk, admin(delivery="d-2")) == "accepted"
    await desk.ingresses.drop_old_secrets("jira")
    fresh = build(type(desk.receiver)(desk.store, desk.bell))
    async with desk.client(fresh) as client:
        path, headers, body = admin(delivery="d-3")
        assert (await client.post(path, headers=headers, content=body)).status_code == 401


async def test_a_subscription_made_a_moment_ago_counts(desk: Desk) -> None:
    body = issue_event(matchedWebhookIds=[9])
    assert await answered(desk, dynamic(body)) == "ignored"
    await desk.ingresses.subscribe("app", "late", [Subscription("late", "jira_to_qad", site=SITE, webhook="9")])
    assert await answered(desk, dynamic(body)) == "accepted"


async def test_an_ingress_without_a_secret_refuses_everything(desk: Desk) -> None:
    await desk.ingresses.create("open", system="jira", kind="admin", secrets=[])
    await desk.ingresses.subscribe("open", "acme", [Subscription("acme", "jira_to_qad")])
    body = issue_event()
    for signed in ({}, {"X-Hub-Signature": signature(body, "")}):
        await refused(desk, ("/webhooks/jira/open", signed, body), 401)


REFUSED: dict[str, tuple[Callable[[], Request], int]] = {
    "unknown ingress": (lambda: admin(path="nobody"), 404),
    "another system's ingress": (lambda: admin(path="coupa"), 404),
    "unknown system": (lambda: ("/webhooks/sap/jira", *admin()[1:]), 404),
    "wrong secret": (lambda: admin(secret="guessed"), 401),
    "no signature": (lambda: ("/webhooks/jira/jira", {}, issue_event()), 401),
    "another tenant": (lambda: admin(issue_event(site="evil.atlassian.net")), 401),
    "another tenant, unknown topic": (lambda: admin(issue_event(site="evil.atlassian.net", topic="x")), 401),
    "another app's token": (lambda: dynamic(jwt_=token("x" * 40)), 401),
    "not JSON": (lambda: admin(b"webhookEvent=jira"), 400),
    "empty": (lambda: admin(b""), 400),
    "cut off": (lambda: admin(issue_event()[:-20]), 400),
    "not an object": (lambda: admin(b'["jira:issue_updated"]'), 400),
    "deeper than any event": (lambda: admin(b"[" * 100_000), 400),
    "no event name": (lambda: admin(issue_event(webhookEvent=None)), 400),
    "event name of another type": (lambda: admin(issue_event(webhookEvent=["x"])), 400),
    "no issue": (lambda: admin(issue_event(issue=None)), 400),
    "no issue id": (lambda: admin(issue_event(issue={"self": f"https://{SITE}/x"})), 400),
    "an id that is none": (lambda: admin(issue_event(issue={"id": "1 OR 1", "self": f"https://{SITE}/x"})), 400),
    "an id beyond 64 bits": (lambda: admin(issue_event(10**19)), 400),
    "no address of the issue": (lambda: admin(issue_event(issue={"id": "1"})), 400),
    "an address that is none": (lambda: admin(issue_event(issue={"id": "1", "self": "https://[x"})), 400),
    "webhook ids that are none": (lambda: dynamic(issue_event(matchedWebhookIds="1")), 400),
    "an instant that is none": (lambda: admin(issue_event(timestamp="now")), 400),
    "an instant beyond all calendars": (lambda: admin(issue_event(timestamp=10**17)), 400),
    "too old": (lambda: admin(issue_event(timestamp=int((NOW - timedelta(days=8)).timestamp() * 1000))), 400),
    "from the future": (lambda: admin(issue_event(timestamp=int((NOW + timedelta(days=8)).timestamp() * 1000))), 400),
    "coupa, no event type": (lambda: coupa({"object": {"id": 1}}), 400),
    "coupa, no object": (lambda: coupa({"event_type": "invoice.updated", "object": 4001}), 400),
    "coupa, unprintable id": (lambda: coupa({"event_type": "invoice.updated", "object": {"id": "\x00"}}), 400),
    "coupa, wrong secret": (lambda: coupa(secret=SECRET), 401),
}


@pytest.mark.parametrize("name", REFUSED)
async def test_refuses(desk: Desk, name: str) -> None:
    request, status = REFUSED[name]
    await refused(desk, request(), status)


async def test_takes_events_a_week_old_but_no_older(desk: Desk) -> None:
    six = int((NOW - timedelta(days=6)).timestamp() * 1000)
    assert await answered(desk, admin(issue_event(timestamp=six))) == "accepted"
    assert await answered(desk, admin(issue_event(timestamp=None), delivery="d-2")) == "accepted"


@pytest.mark.parametrize("extra", [0, 1])
async def test_refuses_a_body_over_the_limit_with_and_without_its_length(desk: Desk, extra: int) -> None:
    await desk.ingresses.set_options("jira", {"max_bytes": 1000})
    body = issue_event(padding="")
    body = body.replace(b'"padding": ""', b'"padding": "' + b"x" * (1000 - len(body) + extra) + b'"')
    path, headers, _ = admin(body)

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(body), 100):
            yield body[start : start + 100]

    async with desk.client() as client:
        contents: tuple[bytes | AsyncIterator[bytes], ...] = (body, pieces())
        for number, content in enumerate(contents):
            headers["X-Atlassian-Webhook-Identifier"] = str(number)
            answer = await client.post(path, headers=headers, content=content)
            assert answer.status_code == (413 if extra else 202)
            assert ("content-length" in answer.request.headers) == (number == 0)
    assert len(await desk.rows()) == (0 if extra else 2)


async def test_a_body_announced_as_too_large_is_not_even_read(desk: Desk) -> None:
    async def body() -> AsyncIterator[bytes]:
        raise AssertionError("the body was read")
        yield b""

    async with desk.client() as client:
        headers = {"Content-Length": str(1024 * 1024 + 1)}
        assert (await client.post("/webhooks/jira/jira", headers=headers, content=body())).status_code == 413
        headers = {"Content-Length": str(256 * 1024 + 1)}
        assert (await client.post("/webhooks/coupa/coupa", headers=headers, content=body())).status_code == 413


@pytest.mark.parametrize(("length", "status"), [("x", 400), ("-1", 400), ("9" * 5000, 413), ("5000", 408)])
async def test_a_length_that_is_wrong_is_refused(desk: Desk, length: str, status: int) -> None:
    path, headers, body = admin()
    await refused(desk, (path, headers | {"Content-Length": length}, body), status)


async def test_methods_and_paths_beside_the_two_are_refused(desk: Desk) -> None:
    async with desk.client() as client:
        for method, path, status in (
            ("GET", "/webhooks/jira/jira", 405),
            ("PUT", "/webhooks/jira/jira", 405),
            ("POST", "/health", 405),
            ("POST", "/webhooks/jira", 404),
            ("POST", "/", 404),
        ):
            answer = await client.request(method, path)
            assert answer.status_code == status
            assert list(answer.json()) == ["status"]


async def test_coupas_deliveries_are_told_apart_by_their_event_id(desk: Desk) -> None:
    content: dict[str, Any] = {"event_type": "purchase_order.updated", "id": "evt_1", "object": {"id": "77"}}
    assert await answered(desk, coupa(content)) == "accepted"
    assert await answered(desk, coupa(content | {"occurred_at": "later"})) == "duplicate"
    (row,) = await desk.rows()
    assert (row.topic, row.object_id, row.delivery) == ("purchase-order", "77", "evt_1")


async def test_names_of_coupas_members_are_settings(desk: Desk) -> None:
    options = {
        "topic_field": "kind",
        "object_field": "data.record",
        "site_field": "instance",
        "event_id_header": "X-Event",
        "site": "acme.coupahost.com",
    }
    await desk.ingresses.set_options("coupa", options)
    content = {"kind": "payment-events", "data": {"record": 5}, "instance": "ACME.coupahost.com", "id": "unused"}
    assert await answered(desk, coupa(content, **{"X-Event": "e" * 300})) == "accepted"
    (row,) = await desk.rows()
    assert (row.topic, row.object_id) == ("payment", "5")
    assert row.delivery.startswith("id:")
    assert (await desk.send(coupa(content | {"instance": "evil.coupahost.com"}))).status_code == 401


async def test_a_store_that_is_away_is_no_fault_of_the_sender(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    await answered(desk, admin())
    async with desk.store.db.write() as tx:
        await tx.exec_driver_sql("ALTER TABLE inbox RENAME TO inbox_away")
    answer = await desk.send(admin(delivery="d-2"))
    assert (answer.status_code, answer.json()) == (503, {"status": "unavailable"})
    async with desk.store.db.write() as tx:
        await tx.exec_driver_sql("ALTER TABLE inbox_away RENAME TO inbox")
    assert await answered(desk, admin(delivery="d-2")) == "accepted"
    assert "OperationalError" in caplog.text


async def test_an_error_of_our_own_says_nothing_and_asks_to_come_again(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken(type(desk.receiver)):  # type: ignore[misc]
        async def accept(self, *_: object) -> str:
            raise ConfigurationError(f"a text that quotes {SECRET}")

    async with desk.client(build(Broken(desk.store, desk.bell))) as client:
        path, headers, body = admin()
        answer = await client.post(path, headers=headers, content=body)
    assert (answer.status_code, answer.json()) == (503, {"status": "unavailable"})
    assert SECRET not in caplog.text


async def test_health_tells_whether_the_store_answers(desk: Desk) -> None:
    async with desk.client() as client:
        assert (await client.get("/health")).json() == {"status": "ok"}
        engine, desk.store.db.engine = desk.store.db.engine, create_async_engine("sqlite+aiosqlite:////nowhere/at/all")
        answer = await client.get("/health")
        desk.store.db.engine = engine
        assert (answer.status_code, answer.json()) == (503, {"status": "unavailable"})


async def test_no_secret_and_no_content_is_stored_or_logged(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    await answered(desk, admin())
    await desk.send(admin(secret="guessed"))
    assert "Krystof" not in json.dumps([[str(value) for value in row] for row in await desk.rows()])
    for text in (SECRET, COUPA_SECRET, "Krystof"):
        assert text not in caplog.text
        assert text not in repr(await desk.ingresses.list())
