"""Tokens, versions and keys: equal for equal things for ever, different for all others."""

from __future__ import annotations

import hashlib
import re
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml_connector.domain.keys import (
    TOKEN_LENGTH,
    ExternalId,
    canonical,
    digest,
    fingerprint,
    idempotency_key,
    source_version,
    token,
)
from ml_connector.domain.records import DocumentKind, InvoiceLine
from tests.unit.domain.scenes import amount, invoice, pieces, steady

READS = frozenset({"number", "total", "currency", "kind", "invoice_date", "lines", "charges"})
SOURCE = ExternalId("ABCD", "invoice", "20418")
names = st.text(st.characters(codec="utf-8", exclude_characters=":"), min_size=1, max_size=12)
ids = st.builds(ExternalId, names, names, st.text(min_size=1, max_size=30))
tenant_codes = st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", min_size=4, max_size=4)
exact = st.decimals(-(10**12), 10**12, places=4)
leaves = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=8)
trees = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)
# Whatever its shape, there is a float in it.
floating = st.recursive(
    st.floats(),
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=3),
        st.tuples(leaves, inner),
        st.dictionaries(st.text(max_size=5), inner, min_size=1, max_size=3),
        st.builds(lambda value: InvoiceLine(1, "Bolts", value), inner),
    ),
    max_leaves=6,
)


# ---- external id and token


@steady
@given(ids)
def test_reads_an_external_id_back_as_it_was_written(external_id: ExternalId) -> None:
    assert ExternalId.parse(str(external_id)) == external_id


def test_leaves_colons_to_the_key() -> None:
    assert ExternalId.parse("ABCD:payment:10USACO:2026:APINV") == ExternalId("ABCD", "payment", "10USACO:2026:APINV")


@pytest.mark.parametrize("text", ["", "ABCD", "ABCD:invoice"])
def test_reads_no_external_id_out_of_half_of_one(text: str) -> None:
    with pytest.raises(ValueError, match="not enough values"):
        ExternalId.parse(text)


@steady
@given(ids, tenant_codes)
def test_makes_a_token_of_20_characters_that_is_stable(external_id: ExternalId, code: str) -> None:
    mark = token(external_id, code)
    assert len(mark) == TOKEN_LENGTH == 20
    assert mark.startswith(code)
    assert re.fullmatch("[A-Z2-7]{20}", mark)
    assert token(ExternalId.parse(str(external_id)), code) == mark


def test_makes_the_token_that_is_already_in_the_target() -> None:
    assert token(SOURCE, "K7QM") == "K7QMQWNMGUNQIC642X2Q"


@steady
@given(st.lists(ids, min_size=2, max_size=6, unique_by=str), tenant_codes)
def test_gives_two_records_two_tokens(records: list[ExternalId], code: str) -> None:
    assert len({token(one, code) for one in records}) == len(records)


def test_tells_the_tokens_of_two_target_tenants_apart() -> None:
    assert token(SOURCE, "AAAA") != token(SOURCE, "BBBB")


@pytest.mark.parametrize("code", ["", "ABC", "ABCDE"])
def test_takes_only_tenant_codes_of_four_characters(code: str) -> None:
    with pytest.raises(ValueError, match=f"4 characters, not {len(code)}"):
        token(SOURCE, code)


# ---- canonical form


@steady
@given(trees)
def test_writes_a_json_value_without_loss(value: Any) -> None:
    assert orjson.loads(canonical(value)) == value


@steady
@given(st.dictionaries(st.text(max_size=5), trees, max_size=5))
def test_does_not_care_in_which_order_members_come(value: dict[str, Any]) -> None:
    assert canonical(dict(reversed(value.items()))) == canonical(value)


@steady
@given(floating)
def test_never_accepts_a_float(value: Any) -> None:
    with pytest.raises(TypeError, match="a float has no exact value"):
        canonical(value)


@steady
@given(exact, exact, st.integers(0, 5))
def test_knows_equal_decimals_however_they_are_written(first: Decimal, second: Decimal, zeros: int) -> None:
    padded = first.quantize(Decimal(1).scaleb(-4 - zeros))
    assert canonical({"amount": padded}) == canonical({"amount": first})
    assert (canonical(first) == canonical(second)) == (first == second)


def test_writes_dates_kinds_and_records_as_text() -> None:
    value = {
        "kind": DocumentKind.CREDIT_NOTE,
        "day": date(2026, 2, 9),
        "at": datetime(2026, 2, 9, 8, 30, tzinfo=UTC),
        "id": SOURCE,
        "parts": (Decimal("1.50"), True, None, 7),
    }
    assert orjson.loads(canonical(value)) == {
        "kind": "credit_note",
        "day": "2026-02-09",
        "at": "2026-02-09T08:30:00+00:00",
        "id": {"tenant": "ABCD", "type": "invoice", "key": "20418"},
        "parts": ["1.5", True, None, 7],
    }


