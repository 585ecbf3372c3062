"""Reasons read as sentences with document numbers, and of several decisions the gravest one stands."""

from __future__ import annotations

from decimal import Decimal
from string import Formatter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml_connector.domain.outcomes import (
    READY,
    Allotment,
    Claim,
    Decision,
    Outcome,
    Verdict,
    held,
    rejected,
    skipped,
    worst,
)
from ml_connector.domain.reasons import TEXTS, Reason, reason
from ml_connector.domain.writes import Done, Found, Order, Refused
from tests.unit.domain.scenes import codes, steady

NO_PO = reason("po_missing", po="PO1")
NO_RECEIPT = reason("receipt_missing", po="PO2", line=1, billed="50", available="20")
CANCELLED = reason("po_cancelled", po="PO3")
DRAFT = reason("filter_status", status="draft")


# ---- reasons


@pytest.mark.parametrize("code", sorted(TEXTS))
def test_every_reason_becomes_one_sentence_with_all_its_numbers(code: str) -> None:
    gaps = [name for _, name, _, _ in Formatter().parse(TEXTS[code]) if name]
    text = reason(code, **{name: f"<{name}>" for name in gaps}).text
    assert all(f"<{name}>" in text for name in gaps)
    assert "{" not in text
    assert "\n" not in text


@pytest.mark.parametrize("code", sorted(TEXTS))
def test_every_reason_stays_readable_when_an_old_row_lacks_its_numbers(code: str) -> None:
    gaps = [name for _, name, _, _ in Formatter().parse(TEXTS[code]) if name]
    assert Reason(code).text.count("?") == TEXTS[code].count("?") + len(gaps)


def test_says_what_an_analyst_needs_to_find_the_receipt() -> None:
    text = "no goods receipt posted for PO PO2 line 1: billed 50, available 20"
    assert NO_RECEIPT.text == text
    assert NO_RECEIPT.params == {"po": "PO2", "line": "1", "billed": "50", "available": "20"}


def test_takes_a_code_of_the_target_as_a_number_to_show() -> None:
    assert reason("target_refused", effect="create", code="E-17").text == "the target refused create: E-17"


def test_shows_braces_in_a_document_number_as_they_are() -> None:
    assert reason("po_missing", po="{line}").text == "PO {line} is not in the target system"


def test_refuses_a_code_that_nobody_wrote_a_sentence_for() -> None:
    with pytest.raises(ValueError, match="unknown reason code lost"):
        Reason("lost")


# ---- outcomes and decisions


def test_knows_the_seven_outcomes_of_a_record() -> None:
    assert [one.value for one in Outcome] == [
        "created",
        "updated",
        "unchanged",
        "held",
        "rejected",
        "in_doubt",
        "skipped",
    ]


def test_only_a_ready_record_may_be_written() -> None:
    assert READY.ready
    assert not any(one.ready for one in (held(NO_PO), rejected(CANCELLED), skipped(DRAFT)))
    assert [one.verdict for one in (held(NO_PO), rejected(CANCELLED), skipped(DRAFT))] == [
        Verdict.HELD,
        Verdict.REJECTED,
        Verdict.SKIPPED,
    ]


@pytest.mark.parametrize(
    ("decisions", "verdict", "reasons"),
    [
        ([], Verdict.READY, []),
        ([READY, READY], Verdict.READY, []),
        ([READY, held(NO_PO)], Verdict.HELD, ["po_missing"]),
        ([held(NO_PO), READY, held(NO_RECEIPT)], Verdict.HELD, ["po_missing", "receipt_missing"]),
        ([held(NO_PO, NO_RECEIPT), rejected(CANCELLED)], Verdict.REJECTED, ["po_cancelled"]),
        ([skipped(DRAFT), rejected(CANCELLED), held(NO_PO), READY], Verdict.SKIPPED, ["filter_status"]),
    ],
)
def test_lets_the_gravest_decision_stand(decisions: list[Decision], verdict: Verdict, reasons: list[str]) -> None:
    decision = worst(decisions)
    assert decision.verdict is verdict
    assert codes(decision) == reasons


def test_brings_together_what_ready_decisions_will_use() -> None:
    first = Claim("10USA", "PO1", 1, Decimal(50), Decimal(60))
    second = Claim("10USA", "PO2", 3, Decimal(5), Decimal(5))
    part = Allotment(1, "PO1", 1, "RC1", Decimal(50), Decimal(12), finished=False)
    other = Allotment(2, "PO2", 3, "RC2", Decimal(5), Decimal(3), finished=True)
    decisions = [
        Decision(Verdict.READY, claims=(first,), allotments=(part,), extra={"supplier": "SUP1"}),
        READY,
        Decision(Verdict.READY, claims=(second,), allotments=(other,), extra={"terms": "N30"}),
    ]
    decision = worst(decisions)
    assert decision.claims == (first, second)
    assert decision.allotments == (part, other)
    assert decision.extra == {"supplier": "SUP1", "terms": "N30"}
    assert worst([READY]).extra is None


def test_uses_nothing_up_for_a_record_that_is_not_ready() -> None:
    claim = Claim("10USA", "PO1", 1, Decimal(50), Decimal(60))
    part = Allotment(1, "PO1", 1, "RC1", Decimal(50), Decimal(12), finished=False)
    ready = Decision(Verdict.READY, claims=(claim,), allotments=(part,), extra={"supplier": "SUP1"})
    decision = worst([ready, held(NO_PO)])
    assert (decision.claims, decision.allotments, decision.extra) == ((), (), None)


@steady
@given(st.lists(st.sampled_from([READY, held(NO_PO), rejected(CANCELLED), skipped(DRAFT)]), max_size=6))
def test_the_order_of_decisions_changes_no_verdict(decisions: list[Decision]) -> None:
    assert worst(decisions).verdict is worst(reversed(decisions)).verdict
    assert worst([worst(decisions), *decisions]).verdict is worst(decisions).verdict


# ---- orders to a target


def test_asks_thoroughly_and_without_a_lane_unless_told_otherwise() -> None:
    plain = Order("ABCD:invoice:1", "K7QM" + "A" * 16, "key", "create", "create", {"amount": "600"})
    assert plain.thorough
    assert (plain.target_id, plain.lane) == ("", "")


def test_a_clean_answer_carries_no_warning() -> None:
    assert (Done("10453").notes, Done("10453").reverse, Found("10453").differs) == ((), False, ())
    assert not Refused("closed_period").waits
