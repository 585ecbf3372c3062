"""Eight processes share one rotating refresh token: one rotation at a time, and none of them is ever refused."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from deployments.jira_logins import keep_consent
from ml_connector.store.crypto import Keys
from ml_connector.store.database import Database
from ml_connector.systems.jira.consent import authorize_url, exchange
from sandbox.jira import auth
from sandbox.jira.app import create
from sandbox.kit.serve import running
from tests.systems import jira_refreshers as refreshers

PROCESSES = 8
# Renewed tokens that each process needs: all of them on SQLite, on PostgreSQL enough to see the same.
TIMES, FEWER = 200, 25
BACK = "http://127.0.0.1:9999/back"
TOKEN_PATH = "/oauth/token"
UNAUTHORIZED = {"code": 401, "message": "Unauthorized"}
# A refresh is under way for this much longer, so that a second one beside it is seen.
LINGER_S = 0.002


@dataclass
class Watch:
    """What the site sees: refreshes under way at once, their answers, and which process has used which token up."""

    under_way: int = 0
    most_at_once: int = 0
    answers: Counter[int] = field(default_factory=Counter)
    used: defaultdict[str, set[str]] = field(default_factory=lambda: defaultdict(set))


class OneUsePerProcess:
    """Stands before the site: an access token has ended for the process that has used it, and refreshes are watched."""

    def __init__(self, app: ASGIApp, watch: Watch) -> None:
        self._app = app
        self._watch = watch

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one call."""
        if scope["path"] == TOKEN_PATH:
            await self._watched(scope, receive, send)
            return
        process, slash, rest = scope["path"].removeprefix("/").partition("/")
        if slash and process.startswith("p") and process[1:].isdecimal():
            token = dict(scope["headers"])[b"authorization"].decode()
            if token in self._watch.used[process]:
                await JSONResponse(UNAUTHORIZED, 401)(scope, receive, send)
                return
            self._watch.used[process].add(token)
            scope = {**scope, "path": f"/{rest}", "raw_path": f"/{rest}".encode()}
        await self._app(scope, receive, send)

    async def _watched(self, scope: Scope, receive: Receive, send: Send) -> None:
        watch = self._watch

        async def noting(message: Message) -> None:
            if message["type"] == "http.response.start":
                watch.answers[message["status"]] += 1
                await asyncio.sleep(LINGER_S)
            await send(message)

        watch.under_way += 1
        watch.most_at_once = max(watch.most_at_once, watch.under_way)
        try:
            await self._app(scope, receive, noting)
        finally:
            watch.under_way -= 1


async def test_eight_processes_rotate_one_token_one_after_another_and_none_is_refused(
    db: Database, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    times = TIMES if db.is_sqlite else FEWER
    # Strict: a refresh token that comes a second time ends the consent at once, not after ten minutes.
    monkeypatch.setattr(auth, "LEEWAY", -1.0)
    app, watch = create(), Watch()
    app.add_middleware(OneUsePerProcess, watch=watch)
    async with running(app) as url:
        await _consent(app, url, db, tmp_path)
        watch.answers.clear()
        # Every access token serves a process once, so all calls of a process but the first need a renewed one.
        together = await refreshers.start(PROCESSES, times + 1, db, tmp_path, url)
        assert await asyncio.wait_for(together.wait(), 120) == 0
        await _proves_one_rotation_at_a_time(app, url, watch, times)


async def _consent(app: Starlette, url: str, db: Database, folder: Path) -> None:
    """A person consents, and the token lies where all processes find it."""
    Keys.create(folder / "keys.json")
    login = refreshers.login(url)
    async with httpx.AsyncClient(trust_env=False) as browser:
        back = (await browser.get(authorize_url(login, BACK, "a-state"))).headers["location"]
    token = await exchange(login, parse_qs(urlsplit(back).query)["code"][0], BACK)
    await keep_consent(refreshers.installation(db, folder).vault, refreshers.SLOT, token)


async def _proves_one_rotation_at_a_time(app: Starlette, url: str, watch: Watch, times: int) -> None:
    tenant: Any = app.state.tenant
    async with httpx.AsyncClient(base_url=url, trust_env=False) as http:
        rotations = (await http.get("/_sandbox/truth")).json()["refreshes"]
    assert watch.answers == {200: rotations}
    assert times <= rotations <= times * PROCESSES
    assert watch.most_at_once == 1
    assert [family.dead for family in tenant.tokens.families] == [False]
    # Each refresh token was used once: the chain of one consent, its last token unused.
    assert [one.rotated is None for one in tenant.tokens.refresh.values()] == [False] * rotations + [True]
    assert [len(used) for used in watch.used.values()] == [times + 1] * PROCESSES
