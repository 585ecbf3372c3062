"""The events that the stand-in Coupa tenant sends: what they say, how they are signed, and how they are repeated."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sandbox.coupa.app import create
from sandbox.kit.clock import Clock
from sandbox.kit.serve import running
from tests.sandbox.coupa_visitor import START, Visitor, visitor

SECRET = "demo-webhook-secret"
INVOICE = {"id": 4001, "status": "pending_approval", "invoice-lines": [{"price": "10", "quantity": "10"}]}
ORDER = {"id": 2401, "order-lines": [{"quantity": "5", "price": "2"}]}


class Receiver:
    """Keeps what arrives and answers with the statuses it is given, then with 202."""

    def __init__(self, *statuses: int) -> None:
        self.statuses = list(statuses)
        self.got: list[tuple[bytes, httpx.Headers]] = []

    async def take(self, request: Request) -> Response:
        self.got.append((await request.body(), httpx.Headers(request.headers.raw)))
        return Response(status_code=self.statuses.pop(0) if self.statuses else 202)

    def app(self) -> Starlette:
        """The receiver as an application."""
        return Starlette(routes=[Route("/hook", self.take, methods=["POST"])])

    def events(self) -> list[tuple[str, dict[str, Any]]]:
        """Event types and the objects they name, in order of arrival."""
        return [(read["event_type"], read["object"]) for read in (json.loads(body) for body, _ in self.got)]


@asynccontextmanager
async def listening(*statuses: int, **options: Any) -> AsyncIterator[tuple[Visitor, Receiver]]:
    """A visitor of a tenant that tells a receiver on loopback."""
    receiver = Receiver(*statuses)
    async with running(receiver.app()) as base, visitor(webhook_url=f"{base}/hook", **options) as guest:
        await guest.seed(invoices=[INVOICE], purchase_orders=[ORDER])
        yield guest, receiver


async def test_a_person_or_the_api_changing_an_invoice_is_told_and_a_seed_is_not() -> None:
    async with listening() as (guest, receiver):
        await guest.do("deliver")
        assert receiver.got == []
        await guest.do("approve_invoice", id=4001)
        await guest.put("invoices/4001", {"internal-note": "seen"})
        assert await guest.do("deliver") == {"sent": 2, "waiting": 0}
        assert receiver.events() == [("invoice.updated", {"type": "invoice", "id": 4001})] * 2
        first = json.loads(receiver.got[0][0])
        assert (first["occurred_at"], list(first)) == (
            "2026-03-02T01:00:00-08:00",
            ["event_type", "id", "object", "occurred_at"],
        )
        assert len({json.loads(body)["id"] for body, _ in receiver.got}) == 2


async def test_payments_and_orders_are_told_too() -> None:
    async with listening() as (guest, receiver):
        await guest.put("invoices/4001", {"payments": {"payment": {"amount-paid": "40", "notes": "P-1"}}})
        await guest.do("edit_purchase_order", id=2401, changes={"status": "closed"})
        line = (await guest.get("purchase_orders/2401")).json()["order-lines"][0]["id"]
        receipt = {"type": "ReceivingQuantityConsumption", "quantity": "5", "order-line": {"id": line}}
        assert (await guest.post("receiving_transactions", receipt)).status_code == 201
        await guest.do("deliver")
        order = ("purchase_order.updated", {"type": "purchase_order", "id": 2401})
        told = receiver.events()
        assert told[0] == ("invoice.updated", {"type": "invoice", "id": 4001})
        assert told[1][0] == "payment.created"
        assert told[1][1] | {"id": 0} == {"type": "payment", "id": 0, "invoice_id": 4001}
        assert told[2:] == [order, order]


async def test_the_export_flag_is_not_told() -> None:
    async with listening() as (guest, receiver):
        await guest.put("invoices/4001?exported=true")
        await guest.do("deliver")
        assert receiver.got == []


@pytest.mark.parametrize(
    ("options", "name", "prefix"),
    [
        ({}, "X-Coupa-Signature", ""),
        ({"webhook_encoding": "base64", "webhook_header": "X-Signature"}, "X-Signature", ""),
        ({"webhook_prefix": True}, "X-Coupa-Signature", "sha256="),
    ],
)
async def test_signature_covers_the_bytes_as_sent(options: dict[str, Any], name: str, prefix: str) -> None:
    async with listening(webhook_secret=SECRET, **options) as (guest, receiver):
        await guest.do("approve_invoice", id=4001)
        await guest.do("deliver")
        body, headers = receiver.got[0]
        digest = hmac.new(SECRET.encode(), body, hashlib.sha256).digest()
        text = base64.b64encode(digest).decode() if "webhook_encoding" in options else digest.hex()
        assert headers[name] == prefix + text
        assert headers["content-type"] == "application/json"


async def test_without_a_secret_nothing_is_signed() -> None:
    async with listening() as (guest, receiver):
        await guest.do("approve_invoice", id=4001)
        await guest.do("deliver")
        assert "x-coupa-signature" not in receiver.got[0][1]


async def test_a_busy_receiver_gets_the_same_bytes_up_to_three_times_more() -> None:
    async with listening(503, 429, 500, 503, webhook_secret=SECRET) as (guest, receiver):
        await guest.do("approve_invoice", id=4001)
        await guest.do("deliver")
        for seconds in (5, 15, 30, 3600):
            await guest.advance(seconds)
        assert len(receiver.got) == 4
        assert len({(body, headers["x-coupa-signature"]) for body, headers in receiver.got}) == 1


async def test_a_receiver_that_refuses_the_signature_is_not_asked_again() -> None:
    async with listening(401) as (guest, receiver):
        await guest.do("approve_invoice", id=4001)
        await guest.do("deliver")
        await guest.advance(3600)
        assert len(receiver.got) == 1


async def test_events_can_be_doubled_and_late() -> None:
    async with listening() as (guest, receiver):
        await guest.do("set_option", webhook_duplicate=2, webhook_delay_s=20)
        await guest.do("approve_invoice", id=4001)
        assert await guest.do("deliver") == {"sent": 0, "waiting": 2}
        await guest.advance(20)
        assert len({body for body, _ in receiver.got}) == 1
        assert len(receiver.got) == 2


async def test_events_leave_loopback_never_and_the_secret_is_not_shown() -> None:
    async with visitor() as guest:
        far = await guest.http.post("/_sandbox/do/set_option", json={"webhook_url": "https://example.com/hook"})
        assert (far.status_code, "loopback" in far.text) == (400, True)
        assert SECRET not in str(await guest.do("set_option", webhook_secret=SECRET))


async def test_event_ids_of_a_tenant_that_was_started_anew_are_new() -> None:
    seen: list[bytes] = []
    for start in (START, START.replace(hour=10)):
        receiver = Receiver()
        async with running(receiver.app()) as base:
            app = create(clock=Clock(start), options={"webhook_url": f"{base}/hook"})
            async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url=base) as http:
                await http.post("/_sandbox/seed", json={"invoices": [INVOICE]})
                await http.post("/_sandbox/do/approve_invoice", json={"id": 4001})
                await http.post("/_sandbox/do/deliver")
        seen += [json.loads(body)["id"] for body, _ in receiver.got]
    assert len(set(seen)) == 2
