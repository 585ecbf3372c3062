"""Shared ground of the store's tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from ml_connector.store.crypto import Keys
from ml_connector.store.database import Database
from tests.store.trail import Trail


@pytest.fixture
def trail(db: Database, keys: Keys, tmp_path: Path) -> Trail:
    return Trail(db, keys, tmp_path / "audit")
