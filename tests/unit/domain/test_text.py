"""Descriptions are shortened in one way only: one line, and an ellipsis where something is missing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml_connector.domain.text import ELLIPSIS, shortened
from tests.unit.domain.scenes import steady


@pytest.mark.parametrize(
    ("text", "limit", "expected"),
    [
        ("Bolts M8", 8, "Bolts M8"),
        ("Bolts M10", 8, "Bolts M…"),
        ("Bolts and nuts", 7, "Bolts…"),
        ("Größe 10", 5, "Größ…"),
        ("ab", 1, "…"),
        ("a", 1, "a"),
        ("", 1, ""),
    ],
)
def test_cuts_what_is_too_long_and_says_so(text: str, limit: int, expected: str) -> None:
    assert shortened(text, limit) == expected


def test_puts_a_text_on_one_line_before_it_measures() -> None:
    assert shortened("  Bolts\r\n\tand   nuts \n", 14) == "Bolts and nuts"
    assert shortened(" \n\t ", 5) == ""


@steady
@given(st.text(), st.integers(1, 60))
def test_fits_the_field_whatever_the_text(text: str, limit: int) -> None:
    result = shortened(text, limit)
    assert len(result) <= limit
    assert len(result.splitlines()) <= 1
    assert result == " ".join(text.split()) or result.endswith(ELLIPSIS)


@steady
@given(st.text(), st.integers(1, 60))
def test_shortens_a_shortened_text_no_further(text: str, limit: int) -> None:
    once = shortened(text, limit)
    assert shortened(once, limit) == once


@steady
@given(st.text(min_size=1), st.integers(1, 60))
def test_keeps_the_beginning_and_invents_nothing(text: str, limit: int) -> None:
    kept = shortened(text, limit).removesuffix(ELLIPSIS)
    assert " ".join(text.split()).startswith(kept)
