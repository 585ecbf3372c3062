"""Brings the store's tables to the shape this release expects; safe when several processes start at once."""

from __future__ import annotations

import asyncio
import io
import sys
import tempfile
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, text

from ml_connector.errors import ConfigurationError
from ml_connector.store.database import Database

_FOLDER = Path(__file__).parent / "migrations"
# Any number will do, as long as nothing else in the same PostgreSQL database locks it.
_LOCK = 5_107_311_402


async def upgrade(db: Database) -> None:
    """Apply the migrations that the database lacks, all or none; ConfigurationError when a newer release made it."""
    async with db.read() as tx:
        if await tx.run_sync(_is_current):
            return
    async with db.write() as tx:
        # SQLite's write transaction is a lock already.
        if not db.is_sqlite:
            await tx.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
        await tx.run_sync(_upgrade)


def head() -> str | None:
    """The newest migration of this release."""
    return ScriptDirectory(str(_FOLDER)).get_current_head()


def config(connection: Connection) -> Config:
    """Alembic's settings for work on one open connection; nothing is read from the working directory."""
    settings = Config(stdout=io.StringIO())
    # Alembic interpolates its settings, and a path may contain a percent sign.
    settings.set_main_option("script_location", str(_FOLDER).replace("%", "%%"))
    settings.attributes["connection"] = connection
    return settings


def differing_default(
    context: MigrationContext, _inspected: Any, _expected: Any, found: str | None, _default: Any, wanted: str | None
) -> bool | None:
    """Whether a column's default in the database is another one; None leaves the answer to Alembic."""
    # SQLite shows a default with the brackets and quotes it was written with.
    if context.dialect.name != "sqlite" or found is None or wanted is None:
        return None
    return found.strip("()'") != wanted.strip("()'")


def _is_current(connection: Connection) -> bool:
    return MigrationContext.configure(connection).get_current_revision() == head()


def _upgrade(connection: Connection) -> None:
    try:
        command.upgrade(config(connection), "head")
    except CommandError as error:
        found = MigrationContext.configure(connection).get_current_revision()
        raise ConfigurationError(
            f"the store is at migration {found}, which this release does not know; install the release that made it"
        ) from error


async def draft(message: str) -> None:
    """Write the migration that leads from the newest one to `schema.metadata`; for developers, who then read it."""
    with tempfile.TemporaryDirectory() as folder:
        db = Database(f"sqlite+aiosqlite:///{folder}/draft.db")
        await upgrade(db)
        async with db.write() as tx:
            await tx.run_sync(_draft, message)
        await db.close()


def _draft(connection: Connection, message: str) -> None:
    newest = head()
    number = 1 if newest is None else int(newest) + 1
    settings = config(connection)
    settings.set_section_option("post_write_hooks", "hooks", "format")
    settings.set_section_option("post_write_hooks", "format.type", "module")
    settings.set_section_option("post_write_hooks", "format.module", "ruff")
    settings.set_section_option("post_write_hooks", "format.options", "format REVISION_SCRIPT_FILENAME")
    command.revision(settings, message, autogenerate=True, rev_id=f"{number:04}")


if __name__ == "__main__":
    asyncio.run(draft(" ".join(sys.argv[1:]) or "change"))
