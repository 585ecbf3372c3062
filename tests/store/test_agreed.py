"""What both directions last agreed on: kept by record and field, replaced by what is agreed next, never in clear."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import func, select, update

from ml_connector.errors import ContractError
from ml_connector.store import agreed
from ml_connector.store.crypto import Keys
from ml_connector.store.database import Database
from ml_connector.store.schema import agreed as table

NOW = datetime(2026, 2, 10, 9, 0, tzinfo=UTC)


async def _put(db: Database, keys: Keys, values: Mapping[tuple[str, str], str], now: datetime = NOW) -> None:
    async with db.write() as tx:
        await agreed.put(db, keys, tx, values, now)


async def test_values_come_back_by_record_and_name(db: Database, keys: Keys) -> None:
    await _put(db, keys, {("one", "code"): "4711", ("one", "owner"): "", ("two", "code"): "Straße 5"})
    assert await agreed.load(db, keys, ["one", "two", "three"]) == {
        "one": {"code": "4711", "owner": ""},
        "two": {"code": "Straße 5"},
    }


async def test_only_the_records_asked_for_come_back(db: Database, keys: Keys) -> None:
    await _put(db, keys, {("one", "code"): "a", ("two", "code"): "b"})
    assert await agreed.load(db, keys, ["two", "two"]) == {"two": {"code": "b"}}
    assert await agreed.load(db, keys, []) == {}


async def test_a_later_value_replaces_the_one_of_its_field_alone(db: Database, keys: Keys) -> None:
    await _put(db, keys, {("one", "code"): "a", ("one", "owner"): "kept"})
    later = NOW + timedelta(hours=1)
    await _put(db, keys, {("one", "code"): "b"}, later)
    assert await agreed.load(db, keys, ["one"]) == {"one": {"code": "b", "owner": "kept"}}
    async with db.read() as tx:
        changed = {one.name: one.updated_at for one in await tx.execute(select(table))}
    assert changed == {"code": later, "owner": NOW}


async def test_nothing_agreed_writes_nothing(db: Database, keys: Keys) -> None:
    await _put(db, keys, {})
    async with db.read() as tx:
        assert (await tx.execute(select(func.count()).select_from(table))).scalar_one() == 0


async def test_more_records_than_one_query_takes(db: Database, keys: Keys) -> None:
    values = {(f"record-{n:04}", "code"): str(n) for n in range(1001)}
    await _put(db, keys, values)
    found = await agreed.load(db, keys, [record for record, _ in values])
    assert {(record, "code"): one["code"] for record, one in found.items()} == values


async def test_a_transaction_that_fails_leaves_what_was_agreed(db: Database, keys: Keys) -> None:
    await _put(db, keys, {("one", "code"): "a"})
    with pytest.raises(RuntimeError, match="stopped"):
        async with db.write() as tx:
            await agreed.put(db, keys, tx, {("one", "code"): "b"}, NOW)
            raise RuntimeError("stopped")
    assert await agreed.load(db, keys, ["one"]) == {"one": {"code": "a"}}


async def test_a_value_is_stored_sealed(db: Database, keys: Keys) -> None:
    await _put(db, keys, {("one", "code"): "canary-5521"})
    async with db.read() as tx:
        blob = (await tx.execute(select(table.c.blob))).scalar_one()
    assert b"canary-5521" not in blob


async def test_a_value_moved_to_another_field_is_refused(db: Database, keys: Keys) -> None:
    await _put(db, keys, {("one", "code"): "a", ("one", "owner"): "b"})
    async with db.write() as tx:
        blob = (await tx.execute(select(table.c.blob).where(table.c.name == "code"))).scalar_one()
        await tx.execute(update(table).where(table.c.name == "owner").values(blob=blob))
    with pytest.raises(ContractError):
        await agreed.load(db, keys, ["one"])
