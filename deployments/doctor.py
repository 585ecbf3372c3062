"""`doctor`: is this installation whole? One check after the other, each with what mends it; nothing is changed.

Here are the checks that need no server: keys, store, disk, audit trail. Those of the server are in `doctor_server`.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from datetime import timedelta
from pathlib import Path

from alembic.migration import MigrationContext
from sqlalchemy import Connection, select, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError

from ml_connector.clock import SystemClock
from ml_connector.errors import ConnectorError
from ml_connector.settings import Settings
from ml_connector.store.audit import ADMIN_CHAIN, about
from ml_connector.store.checkpoints import read_checkpoints
from ml_connector.store.crypto import Keys
from ml_connector.store.database import Database
from ml_connector.store.migrate import head
from ml_connector.store.schema import audit
from ml_connector.systems.ping import PingCheck

FREE_BYTES = 1_000_000_000
# Housekeeping signs once a day, and its run may be a little late.
CHECKPOINT_AGE = timedelta(hours=25)
_KEEP_SAFE = "restore the key file from its backup; without it the store cannot be read"


async def local_checks(settings: Settings) -> list[PingCheck]:
    """Everything that this machine alone can tell, up to the first thing without which the rest makes no sense."""
    home = settings.home.expanduser().absolute()
    if not home.is_dir():
        return [_wrong("home", f"there is no folder {home}", "set ML_CONNECTOR_HOME, or start: ml-connector up")]
    checks = [_keys(settings), _disk(home)]
    if not checks[0].ok:
        return checks
    keys = Keys.load(settings.keys_path)
    database = await _database(settings)
    checks += database
    if all(one.ok for one in database):
        checks += [await _opens(settings, keys), await _checkpoint(settings, keys)]
    return checks


def _keys(settings: Settings) -> PingCheck:
    path = settings.keys_path.absolute()
    try:
        keys = Keys.load(path)
    except ConnectorError as error:
        return _wrong("keys", error.message, f"chmod 600 '{path}', or {_KEEP_SAFE}")
    return PingCheck("keys", True, f"{path} is readable by its owner alone; {keys!r}")


def _disk(home: Path) -> PingCheck:
    free = shutil.disk_usage(home).free
    told = f"{free / 1e9:.1f} GB free for {home}"
    remedy = "make room; logs are in logs/, results of steps in results/ (housekeeping removes those after 14 days)"
    return PingCheck("disk", True, told) if free > FREE_BYTES else _wrong("disk", told, remedy)


async def _database(settings: Settings) -> list[PingCheck]:
    url = make_url(settings.store_url)
    shown = url.render_as_string(hide_password=True)
    is_file = url.get_backend_name() == "sqlite" and url.database
    if is_file and not await asyncio.to_thread(os.path.isfile, str(url.database)):
        return [_wrong("database", f"there is no store at {url.database}", "start: ml-connector up")]
    try:
        return await asyncio.to_thread(_journal, url.database) + [await _migrations(settings.store_url, shown)]
    except (SQLAlchemyError, sqlite3.Error, OSError) as error:
        told = f"{shown} cannot be reached: {type(error).__name__}"
        return [_wrong("database", told, "check ML_CONNECTOR_DATABASE_URL, and that the database runs")]


def _journal(path: str | None) -> list[PingCheck]:
    """How SQLite journals; asked apart from our own connections, which set what they want to find."""
    if path is None or not Path(path).is_file():
        return []
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as store:
        mode = store.execute("PRAGMA journal_mode").fetchone()[0]
    remedy = "put the store on a local disk; network folders cannot keep a write-ahead log"
    told = f"SQLite journal mode is {mode}"
    return [PingCheck("journal", True, told) if mode == "wal" else _wrong("journal", told, remedy)]


async def _migrations(url: str, shown: str) -> PingCheck:
    database = Database(url)
    try:
        async with database.read() as tx:
            found = await tx.run_sync(_revision)
            await tx.execute(text("SELECT 1"))
    finally:
        await database.close()
    told = f"{shown} answers, at migration {found or 'none'} of {head()}"
    remedy = "any other command brings it up to date; a newer number needs the release that made it"
    return PingCheck("database", True, told) if found == head() else _wrong("database", told, remedy)


def _revision(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


async def _opens(settings: Settings, keys: Keys) -> PingCheck:
    """The newest sealed detail of the trail must open: a key file of another installation has keys as well."""
    database = Database(settings.store_url)
    newest = select(audit).where(audit.c.blob.is_not(None), audit.c.chain == ADMIN_CHAIN)
    try:
        async with database.read() as tx:
            row = (await tx.execute(newest.order_by(audit.c.seq.desc()).limit(1))).first()
        if row is None:
            return PingCheck("keys open the store", True, "nothing is sealed yet")
        keys.open(row.blob, about=about(row.chain, row.seq))
    except ConnectorError as error:
        return _wrong("keys open the store", error.message, _KEEP_SAFE)
    finally:
        await database.close()
    return PingCheck("keys open the store", True, "the newest sealed entry opens")


async def _checkpoint(settings: Settings, keys: Keys) -> PingCheck:
    folder, name = settings.checkpoints.absolute(), "audit checkpoint"
    found, problems = await asyncio.to_thread(read_checkpoints, keys, folder)
    if problems:
        return _wrong(name, problems[0], "run: ml-connector audit verify")
    remedy = "run: ml-connector audit checkpoint (housekeeping does it daily: is it paused, or no worker alive?)"
    if not found:
        return _wrong(name, f"there is none in {folder}", remedy)
    age = SystemClock().now() - found[-1].at
    told = f"checkpoint {found[-1].number} is {age.total_seconds() / 3600:.1f} hours old"
    return PingCheck(name, True, told) if age <= CHECKPOINT_AGE else _wrong(name, told, remedy)


def is_private(path: Path) -> bool:
    """Whether a file is there and readable by its owner alone."""
    return path.is_file() and not (os.name == "posix" and path.stat().st_mode & 0o077)


def all_right(checks: Sequence[PingCheck]) -> bool:
    """Whether nothing is wrong."""
    return all(one.ok for one in checks)


def _wrong(name: str, message: str, remedy: str) -> PingCheck:
    return PingCheck(name, False, message, remedy)
