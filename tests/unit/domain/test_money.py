"""Amounts keep every digit, round half up at the currency's exponent and print as people write them."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml_connector.domain.money import exponent, plain, rounded
from tests.unit.domain.scenes import steady

UNITS = {"USD": Decimal("0.01"), "JPY": Decimal(1), "KWD": Decimal("0.001")}
numbers = st.builds(
    lambda digits, power: Decimal(digits).scaleb(power), st.integers(-(10**12), 10**12), st.integers(-9, 4)
)
currencies = st.sampled_from(sorted(UNITS))


@pytest.mark.parametrize(
    ("currency", "digits"), [("USD", 2), ("EUR", 2), ("JPY", 0), ("KRW", 0), ("KWD", 3), ("BHD", 3), ("CLF", 4)]
)
def test_knows_the_digits_of_a_currency(currency: str, digits: int) -> None:
    assert exponent(currency) == digits


@pytest.mark.parametrize("code", ["", "usd", " USD", "US Dollar", "ZZZ", "840"])
def test_does_not_guess_what_an_unknown_code_means(code: str) -> None:
    assert exponent(code) is None


@pytest.mark.parametrize("code", ["XAU", "XXX"])
def test_takes_no_code_without_a_minor_unit_for_money(code: str) -> None:
    assert exponent(code) is None


@pytest.mark.parametrize(
    ("amount", "currency", "expected"),
    [
        ("1.005", "USD", "1.01"),
        ("-1.005", "USD", "-1.01"),
        ("1.004999", "USD", "1.00"),
        ("2.5", "JPY", "3"),
        ("-2.5", "JPY", "-3"),
        ("1.2345", "KWD", "1.235"),
        ("7", "KWD", "7.000"),
    ],
)
def test_rounds_half_away_from_zero(amount: str, currency: str, expected: str) -> None:
    assert str(rounded(Decimal(amount), currency)) == expected


def test_refuses_to_round_in_an_unknown_currency() -> None:
    with pytest.raises(ValueError, match="unknown currency ZZZ"):
        rounded(Decimal(1), "ZZZ")


@steady
@given(numbers, currencies)
def test_rounding_moves_an_amount_by_half_a_unit_at_most(amount: Decimal, currency: str) -> None:
    result = rounded(amount, currency)
    assert abs(result - amount) * 2 <= UNITS[currency]
    assert result % UNITS[currency] == 0
    assert rounded(result, currency) == result


@steady
@given(numbers, currencies)
def test_rounds_a_credit_like_the_invoice_it_mirrors(amount: Decimal, currency: str) -> None:
    assert rounded(-amount, currency) == -rounded(amount, currency)


@pytest.mark.parametrize(
    ("number", "text"),
    [
        ("12.50", "12.5"),
        ("600.00", "600"),
        ("100", "100"),
        ("1E+3", "1000"),
        ("1E-7", "0.0000001"),
        ("-0.50", "-0.5"),
        ("0.00", "0"),
        ("-0", "0"),
        ("0E-10", "0"),
    ],
)
def test_writes_a_number_as_people_do(number: str, text: str) -> None:
    assert plain(Decimal(number)) == text


@steady
@given(numbers)
def test_writes_every_digit_and_nothing_else(number: Decimal) -> None:
    text = plain(number)
    assert Decimal(text) == number
    assert "E" not in text
    assert not (("." in text and text.endswith("0")) or text.endswith("."))


@steady
@given(numbers, st.integers(0, 6))
def test_writes_equal_numbers_alike(number: Decimal, zeros: int) -> None:
    padded = number.quantize(Decimal(1).scaleb(-9 - zeros))
    assert plain(padded) == plain(number)
