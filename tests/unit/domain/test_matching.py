"""The three-way match, told as the stories that happen between a supplier, a warehouse and an accounts desk."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from ml_connector.domain.matching import Reserved, match_invoice
from ml_connector.domain.outcomes import READY, Claim, Verdict
from ml_connector.domain.records import PurchaseOrder, SupplierInvoice
from tests.unit.domain.scenes import (
    PO,
    POSTED_50,
    allotted,
    amount,
    codes,
    credit,
    foreign,
    invoice,
    order,
    pieces,
    receipt,
    texts,
    used_by,
    world,
)

# ---- receipts


def test_posts_an_invoice_that_its_receipt_covers() -> None:
    decision = match_invoice(invoice(pieces(50)), world(receipt("RC1", 60)))
    assert decision.ready
    assert decision.claims == (Claim("10USA", PO, 1, Decimal(50), Decimal(60)),)
    assert allotted(decision) == [(1, "RC1", "50", False)]


def test_holds_an_invoice_until_its_receipt_posts() -> None:
    early = match_invoice(invoice(pieces(50)), world())
    assert early.verdict is Verdict.HELD
    assert texts(early) == ["no goods receipt posted for PO PO100001 line 1: billed 50, available 0"]
    assert (early.claims, early.allotments) == ((), ())
    assert match_invoice(invoice(pieces(50)), world(receipt("RC1", 50))).ready


def test_holds_an_order_without_any_receipt_like_one_with_too_few() -> None:
    bare = replace(world(), receipts={})
    assert texts(match_invoice(invoice(pieces(50)), bare)) == texts(match_invoice(invoice(pieces(50)), world()))


def test_lets_two_invoices_share_a_receipt_of_50_but_not_a_third() -> None:
    goods = receipt("RC1", 50)
    first = match_invoice(invoice(pieces(30)), world(goods))
    second = match_invoice(invoice(pieces(20)), world(goods, reserved=used_by(first)))
    third = match_invoice(invoice(pieces(1)), world(goods, reserved=used_by(first, second)))
    assert allotted(first) == [(1, "RC1", "30", False)]
    # The second takes the rest, but may reach QAD before the first: closing the receipt would refuse that one.
    assert allotted(second) == [(1, "RC1", "20", False)]
    assert texts(third) == ["no goods receipt posted for PO PO100001 line 1: billed 1, available 0"]


@pytest.mark.parametrize("posted", [True, False])
def test_pays_one_receipt_of_50_once_whether_the_first_invoice_is_posted_or_on_its_way(posted: bool) -> None:
    goods = receipt("RC1", 50)
    first = match_invoice(invoice(pieces(50)), world(goods))
    second = match_invoice(invoice(pieces(50)), world(goods, reserved=used_by(first, posted=posted)))
    assert first.ready
    assert codes(second) == ["receipt_missing"]


def test_gives_back_what_a_refused_invoice_took() -> None:
    goods = receipt("RC1", 50)
    assert match_invoice(invoice(pieces(50)), world(goods)).ready
    assert match_invoice(invoice(pieces(50)), world(goods, reserved=Reserved())).ready


def test_waits_for_the_last_of_three_part_receipts_and_uses_them_oldest_first() -> None:
    parts = [receipt("RC3", 20, day=1), receipt("RC1", 20, day=3), receipt("RC2", 10, day=2)]
    bill = invoice(pieces(45))
    assert texts(match_invoice(bill, world(*parts[1:]))) == [
        "no goods receipt posted for PO PO100001 line 1: billed 45, available 30"
    ]
    decision = match_invoice(bill, world(*parts))
    assert allotted(decision) == [(1, "RC3", "20", True), (1, "RC2", "10", True), (1, "RC1", "15", False)]


def test_uses_receipts_of_one_day_by_their_number() -> None:
    parts = [receipt("RC2", 20), receipt("RC1", 20)]
    assert allotted(match_invoice(invoice(pieces(30)), world(*parts))) == [
        (1, "RC1", "20", True),
        (1, "RC2", "10", False),
    ]


def test_adds_up_two_receipts_under_one_receiver() -> None:
    parts = [receipt("RC1", 20), receipt("RC2", 5, day=2), receipt("RC1", 10, day=3)]
    assert allotted(match_invoice(invoice(pieces(35)), world(*parts))) == [
        (1, "RC1", "30", True),
        (1, "RC2", "5", True),
    ]


def test_does_not_count_the_receipt_of_another_line() -> None:
    context = world(receipt("RC1", 50, po_line=2), purchase_order=order(lines=2))
    assert codes(match_invoice(invoice(pieces(50)), context)) == ["receipt_missing"]
    assert match_invoice(invoice(pieces(50, po_line=2)), context).ready


def test_does_not_use_what_a_stranger_has_matched() -> None:
    goods = [receipt("RC1", 50), receipt("RC2", 50, day=2)]
    context = world(*goods, others=[foreign(30, "RC1"), foreign(20, "RC1")])
    assert allotted(match_invoice(invoice(pieces(50)), context)) == [(1, "RC2", "50", True)]
    assert texts(match_invoice(invoice(pieces(51)), context)) == [
        "no goods receipt posted for PO PO100001 line 1: billed 51, available 50"
    ]


def test_does_not_use_what_a_stranger_has_matched_with_a_receiver_unnamed() -> None:
    context = world(receipt("RC1", 50), others=[foreign(30)])
    assert match_invoice(invoice(pieces(20)), context).claims == (Claim("10USA", PO, 1, Decimal(20), Decimal(20)),)
    assert codes(match_invoice(invoice(pieces(21)), context)) == ["receipt_missing"]


def test_uses_again_what_a_stranger_has_credited() -> None:
    context = world(receipt("RC1", 50), others=[foreign(50, "RC1"), foreign(-50, "RC1")])
    assert match_invoice(invoice(pieces(50)), context).ready


# ---- several lines


def test_counts_two_lines_on_one_order_line_together() -> None:
    goods = [receipt("RC1", 30), receipt("RC2", 20, day=2)]
    decision = match_invoice(invoice(pieces(40), pieces(10, number=2)), world(*goods))
    assert decision.claims == (Claim("10USA", PO, 1, Decimal(50), Decimal(50)),)
    assert allotted(decision) == [(1, "RC1", "30", True), (1, "RC2", "10", False), (2, "RC2", "10", False)]


def test_holds_the_second_of_two_lines_that_want_the_same_goods() -> None:
    decision = match_invoice(invoice(pieces(40), pieces(20, number=2)), world(receipt("RC1", 50)))
    assert texts(decision) == ["no goods receipt posted for PO PO100001 line 1: billed 20, available 10"]
    assert (decision.claims, decision.allotments) == ((), ())


def test_claims_each_order_line_for_itself() -> None:
    goods = [receipt("RC1", 50), receipt("RC1", 7, po_line=2)]
    context = world(*goods, purchase_order=order(lines=2))
    decision = match_invoice(invoice(pieces(50), pieces(5, number=2, po_line=2)), context)
    assert decision.claims == (
        Claim("10USA", PO, 1, Decimal(50), Decimal(50)),
        Claim("10USA", PO, 2, Decimal(5), Decimal(7)),
    )
    assert allotted(decision) == [(1, "RC1", "50", True), (2, "RC1", "5", False)]


def test_holds_the_whole_invoice_and_names_every_line_that_waits() -> None:
    context = world(receipt("RC1", 50), purchase_order=order(lines=3))
    bill = invoice(pieces(50), pieces(5, number=2, po_line=2), pieces(6, number=3, po_line=3))
    assert texts(match_invoice(bill, context)) == [
        "no goods receipt posted for PO PO100001 line 2: billed 5, available 0",
        "no goods receipt posted for PO PO100001 line 3: billed 6, available 0",
    ]


def test_does_not_look_at_lines_without_an_order() -> None:
    assert match_invoice(invoice(pieces(50, po=None)), world()) == READY
    decision = match_invoice(invoice(pieces(50), pieces(9, number=2, po=None)), world(receipt("RC1", 50)))
    assert allotted(decision) == [(1, "RC1", "50", True)]


# ---- prices and amounts


def test_leaves_a_higher_price_to_the_erp() -> None:
    decision = match_invoice(invoice(pieces(50, "12.50")), world(receipt("RC1", 50)))
    assert [part.unit_price for part in decision.allotments] == [Decimal("12.50")]


def test_takes_the_order_price_for_pieces_that_show_none() -> None:
    decision = match_invoice(invoice(pieces(50, None)), world(receipt("RC1", 50)))
    assert [part.unit_price for part in decision.allotments] == [Decimal(12)]


def test_bills_pieces_that_are_free() -> None:
    decision = match_invoice(invoice(pieces(50, "0"), pieces(1, number=2)), world(receipt("RC1", 51)))
    assert [(part.quantity, part.unit_price) for part in decision.allotments] == [
        (Decimal(50), Decimal(0)),
        (Decimal(1), Decimal(12)),
    ]


def test_turns_an_amount_into_a_quantity_at_the_order_price() -> None:
    decision = match_invoice(invoice(amount("606")), world(receipt("RC1", "50.5")))
    assert decision.claims == (Claim("10USA", PO, 1, Decimal("50.5"), Decimal("50.5")),)
    assert [(part.quantity, part.unit_price, part.finished) for part in decision.allotments] == [
        (Decimal("50.5"), Decimal(12), True)
    ]
    assert texts(match_invoice(invoice(amount("606")), world(receipt("RC1", 50)))) == [
        "no goods receipt posted for PO PO100001 line 1: billed 50.5, available 50"
    ]


def test_prices_an_amount_by_the_order_whatever_price_its_line_shows() -> None:
    line = replace(amount("600"), price=Decimal(600))
    decision = match_invoice(invoice(line), world(receipt("RC1", 50)))
    assert [(part.quantity, part.unit_price) for part in decision.allotments] == [(Decimal(50), Decimal(12))]


@pytest.mark.parametrize(
    ("currency", "price", "total", "quantity"),
    [("JPY", "150", "7500", "50"), ("KWD", "0.025", "1.250", "50"), ("USD", "3", "100", "33.3333333333")],
)
def test_turns_amounts_into_quantities_in_any_currency(currency: str, price: str, total: str, quantity: str) -> None:
    context = world(receipt("RC1", 60), purchase_order=order(price=price, currency=currency))
    (claim,) = match_invoice(invoice(amount(total), currency=currency), context).claims
    assert claim.quantity == Decimal(quantity)


def test_rejects_an_amount_on_an_order_line_without_a_price() -> None:
    context = world(receipt("RC1", 50), purchase_order=order(price="0"))
    decision = match_invoice(invoice(amount("600")), context)
    assert decision.verdict is Verdict.REJECTED
    assert texts(decision) == ["PO PO100001 line 1 has no price, so the billed amount cannot be turned into a quantity"]


# ---- the order itself


def test_holds_an_invoice_whose_order_is_not_there_yet() -> None:
    decision = match_invoice(invoice(pieces(50, po="PO2")), world(receipt("RC1", 50)))
    assert decision.verdict is Verdict.HELD
    assert texts(decision) == ["PO PO2 is not in the target system"]


@pytest.mark.parametrize(("po_line", "shown"), [(9, "9"), (None, "?")])
def test_holds_an_invoice_whose_order_line_is_not_there_yet(po_line: int | None, shown: str) -> None:
    decision = match_invoice(invoice(pieces(50, po_line=po_line)), world(receipt("RC1", 50)))
    assert decision.verdict is Verdict.HELD
    assert texts(decision) == [f"PO PO100001 has no line {shown}"]


REFUSALS = [
    (order(status="cancelled"), "PO PO100001 is cancelled"),
    (order(supplier="SUP2"), "PO PO100001 belongs to supplier SUP2, the invoice to SUP1"),
    (order(currency="EUR"), "PO PO100001 is in EUR, the invoice in USD"),
]


@pytest.mark.parametrize("document", [invoice(pieces(50)), credit(pieces(50))], ids=["invoice", "credit"])
@pytest.mark.parametrize(("purchase_order", "text"), REFUSALS, ids=["cancelled", "supplier", "currency"])
def test_rejects_a_document_that_its_order_forbids(
    document: SupplierInvoice, purchase_order: PurchaseOrder, text: str
) -> None:
    decision = match_invoice(document, world(receipt("RC1", 50), purchase_order=purchase_order, reserved=None))
    assert decision.verdict is Verdict.REJECTED
    assert texts(decision) == [text]


def test_does_not_quarrel_with_an_order_that_names_neither_supplier_nor_currency() -> None:
    context = world(receipt("RC1", 50), purchase_order=order(supplier="", currency=""))
    assert match_invoice(invoice(pieces(50)), context).ready


def test_posts_against_a_closed_order_that_was_received_in_full() -> None:
    context = world(receipt("RC1", 50), purchase_order=order(status="closed"))
    assert match_invoice(invoice(pieces(50)), context).ready


def test_rejects_what_a_closed_order_will_never_receive() -> None:
    context = world(receipt("RC1", 40), purchase_order=order(status="closed"))
    decision = match_invoice(invoice(pieces(50)), context)
    assert decision.verdict is Verdict.REJECTED
    assert texts(decision) == ["PO PO100001 is closed and its receipts do not cover line 1: billed 50, available 40"]


def test_credits_against_a_closed_order() -> None:
    context = world(receipt("RC1", 50), purchase_order=order(status="closed"), reserved=POSTED_50)
    assert match_invoice(credit(pieces(10)), context).ready


def test_rejects_rather_than_waits_when_one_line_is_beyond_hope() -> None:
    waiting, priceless = pieces(50), amount("12", number=2, po_line=2)
    both = order(lines=2)
    lines = (both.lines[0], replace(both.lines[1], price=Decimal(0)))
    decision = match_invoice(invoice(waiting, priceless), world(purchase_order=replace(both, lines=lines)))
    assert decision.verdict is Verdict.REJECTED
    assert codes(decision) == ["po_price_missing"]
