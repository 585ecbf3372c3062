"""How each mark on a Coupa invoice is found, sent, refused or doubted."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from ml_connector.domain.writes import Absent, Done, Doubt, Found, NotSent, Order, Refused, Sent
from ml_connector.errors import AuthenticationError, PermissionDeniedError
from ml_connector.systems.coupa.ports import ExportedFlag, InvoiceCustomFields, InvoiceHistory
from ml_connector.systems.coupa.targets import send_each
from tests.systems.coupa_server import Coupa, invoice, open_coupa, order
from tests.systems.stopping import stopped_by


async def test_the_exported_flag_is_asked_sent_and_found() -> None:
    server = Coupa(invoice(1), invoice(2))
    target = ExportedFlag(open_coupa(server))
    orders = [order(1), order(2), order(3)]
    assert set((await target.find(orders)).values()) == {Absent()}
    sent = await target.send(orders)
    assert sent["c:invoice:1"] == Done("1", data={"status": "approved"})
    assert sent["c:invoice:3"] == Refused("not_found", "not found")
    found = await target.find(orders)
    assert found["c:invoice:2"] == Found("2", data={"status": "approved", "notes": []})
    assert found["c:invoice:3"] == Absent()


async def test_a_void_between_reading_and_marking_is_noticed() -> None:
    server = Coupa(invoice(1, status="voided", updated_at="2026-03-05T00:00:00Z"))
    target = ExportedFlag(open_coupa(server))
    notes = ("status_changed:voided", "updated_at_changed:2026-03-05T00:00:00+00:00")
    assert (await target.send([order(1)]))["c:invoice:1"] == Done(
        "1", data={"status": "voided"}, notes=notes, reverse=True, changed=True
    )
    found = (await target.find([order(1)]))["c:invoice:1"]
    assert isinstance(found, Found)
    assert found.data["notes"] == list(notes)


async def test_a_flag_that_stays_down_is_a_refusal() -> None:
    server = Coupa(invoice(1))
    client = open_coupa(server)
    await client.invoices()
    server.faults = [httpx.Response(200, json={"id": 1, "exported": False, "status": "approved"})]
    result = (await ExportedFlag(client).send([order(1)]))["c:invoice:1"]
    assert isinstance(result, Refused)
    assert result.code == "exported_ignored"


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (httpx.Response(400, json={"errors": {"account": ["x is inactive"]}}), Refused),
        (httpx.ReadTimeout("slow"), Doubt),
        (httpx.ReadError("reset"), Doubt),
        (httpx.Response(503), Doubt),
        (httpx.Response(200, text="<html>"), Doubt),
        (httpx.Response(200, json={"id": 1}), Doubt),
        (httpx.Response(302), Doubt),
        (httpx.ConnectError("refused"), NotSent),
        (httpx.Response(429), NotSent),
    ],
    ids=str,
)
async def test_each_answer_to_a_write_has_one_meaning(fault: Any, kind: type[Sent]) -> None:
    server = Coupa(invoice(1))
    client = open_coupa(server)
    await client.invoices()

    def again(request: httpx.Request) -> httpx.Response:
        if isinstance(fault, Exception):
            raise fault
        return httpx.Response(fault.status_code, content=fault.content)

    server.faults = [again] * 3
    result = (await ExportedFlag(client).send([order(1)]))["c:invoice:1"]
    assert isinstance(result, kind)
    server.faults = []
    assert isinstance((await ExportedFlag(client).send([order(1)]))["c:invoice:1"], Done)


async def test_a_lost_reply_is_found_afterwards_with_one_write() -> None:
    server = Coupa(invoice(1))
    server.lose_reply = True
    target = ExportedFlag(open_coupa(server))
    assert isinstance((await target.send([order(1)]))["c:invoice:1"], Doubt)
    assert isinstance((await target.find([order(1)]))["c:invoice:1"], Found)
    assert len(server.sent("PUT")) == 1


async def test_a_missing_right_ends_the_run() -> None:
    server = Coupa(invoice(1))
    client = open_coupa(server)
    await client.invoices()
    server.granted = server.granted.replace("core.invoice.write ", "")
    with stopped_by(PermissionDeniedError, match=r"core\.invoice\.write"):
        await ExportedFlag(client).send([order(1)])


async def test_a_fatal_error_waits_for_what_is_under_way_and_begins_nothing_new() -> None:
    ended: list[str] = []

    async def one(this: Order) -> Sent:
        if this.target_id == "1":
            await asyncio.sleep(0)
            raise AuthenticationError("refused")
        await asyncio.sleep(0.001)
        ended.append(this.target_id)
        return Done(this.target_id)

    with stopped_by(AuthenticationError):
        await send_each([order(number) for number in range(1, 9)], one, 3)
    assert ended == ["2", "3"]


async def test_orders_of_one_lane_go_one_after_another() -> None:
    running: set[str] = set()
    sequence: list[str] = []

    async def one(this: Order) -> Sent:
        assert this.lane not in running
        running.add(this.lane)
        await asyncio.sleep(0.001)
        running.discard(this.lane)
        sequence.append(this.external_id)
        return Done(this.target_id)

    orders = [order(number, lane="ab"[number % 2]) for number in range(8)]
    assert len(await send_each(orders, one, 4)) == 8
    evens = [name for name in sequence if int(name[-1]) % 2 == 0]
    assert evens == [f"c:invoice:{number}" for number in (0, 2, 4, 6)]


async def test_custom_fields_count_only_when_they_are_echoed() -> None:
    server = Coupa(invoice(1), invoice(2))
    target = InvoiceCustomFields(open_coupa(server))
    good = order(1, payload={"fields": {"cf-erp-number": "VO12345", "cf_status": "Success"}})
    bad = order(2, payload={"fields": {"cf-unknown": "x"}})
    assert set((await target.find([good, bad])).values()) == {Absent()}
    sent = await target.send([order(1, payload={"fields": {"cf-erp-number": "VO12345"}}), bad])
    assert sent["c:invoice:1"] == Done("1")
    assert sent["c:invoice:2"] == Refused("custom_field_ignored", "not stored as sent: cf-unknown")
    server.row("invoices", 1)["custom-fields"]["cf-status"] = "Success"
    assert (await target.find([good, bad])) == {"c:invoice:1": Found("1"), "c:invoice:2": Absent()}


def report(status: str, code: str = "RECEIPT_MISSING", **changes: Any) -> Order:
    payload = {
        "status": status,
        "document_type": "InvoiceHeader",
        "document_status": "approved",
        "integration_code": "QAD_INV",
        "code": code,
        "message": "Line 1: no posted receipt",
        "alert": status == "Error",
    }
    return order(1, payload=payload, operation="create", **changes)


async def test_a_history_record_is_found_by_token_status_and_code() -> None:
    server = Coupa(invoice(1))
    target = InvoiceHistory(open_coupa(server))
    assert await target.find([report("Error")]) == {"c:invoice:1": Absent()}
    sent = await target.send([report("Error")])
    assert sent["c:invoice:1"] == Done("900", data={"invoice": "1"})
    record = server.row("integration_history_records", 900)
    assert record["alerted"] is True
    assert record["external-id"] == "TOKN234567ABCDEFGHIJ"
    assert record["responses"][0]["response-code"] == "RECEIPT_MISSING"
    assert await target.find([report("Error")]) == {"c:invoice:1": Found("900", data={"invoice": "1"})}
    assert await target.find([report("Error", code="PO_MISSING")]) == {"c:invoice:1": Absent()}
    assert await target.find([report("Success")]) == {"c:invoice:1": Absent()}
    assert await target.find([report("Error", token="OTHR234567ABCDEFGHIJ")]) == {"c:invoice:1": Absent()}


async def test_success_closes_our_older_errors_and_nobody_elses() -> None:
    server = Coupa(invoice(1))
    client = open_coupa(server)
    target = InvoiceHistory(client)
    await target.send([report("Error")])
    foreign = server.row("integration_history_records", 900) | {"id": 950, "integration": {"code": "OTHER"}}
    server.tables["integration_history_records"].append(foreign)
    assert isinstance((await target.send([report("Success", code="POSTED")]))["c:invoice:1"], Done)
    assert server.row("integration_history_records", 900)["resolved"] is True
    assert server.row("integration_history_records", 950)["resolved"] is False
    assert await target.find([report("Error")]) == {"c:invoice:1": Absent()}


async def test_a_success_whose_reply_is_lost_leaves_no_error_open() -> None:
    server = Coupa(invoice(1))
    target = InvoiceHistory(open_coupa(server))
    await target.send([report("Error")])
    server.lose_reply = True
    first = (await target.send([report("Success", code="POSTED")]))["c:invoice:1"]
    assert isinstance(first, NotSent)
    second = (await target.send([report("Success", code="POSTED")]))["c:invoice:1"]
    assert isinstance(second, Doubt)
    assert server.row("integration_history_records", 900)["resolved"] is True
    found = await target.find([report("Success", code="POSTED")])
    assert isinstance(found["c:invoice:1"], Found)


async def test_an_error_record_that_cannot_be_closed_is_noted() -> None:
    server = Coupa(invoice(1))
    client = open_coupa(server)
    target = InvoiceHistory(client)
    await target.send([report("Error")])
    open_record = dict(server.row("integration_history_records", 900))
    server.faults = [httpx.Response(200, json=[open_record]), httpx.Response(404)]
    result = (await target.send([report("Success", code="POSTED")]))["c:invoice:1"]
    assert isinstance(result, Done)
    assert result.notes == ("history_record_left_open:900:not_found",)
