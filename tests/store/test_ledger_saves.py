"""Rows are saved whole, but only what changed of their effects is written; many documents of one PO line add up."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import select

from ml_connector.domain.outcomes import Outcome
from ml_connector.errors import LeaseLostError
from ml_connector.store import ledger, reservations
from ml_connector.store.database import Database
from ml_connector.store.ledger import DONE, INTENDED, EffectRow, LedgerRow
from ml_connector.store.schema import effect

NOW = datetime(2026, 2, 10, 9, 0, tzinfo=UTC)
LATER = NOW + timedelta(minutes=5)


def row(number: int = 1) -> LedgerRow:
    return LedgerRow(
        id=f"{number:032}",
        connection="acme",
        direction="coupa_to_qad",
        route="invoices",
        external_id=f"abcd:invoice:{number}",
        target_tenant="wxyz",
        token=f"wxyz{number:016}",
        label=f"INV-{number}",
        source_version="1",
        settings_version=1,
        outcome=Outcome.HELD,
        since=NOW,
        effects=(EffectRow(0, "create"), EffectRow(1, "exported")),
    )


async def save(db: Database, one: LedgerRow, now: datetime = NOW) -> LedgerRow:
    async with db.write() as tx:
        return (await ledger.save(db, tx, [one], now))[0]


async def written_at(db: Database) -> dict[str, datetime]:
    async with db.read() as tx:
        return {one.name: one.updated_at for one in await tx.execute(select(effect))}


async def test_writes_only_the_effects_that_changed(db: Database) -> None:
    saved = await save(db, row())
    changed = saved.with_effect(replace(saved.effects[0], state=INTENDED, blob=b"sealed"))
    saved = await save(db, changed, LATER)
    assert await written_at(db) == {"create": LATER, "exported": NOW}
    assert await ledger.load(db, [saved.id]) == {saved.id: saved}


async def test_what_is_about_an_invoice_is_found_by_its_number_and_nothing_else(db: Database) -> None:
    def about(number: int, label: str, **more: str) -> LedgerRow:
        way_back = {"route": "payments", "direction": "qad_to_coupa", "target_tenant": "abcd"}
        changes: dict[str, Any] = {"label": label, "external_id": f"wxyz:payment:{number}", **way_back, **more}
        return replace(row(number), **changes)

    correction = {"route": "corrections", "target_tenant": "wxyz", "external_id": "abcd:correction:1"}
    rows = [
        row(1),
        about(11, "INV-1 10USACO/2026/50001"),
        about(12, "INV-1 correction", **correction),
        replace(row(2), label="INV-1 A"),
        about(21, "INV-1 A 10USACO/2026/50002"),
        about(31, "INV-10 10USACO/2026/50003"),
        about(32, "inv-1 10USACO/2026/50004"),
        about(41, "INV-1 10USACO/2026/50005", target_tenant="efgh"),
        replace(row(5), label="50%"),
        about(51, "50% 10USACO/2026/50006"),
    ]
    for one in rows:
        await save(db, one)
    for name, labels in (
        ("INV-1", ["INV-1", "INV-1 10USACO/2026/50001", "INV-1 correction"]),
        ("abcd:invoice:1", ["INV-1", "INV-1 10USACO/2026/50001", "INV-1 correction"]),
        ("INV-1 A", ["INV-1 A", "INV-1 A 10USACO/2026/50002"]),
        ("INV-1 correction", ["INV-1 correction"]),
        ("50%", ["50%", "50% 10USACO/2026/50006"]),
        ("INV-9", []),
    ):
        assert sorted(one.label for one in await ledger.related(db, name)) == labels
    assert [one.label for one in await ledger.by_label(db, "INV-1")] == ["INV-1"]


async def test_knows_after_a_load_what_is_stored(db: Database) -> None:
    await save(db, row())
    loaded = (await ledger.load(db, [row().id]))[row().id]
    await save(db, loaded.with_effect(replace(loaded.effects[1], state=DONE)), LATER)
    assert await written_at(db) == {"create": NOW, "exported": LATER}


async def test_effects_in_another_order_are_stored_in_that_order(db: Database) -> None:
    saved = await save(db, row())
    await save(db, ledger.aligned(saved, ["create", "custom_field", "exported"]), LATER)
    found = (await ledger.load(db, [saved.id]))[saved.id]
    assert [(one.ordinal, one.name) for one in found.effects] == [(0, "create"), (1, "custom_field"), (2, "exported")]


async def test_a_row_that_somebody_else_changed_is_not_overwritten(db: Database) -> None:
    first = await save(db, row())
    await save(db, replace(first, label="theirs"))
    with pytest.raises(LeaseLostError):
        await save(db, first.with_effect(replace(first.effects[0], state=DONE)), LATER)
    assert (await ledger.load(db, [first.id]))[first.id].label == "theirs"
    assert await written_at(db) == {"create": NOW, "exported": NOW}


async def test_adds_up_the_documents_of_a_blanket_order(db: Database) -> None:
    count = 2_000
    claims = [
        {
            "ledger_id": row(number).id,
            "tenant": "wxyz",
            "domain": "10USA",
            "po_number": "PO1",
            "po_line": 1,
            "quantity": Decimal("-0.25") if number == count else Decimal("0.5"),
            "receivers": {f"RC{number % 2}": "0.5"},
            "permanent": number % 2 == 0,
        }
        for number in range(1, count + 1)
    ]
    async with db.write() as tx:
        await ledger.save(db, tx, [row(number) for number in range(1, count + 1)], NOW)
        await reservations.reserve(tx, claims)
        left_out = frozenset({row(1).id})
        use = (await reservations.uses(tx, "wxyz", ["PO1", "PO2"], leave_out=left_out))["PO1", 1]
    assert use.total == Decimal("0.5") * (count - 2) - Decimal("0.25")
    assert use.posted == Decimal("0.5") * (count // 2 - 1) - Decimal("0.25")
    assert use.receivers == {"RC0": Decimal(count // 4), "RC1": Decimal("0.5") * (count // 2 - 1)}
    assert len(use.tokens) == count - 1 and row(1).token not in use.tokens
