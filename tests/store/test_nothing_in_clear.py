"""Tokens and what a business wrote: in no table in clear, and nowhere in the database's files."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import select

from ml_connector.clock import ManualClock
from ml_connector.errors import AuthenticationError, ConfigurationError
from ml_connector.store.audit import Audit, AuditEvent
from ml_connector.store.crypto import Keys
from ml_connector.store.database import Database
from ml_connector.store.schema import metadata
from tests.store.processes import text_vault

CANARY = "canary-5521-holdings"


async def _store_canaries(db: Database, keys: Keys) -> None:
    clock = ManualClock(datetime(2025, 3, 1, 12, tzinfo=UTC))

    async def mint(_current: str | None) -> str:
        return CANARY

    await text_vault(db, keys, clock).renew("qad:main", None, mint)
    async with db.write() as tx:
        event = AuditEvent("created", "AAAA:invoice:1", {"invoice": "INV-1"}, {"supplier": CANARY})
        await Audit(db, keys, clock).append(tx, "acme/coupa_to_qad", [event])


async def test_a_canary_is_in_no_table(db: Database, keys: Keys) -> None:
    await _store_canaries(db, keys)
    rows = 0
    async with db.read() as tx:
        for table in metadata.sorted_tables:
            for row in (await tx.execute(select(table))).all():
                rows += 1
                assert CANARY not in str(tuple(row)), table.name
    assert rows == 3


async def test_a_canary_is_in_no_database_file(sqlite_db: Database, keys: Keys, tmp_path: Path) -> None:
    await _store_canaries(sqlite_db, keys)
    files = await asyncio.to_thread(lambda: {path.name: path.read_bytes() for path in tmp_path.iterdir()})
    assert {"store.db", "store.db-wal"} <= files.keys()
    assert b"INV-1" in b"".join(files.values())
    assert not [name for name, content in files.items() if CANARY.encode() in content]


async def test_a_canary_is_in_no_error(db: Database, keys: Keys) -> None:
    await _store_canaries(db, keys)
    vault = text_vault(db, Keys.generate(), ManualClock(datetime(2025, 3, 1, 12, tzinfo=UTC)))
    with pytest.raises(ConfigurationError) as wrong_key:
        await vault.load("qad:main")
    await vault.deny("qad:main", "invalid_grant")
    with pytest.raises(AuthenticationError) as denied:
        await vault.check_allowed("qad:main")
    assert CANARY not in repr(wrong_key.value) + str(wrong_key.value) + str(denied.value)
