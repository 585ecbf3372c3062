"""A small world for one connection: both sandboxes in process, a store, and one clock that moves them all."""

from __future__ import annotations

import asyncio
import shutil
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
from pydantic import BaseModel

from ml_connector.clock import ManualClock
from ml_connector.domain.outcomes import Outcome
from ml_connector.installation import Installation
from ml_connector.pairs.registry import direction as find_direction
from ml_connector.settings import Settings
from ml_connector.store import ledger
from ml_connector.store.crypto import Keys
from ml_connector.store.ledger import LedgerRow
from ml_connector.store.tenants import ConnectionRow
from ml_connector.sync.steps import chain, each_route
from sandbox.kit.clock import Clock
from tests.engine.faults import Faults, FaultyDatabase, FaultyTransport, Killed
from tests.jira_openapi import Judged

START = datetime(2026, 2, 10, 9, 0, tzinfo=UTC)
KEYS = Keys.generate()
Json = dict[str, Any]


class WorldClock(ManualClock):
    """Moves the sandboxes' clocks along."""

    def __init__(self, start: datetime) -> None:
        super().__init__(start)
        self.followers: list[Clock] = []

    def advance(self, seconds: float) -> None:
        super().advance(seconds)
        for follower in self.followers:
            follower.advance(seconds)


async def _end_others() -> None:
    """Workers of a killed process end with it."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


class World:
    """Two tenants and the connector between them; `restart` is a new process on the same store."""

    def __init__(self, folder: Path, template: Path, apps: Mapping[str, Any], *, url: str = "") -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / "store.db"
        shutil.copyfile(template, self.path)
        self.url = url or f"sqlite+aiosqlite:///{self.path}"
        self.clock = WorldClock(START)
        self.apps = dict(apps)
        for app in self.apps.values():
            self.clock.followers.append(app.state.tenant.clock)
        self.faults = Faults()
        self.rows: dict[str, ConnectionRow] = {}
        self.logins: dict[str, list[BaseModel]] = {}
        self.settings = Settings(home=folder)

    # ---- the connector

    @asynccontextmanager
    async def installation(self) -> AsyncIterator[Installation]:
        """One process of the connector."""
        database = FaultyDatabase(self.url)
        database.faults = self.faults
        try:
            yield Installation.assemble(self.settings, database, KEYS, self.clock)
        finally:
            await _end_others()
            await database.close()

    async def connect(self, row: ConnectionRow, logins: list[BaseModel], identities: tuple[str, str]) -> None:
        """Store a connection between the two tenants."""
        async with self.installation() as one:
            source = await one.tenants.get_or_create(row.pair.split("_")[0], identities[0])
            target = await one.tenants.get_or_create(row.pair.split("_")[1], identities[1])
            known = {name.name: name for name in await one.connections.list()}
            row = replace(row, source_tenant=source, target_tenant=target)
            if row.name in known:
                row = replace(row, settings_version=known[row.name].settings_version)
            self.rows[row.name] = await one.connections.save(row)
        self.logins[row.name] = logins
        self.faults = Faults()

    @asynccontextmanager
    async def session(self, direction: str, connection: str, *, run_id: str = "") -> AsyncIterator[Any]:
        """An open run of a direction."""
        async with self.installation() as one:
            row = await one.connections.get(connection)
            opened = find_direction(direction).open(
                one, row, self.logins[connection], run_id=run_id or uuid4().hex, transports=self.transports()
            )
            async with opened as session:
                yield session

    async def run(self, direction: str, connection: str, *, run_id: str = "") -> Counter[str]:
        """One run of a direction, every route in order; the outcomes of what it read."""
        counts: Counter[str] = Counter()
        async with self.session(direction, connection, run_id=run_id) as session:

            async def take(route: str) -> None:
                for page in await chain(session.steps, route):
                    counts.update(page.counts)

            failed = await each_route(session.steps.run.routes, take)
            await session.finish(counts)
            if failed is not None:
                raise failed
        return counts

    async def try_run(self, direction: str, connection: str) -> str:
        """A run that may be struck; the name of what ended it."""
        try:
            await self.run(direction, connection)
        except Killed:
            return "killed"
        except Exception as error:
            return type(error).__name__
        return ""

    def restart(self) -> None:
        """The old process is gone and its requests may still arrive; no more faults."""
        late = self.faults.late
        self.faults = Faults()
        self.faults.late = late

    async def pass_time(self, seconds: float) -> None:
        """Let time pass; requests that were given up arrive when theirs has come."""
        until = self.clock.monotonic() + seconds
        for due, arrive in sorted(self.faults.late, key=lambda one: one[0]):
            if due <= until:
                self.clock.advance(max(0.0, due - self.clock.monotonic()))
                await arrive()
        self.faults.late = [one for one in self.faults.late if one[0] > until]
        self.clock.advance(until - self.clock.monotonic())

    def transports(self) -> dict[str, httpx.AsyncBaseTransport]:
        """Ways into the sandboxes, with the current faults on them; what goes to Jira is judged first."""
        ways: dict[str, httpx.AsyncBaseTransport] = {
            name: FaultyTransport(httpx.ASGITransport(app=app), self.faults, self.clock.monotonic)
            for name, app in self.apps.items()
        }
        return {name: Judged(way) if name == "jira" else way for name, way in ways.items()}

    # ---- the tenants

    async def admin(self, system: str, path: str, body: Json | None = None, method: str = "POST") -> Any:
        """Call a sandbox's admin API."""
        transport = httpx.ASGITransport(app=self.apps[system])
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as http:
            answer = await http.request(method, f"/_sandbox/{path}", json=body)
            assert answer.status_code < 300, answer.text
            return answer.json()

    async def truth(self, system: str) -> Json:
        """A sandbox's truth counters."""
        found: Json = await self.admin(system, "truth", method="GET")
        return found

    async def calls(self, system: str) -> int:
        """How many requests a sandbox has had."""
        return int((await self.admin(system, "requests", method="GET"))["last"])

    # ---- the ledger

    async def standing(self, connection: str) -> dict[str, LedgerRow]:
        """Every ledger row of a connection by its document number."""
        async with self.installation() as one:
            rows = await ledger.listing(one.store.db, outcomes=list(Outcome), connection=connection)
        return {row.label: row for row in rows}

    async def outcomes(self, connection: str) -> dict[str, str]:
        """The outcome of every record by its document number."""
        return {label: row.outcome.value for label, row in (await self.standing(connection)).items()}
