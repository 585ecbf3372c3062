"""One SQLite file for all histories, made fast: no test survives a power cut, and no statement needs a thread."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiosqlite
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from tests.engine.faults import Faults, FaultyDatabase


class SharedDatabase(FaultyDatabase):
    """One process's door to the store; the engine is everybody's, because its compiled statements cost most."""

    def __init__(self, url: str, engine: AsyncEngine, faults: Faults) -> None:
        self.url, self.engine, self.is_sqlite, self.faults = url, engine, True, faults


class _AtOnce(aiosqlite.Connection):
    """A connection without a thread of its own: each hop to one and back costs more than most statements."""

    def __await__(self) -> Generator[Any, None, aiosqlite.Connection]:
        return self._connect().__await__()

    async def _connect(self) -> aiosqlite.Connection:
        self._connection = self._connector()
        return self

    async def _execute(self, fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        return fn(*args, **kwargs)

    def stop(self) -> None:
        self._running = False


@dataclass(slots=True)
class Store:
    """A SQLite file and its engine, used by one history after another."""

    folder: Path
    template: Path
    engine: AsyncEngine = field(init=False)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.engine = create_async_engine(f"sqlite+aiosqlite:///{self.path}", async_creator=self._connect)

        @event.listens_for(self.engine.sync_engine, "connect")
        def relax(connection: Any, _record: Any) -> None:
            cursor = connection.cursor()
            for pragma in ("journal_mode=WAL", "synchronous=OFF", "foreign_keys=ON"):
                cursor.execute(f"PRAGMA {pragma}")
            cursor.close()

        @event.listens_for(self.engine.sync_engine, "begin")
        def begin(connection: Any) -> None:
            reading = connection.get_execution_options().get("ml_connector_read")
            connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")

    async def _connect(self) -> aiosqlite.Connection:
        return await _AtOnce(lambda: sqlite3.connect(self.path, isolation_level=None), 64)

    @property
    def path(self) -> Path:
        """Where the store of the history under way lies."""
        return self.folder / "store.db"

    async def fresh(self) -> None:
        """Forget the history before; the next world lays an empty store in its place."""
        await self.engine.dispose()
        for left in list(self.folder.glob("store.db*")):
            left.unlink()
