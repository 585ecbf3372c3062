"""Receivers that tests run in processes of their own: `python processes.py <task> <database url> <key file>`."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import Any

import httpx

from ml_connector.clock import ManualClock
from ml_connector.settings import Settings
from ml_connector.store.audit import Audit
from ml_connector.store.crypto import Keys
from ml_connector.store.database import Database
from ml_connector.sync.run import Store
from ml_connector.webhooks.app import build
from ml_connector.webhooks.receiver import Receiver
from ml_connector.webhooks.serve import serve
from tests.webhooks.senders import NOW, Bell, admin

DIED = 9


async def die_before_answering(url: str, keys: str) -> None:
    """Take one delivery and be killed between the commit and the answer."""
    db, clock = Database(url), ManualClock(NOW)
    opened = Keys.load(Path(keys))
    receiver = Receiver(Store(db, opened, Audit(db, opened, clock), clock), Bell())
    app = build(receiver)

    async def killed(scope: Any, receive: Any, send: Any) -> None:
        async def send_nothing(_message: Any) -> None:
            os._exit(DIED)

        await app(scope, receive, send_nothing)

    async with httpx.AsyncClient(transport=httpx.ASGITransport(killed), base_url="http://receiver") as client:
        path, headers, body = admin()
        await client.post(path, headers=headers, content=body)


async def receive(_url: str, _keys: str) -> None:
    """Serve the installation of the environment on a free port, and say where."""
    await serve(Settings(), "127.0.0.1", 0, Bell(), ready=_say)
    _say("ended")


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


async def start(task: str, url: str = "", keys: str = "", **environment: str) -> asyncio.subprocess.Process:
    """Start a task in a new process."""
    root = str(Path(__file__).parents[2])
    return await asyncio.create_subprocess_exec(
        *(sys.executable, str(Path(__file__)), task, url, keys),
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": root, **environment},
    )


if __name__ == "__main__":
    asyncio.run({"die_before_answering": die_before_answering, "receive": receive}[sys.argv[1]](*sys.argv[2:]))
