"""Refreshers in processes of their own: `python jira_refreshers.py <processes> <calls> <database url> <folder> <site>`.

Each has one client of the same Jira login and makes so many calls one after another.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import sys
from dataclasses import replace
from pathlib import Path

from pydantic import SecretStr

from ml_connector.clock import SystemClock
from ml_connector.installation import Installation
from ml_connector.settings import Settings
from ml_connector.store import vault
from ml_connector.store.crypto import Keys
from ml_connector.store.database import Database
from ml_connector.systems.jira import client as jira_client
from ml_connector.systems.jira.auth import LOGIN_LIMITS
from ml_connector.systems.jira.config import DEFAULT_SCOPES, JiraOAuthLogin, JiraTenant

SLOT = "jira-oauth-credentials/acme"
CLIENT, SECRET = "jira-demo-client", "jira-demo-secret"
CLOUD = "11111111-2222-4333-8444-555555555555"
# Whoever waits looks again sooner than in real life, and nothing paces the logins: more of the processes meet.
QUICK_S = (0.005, 0.02)
UNPACED = replace(LOGIN_LIMITS, per_second=1000)


def login(url: str, process: str = "") -> JiraOAuthLogin:
    """The one login; `process` becomes a part of the gateway's address, so that calls can be told apart."""
    return JiraOAuthLogin(
        client_id=CLIENT,
        client_secret=SecretStr(SECRET),
        site_url=url,
        cloud_id=CLOUD,
        scopes=DEFAULT_SCOPES,
        api_url=f"{url}/{process}" if process else url,
        auth_url=url,
    )


def installation(db: Database, folder: Path) -> Installation:
    """The installation that all processes share."""
    return Installation.assemble(Settings(home=folder), db, Keys.load(folder / "keys.json"), SystemClock())


async def start(processes: int, calls: int, db: Database, folder: Path, url: str) -> asyncio.subprocess.Process:
    """Start the processes; the one that is returned ends well when all of them have."""
    return await asyncio.create_subprocess_exec(
        *(sys.executable, str(Path(__file__)), str(processes), str(calls), db.url, str(folder), url),
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )


async def _call(number: int, calls: int, database: str, folder: Path, url: str) -> None:
    db = Database(database)
    store = installation(db, folder).vault
    tenant = JiraTenant(project="AP", per_second=1000)
    async with jira_client.open_client(login(url, f"p{number}"), tenant, name="acme", store=store, slot=SLOT) as client:
        for _ in range(calls):
            await client.myself()
    await db.close()


def _one(number: int, calls: int, database: str, folder: Path, url: str) -> None:
    asyncio.run(_call(number, calls, database, folder, url))


def _main(processes: str, calls: str, database: str, folder: str, url: str) -> int:
    vault.POLL_S = QUICK_S
    jira_client.LOGIN_LIMITS = UNPACED  # type: ignore[attr-defined]
    # Forked before any of them has opened anything: the imports are paid for once.
    fork = multiprocessing.get_context("fork")
    rest = (int(calls), database, Path(folder), url)
    started = [fork.Process(target=_one, args=(number, *rest)) for number in range(int(processes))]
    for one in started:
        one.start()
    for one in started:
        one.join()
    return max(abs(one.exitcode or 0) for one in started)


if __name__ == "__main__":
    sys.exit(_main(*sys.argv[1:]))
