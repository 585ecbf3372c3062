"""A document is matched only when it is whole: number, supplier, date, lines, known currency, and sums that agree."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml_connector.domain.documents import DocumentRules, flaws, is_credit, sign
from ml_connector.domain.money import rounded
from ml_connector.domain.records import InvoiceLine, SupplierInvoice
from tests.unit.domain.scenes import CREDIT_NOTE, INVOICE, amount, credit, invoice, pieces, steady

ANY_LENGTH = DocumentRules()
UNITS = {"USD": Decimal("0.01"), "JPY": Decimal(1), "KWD": Decimal("0.001")}


def found(document: SupplierInvoice, rules: DocumentRules = ANY_LENGTH) -> list[str]:
    """The flaws as an analyst reads them."""
    return [one.text for one in flaws(document, rules)]


def line(quantity: str | None, price: str | None, total: str, *, number: int = 1) -> InvoiceLine:
    """A line exactly as written, sound or not."""
    count, each = (None if one is None else Decimal(one) for one in (quantity, price))
    return InvoiceLine(number, "Bolts", Decimal(total), count, each)


# ---- sound documents


@pytest.mark.parametrize(
    "document",
    [
        invoice(pieces(50)),
        invoice(pieces(50), amount("99.99", number=2), tax="7.50", charges={"freight": "12.30", "handling": "1.20"}),
        invoice(pieces(50), charges={"discount": "-5"}),
        invoice(pieces(50), pieces(0, number=2)),
        invoice(line("5", None, "60")),
        credit(pieces(10)),
        credit(pieces(-10)),
        invoice(pieces(-10), tax="-1.20", charges={"freight": "-3"}),
    ],
)
def test_finds_nothing_wrong_with_a_sound_document(document: SupplierInvoice) -> None:
    assert found(document) == []


def test_takes_a_negative_total_for_a_credit_however_it_is_labelled() -> None:
    assert is_credit(invoice(pieces(-10), kind=INVOICE))
    assert is_credit(invoice(pieces(-10), kind=CREDIT_NOTE))
    assert is_credit(invoice(pieces(10), kind=CREDIT_NOTE))
    assert not is_credit(invoice(pieces(10), kind=INVOICE))


def test_tells_in_which_direction_a_document_is_written() -> None:
    assert sign(invoice(pieces(10))) == sign(credit(pieces(10))) == 1
    assert sign(invoice(pieces(-10))) == sign(credit(pieces(-10))) == -1


# ---- what is missing


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"number": ""}, "the invoice has no number"),
        ({"number": " \t"}, "the invoice has no number"),
        ({"supplier_number": " "}, "the supplier has no number, so it cannot be found in the target system"),
        ({"invoice_date": None}, "the invoice has no date"),
        ({"currency": ""}, "currency (none) is not an ISO 4217 code"),
        ({"currency": "usd"}, "currency usd is not an ISO 4217 code"),
        ({"lines": (), "total": Decimal(5), "tax": Decimal(5)}, "the invoice has no lines"),
    ],
)
def test_names_the_one_thing_that_is_missing(change: dict[str, Any], text: str) -> None:
    assert found(replace(invoice(pieces(50)), **change)) == [text]


def test_refuses_an_invoice_over_nothing() -> None:
    assert found(invoice(pieces(10), charges={"discount": "-120"})) == ["the invoice total is zero"]


def test_measures_the_number_against_the_limit_of_the_target() -> None:
    document = replace(invoice(pieces(50)), number="N" * 21)
    assert found(document, DocumentRules(number_length=20)) == [
        "invoice number is longer than the 20 characters of the target"
    ]
    assert found(document, DocumentRules(number_length=21)) == []
    assert found(document) == []


def test_names_everything_that_is_missing_at_once() -> None:
    empty = replace(
        invoice(), number="", supplier_number="", invoice_date=None, currency="ZZZ", lines=(), total=Decimal(0)
    )
    assert [one.code for one in flaws(empty, DocumentRules(number_length=20))] == [
        "number_missing",
        "supplier_number_missing",
        "date_missing",
        "no_lines",
        "zero_total",
        "currency_unknown",
    ]


# ---- sums


def test_compares_a_line_with_quantity_times_price() -> None:
    document = invoice(line("50", "12.50", "620"), line("2", "3", "6", number=2))
    assert found(document) == ["line 1: quantity x price is 625, its total says 620"]


def test_compares_the_total_with_lines_charges_and_tax() -> None:
    sound = invoice(pieces(50), tax="7", charges={"freight": "3"})
    assert found(replace(sound, total=Decimal("610.01"))) == [
        "lines, charges and tax add up to 610, the invoice says 610.01"
    ]
    assert found(replace(sound, tax=Decimal(0))) == ["lines, charges and tax add up to 603, the invoice says 610"]
    assert found(replace(sound, charges=())) == ["lines, charges and tax add up to 607, the invoice says 610"]


def test_names_a_wrong_line_and_a_wrong_total_together() -> None:
    document = replace(invoice(line("5", "10", "40")), total=Decimal(50))
    assert [one.code for one in flaws(document, ANY_LENGTH)] == ["line_total_differs", "total_differs"]


@pytest.mark.parametrize(
    ("currency", "price", "total", "sound"),
    [
        ("USD", "0.335", "1.01", True),  # 1.005 goes up
        ("USD", "0.335", "1.00", False),
        ("JPY", "33.5", "101", True),  # 100.5 goes up: a yen has no cents
        ("JPY", "33.5", "100", False),
        ("KWD", "0.3335", "1.001", True),  # 1.0005 goes up: a dinar has 1000 fils
        ("KWD", "0.3335", "1.00", False),
    ],
)
def test_compares_sums_at_the_exponent_of_the_currency(currency: str, price: str, total: str, sound: bool) -> None:
    document = invoice(line("3", price, total), currency=currency)
    assert (found(document) == []) is sound


# ---- signs


@pytest.mark.parametrize(
    "document",
    [
        invoice(pieces(50), pieces(-1, number=7)),
        invoice(pieces(50), amount("-12", number=7)),
        invoice(pieces(-50), pieces(1, number=7)),
        credit(pieces(50), pieces(-1, number=7)),
        invoice(pieces(50), line("-1", "-12", "12", number=7)),
        invoice(pieces(-50), line("1", "-12", "-12", number=7)),
    ],
)
def test_refuses_a_line_that_runs_against_its_document(document: SupplierInvoice) -> None:
    assert found(document) == ["line 7 has the opposite sign of the document"]


# ---- any document


quantities = st.decimals(min_value="0.001", max_value=9999, places=3)
prices = st.decimals(min_value="0.0001", max_value=9999, places=4)
goods = st.lists(st.tuples(quantities, prices), min_size=1, max_size=5)
currencies = st.sampled_from(sorted(UNITS))
directions = st.sampled_from([1, -1])


def _billed(parts: list[tuple[Decimal, Decimal]], currency: str, direction: int) -> SupplierInvoice:
    lines = [
        InvoiceLine(number, "Bolts", rounded(quantity * price, currency) * direction, quantity * direction, price)
        for number, (quantity, price) in enumerate(parts, start=1)
    ]
    # A charge of 1 keeps tiny prices from adding up to a document over nothing.
    return invoice(*lines, currency=currency, charges={"freight": str(direction)})


@steady
@given(goods, currencies, directions)
def test_accepts_any_document_that_adds_up(parts: list[tuple[Decimal, Decimal]], currency: str, direction: int) -> None:
    assert found(_billed(parts, currency, direction)) == []


@steady
@given(goods, currencies, directions)
def test_notices_the_smallest_coin_in_the_total(
    parts: list[tuple[Decimal, Decimal]], currency: str, direction: int
) -> None:
    document = _billed(parts, currency, direction)
    wrong = replace(document, total=document.total + UNITS[currency] * direction)
    assert [one.code for one in flaws(wrong, ANY_LENGTH)] == ["total_differs"]


@pytest.mark.parametrize("name", ["total", "quantity", "price", "tax"])
@pytest.mark.parametrize("value", ["1E15", "-1E400", "NaN", "Infinity"])
def test_names_the_number_of_a_line_that_cannot_be_booked(name: str, value: str) -> None:
    document = invoice(pieces(50), pieces(10, number=2))
    changes: dict[str, Any] = {name: Decimal(value)}
    odd = replace(document.lines[1], **changes)
    told = [f"line 2 {name} is no amount or quantity that can be booked"]
    assert found(replace(document, lines=(document.lines[0], odd))) == told
