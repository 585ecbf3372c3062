"""Shared ground of all tests: an empty store on both databases, keys, and a judge of what is sent to Jira."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Coroutine, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import asyncpg  # type: ignore[import-untyped]
import pytest
from sqlalchemy import event

from ml_connector.store.crypto import Keys
from ml_connector.store.database import Database
from ml_connector.store.schema import metadata
from tests import jira_openapi
from tests.postgres import running_server

JUDGED = "requests to Jira, judged and not"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, Any, Any]:
    """Fails a test whose code swallowed what the judge said of a request to Jira."""
    try:
        result = yield
    finally:
        taken = jira_openapi.TALLY.take()
        if taken.judged or taken.unjudged:
            item.user_properties.append((JUDGED, [taken.judged, taken.unjudged]))
    assert not taken.complaints, "not valid for Jira: " + "\n".join(taken.complaints)
    return result


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Says how many requests to Jira were judged, or that the document for it was not there."""
    reports = terminalreporter.getreports("passed") + terminalreporter.getreports("failed")
    found = [value for one in reports if one.when == "call" for name, value in one.user_properties if name == JUDGED]
    if judged := sum(one[0] for one in found):
        terminalreporter.write_line(f"requests to Jira judged by the official document: {judged}")
    if unjudged := sum(one[1] for one in found):
        terminalreporter.write_line(f"requests to Jira judged by nothing: {unjudged}; {jira_openapi.ABSENT}")


@pytest.fixture
def keys() -> Keys:
    """Fresh keys."""
    return Keys.generate()


@pytest.fixture(scope="session")
def postgresql_socket() -> Iterator[Path]:
    """A PostgreSQL with one database that has every table, and one without any."""
    with running_server() as socket:
        _run_apart(_make_databases(socket))
        yield socket


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file that has every table."""
    path = tmp_path_factory.mktemp("template") / "store.db"
    _run_apart(_make_tables(f"sqlite+aiosqlite:///{path}"))
    return path


@pytest.fixture
async def sqlite_db(sqlite_template: Path, tmp_path: Path) -> AsyncIterator[Database]:
    """An empty store on SQLite."""
    path = tmp_path / "store.db"
    shutil.copyfile(sqlite_template, path)
    database = fast_sqlite(path)
    yield database
    await database.close()


@pytest.fixture
async def postgresql_db(postgresql_socket: Path) -> AsyncIterator[Database]:
    """An empty store on PostgreSQL."""
    # Emptying takes a millisecond, a new database more than a hundred.
    tables = reversed(metadata.sorted_tables)
    await on_postgresql(postgresql_socket, "store", ";".join(f'DELETE FROM "{table.name}"' for table in tables))
    database = Database(postgresql_url(postgresql_socket, "store"))
    yield database
    await database.close()


@pytest.fixture
async def bare_postgresql_db(postgresql_socket: Path) -> AsyncIterator[Database]:
    """A PostgreSQL database without any table."""
    await on_postgresql(postgresql_socket, "bare", "DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    database = Database(postgresql_url(postgresql_socket, "bare"))
    yield database
    await database.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def db(request: pytest.FixtureRequest) -> Database:
    """An empty store, on each database in turn."""
    database: Database = request.getfixturevalue(f"{request.param}_db")
    return database


def fast_sqlite(path: Path) -> Database:
    """A SQLite store that does not wait for the disk; tests survive no power cut anyway."""
    database = Database(f"sqlite+aiosqlite:///{path}")

    @event.listens_for(database.engine.sync_engine, "connect")
    def relax(connection: Any, _record: Any) -> None:
        cursor = connection.cursor()
        cursor.execute("PRAGMA synchronous=OFF")
        cursor.close()

    return database


def postgresql_url(socket: Path, name: str) -> str:
    """The address of one database behind a socket folder."""
    return f"postgresql+asyncpg://postgres@/{name}?host={socket}"


async def on_postgresql(socket: Path, name: str, statements: str) -> None:
    """Run administrative statements on one database, after ending what earlier tests left open there."""
    connection = await asyncpg.connect(host=str(socket), user="postgres", database=name)
    try:
        others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1 AND pid <> pg_backend_pid()"
        await connection.execute(others, name)
        await connection.execute(statements)
    finally:
        await connection.close()


def _run_apart(work: Coroutine[Any, Any, None]) -> None:
    """Run in a thread of its own: an async fixture that asks for this one has a loop running already."""
    with ThreadPoolExecutor(1) as threads:
        threads.submit(asyncio.run, work).result()


async def _make_databases(socket: Path) -> None:
    for name in ("store", "bare"):
        await on_postgresql(socket, "postgres", f"CREATE DATABASE {name}")
    await _make_tables(postgresql_url(socket, "store"))


async def _make_tables(url: str) -> None:
    database = Database(url)
    async with database.write() as tx:
        await tx.run_sync(metadata.create_all)
    await database.close()
