"""Supplier invoices of the stand-in QAD tenant: the three-way match, numbers, updates and locks."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from tests.sandbox.qad_visitor import (
    TOKEN,
    Visitor,
    invoice,
    invoice_key,
    line,
    match,
    refusal,
    stored,
    visiting,
)

EXCEEDS = "Matched quantity exceeds open receipt quantity"
NO_SUM = "Receiver matching and invoice lines do not add up to the invoice amount"
LINES_ONLY: dict[str, Any] = {"supplierInvoicePOs": [], "receiverMatchingLines": [], "invoiceStatusCode": "AP-GLALLOC"}


async def other(visitor: Visitor, reference: str, **changes: Any) -> dict[str, Any]:
    return await visitor.create_invoice(invoiceReference=reference, customShort0=reference, **changes)


async def test_matched_invoice_is_posted_and_numbered() -> None:
    async with visiting() as visitor:
        record = stored(await visitor.create_invoice())
        assert (record["postingYear"], record["postingPeriod"], record["voucher"]) == (2026, 2, 10001)
        assert record["registrationNumber"] == 88001
        assert (record["receiverMatchingStatus"], record["holdAmountTC"]) == ("FINISHED", 0)
        assert (record["invoiceStatusCode"], record["isInvoiceApproved"]) == ("AP-RMALLOC", True)
        assert (record["balanceTC"], record["isOpen"], record["originalAmountLC"]) == (600, True, 600)
        assert record["dueDate"] == "2026-03-11T00:00:00.000Z"
        assert record["supplierName"] == "Acme Metals"
        truth = await visitor.truth()
        assert truth["invoices_by_token"] == {TOKEN: 1}
        assert truth["invoices_by_reference"] == {"SUP00001/Invoice/INV-20418": 1}
        assert truth["matched"] == {"PO100001/1": 50}
        assert await visitor.get("supplierInvoices", **invoice_key(record)) == record


async def test_voucher_counts_per_year_and_daybook_and_registration_over_all() -> None:
    async with visiting() as visitor:
        await visitor.seed(daybooks=[{"code": "APX"}])
        rest = {"originalAmountTC": 10, **LINES_ONLY, "supplierInvoiceLines": [line(10)]}
        dates = {"postingDate": "2027-01-05T00:00:00.000Z"}
        made = [
            stored(await other(visitor, "A", **rest)),
            stored(await other(visitor, "B", **rest)),
            stored(await other(visitor, "C", **rest, daybookCode="APX")),
            stored(await other(visitor, "D", **rest, **dates)),
        ]
        assert [item["voucher"] for item in made] == [10001, 10002, 10001, 10001]
        assert [item["registrationNumber"] for item in made] == [88001, 88002, 88003, 88004]
        assert made[3]["postingYear"] == 2027


async def test_chosen_voucher_creates_and_the_counter_goes_on_behind_it() -> None:
    async with visiting() as visitor:
        rest = {"originalAmountTC": 10, **LINES_ONLY, "supplierInvoiceLines": [line(10)]}
        assert stored(await other(visitor, "A", **rest, postingYear=2026, voucher=20000))["voucher"] == 20000
        assert stored(await other(visitor, "B", **rest))["voucher"] == 20001


async def test_existing_voucher_makes_a_create_an_update() -> None:
    async with visiting() as visitor:
        record = stored(await visitor.create_invoice())
        again = invoice(postingYear=2026, voucher=record["voucher"], description="Changed")
        changed = stored(await visitor.post("supplierInvoices", again))
        assert (changed["description"], changed["registrationNumber"]) == ("Changed", record["registrationNumber"])
        truth = await visitor.truth()
        assert (len(truth["invoices"]), truth["matched"]) == (1, {"PO100001/1": 50})
        outdated = await visitor.post("supplierInvoices", again | {"concurrencyHash": record["concurrencyHash"]})
        assert refusal(outdated)[0] == "concurrencyHash"


@pytest.mark.parametrize(
    "change",
    [
        {"receiverNumber": "RC004412"},
        {"purchaseOrderNumber": "PO999999"},
        {"purchaseOrderLine": 2},
    ],
)
async def test_unknown_receiver_order_or_line_is_refused(change: dict[str, Any]) -> None:
    async with visiting() as visitor:
        wanted = match(**change)
        answer = await visitor.create_invoice(receiverMatchingLines=[wanted])
        text = (
            f"Receiver {wanted['receiverNumber']} not found for purchase order "
            f"{wanted['purchaseOrderNumber']} line {wanted['purchaseOrderLine']}"
        )
        assert refusal(answer) == ("receiverMatchingLines[0].receiverNumber", text)
        assert (await visitor.truth())["invoices"] == []


async def test_receipt_of_another_supplier_is_refused() -> None:
    async with visiting() as visitor:
        answer = await visitor.create_invoice(supplierCode="SUP00002", supplierInvoicePOs=[])
        assert refusal(answer) == (
            "receiverMatchingLines[0].receiverNumber",
            "Receiver RC1 not found for purchase order PO100001 line 1",
        )


async def test_more_than_was_received_is_refused() -> None:
    async with visiting() as visitor:
        answer = await visitor.create_invoice(receiverMatchingLines=[match(quantity=51)], originalAmountTC=612)
        assert refusal(answer) == ("receiverMatchingLines[0].matchQuantity", EXCEEDS)


async def test_receipt_cannot_be_matched_twice_but_in_parts() -> None:
    async with visiting() as visitor:
        half = {"originalAmountTC": 240, "receiverMatchingLines": [match(quantity=20)]}
        stored(await other(visitor, "A", **half))
        stored(await other(visitor, "B", **half))
        assert refusal(await other(visitor, "C", **half)) == ("receiverMatchingLines[0].matchQuantity", EXCEEDS)
        stored(await other(visitor, "D", originalAmountTC=120, receiverMatchingLines=[match(quantity=10)]))
        assert (await visitor.truth())["matched"] == {"PO100001/1": 50}


async def test_one_invoice_cannot_take_a_receipt_twice() -> None:
    async with visiting() as visitor:
        twice = [match(quantity=30), match(quantity=30)]
        answer = await visitor.create_invoice(receiverMatchingLines=twice, originalAmountTC=720)
        assert refusal(answer) == ("receiverMatchingLines[1].matchQuantity", EXCEEDS)


async def test_finished_match_closes_the_receipt_unless_the_tenant_says_otherwise() -> None:
    part = {"originalAmountTC": 240, "receiverMatchingLines": [match(quantity=20, isFinished=True)]}
    async with visiting() as visitor:
        stored(await other(visitor, "A", **part))
        assert refusal(await other(visitor, "B", **part))[1] == EXCEEDS
    async with visiting(finished_closes_receipt=False) as visitor:
        stored(await other(visitor, "A", **part))
        stored(await other(visitor, "B", **part))


async def test_several_receivers_of_one_line_are_matched_together() -> None:
    async with visiting() as visitor:
        second = await visitor.do("post_receipt", purchaseOrderNumber="PO100001", purchaseOrderLine=1, quantity=25)
        lines = [match(), match(second["receiverNumber"], quantity=25)]
        stored(await visitor.create_invoice(receiverMatchingLines=lines, originalAmountTC=900))
        assert (await visitor.truth())["matched"] == {"PO100001/1": 75}


async def test_price_above_the_order_goes_on_hold() -> None:
    async with visiting() as visitor:
        priced = {"receiverMatchingLines": [match(price=Decimal("12.5"))], "originalAmountTC": 625}
        record = stored(await visitor.create_invoice(**priced))
        assert (record["holdAmountTC"], record["receiverMatchingStatus"]) == (25, "FINISHED")
        assert record["receiverMatchingLines"][0]["varianceRateTC"] == 25


async def test_price_below_the_order_is_a_variance_without_hold() -> None:
    async with visiting() as visitor:
        record = stored(
            await visitor.create_invoice(receiverMatchingLines=[match(price=Decimal("11.5"))], originalAmountTC=575)
        )
        assert (record["holdAmountTC"], record["receiverMatchingLines"][0]["varianceRateTC"]) == (0, -25)


async def test_tolerance_lets_a_small_variance_pass() -> None:
    dear = {"receiverMatchingLines": [match(price=Decimal("12.5"))], "originalAmountTC": 625}
    async with visiting(tolerance_amount=25) as visitor:
        assert stored(await visitor.create_invoice(**dear))["holdAmountTC"] == 0
    async with visiting(tolerance_pct=4) as visitor:
        assert stored(await visitor.create_invoice(**dear))["holdAmountTC"] == 25
    async with visiting(tolerance_pct=5) as visitor:
        assert stored(await visitor.create_invoice(**dear))["holdAmountTC"] == 0


async def test_tenant_may_reject_a_price_variance() -> None:
    async with visiting() as visitor:
        await visitor.do("set_option", policy_variance="reject")
        dear = {"receiverMatchingLines": [match(price=Decimal("12.5"))], "originalAmountTC": 625}
        assert refusal(await visitor.create_invoice(**dear)) == (
            "receiverMatchingLines[0].matchUnitPrice",
            "Invoice price variance outside tolerance",
        )
        stored(await visitor.create_invoice())


async def test_invoice_without_matching_lines_stays_unmatched() -> None:
    async with visiting() as visitor:
        record = stored(await visitor.create_invoice(receiverMatchingLines=[]))
        assert (record["receiverMatchingStatus"], record["invoiceStatusCode"]) == ("INITIAL", "AP-NOALLOC")
        assert (record["isReceiverMatching"], record["isInvoiceApproved"]) == (True, False)


async def test_initial_status_locks_payment() -> None:
    async with visiting() as visitor:
        record = stored(await visitor.create_invoice(receiverMatchingLines=[], invoiceStatusCode="AP-INITIAL"))
        assert (record["isInitialStatus"], record["isLockPayment"]) == (True, True)


async def test_repeated_reference_is_posted_with_a_warning() -> None:
    async with visiting() as visitor:
        half = {"originalAmountTC": 240, "receiverMatchingLines": [match(quantity=20)]}
        first = await visitor.create_invoice(**half)
        assert "supplementaryMessages" not in first
        second = await visitor.create_invoice(**half)
        assert stored(second)["voucher"] == 10002
        assert second["supplementaryMessages"] == [
            {
                "severity": 2,
                "fieldName": "invoiceReference",
                "message": "The reference already exists on another invoice for this supplier",
            }
        ]
        truth = await visitor.truth()
        assert truth["invoices_by_token"] == {TOKEN: 2}
        assert truth["invoices_by_reference"] == {"SUP00001/Invoice/INV-20418": 2}


async def test_same_reference_of_another_type_or_supplier_is_no_repetition() -> None:
    async with visiting() as visitor:
        rest = {"originalAmountTC": 10, **LINES_ONLY, "supplierInvoiceLines": [line(10)]}
        for change in ({}, {"supplierCode": "SUP00002"}, {"invoiceType": "Credit Note"}):
            assert "supplementaryMessages" not in await visitor.create_invoice(**rest | change)


async def returned(visitor: Visitor) -> str:
    answer = await visitor.do("post_receipt", purchaseOrderNumber="PO100001", purchaseOrderLine=1, quantity=-10)
    receiver: str = answer["receiverNumber"]
    return receiver


@pytest.mark.parametrize("sign", [1, -1])
async def test_credit_note_takes_from_the_return_with_a_positive_amount(sign: int) -> None:
    async with visiting() as visitor:
        receiver = await returned(visitor)
        credit = {"invoiceType": "Credit Note", "daybookCode": "APCR", "originalAmountTC": 120}
        record = stored(
            await visitor.create_invoice(**credit, receiverMatchingLines=[match(receiver, quantity=sign * 10)])
        )
        assert (record["receiverMatchingStatus"], record["originalAmountTC"]) == ("FINISHED", 120)
        assert (await visitor.truth())["matched"] == {"PO100001/1": -10}
        more = await other(visitor, "B", **credit, receiverMatchingLines=[match(receiver, quantity=10)])
        assert refusal(more)[1] == EXCEEDS


async def test_credit_note_below_the_order_price_holds_nothing() -> None:
    async with visiting() as visitor:
        lines = [match(await returned(visitor), quantity=10, price=11)]
        record = stored(
            await visitor.create_invoice(invoiceType="Credit Note", originalAmountTC=110, receiverMatchingLines=lines)
        )
        assert record["receiverMatchingLines"][0]["varianceRateTC"] == 10
        assert record["holdAmountTC"] == 0


async def test_credit_note_cannot_take_from_a_delivery_nor_an_invoice_from_a_return() -> None:
    async with visiting() as visitor:
        receiver = await returned(visitor)
        credit = {"invoiceType": "Credit Note", "originalAmountTC": 120}
        delivery = await visitor.create_invoice(**credit, receiverMatchingLines=[match(quantity=10)])
        assert refusal(delivery)[1] == EXCEEDS
        lines = [match(receiver, quantity=10)]
        billed = await visitor.create_invoice(originalAmountTC=120, receiverMatchingLines=lines)
        assert refusal(billed)[1] == EXCEEDS


async def test_credit_note_without_return_goes_to_an_account() -> None:
    async with visiting() as visitor:
        record = stored(
            await visitor.create_invoice(
                invoiceType="Credit Note", originalAmountTC=30, **LINES_ONLY, supplierInvoiceLines=[line(30)]
            )
        )
        assert (record["isReceiverMatching"], record["invoiceStatusCode"]) == (False, "AP-GLALLOC")
        negative = await other(visitor, "NEG", originalAmountTC=-30, **LINES_ONLY, supplierInvoiceLines=[line(-30)])
        assert ("originalAmountTC", "Amount must be positive") in {
            (error["fieldName"], error["message"]) for error in negative["submitResult"]["errors"]
        }


async def test_status_without_receiver_matching_takes_no_matching_lines() -> None:
    async with visiting() as visitor:
        answer = await visitor.create_invoice(invoiceStatusCode="AP-GLALLOC")
        assert refusal(answer) == ("receiverMatchingLines", "Invoice status does not allow receiver matching")


async def test_approval_workflow_forbids_creating_approved_invoices() -> None:
    async with visiting(approval_workflow=True) as visitor:
        assert refusal(await visitor.create_invoice(invoiceStatusCode="AP-RMALLOC"))[0] == "invoiceStatusCode"
        stored(await visitor.create_invoice())


async def test_resolution_is_written_back_and_hold_released() -> None:
    async with visiting() as visitor:
        priced = {"receiverMatchingLines": [match(price=Decimal("12.5"))], "originalAmountTC": 625}
        record = stored(await visitor.create_invoice(**priced))
        changes = {"customShort1": "AP-17", "customShort2": "accepted", "customNote": "ok", "holdAmountTC": 0}
        changed = stored(await visitor.update_invoice(record, **changes))
        assert (changed["customShort1"], changed["customShort2"], changed["holdAmountTC"]) == ("AP-17", "accepted", 0)
        assert (changed["customShort0"], changed["receiverMatchingStatus"]) == (TOKEN, "FINISHED")
        assert (await visitor.truth())["matched"] == {"PO100001/1": 50}


async def test_partial_update_wipes_token_matching_and_hold() -> None:
    async with visiting() as visitor:
        record = stored(await visitor.create_invoice())
        kept = {
            name: record[name]
            for name in invoice()
            if name not in ("customShort0", "receiverMatchingLines", "supplierInvoicePOs", "description")
        }
        changed = stored(await visitor.update_invoice(kept, concurrencyHash=record["concurrencyHash"]))
        assert (changed["customShort0"], changed["description"], changed["receiverMatchingLines"]) == ("", "", [])
        assert changed["receiverMatchingStatus"] == "INITIAL"
        truth = await visitor.truth()
        assert (truth["invoices_by_token"], truth["matched"]) == ({}, {})


async def test_refused_update_keeps_the_receipts_taken() -> None:
    async with visiting() as visitor:
        record = stored(await visitor.create_invoice())
        assert refusal(await visitor.update_invoice(record, originalAmountTC=1)) == ("originalAmountTC", NO_SUM)
        assert refusal(await other(visitor, "B"))[1] == EXCEEDS


@pytest.mark.parametrize(
    ("verb", "undo", "message"),
    [
        ("submit_for_approval", "submitted", "Invoice is submitted for approval and cannot be modified"),
        ("select_for_payment", "selected", "Invoice is selected for payment and cannot be modified"),
    ],
)
async def test_invoice_in_approval_or_payment_run_cannot_be_modified(verb: str, undo: str, message: str) -> None:
    async with visiting() as visitor:
        key = invoice_key(stored(await visitor.create_invoice()))
        await visitor.do(verb, **key)
        record = await visitor.get("supplierInvoices", **key)
        assert (record["disallowedActions"], record["disallowedActionsMessage"]) == ("MODIFY", message)
        assert refusal(await visitor.update_invoice(record, customNote="x")) == ("", message)
        by_voucher = await visitor.post("supplierInvoices", invoice(**key))
        assert refusal(by_voucher) == ("", message)
        await visitor.do(verb, **key, **{undo: False})
        record = await visitor.get("supplierInvoices", **key)
        assert stored(await visitor.update_invoice(record, customNote="x"))["customNote"] == "x"


async def test_invoice_keyed_by_hand_carries_no_token_and_takes_receipts() -> None:
    async with visiting() as visitor:
        keyed = await visitor.do(
            "key_invoice_by_hand",
            invoiceReference="INV-20418",
            originalAmountTC=600,
            receiverMatchingLines=[match()],
        )
        assert keyed["voucher"] == 10001
        answer = await visitor.create_invoice()
        assert refusal(answer)[1] == EXCEEDS
        (seen,) = (await visitor.truth())["invoices"]
        assert (seen["token"], seen["reference"]) == ("", "INV-20418")


async def test_deleted_initial_invoice_frees_what_it_took() -> None:
    async with visiting() as visitor:
        record = stored(await visitor.create_invoice(receiverMatchingLines=[], invoiceStatusCode="AP-INITIAL"))
        await visitor.do("delete_initial_invoice", **invoice_key(record))
        assert (await visitor.truth())["invoices"] == []
        again = await visitor.create_invoice()
        assert "supplementaryMessages" not in again
        answer = await visitor.http.post("/_sandbox/do/delete_initial_invoice", json=invoice_key(stored(again)))
        assert answer.status_code == 400