class _Colour(Enum):
    RED = "red"


@pytest.mark.parametrize("value", [{1, 2}, b"bytes", object(), InvoiceLine, _Colour.RED, [{"deep": {3}}]])
def test_refuses_what_has_no_canonical_form(value: Any) -> None:
    with pytest.raises(TypeError, match="no canonical form"):
        canonical(value)


def test_hashes_the_canonical_form() -> None:
    value = {"b": [None, True, date(2026, 2, 9)], "a": Decimal("1.50")}
    assert canonical(value) == b'{"a":"1.5","b":[null,true,"2026-02-09"]}'
    assert digest(value) == "57dc384a35824b39001cfedc7b5f077434c3e33f"


# ---- source version


def test_keeps_the_version_when_only_unread_fields_change() -> None:
    before = invoice(pieces(50))
    after = replace(before, exported=True, updated_at=datetime(2026, 2, 10, tzinfo=UTC), due_date=date(2026, 3, 9))
    assert source_version(after, READS) == source_version(before, READS)


def test_keeps_the_version_when_a_number_is_only_written_differently() -> None:
    before = invoice(pieces("50", "12"))
    after = invoice(pieces("50.00", "12.0"))
    assert source_version(after, READS) == source_version(before, READS)


@pytest.mark.parametrize(
    "change",
    [
        {"number": "INV-20419"},
        {"total": Decimal("600.01")},
        {"currency": "EUR"},
        {"kind": DocumentKind.CREDIT_NOTE},
        {"invoice_date": None},
        {"lines": (pieces(49),)},
        {"lines": (amount(600),)},
        {"lines": ()},
    ],
)
def test_sees_a_new_version_in_any_field_that_is_read(change: dict[str, Any]) -> None:
    before = invoice(pieces(50))
    assert source_version(replace(before, **change), READS) != source_version(before, READS)


def test_sees_a_field_move_from_one_member_to_another() -> None:
    before = replace(invoice(pieces(50)), number="A", supplier_number="B")
    after = replace(before, number="B", supplier_number="A")
    reads = frozenset({"number", "supplier_number"})
    assert source_version(after, reads) != source_version(before, reads)


# ---- fingerprint


def test_leaves_the_clock_out_of_a_fingerprint() -> None:
    monday = {"reference": "INV-1", "amount": Decimal(600), "posting_date": "2026-02-09"}
    tuesday = {**monday, "posting_date": "2026-02-10"}
    clock = frozenset({"posting_date"})
    assert fingerprint(monday, leave_out=clock) == fingerprint(tuesday, leave_out=clock)
    assert fingerprint(monday) != fingerprint(tuesday)


@steady
@given(exact, exact)
def test_gives_two_amounts_two_fingerprints(first: Decimal, second: Decimal) -> None:
    assert (fingerprint({"amount": first}) == fingerprint({"amount": second})) == (first == second)


# ---- idempotency key


def test_makes_the_key_that_was_already_sent() -> None:
    assert idempotency_key(SOURCE, 1, "create") == "bb1e905c62c74701a7bccc1248b8d938"
    assert idempotency_key(SOURCE, 1, "mark_exported") == "e26a9bf89c79c6f3508a5fb11c2e810e"


def test_gives_three_keys_to_the_revisions_a_b_a() -> None:
    documents = [{"amount": Decimal(600)}, {"amount": Decimal(500)}, {"amount": Decimal("600.00")}]
    prints = [fingerprint(one) for one in documents]
    assert prints[0] == prints[2] != prints[1]
    assert len({idempotency_key(SOURCE, revision, "create") for revision in (1, 2, 3)}) == 3


writes = st.tuples(ids, st.integers(1, 10**6), st.sampled_from(["create", "mark_exported", "comment", "transition"]))


@steady
@given(st.lists(writes, min_size=2, max_size=8, unique_by=lambda one: (str(one[0]), *one[1:])))
def test_gives_every_logical_write_its_own_key_and_every_resend_the_same(
    sent: list[tuple[ExternalId, int, str]],
) -> None:
    keys = [idempotency_key(*one) for one in sent]
    assert len(set(keys)) == len(sent)
    assert keys == [idempotency_key(*one) for one in sent]
    assert all(re.fullmatch("[0-9a-f]{32}", key) for key in keys)


def test_hashes_text_beyond_ascii() -> None:
    external_id = ExternalId("ABCD", "invoice", "Größe|1|ü")
    written = "ABCD:invoice:Größe|1|ü|2|create".encode()
    assert idempotency_key(external_id, 2, "create") == hashlib.sha256(written).hexdigest()[:32]
