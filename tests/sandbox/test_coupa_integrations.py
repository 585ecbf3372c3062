"""Integration monitoring of the stand-in Coupa tenant: runs, history records, errors, alerts."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.sandbox.coupa_visitor import Visitor, visitor

NOTICE: dict[str, Any] = {
    "document-type": "InvoiceHeader",
    "document-id": 4835,
    "document-status": "approved",
    "contact-alert-type": "Functional",
    "status": "Error",
    "integration": {"code": "QAD_INV"},
    "external-id": "t1",
    "responses": [{"response-code": "RECEIPT_MISSING", "response-message": "Line 1: no posted receipt"}],
}


@pytest.fixture
async def guest() -> AsyncIterator[Visitor]:
    async with visitor() as one:
        await one.http.post("/_sandbox/seed/base")
        await one.seed(invoices=[{"id": 4835}])
        yield one


async def test_history_record_is_created_by_post_and_counted(guest: Visitor) -> None:
    answer = await guest.post("integration_history_records", NOTICE)
    made = answer.json()
    assert (answer.status_code, made["resolved"], made["integration"]["code"]) == (201, False, "QAD_INV")
    assert made["responses"][0]["response-code"] == "RECEIPT_MISSING"
    await guest.post("integration_history_records", NOTICE)
    truth = await guest.truth()
    assert truth["history"] == {"InvoiceHeader/4835/t1/Error": 2}
    assert truth["alerts"] == {}


async def test_history_record_without_external_id_has_an_empty_place_in_its_key(guest: Visitor) -> None:
    await guest.post("integration_history_records", {**NOTICE, "external-id": None, "status": "Success"})
    assert (await guest.truth())["history"] == {"InvoiceHeader/4835//Success": 1}


async def test_create_alert_writes_the_record_and_alerts_once(guest: Visitor) -> None:
    assert (await guest.post("integration_history_records/create_alert", NOTICE)).status_code == 201
    truth = await guest.truth()
    assert (truth["history"], truth["alerts"]) == ({"InvoiceHeader/4835/t1/Error": 1}, {"InvoiceHeader/4835": 1})


async def test_put_on_the_collection_is_404(guest: Visitor) -> None:
    assert (await guest.put("integration_history_records", NOTICE)).status_code == 404
    assert (await guest.put("integration_errors/create_alert", NOTICE)).status_code == 404


@pytest.mark.parametrize(
    "change",
    [
        {"document-type": None},
        {"document-type": "Cheque"},
        {"document-id": None},
        {"document-id": "many"},
        {"contact-alert-type": None},
        {"contact-alert-type": "Loud"},
        {"integration": {"code": "NOWHERE"}},
        {"integration-run": {"id": 1}},
        {"responses": "none"},
    ],
)
async def test_history_record_is_validated(guest: Visitor, change: dict[str, Any]) -> None:
    assert (await guest.post("integration_history_records", NOTICE | change)).status_code == 400
    assert (await guest.truth())["history"] == {}


async def test_open_records_of_a_document_are_found_resolved_and_reopened(guest: Visitor) -> None:
    await guest.post("integration_history_records", NOTICE)
    query = {"resolved": "false", "document-type": "InvoiceHeader", "document-id": "4835"}
    assert [one["id"] for one in (await guest.get("integration_history_records", **query)).json()] == [1]
    assert (await guest.put("integration_history_records/1/resolve")).json()["resolved"] is True
    assert (await guest.get("integration_history_records", **query)).json() == []
    assert (await guest.put("integration_history_records/1/unresolve")).json()["resolved"] is False
    found = await guest.get("integration_history_records", **query, external_id="t1", status="Error")
    assert len(found.json()) == 1
    assert (await guest.get("integration_history_records", external_id="T1")).json() == []


async def test_history_record_shows_on_its_document(guest: Visitor) -> None:
    await guest.post("integration_history_records", NOTICE)
    await guest.put("integration_history_records/1/resolve")
    shown = (await guest.get("invoices/4835")).json()["current-integration-history-records"]
    assert [(one["id"], one["resolved"]) for one in shown] == [(1, True)]


async def run(guest: Visitor) -> int:
    answer = await guest.post("integration_runs", {"integration": {"code": "QAD_INV"}})
    assert (answer.status_code, answer.json()["status"]) == (201, "pending")
    number: int = answer.json()["id"]
    return number


async def test_run_goes_through_its_states(guest: Visitor) -> None:
    number = await run(guest)
    started = (await guest.put(f"integration_runs/{number}/run", {"total_records": 12})).json()
    assert (started["status"], started["total-records"]) == ("running", 12)
    assert started["start-time"] is not None
    assert (await guest.put(f"integration_runs/{number}/pause")).json()["status"] == "paused"
    assert (await guest.put(f"integration_runs/{number}/run")).json()["status"] == "running"
    await guest.put(f"integration_runs/{number}", {"records-processed": 12, "status": "failed"})
    ended = (await guest.put(f"integration_runs/{number}/success")).json()
    assert (ended["status"], ended["records-processed"]) == ("success", 12)
    assert ended["end-time"] is not None


@pytest.mark.parametrize("steps", [["success"], ["pause"], ["run", "run"], ["run", "success", "fail"], ["fail", "run"]])
async def test_run_refuses_a_step_that_does_not_follow(guest: Visitor, steps: list[str]) -> None:
    number = await run(guest)
    codes = [(await guest.put(f"integration_runs/{number}/{step}")).status_code for step in steps]
    assert codes == [200] * (len(steps) - 1) + [400]


async def test_finish_is_success_only_without_errors(guest: Visitor) -> None:
    outcomes = []
    for spoiled in (False, True):
        number = await run(guest)
        await guest.put(f"integration_runs/{number}/run")
        if spoiled:
            error = {"contact-alert-type": "Technical", "integration-run": {"id": number}}
            assert (await guest.post("integration_errors", error)).status_code == 201
        outcomes.append((await guest.put(f"integration_runs/{number}/finish")).json()["status"])
    assert outcomes == ["success", "failed"]


async def test_error_needs_a_run_and_takes_its_integration(guest: Visitor) -> None:
    assert (await guest.post("integration_errors", NOTICE)).status_code == 400
    number = await run(guest)
    body = {key: value for key, value in NOTICE.items() if key != "integration"} | {"integration-run-id": number}
    made = (await guest.post("integration_errors/create_alert", body)).json()
    assert (made["integration-run"]["id"], made["integration"]["code"]) == (number, "QAD_INV")
    assert (await guest.put(f"integration_errors/{made['id']}/resolve")).json()["resolved"] is True
    truth = await guest.truth()
    assert (truth["errors"], truth["alerts"]) == ({"InvoiceHeader/4835/t1/Error": 1}, {"InvoiceHeader/4835": 1})
    assert (await guest.get("invoices/4835")).json()["current-integration-history-records"] == []


async def test_run_needs_a_known_integration(guest: Visitor) -> None:
    assert (await guest.post("integration_runs", {})).status_code == 400
    answer = await guest.post("integration_runs", {"integration": {"code": "NOWHERE"}})
    assert 'Possible keys are ["id", "code", "name"]' in answer.json()["errors"]["integration"][0]


async def test_integration_and_contact_are_set_up_once(guest: Visitor) -> None:
    body = {"name": "Payments", "code": "QAD_PAY", "business-object": "Payment", "direction": "to_coupa"}
    assert (await guest.post("integrations", body)).status_code == 400
    body |= {"end-system": "QAD", "end-system-type": "erp", "integration-type": "api"}
    assert (await guest.post("integrations", body)).status_code == 201
    assert (await guest.post("integrations", body)).status_code == 400
    contact = {"integration": {"code": "QAD_PAY"}, "contactable-type": "User", "contactable-id": 1}
    assert (await guest.post("integration_contacts", contact)).status_code == 400
    made = await guest.post("integration_contacts", contact | {"contact-alert-type": "Both"})
    assert (made.status_code, made.json()["integration"]["code"]) == (201, "QAD_PAY")
