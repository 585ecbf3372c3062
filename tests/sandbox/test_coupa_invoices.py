"""Invoices of the stand-in Coupa tenant: export flag, payments, custom fields, status changes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.sandbox.coupa_visitor import Visitor, visitor

ID = 4835
PATH = f"invoices/{ID}"


@pytest.fixture
async def guest() -> AsyncIterator[Visitor]:
    async with visitor() as one:
        await one.seed(
            invoices=[
                {
                    "id": ID,
                    "invoice-number": "INV-1001",
                    "supplier": {"number": "V100"},
                    "currency": {"code": "USD"},
                    "invoice-lines": [{"price": "10", "quantity": "10", "tax-amount": "8"}],
                }
            ]
        )
        yield one


async def show(guest: Visitor) -> dict[str, Any]:
    record: dict[str, Any] = (await guest.get(PATH)).json()
    return record


async def test_exported_flips_the_flag_and_touches_nothing_else_even_with_a_body(guest: Visitor) -> None:
    before = await show(guest)
    await guest.advance(60)
    answer = await guest.put(f"{PATH}?exported=true", {"paid": True, "custom-fields": {"cf-erp-invoice-number": "V1"}})
    after = answer.json()
    assert answer.status_code == 200
    assert {key for key in after if after[key] != before[key]} == {"exported", "last-exported-at"}
    assert after["last-exported-at"] == "2026-03-02T01:01:00-08:00"
    truth = await guest.truth()
    assert (truth["exported"], truth["exported_calls"], truth["writes"]) == ({str(ID): 1}, {str(ID): 1}, 1)


async def test_exported_in_the_body_marks_and_ignores_the_rest(guest: Visitor) -> None:
    after = (await guest.put(PATH, {"exported": "true", "paid": True})).json()
    assert (after["exported"], after["paid"]) == (True, False)


async def test_marking_twice_counts_two_calls_and_one_flip(guest: Visitor) -> None:
    await guest.put(f"{PATH}?exported=true")
    await guest.put(f"{PATH}?exported=true")
    truth = await guest.truth()
    assert (truth["exported"], truth["exported_calls"]) == ({str(ID): 1}, {str(ID): 2})


async def test_only_a_person_resets_exported(guest: Visitor) -> None:
    await guest.put(f"{PATH}?exported=true")
    assert (await guest.put(f"{PATH}?exported=false")).json()["exported"] is True
    assert (await guest.put(PATH, {"internal-note": "x"})).json()["exported"] is True
    await guest.do("reset_exported", id=ID)
    assert (await show(guest))["exported"] is False
    await guest.put(f"{PATH}?exported=true")
    assert (await guest.truth())["exported"] == {str(ID): 2}


async def test_export_moves_updated_at_only_by_switch(guest: Visitor) -> None:
    before = await show(guest)
    await guest.advance(60)
    assert (await guest.put(f"{PATH}?exported=true")).json()["updated-at"] == before["updated-at"]
    await guest.do("set_option", export_bumps_updated_at=True)
    assert (await guest.put(f"{PATH}?exported=true")).json()["updated-at"] != before["updated-at"]


@pytest.mark.parametrize("flag", ["?exported=perhaps", "?exported="])
async def test_nonsense_in_exported_is_400(guest: Visitor, flag: str) -> None:
    assert (await guest.put(PATH + flag)).status_code == 400


@pytest.mark.parametrize(
    "payments",
    [
        [{"amount-paid": "60.00", "notes": "QAD Check#1"}, {"amount-paid": "48.00", "notes": "QAD Check#2"}],
        {"payment": [{"amount-paid": 60, "notes": "QAD Check#1"}, {"amount-paid": 48.0, "notes": "QAD Check#2"}]},
        [{"amount_paid": "60", "check_number": "QAD Check#1"}, {"amount_paid": "48", "check-number": "QAD Check#2"}],
    ],
)
async def test_payments_are_taken_in_every_documented_form(guest: Visitor, payments: Any) -> None:
    answer = await guest.put(PATH, {"payments": payments})
    assert answer.status_code == 200
    shown = [(one["amount-paid"], one["notes"]) for one in answer.json()["payments"]]
    assert shown == [("60.00", "QAD Check#1"), ("48.00", "QAD Check#2")]
    assert [one["id"] for one in answer.json()["payments"]] == [1, 2]


async def test_single_payment_object_is_a_form_of_its_own(guest: Visitor) -> None:
    body = {"payments": {"payment": {"amount-paid": "108", "payment-date": "2026-04-02T00:00:00-08:00"}}}
    paid = (await guest.put(PATH, body)).json()["payments"]
    assert [(one["amount-paid"], one["payment-date"]) for one in paid] == [("108.00", "2026-04-02T00:00:00-08:00")]
    assert (paid[0]["payable-id"], paid[0]["payable-type"]) == (ID, "InvoiceHeader")


async def test_same_payment_twice_is_there_twice_whatever_the_idempotency_key(guest: Visitor) -> None:
    body = {"payments": [{"amount-paid": "108.00", "notes": "QAD Check#100234"}]}
    for _ in range(2):
        assert (await guest.put(PATH, body, **{"Idempotency-Key": "k1"})).status_code == 200
    entry = {"notes": "QAD Check#100234", "amount-paid": "108.00"}
    assert (await guest.truth())["payments"] == {str(ID): [entry, entry]}
    assert (await show(guest))["paid"] is False


async def test_idempotency_key_is_honoured_by_switch(guest: Visitor) -> None:
    await guest.do("set_option", honour_idempotency_key=True)
    body = {"payments": [{"amount-paid": "108.00"}]}
    answers = [await guest.put(PATH, body, **{"Idempotency-Key": "k1"}) for _ in range(2)]
    assert answers[0].content == answers[1].content
    assert len((await show(guest))["payments"]) == 1
    await guest.put(PATH, body, **{"Idempotency-Key": "k2"})
    assert len((await show(guest))["payments"]) == 2
    assert (await guest.truth())["writes"] == 2


@pytest.mark.parametrize(
    "payments",
    [
        [{"notes": "no amount"}],
        [{"amount-paid": "ten"}],
        [{"amount-paid": True}],
        [{"amount-paid": "1.00001"}],
        [{"amount-paid": "1", "notes": "x" * 256}],
        [{"amount-paid": "1", "payment-date": "soon"}],
        ["108.00"],
        "108.00",
    ],
)
async def test_bad_payment_is_400_and_appends_nothing(guest: Visitor, payments: Any) -> None:
    answer = await guest.put(PATH, {"paid": True, "payments": payments})
    assert answer.status_code == 400
    shown = await show(guest)
    assert (shown["payments"], shown["paid"]) == ([], False)
    assert (await guest.truth())["writes"] == 0


async def test_paid_and_its_date_and_notes_are_plain_attributes(guest: Visitor) -> None:
    await guest.put(PATH, {"payment_notes": "first"})
    body = {"paid": "true", "payment-date": "2026-04-02", "payment-notes": "second"}
    shown = (await guest.put(PATH, body)).json()
    assert (shown["paid"], shown["payment-date"], shown["payment-notes"]) == (
        True,
        "2026-04-02T00:00:00-08:00",
        "second",
    )


async def test_void_of_a_payment_is_a_negative_entry(guest: Visitor) -> None:
    await guest.put(PATH, {"payments": [{"amount-paid": "108.00", "notes": "t1"}]})
    shown = (
        await guest.put(PATH, {"payments": [{"amount-paid": "-108.00", "notes": "t1 void"}], "paid": False})
    ).json()
    assert [one["amount-paid"] for one in shown["payments"]] == ["108.00", "-108.00"]


async def test_only_configured_custom_fields_are_kept_and_the_rest_is_ignored_with_200(guest: Visitor) -> None:
    body = {"custom_fields": {"cf_erp_invoice_number": "VO12345", "cf-someone-elses": "x"}}
    answer = await guest.put(f'{PATH}?fields=["id",{{"custom_fields":{{}}}}]', body)
    assert answer.status_code == 200
    assert answer.json()["custom-fields"] == {"cf-erp-invoice-number": "VO12345", "cf-integration-status": None}
    assert (await guest.truth())["custom_fields"] == {str(ID): {"cf-erp-invoice-number": "VO12345"}}


async def test_unknown_and_read_only_keys_are_ignored_with_200(guest: Visitor) -> None:
    before = await show(guest)
    await guest.advance(60)
    body = {"status": "voided", "id": 1, "gross-total": "1.00", "no-such-key": 1, "last-exported-at": "2026-01-01"}
    answer = await guest.put(PATH, body)
    assert answer.status_code == 200
    assert answer.json() == before


async def test_known_change_moves_updated_at_and_lock_version(guest: Visitor) -> None:
    before = await show(guest)
    await guest.advance(60)
    after = (await guest.put(PATH, {"internal-note": "seen"})).json()
    assert after["lock-version-key"] == before["lock-version-key"] + 1
    assert after["updated-at"] > before["updated-at"]


async def test_unknown_reference_is_refused_in_the_documented_words(guest: Visitor) -> None:
    answer = await guest.put(PATH, {"account-type": {"name": "Ace Corporate123"}})
    assert answer.status_code == 400
    assert answer.json() == {
        "errors": {
            "account_type": [
                'Unable to find valid AccountType record for account_type with keys {"name"=>"Ace Corporate123"}. '
                'Possible keys are ["id", "name"]. Please verify your xml.'
            ]
        }
    }


async def test_update_that_the_tenant_refuses_is_400_until_it_lets_go(guest: Visitor) -> None:
    await guest.do("refuse_updates", id=ID, message="Billing account is inactive")
    answer = await guest.put(f"{PATH}?exported=true")
    assert (answer.status_code, answer.json()) == (400, {"errors": {"invoice": ["Billing account is inactive"]}})
    assert (await show(guest))["exported"] is False
    await guest.do("refuse_updates", id=ID, message=None)
    assert (await guest.put(f"{PATH}?exported=true")).status_code == 200


async def test_void_shows_as_voided_and_not_exported(guest: Visitor) -> None:
    await guest.put(f"{PATH}?exported=true")
    await guest.advance(60)
    await guest.do("void_invoice", id=ID)
    shown = await show(guest)
    assert (shown["status"], shown["exported"], shown["canceled"]) == ("voided", False, True)
    assert shown["updated-at"] == "2026-03-02T01:01:00-08:00"


async def test_void_may_leave_the_flag_so_that_it_hides_from_the_export_query(guest: Visitor) -> None:
    await guest.put(f"{PATH}?exported=true")
    await guest.do("void_invoice", id=ID, keep_exported=True)
    assert (await guest.get("invoices", exported="false", **{"status[in]": "approved,voided"})).json() == []
    assert len((await guest.get("invoices", status="voided")).json()) == 1


async def test_edit_in_the_ui_changes_and_resets_by_switch(guest: Visitor) -> None:
    await guest.put(f"{PATH}?exported=true")
    changes = {"total_with_taxes": "120", "invoice-lines": [{"price": "12", "quantity": "10"}]}
    await guest.do("edit_invoice", id=ID, changes=changes)
    shown = await show(guest)
    assert (shown["total-with-taxes"], shown["exported"]) == ("120.00", True)
    assert [(line["line-num"], line["total"]) for line in shown["invoice-lines"]] == [(1, "120.00")]
    await guest.do("set_option", ui_edit_resets_exported=True)
    await guest.do("edit_invoice", id=ID, changes={"internal-note": "x"})
    assert (await show(guest))["exported"] is False


async def test_person_disputes_approves_and_removes(guest: Visitor) -> None:
    assert (await guest.do("dispute_invoice", id=ID))["status"] == "disputed"
    assert (await guest.do("approve_invoice", id=ID))["status"] == "approved"
    await guest.do("remove_invoice", id=ID)
    assert (await guest.get(PATH)).status_code == 404


async def test_payment_by_hand_stands_beside_ours(guest: Visitor) -> None:
    await guest.do("add_payment_by_hand", id=ID, **{"amount-paid": "8", "notes": "petty cash"})
    assert (await guest.truth())["payments"] == {str(ID): [{"notes": "petty cash", "amount-paid": "8.00"}]}


async def test_status_changes_by_api_follow_their_start_states(guest: Visitor) -> None:
    steps = [
        ("withdraw_dispute", 400, "approved"),
        ("dispute", 200, "disputed"),
        ("void", 400, "disputed"),
        ("submit", 200, "pending_approval"),
        ("submit", 400, "pending_approval"),
        ("abandon", 200, "abandoned"),
        ("dispute", 400, "abandoned"),
    ]
    for action, code, status in steps:
        assert (await guest.put(f"{PATH}/{action}")).status_code == code
        assert (await show(guest))["status"] == status


async def test_void_by_api_needs_the_delete_scope(guest: Visitor) -> None:
    await guest.login("core.invoice.read core.invoice.write")
    assert (await guest.put(f"{PATH}/void")).status_code == 403
    await guest.login()
    assert (await guest.put(f"{PATH}/void")).json()["status"] == "voided"


async def test_patch_updates_as_put_does(guest: Visitor) -> None:
    answer = await guest.http.patch(f"/api/{PATH}", json={"paid": True}, headers=guest.headers)
    assert answer.json()["paid"] is True
