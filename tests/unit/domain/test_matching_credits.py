"""Returns, credit notes and replacements: what went back is not paid, and no credit exceeds what was posted."""

from __future__ import annotations

from decimal import Decimal

from ml_connector.domain.matching import Reserved, match_invoice
from ml_connector.domain.outcomes import Claim, Verdict
from tests.unit.domain.scenes import (
    PO,
    POSTED_50,
    allotted,
    amount,
    codes,
    credit,
    foreign,
    invoice,
    pieces,
    receipt,
    texts,
    used_by,
    world,
)


def test_does_not_pay_for_goods_that_went_back() -> None:
    context = world(receipt("RC1", 50), receipt("RT1", -10, day=2))
    assert texts(match_invoice(invoice(pieces(50)), context)) == [
        "no goods receipt posted for PO PO100001 line 1: billed 50, available 40"
    ]
    assert allotted(match_invoice(invoice(pieces(40)), context)) == [(1, "RC1", "40", False)]


def test_never_shows_less_than_nothing_as_available() -> None:
    context = world(receipt("RC1", 50), receipt("RT1", -10, day=2), reserved=POSTED_50)
    assert texts(match_invoice(invoice(pieces(5)), context)) == [
        "no goods receipt posted for PO PO100001 line 1: billed 5, available 0"
    ]


def test_matches_a_credit_note_with_the_return_it_is_for() -> None:
    context = world(receipt("RC1", 50), receipt("RT1", -10, day=2), reserved=POSTED_50)
    decision = match_invoice(credit(pieces(10)), context)
    assert decision.claims == (Claim("10USA", PO, 1, Decimal(-10), Decimal(40)),)
    assert allotted(decision) == [(1, "RT1", "10", True)]


def test_matches_one_return_with_one_credit_note_only() -> None:
    goods = [receipt("RC1", 50), receipt("RT1", -10, day=2)]
    first = match_invoice(credit(pieces(10)), world(*goods, reserved=POSTED_50))
    receivers = {**POSTED_50.receivers, **used_by(first).receivers}
    second = match_invoice(credit(pieces(10)), world(*goods, reserved=Reserved(Decimal(40), Decimal(40), receivers)))
    assert allotted(first) == [(1, "RT1", "10", True)]
    assert allotted(second) == [(1, "", "10", False)]


def test_follows_goods_out_and_in_again() -> None:
    """50 are received and billed, 10 go back and are credited, 10 come again and are billed again."""
    goods = [receipt("RC1", 50), receipt("RT1", -10, day=2)]
    billed = match_invoice(invoice(pieces(50)), world(goods[0]))
    too_early = match_invoice(invoice(pieces(10)), world(*goods, reserved=used_by(billed)))
    credited = match_invoice(credit(pieces(10)), world(*goods, reserved=used_by(billed)))
    goods.append(receipt("RC2", 10, day=3))
    replaced = match_invoice(invoice(pieces(10)), world(*goods, reserved=used_by(billed, credited)))
    everything = used_by(billed, credited, replaced)
    assert codes(too_early) == ["receipt_missing"]
    assert allotted(credited) == [(1, "RT1", "10", True)]
    assert allotted(replaced) == [(1, "RC2", "10", True)]
    assert everything.total == 50
    assert everything.receivers == {"RC1": 50, "RT1": -10, "RC2": 10}
    assert codes(match_invoice(invoice(pieces(1)), world(*goods, reserved=everything))) == ["receipt_missing"]


def test_does_not_bill_a_replacement_before_the_return_is_credited() -> None:
    goods = [receipt("RC1", 50), receipt("RT1", -10, day=2), receipt("RC2", 10, day=3)]
    assert codes(match_invoice(invoice(pieces(10)), world(*goods, reserved=POSTED_50))) == ["receipt_missing"]


def test_waits_when_a_credit_freed_quantity_but_no_receiver_has_any_left() -> None:
    credited = Reserved(Decimal(40), Decimal(40), {"RC1": Decimal(50)})
    decision = match_invoice(invoice(pieces(10)), world(receipt("RC1", 50), reserved=credited))
    assert codes(decision) == ["receipt_missing"]


