"""What doctor finds without a server: keys, store, journal and audit trail, each wrong in its own way."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from deployments.doctor import CHECKPOINT_AGE, all_right, local_checks
from deployments.doctor_server import CLOCK_S, _address, _clock, server_checks
from deployments.home import Home
from ml_connector.clock import ShiftedClock
from ml_connector.installation import Installation
from ml_connector.settings import Settings
from ml_connector.store.checkpoints import write_checkpoint
from ml_connector.store.crypto import Keys
from ml_connector.systems.ping import PingCheck

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A whole installation with one checkpoint and something sealed in its trail."""
    found = Settings(home=tmp_path / "home", database_url="", keys_file=None, audit_folder=None)
    Home.open(found)
    asyncio.run(_fill(found))
    return found


async def _fill(settings: Settings, *, hours_ago: float = 0) -> None:
    async with Installation.open(settings) as one:
        await one.tenants.get_or_create("coupa", "acme.coupahost.com")
        clock = ShiftedClock(-3600 * hours_ago)
        await write_checkpoint(one.store.db, one.store.keys, settings.checkpoints, clock)


def _wrong(settings: Settings) -> dict[str, PingCheck]:
    found = asyncio.run(local_checks(settings))
    assert all(one.remedy for one in found if not one.ok)
    return {one.name: one for one in found if not one.ok}


def test_a_whole_installation_is_all_right(settings: Settings) -> None:
    found = asyncio.run(local_checks(settings))
    assert all_right(found)
    expected = ["keys", "disk", "journal", "database", "keys open the store", "audit checkpoint"]
    assert [one.name for one in found] == expected


def test_a_folder_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    nowhere = Settings(home=tmp_path / "nowhere")
    assert list(_wrong(nowhere)) == ["home"]
    assert not (tmp_path / "nowhere").exists()


def test_keys_that_others_can_read_are_wrong(settings: Settings) -> None:
    settings.keys_path.chmod(0o644)
    assert "open to other users" in _wrong(settings)["keys"].message


def test_a_lost_key_file_is_wrong_and_not_replaced(settings: Settings) -> None:
    settings.keys_path.unlink()
    assert "is missing" in _wrong(settings)["keys"].message
    assert not settings.keys_path.exists()


def test_keys_of_another_installation_do_not_open_the_store(settings: Settings) -> None:
    settings.keys_path.unlink()
    Keys.create(settings.keys_path)
    wrong = _wrong(settings)
    assert "sealed with a key that is not in the key file" in wrong["keys open the store"].message
    assert "signature does not fit" in wrong["audit checkpoint"].message


def test_a_store_of_an_older_release_is_wrong_and_not_touched(settings: Settings) -> None:
    path = settings.home / "ml-connector.db"
    with closing(sqlite3.connect(path)) as store, store:
        store.execute("update alembic_version set version_num = '0000'")
    assert "at migration 0000 of" in _wrong(settings)["database"].message
    with closing(sqlite3.connect(path)) as store:
        assert store.execute("select version_num from alembic_version").fetchone() == ("0000",)


def test_a_store_without_a_write_ahead_log_is_wrong(settings: Settings) -> None:
    with closing(sqlite3.connect(settings.home / "ml-connector.db")) as store:
        store.execute("PRAGMA journal_mode=DELETE")
    assert _wrong(settings)["journal"].message == "SQLite journal mode is delete"


def test_a_database_that_is_not_reached_is_one_line(settings: Settings) -> None:
    url = "postgresql://user:secret-word@127.0.0.1:1/none"
    wrong = _wrong(settings.model_copy(update={"database_url": url}))
    assert "cannot be reached" in wrong["database"].message
    assert "secret-word" not in wrong["database"].message


def test_a_checkpoint_older_than_a_day_is_wrong(settings: Settings, tmp_path: Path) -> None:
    older = settings.model_copy(update={"audit_folder": tmp_path / "elsewhere"})
    assert "there is none in" in _wrong(older)["audit checkpoint"].message
    asyncio.run(_fill(older, hours_ago=CHECKPOINT_AGE.total_seconds() / 3600 + 1))
    assert "is 26.0 hours old" in _wrong(older)["audit checkpoint"].message
    asyncio.run(_fill(older, hours_ago=1))
    assert _wrong(older) == {}


@pytest.mark.parametrize(("apart", "ok"), [(0.0, True), (-4.0, True), (4.0, True), (7.0, False), (-7.0, False)])
def test_clocks_that_differ_by_more_than_five_seconds_are_wrong(apart: float, ok: bool) -> None:
    answer = httpx.Response(200, headers={"Date": "Sun, 01 Mar 2026 12:00:00 GMT"})
    found = _clock(answer, NOW + timedelta(seconds=apart + 0.5))
    assert (found.ok, CLOCK_S) == (ok, 5.0)


@pytest.mark.parametrize(
    ("url", "ok"),
    [
        ("http://127.0.0.1:4200/api", True),
        ("https://prefect.example/api", True),
        ("http://prefect.example/api", False),
    ],
)
def test_a_server_elsewhere_must_be_reached_by_https(url: str, ok: bool) -> None:
    assert _address(url, httpx.Response(200)).ok is ok


async def test_a_server_that_does_not_answer_is_one_line(tmp_path: Path) -> None:
    home = Home.open(Settings(home=tmp_path / "home"))
    (found,) = await server_checks(home, "http://127.0.0.1:1/api")
    assert (found.name, found.ok) == ("server", False)
    assert "does not answer" in found.message
