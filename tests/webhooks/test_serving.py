"""The receiver as a process: it listens where it is told, finishes what it took, and ends well."""

from __future__ import annotations

import asyncio
import signal
import socket
from pathlib import Path

import httpx
import pytest

from ml_connector.clock import SystemClock
from ml_connector.errors import ConfigurationError
from ml_connector.settings import Settings
from ml_connector.store import wakes
from ml_connector.store.audit import Audit
from ml_connector.store.crypto import Keys
from ml_connector.store.database import Database
from ml_connector.store.ingresses import Ingresses, Subscription
from ml_connector.store.migrate import upgrade
from ml_connector.webhooks.serve import _listen, serve
from tests.webhooks.processes import start
from tests.webhooks.senders import SECRET, Bell, admin, issue_event


async def installed(home: Path) -> Database:
    """An installation with one ingress."""
    keys, clock = Keys.create(home / "keys.json"), SystemClock()
    db = Database(Settings(home=home).store_url)
    await upgrade(db)
    doors = Ingresses(db, keys, Audit(db, keys, clock), clock)
    await doors.create("jira", system="jira", kind="admin", secrets=[SECRET])
    await doors.subscribe("jira", "acme", [Subscription("acme", "jira_to_qad")])
    return db


async def test_serves_until_it_is_asked_to_end(tmp_path: Path) -> None:
    db = await installed(tmp_path)
    process = await start("receive", ML_CONNECTOR_HOME=str(tmp_path))
    assert process.stdout is not None
    url = (await asyncio.wait_for(process.stdout.readline(), 60)).decode().strip()
    async with httpx.AsyncClient(base_url=url, trust_env=False) as client:
        assert (await client.get("/health")).json() == {"status": "ok"}
        path, headers, body = admin(issue_event(timestamp=None))
        answers = [await client.post(path, headers=headers, content=body) for _ in range(2)]
        assert [answer.json()["status"] for answer in answers] == ["accepted", "duplicate"]
        assert "server" not in answers[0].headers
        large = await client.post(path, headers=headers, content=b"x" * (1024 * 1024 + 1))
        assert large.status_code == 413
    process.send_signal(signal.SIGTERM)
    said, _ = await asyncio.wait_for(process.communicate(), 30)
    assert (process.returncode, said.decode().strip()) == (0, "ended")
    assert await wakes.ask(db, "acme", "jira_to_qad", SystemClock().now()) == wakes.Asked.NO
    await db.close()


async def test_a_port_that_is_taken_is_named(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ConfigurationError, match=f"127.0.0.1:{port}"):
            await serve(Settings(home=tmp_path), "127.0.0.1", port, Bell())


def test_listens_on_both_families_of_addresses() -> None:
    for host in ("127.0.0.1", "localhost"):
        with _listen(host, 0) as listener:
            assert listener.getsockname()[1] > 0


async def test_an_address_beyond_this_machine_is_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(ConfigurationError):
        await serve(Settings(home=tmp_path), "192.0.2.7", 0, Bell())
    assert "192.0.2.7" in caplog.text