def test_credits_a_price_without_a_return_to_an_account() -> None:
    decision = match_invoice(credit(pieces(10, "1.50")), world(receipt("RC1", 50), reserved=POSTED_50))
    assert allotted(decision) == [(1, "", "10", False)]
    assert [part.unit_price for part in decision.allotments] == [Decimal("1.50")]
    assert decision.claims == (Claim("10USA", PO, 1, Decimal(-10), Decimal(50)),)


def test_credits_to_an_account_what_the_returns_do_not_cover() -> None:
    context = world(receipt("RC1", 50), receipt("RT1", -4, day=2), reserved=POSTED_50)
    assert allotted(match_invoice(credit(pieces(10)), context)) == [(1, "", "10", False)]


def test_spreads_the_lines_of_a_credit_over_the_returns_oldest_first() -> None:
    goods = [receipt("RC1", 50), receipt("RT2", -6, day=3), receipt("RT1", -4, day=2)]
    decision = match_invoice(credit(pieces(5), pieces(5, number=2)), world(*goods, reserved=POSTED_50))
    assert allotted(decision) == [(1, "RT1", "4", True), (1, "RT2", "1", False), (2, "RT2", "5", False)]
    assert decision.claims == (Claim("10USA", PO, 1, Decimal(-10), Decimal(40)),)


def test_treats_an_invoice_with_a_negative_total_as_a_credit() -> None:
    context = world(receipt("RC1", 50), receipt("RT1", -10, day=2), reserved=POSTED_50)
    written_negative = match_invoice(invoice(pieces(-10, "12")), context)
    assert written_negative == match_invoice(credit(pieces(10, "12")), context)
    assert [part.unit_price for part in written_negative.allotments] == [Decimal(12)]


def test_turns_a_credited_amount_into_a_quantity_too() -> None:
    decision = match_invoice(invoice(amount("-120")), world(receipt("RC1", 50), reserved=POSTED_50))
    assert decision.claims == (Claim("10USA", PO, 1, Decimal(-10), Decimal(50)),)


def test_holds_a_credit_beyond_what_was_posted() -> None:
    decision = match_invoice(credit(pieces(51)), world(receipt("RC1", 60), reserved=POSTED_50))
    assert decision.verdict is Verdict.HELD
    assert texts(decision) == ["credit on PO PO100001 line 1 is 51, more than the 50 we posted there"]
    assert match_invoice(credit(pieces(50)), world(receipt("RC1", 60), reserved=POSTED_50)).ready


def test_holds_a_credit_when_its_lines_together_are_beyond_what_was_posted() -> None:
    decision = match_invoice(credit(pieces(30), pieces(30, number=2)), world(reserved=POSTED_50))
    assert texts(decision) == ["credit on PO PO100001 line 1 is 30, more than the 20 we posted there"]


def test_never_shows_less_than_nothing_as_posted() -> None:
    decision = match_invoice(credit(pieces(60), pieces(1, number=2)), world(reserved=POSTED_50))
    assert texts(decision) == [
        "credit on PO PO100001 line 1 is 60, more than the 50 we posted there",
        "credit on PO PO100001 line 1 is 1, more than the 0 we posted there",
    ]


def test_holds_a_credit_for_an_invoice_that_is_still_on_its_way() -> None:
    on_its_way = Reserved(Decimal(50), Decimal(0), {"RC1": Decimal(50)})
    decision = match_invoice(credit(pieces(10)), world(receipt("RC1", 50), reserved=on_its_way))
    assert texts(decision) == ["credit on PO PO100001 line 1 is 10, more than the 0 we posted there"]


def test_holds_a_credit_where_nothing_of_ours_was_ever_posted() -> None:
    decision = match_invoice(credit(pieces(10)), world(receipt("RC1", 50), others=[foreign(50, "RC1")]))
    assert codes(decision) == ["credit_exceeds_posted"]


def test_credits_what_a_stranger_returned_to_nobody_but_the_stranger() -> None:
    goods = [receipt("RC1", 50), receipt("RC2", 50, day=2), receipt("RT1", -10, day=3)]
    ours = Reserved(Decimal(50), Decimal(50), {"RC2": Decimal(50)})
    context = world(*goods, reserved=ours, others=[foreign(50, "RC1"), foreign(-10, "RT1")])
    assert allotted(match_invoice(credit(pieces(10)), context)) == [(1, "", "10", False)]
