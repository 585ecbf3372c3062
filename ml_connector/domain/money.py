"""Money without surprises: Decimal amounts, ISO 4217 exponents, one rounding rule."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal
from functools import cache

from iso4217 import Currency

ZERO = Decimal(0)


@cache
def exponent(currency: str) -> int | None:
    """Digits after the point of a currency's minor unit (JPY 0, KWD 3); None when ISO 4217 does not know the code."""
    try:
        known = Currency(currency)
    except ValueError:
        return None
    return known.exponent if isinstance(known.exponent, int) else None


def rounded(amount: Decimal, currency: str) -> Decimal:
    """The amount at the currency's exponent, half up as ERP systems print it; the currency must be known."""
    digits = exponent(currency)
    if digits is None:
        raise ValueError(f"unknown currency {currency}")
    return amount.quantize(Decimal(1).scaleb(-digits), rounding=ROUND_HALF_UP)


def plain(number: Decimal) -> str:
    """A number as people write it: no exponent, no trailing zeros."""
    if not number:
        return "0"
    text = format(number, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text
