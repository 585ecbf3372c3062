"""Payments of the ERP on Coupa's invoices: appended once, taken back by their opposite, and the flag that follows."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

import httpx
import pytest

from ml_connector.domain.records import Unreadable
from ml_connector.domain.writes import Absent, Done, Doubt, Found, NotSent, Order, Refused, Sent
from ml_connector.errors import PermissionDeniedError
from ml_connector.systems.coupa.ports import InvoicePayments, InvoiceToPay, PaidFlag, PaymentEntry, invoices_to_pay
from tests.systems.coupa_server import StandIn, order, stand_in
from tests.systems.stopping import stopped_by

OURS, OTHER = "TOKN234567ABCDEFGHIJ", "OTHR234567ABCDEFGHIJ"


def billed(number: int, **changes: Any) -> dict[str, Any]:
    line = {"description": "Widget", "price": "108.00", "quantity": "1.0"}
    base = {"id": number, "currency": {"code": "USD"}, "supplier": {"number": "SUP00001"}, "invoice-lines": [line]}
    return base | changes


def payment(invoice: int = 1, amount: str = "108.00", token: str = OURS, **changes: Any) -> Order:
    payload = {"invoice": str(invoice), "token": token, "amount": amount, "discount": "0"}
    payload |= {"paid_on": "2026-03-04", "notes": "Check 100234"} | changes
    return order(invoice, external_id=f"q:payment:{invoice}:{token}", token=token, payload=payload, target_id="")


def flag(invoice: int = 1, amount: str = "108.00", token: str = OURS) -> Order:
    payload = {"invoice": str(invoice), "token": token, "amount": amount}
    return order(invoice, external_id=f"q:paid:{invoice}:{token}", token=token, payload=payload)


async def pay(coupa: StandIn, *orders: Order) -> Sent:
    """Send payments and then the flags that follow from them; the answer to the last payment."""
    sent = await InvoicePayments(coupa.client).send(orders)
    flags = [flag(int(one.payload["invoice"]), one.payload["amount"], one.token) for one in orders]
    for answer in (await PaidFlag(coupa.client).send(flags)).values():
        assert isinstance(answer, Done), answer
    return sent[orders[-1].external_id]


async def entries(coupa: StandIn, number: int = 1) -> list[tuple[str, str]]:
    """Amount and notes of the payment entries as Coupa keeps them."""
    return [(one["amount-paid"], one["notes"]) for one in (await coupa.row("invoices", number))["payments"]]


async def test_a_payment_is_appended_and_found() -> None:
    async with stand_in() as coupa:
        await coupa.seed(invoices=[billed(1)])
        target = InvoicePayments(coupa.client)
        one = payment()
        assert await target.find([one]) == {one.external_id: Absent()}
        assert await target.send([one]) == {one.external_id: Done(f"1#{OURS}")}
        assert await target.find([one]) == {one.external_id: Found(f"1#{OURS}")}
        assert await entries(coupa) == [("108.00", f"{OURS} Check 100234")]
        (entry,) = (await coupa.row("invoices", 1))["payments"]
        assert entry["payment-date"] == "2026-03-04T00:00:00-08:00"


async def test_a_lost_reply_appends_only_once() -> None:
    async with stand_in() as coupa:
        await coupa.seed(invoices=[billed(1)])
        coupa.wire.lose_replies = 1
        target, one = InvoicePayments(coupa.client), payment()
        assert isinstance((await target.send([one]))[one.external_id], Doubt)
        assert isinstance((await target.find([one]))[one.external_id], Found)
        assert await target.send([one]) == {one.external_id: Done(f"1#{OURS}")}
        assert len(coupa.sent("PUT")) == len(await entries(coupa)) == 1


async def test_the_last_of_two_part_payments_sets_the_flag() -> None:
    async with stand_in() as coupa:
        await coupa.seed(invoices=[billed(1)])
        await pay(coupa, payment(amount="50.00"))
        assert (await coupa.row("invoices", 1))["paid"] is False
        await pay(coupa, payment(amount="58.00", token=OTHER, paid_on="2026-03-05"))
        row = await coupa.row("invoices", 1)
        assert (row["paid"], row["payment-date"]) == (True, "2026-03-05T00:00:00-08:00")
        assert [amount for amount, _ in await entries(coupa)] == ["50.00", "58.00"]


async def test_a_void_is_a_negative_entry_and_takes_the_flag_back() -> None:
    async with stand_in() as coupa:
        await coupa.seed(invoices=[billed(1)])
        await pay(coupa, payment())
        await pay(coupa, payment(amount="0", notes="Void of check 100234"))
        row = await coupa.row("invoices", 1)
        assert (row["paid"], row["payment-date"]) == (False, None)
        await pay(coupa, payment())
        assert await entries(coupa) == [
            ("108.00", f"{OURS} Check 100234"),
            ("-108.00", f"{OURS} Void of check 100234"),
            ("108.00", f"{OURS} Check 100234"),
        ]
        assert (await coupa.row("invoices", 1))["paid"] is True


async def test_a_corrected_amount_appends_the_difference() -> None:
    async with stand_in() as coupa:
        await coupa.seed(invoices=[billed(1)])
        await pay(coupa, payment(amount="100.00"))
        await pay(coupa, payment(amount="98.5", discount="2.00"))
        assert [amount for amount, _ in await entries(coupa)] == ["100.00", "-1.50"]


async def test_a_discount_is_a_second_entry_of_the_same_request() -> None:
    async with stand_in() as coupa:
        await coupa.seed(invoices=[billed(1)])
        await pay(coupa, payment(discount="8.00", notes="x" * 300))
        (first, second) = await entries(coupa)
        assert (first[0], second[0]) == ("100.00", "8.00")
        assert all(notes.startswith(f"{OURS} xxx") and len(notes) == 255 for _, notes in (first, second))
        assert second[1].endswith("xxx, discount")
        assert [len(body.get("payments", ())) for body in coupa.bodies()] == [2, 0]
        assert (await coupa.row("invoices", 1))["paid"] is True


async def test_what_is_all_discount_is_one_entry() -> None:
    async with stand_in() as coupa:
        await coupa.seed(invoices=[billed(1)])
        await pay(coupa, payment(amount="8.00", discount="8.00"))
        assert await entries(coupa) == [("8.00", f"{OURS} Check 100234, discount")]


async def test_entries_of_others_are_left_alone_and_count_for_the_flag_only() -> None:
    async with stand_in() as coupa:
        await coupa.seed(invoices=[billed(1)])
        by_hand = {"amount-paid": "58.00", "notes": "cash", "payment-date": "2026-03-05T00:00:00-08:00"}
        await coupa.admin("do/add_payment_by_hand", id=1, **by_hand)
        found = await InvoicePayments(coupa.client).find([payment(amount="58.00")])
        assert set(found.values()) == {Absent()}
        await pay(coupa, payment(amount="50.00"))
        row = await coupa.row("invoices", 1)
        assert (row["paid"], row["payment-date"]) == (True, "2026-03-05T00:00:00-08:00")
        await pay(coupa, payment(amount="0"))
        assert (await coupa.row("invoices", 1))["paid"] is False
        assert [amount for amount, _ in await entries(coupa)] == ["58.00", "50.00", "-50.00"]


async def test_two_payments_of_one_invoice_go_one_after_another_and_set_the_flag_once() -> None:
    async with stand_in() as coupa:
        await coupa.seed(invoices=[billed(1)])
        await pay(coupa, payment(amount="50.00"), payment(amount="58.00", token=OTHER))
        assert [amount for amount, _ in await entries(coupa)] == ["50.00", "58.00"]
        assert [body for body in coupa.bodies() if "paid" in body] == [
            {"paid": True, "payment-date": "2026-03-04T00:00:00-08:00"}
        ]


async def test_the_same_payment_twice_in_one_sending_is_appended_once() -> None:
    async with stand_in() as coupa:
        await coupa.seed(invoices=[billed(1)])
        sent = await InvoicePayments(coupa.client).send([payment(), replace(payment(), external_id="again")])
        assert list(sent.values()) == [Done(f"1#{OURS}")] * 2
        assert len(await entries(coupa)) == 1


async def test_a_flag_that_is_right_is_not_written() -> None:
    async with stand_in() as coupa:
        await coupa.seed(invoices=[billed(1, paid=True, payments=[{"amount-paid": "108.00", "notes": OURS}])])
        target = PaidFlag(coupa.client)
        assert await target.find([flag()]) == {flag().external_id: Found(f"1#{OURS}")}
        assert await target.send([flag()]) == {flag().external_id: Done(f"1#{OURS}")}
        assert coupa.bodies() == []
        # It suits the entries, but not yet those that the payment is about to have.
        assert await target.find([flag(amount="0")]) == {flag().external_id: Absent()}


async def test_a_hundred_and_twenty_payments_are_read_in_three_calls() -> None:
    async with stand_in() as coupa:
        await coupa.seed(invoices=[billed(number) for number in range(1, 121)])
        orders = [payment(number) for number in range(1, 121)]
        sent = await InvoicePayments(coupa.client).send(orders)
        assert all(isinstance(answer, Done) for answer in sent.values())
        assert (len(coupa.sent("GET")), len(coupa.sent("PUT"))) == (3, 120)


async def test_an_answer_without_the_entry_is_a_doubt() -> None:
    async with stand_in() as coupa:
        await coupa.seed(invoices=[billed(1)])
        coupa.wire.dropped = {"payments"}
        (answer,) = (await InvoicePayments(coupa.client).send([payment()])).values()
        assert answer == Doubt("the answer shows 0 of 108.00 paid with this token")


@pytest.mark.parametrize(
    ("member", "code"), [("paid", "paid_ignored"), ("payment-date", "payment_date_ignored")]
)
async def test_a_flag_or_date_that_is_ignored_is_a_refusal(member: str, code: str) -> None:
    async with stand_in() as coupa:
        await coupa.seed(invoices=[billed(1)])
        await InvoicePayments(coupa.client).send([payment()])
        coupa.wire.dropped = {member}
        (answer,) = (await PaidFlag(coupa.client).send([flag()])).values()
        assert isinstance(answer, Refused)
        assert answer.code == code


async def test_what_cannot_be_paid_is_refused_and_stops_nobody() -> None:
    async with stand_in() as coupa:
        seeded = [billed(1), billed(2), billed(3, **{"total-with-taxes": None, "gross-total": None})]
        await coupa.seed(invoices=seeded)
        await coupa.admin("do/refuse_updates", id=2, message="Billing account is inactive")
        orders = [payment(number) for number in (1, 2, 3, 4)]
        sent = await InvoicePayments(coupa.client).send(orders)
        assert [sent[one.external_id] for one in orders] == [
            Done(f"1#{OURS}"),
            Refused("inactive_reference", "invoice: Billing account is inactive"),
            Refused("unreadable_invoice", "total-with-taxes: missing"),
            Refused("not_found", "Coupa shows no invoice with this id"),
        ]
        found = await InvoicePayments(coupa.client).find(orders)
        assert [type(found[one.external_id]) for one in orders] == [Found, Absent, Absent, Absent]


async def test_nothing_is_sent_when_the_invoices_cannot_be_read() -> None:
    async with stand_in() as coupa:
        await coupa.seed(invoices=[billed(1)])
        coupa.wire.faults = [httpx.Response(503), httpx.Response(503)]
        (answer,) = (await InvoicePayments(coupa.client).send([payment()])).values()
        assert isinstance(answer, NotSent)
        coupa.wire.faults = [httpx.Response(403)]
        with stopped_by(PermissionDeniedError, match=r"core\.invoice\.read"):
            await InvoicePayments(coupa.client).send([payment()])
        assert coupa.sent("PUT") == []


async def test_a_wrong_time_zone_is_noted_and_moves_the_flag_no_further() -> None:
    async with stand_in(time_zone="UTC") as coupa:
        await coupa.seed(invoices=[billed(1)])
        answer = await pay(coupa, payment())
        assert answer == Done(f"1#{OURS}", notes=("payment_date_shown:2026-03-03",))
        row = await coupa.row("invoices", 1)
        assert (row["paid"], row["payment-date"]) == (True, "2026-03-03T16:00:00-08:00")
        assert isinstance((await PaidFlag(coupa.client).find([flag()]))[flag().external_id], Found)


async def test_an_entry_added_while_the_flag_is_written_is_a_doubt() -> None:
    async with stand_in() as coupa:
        paid = {"amount-paid": "108.00", "notes": OURS, "payment-date": "2026-03-04T00:00:00-08:00"}
        await coupa.seed(invoices=[billed(1, payments=[paid])])
        shown = {"id": 1, "status": "approved", "total-with-taxes": "108.00", "paid": True, "payments": [paid] * 2}
        shown["payments"][1] = paid | {"amount-paid": "-8.00"}
        await coupa.client.who_am_i()
        coupa.wire.faults = [None, httpx.Response(200, json=shown)]
        (answer,) = (await PaidFlag(coupa.client).send([flag()])).values()
        assert answer == Doubt("somebody added a payment entry meanwhile")


async def test_an_invoice_as_a_payment_sees_it() -> None:
    async with stand_in() as coupa:
        paid = {"amount-paid": "8.00", "notes": "cash", "payment-date": "2026-03-04T00:00:00-08:00"}
        bad = {"total-with-taxes": None, "gross-total": None}
        await coupa.seed(invoices=[billed(1, payments=[paid], **{"invoice-number": "INV 7/1"}), billed(2, **bad)])
        found = await invoices_to_pay(coupa.client, ["1", "2", "3", "no-id"])
        assert found == {
            "1": InvoiceToPay(
                key="1",
                number="INV 7/1",
                status="approved",
                payment_channel="ERP",
                currency="USD",
                digits=2,
                total=Decimal("108.00"),
                paid=False,
                paid_in_full_on=None,
                entries=(PaymentEntry(Decimal("8.00"), "cash", date(2026, 3, 4), "2026-03-04T00:00:00-08:00"),),
            ),
            "2": Unreadable("2", "total-with-taxes: missing"),
        }


@pytest.mark.parametrize(
    ("total", "paid", "digits", "settled"),
    [
        ("108.00", ["108.00"], 2, True),
        ("108.00", ["107.99"], 2, False),
        ("108.00", ["50", "58.004"], 2, True),
        ("108.00", ["-108.00"], 2, False),
        ("-108.00", ["-108.00"], 2, True),
        ("-108.00", ["-50"], 2, False),
        ("-108.00", [], 2, False),
        ("108.005", ["108.004"], 3, False),
        ("108.4", ["108"], 0, True),
        ("0.00", [], 2, True),
        ("0.00", ["5", "-5"], 2, True),
    ],
)
def test_an_invoice_is_settled_when_its_entries_reach_the_total(
    total: str, paid: list[str], digits: int, settled: bool
) -> None:
    listed = tuple(PaymentEntry(Decimal(amount), "", None) for amount in paid)
    one = InvoiceToPay("1", "", "approved", "ERP", "USD", digits, Decimal(total), False, None, listed)
    assert one.settled is settled


def test_an_empty_token_is_never_summed() -> None:
    one = InvoiceToPay("1", "", "approved", "ERP", "USD", 2, Decimal(1), False, None, ())
    with pytest.raises(ValueError, match="empty token"):
        one.net("")
