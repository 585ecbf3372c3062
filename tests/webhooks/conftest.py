"""Shared ground of the receiver's tests."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from ml_connector.store.crypto import Keys
from ml_connector.store.database import Database
from tests.webhooks.senders import Desk, open_desk


@pytest.fixture
async def desk(sqlite_db: Database, keys: Keys) -> AsyncIterator[Desk]:
    """A receiver on SQLite."""
    desk = await open_desk(sqlite_db, keys)
    yield desk
    await desk.receiver.close()


@pytest.fixture
async def desk_on_each(db: Database, keys: Keys) -> AsyncIterator[Desk]:
    """A receiver on each database in turn."""
    desk = await open_desk(db, keys)
    yield desk
    await desk.receiver.close()
