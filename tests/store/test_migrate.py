"""Migrations lead to exactly the tables the code knows, on both databases, whoever starts first."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, inspect, text

from ml_connector.errors import ConfigurationError
from ml_connector.store.database import Database
from ml_connector.store.migrate import config, differing_default, head, upgrade
from ml_connector.store.schema import metadata
from tests.store.processes import finish, start


@pytest.fixture
async def bare_sqlite_db(tmp_path: Path) -> AsyncIterator[Database]:
    """A SQLite file without any table, in a folder whose name is awkward."""
    database = Database(f"sqlite+aiosqlite:///{tmp_path}/per cent %41 and space/store.db")
    yield database
    await database.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def empty(request: pytest.FixtureRequest) -> Database:
    """A database without any table, of each kind in turn."""
    database: Database = request.getfixturevalue(f"bare_{request.param}_db")
    return database


def _differences(connection: Connection) -> list[Any]:
    options = {"compare_type": True, "compare_server_default": differing_default}
    context = MigrationContext.configure(connection, opts=options)
    return list(compare_metadata(context, metadata))


def _tables(connection: Connection) -> set[str]:
    return set(inspect(connection).get_table_names())


async def test_migrations_lead_to_the_tables_the_code_knows(empty: Database) -> None:
    await upgrade(empty)
    async with empty.read() as tx:
        assert await tx.run_sync(_differences) == []
        assert await tx.run_sync(_tables) == {*metadata.tables, "alembic_version"}


async def test_the_comparison_sees_differences(empty: Database) -> None:
    await upgrade(empty)
    async with empty.write() as tx:
        await tx.execute(text("DROP TABLE permit"))
        await tx.execute(text("CREATE TABLE permit (tenant VARCHAR(64) NOT NULL PRIMARY KEY, second TEXT NOT NULL)"))
        await tx.execute(text("ALTER TABLE run ADD COLUMN extra INTEGER"))
    async with empty.read() as tx:
        found = await tx.run_sync(_differences)
    kinds = sorted(
        part[0] for difference in found for part in (difference if isinstance(difference, list) else [difference])
    )
    assert kinds == ["add_column", "modify_type", "remove_column"]


async def test_indexes_are_as_partial_as_the_code_says(empty: Database, db: Database) -> None:
    if empty.is_sqlite != db.is_sqlite:
        return
    await upgrade(empty)
    definitions = (
        "SELECT sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL ORDER BY sql"
        if db.is_sqlite
        else "SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' AND tablename <> 'alembic_version' ORDER BY 1"
    )
    async with empty.read() as migrated, db.read() as created:
        left = (await migrated.execute(text(definitions))).scalars().all()
        right = (await created.execute(text(definitions))).scalars().all()
    assert left == right
    assert [line for line in left if "target_id IS NOT NULL" in line]


async def test_a_current_store_is_left_alone_and_quickly(empty: Database) -> None:
    await upgrade(empty)
    async with empty.write() as tx:
        await tx.execute(text("INSERT INTO permit (tenant, second, used) VALUES ('AAAA', 1, 1)"))
    started = time.perf_counter()
    await upgrade(empty)
    assert time.perf_counter() - started < 0.5
    async with empty.read() as tx:
        assert (await tx.execute(text("SELECT count(*) FROM permit"))).scalar_one() == 1


async def test_two_processes_that_start_at_once_both_find_a_current_store(empty: Database, tmp_path: Path) -> None:
    processes = [await start("migrate", empty, tmp_path) for _ in range(2)]
    assert [await finish(process) for process in processes] == ["migrated"] * 2
    async with empty.read() as tx:
        assert (await tx.execute(text("SELECT version_num FROM alembic_version"))).scalars().all() == [head()]


async def test_tasks_that_start_at_once_all_find_a_current_store(empty: Database) -> None:
    await asyncio.gather(*(upgrade(empty) for _ in range(4)))
    async with empty.read() as tx:
        assert await tx.run_sync(_differences) == []


async def test_a_store_made_by_a_newer_release_is_refused(empty: Database) -> None:
    await upgrade(empty)
    async with empty.write() as tx:
        await tx.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(ConfigurationError, match=r"9999.*install the release"):
        await upgrade(empty)


async def test_a_migration_that_fails_leaves_nothing_behind(empty: Database) -> None:
    async with empty.write() as tx:
        await tx.execute(text("CREATE TABLE vault (slot TEXT)"))
    with pytest.raises(Exception, match="vault"):
        await upgrade(empty)
    async with empty.read() as tx:
        assert await tx.run_sync(_tables) == {"vault"}


async def test_migrations_can_be_taken_back(empty: Database) -> None:
    await upgrade(empty)
    async with empty.write() as tx:
        await tx.run_sync(lambda connection: command.downgrade(config(connection), "base"))
    async with empty.read() as tx:
        assert await tx.run_sync(_tables) == {"alembic_version"}


async def test_nothing_is_read_from_the_working_directory(
    empty: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "alembic.ini").write_text("[alembic]\nscript_location = nowhere\n")
    monkeypatch.chdir(tmp_path)
    await upgrade(empty)
