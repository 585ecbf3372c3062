"""What every pair offers: its directions, each with its settings and a way to open a run."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any, Protocol
from uuid import uuid4

import httpx
from pydantic import BaseModel, ValidationError
from sqlalchemy import select

from ml_connector.domain.outcomes import Outcome
from ml_connector.errors import BusyError, ConfigurationError, TransientError
from ml_connector.http.models import first_problem
from ml_connector.installation import Installation
from ml_connector.store import ledger, pages, runs
from ml_connector.store.checkpoints import read_checkpoints, write_checkpoint
from ml_connector.store.database import Database
from ml_connector.store.leases import Lease
from ml_connector.store.ledger import LedgerRow
from ml_connector.store.schema import ledger as ledger_table
from ml_connector.store.tenants import ConnectionRow, Connections
from ml_connector.sync.run import Store
from ml_connector.sync.steps import EngineSteps

PAGES_KEPT = timedelta(days=14)
CHECKPOINT_EVERY = timedelta(hours=1)
Transports = Mapping[str, httpx.AsyncBaseTransport]


class Links(Protocol):
    """Where a person finds a record in either system."""

    def source(self, row: LedgerRow) -> str:
        """Address of the source record."""
        ...

    def target(self, row: LedgerRow) -> str:
        """Address of the target document, empty while there is none."""
        ...


@dataclass(frozen=True, slots=True)
class Session:
    """One opened run of a direction: its steps, its links, and the proof of both logins.

    `ignored` counts members of answers that nothing reads, `alarms` what a person should look into, by name.
    """

    steps: EngineSteps
    links: Links
    prove: Callable[[], Any]
    checkpoints: Path
    ignored: Callable[[], Mapping[str, int]]
    alarms: Callable[[], Mapping[str, int]] = dict

    async def finish(self, counts: Mapping[str, int]) -> None:
        """Record how the run ended, sign the audit trail now and then, and sweep pages that nobody retries any more."""
        run = self.steps.run
        await runs.finish(run.store.db, run.id, counts={**counts, **self.alarms()}, now=run.now)
        await checkpoint_when_due(run.store, self.checkpoints)
        async with run.store.db.write() as tx:
            await pages.sweep(tx, run.now - PAGES_KEPT)


async def checkpoint_when_due(store: Store, folder: Path) -> None:
    """A signed checkpoint at most once an hour; two processes that meet here need only one between them."""
    older, _problems = await asyncio.to_thread(read_checkpoints, store.keys, folder)
    if older and store.clock.now() - older[-1].at < CHECKPOINT_EVERY:
        return
    try:
        await write_checkpoint(store.db, store.keys, folder, store.clock)
    except TransientError:
        return


Opener = Callable[..., AbstractAsyncContextManager[Session]]


@dataclass(frozen=True, slots=True)
class Direction:
    """One way between two systems; `schedule_s` is how often a deployment looks when nobody says otherwise.

    `overlap` tells what two connections would both write, `proven` which settings name the tenants, and
    `settings_flow` is the form that changes them. `webhooks` names the system whose deliveries wake it, if any.
    """

    name: str
    pair: str
    source: str
    target: str
    settings: type[BaseModel]
    flow: str
    settings_flow: str
    open: Opener
    overlap: Callable[[Any, Any], str]
    proven: Callable[[Any], tuple[str, ...]]
    schedule_s: int = 300
    webhooks: str = ""


@asynccontextmanager
async def leased(installation: Installation, row: ConnectionRow, direction: str) -> AsyncIterator[Lease]:
    """The lease of (connection, direction) for one run; `BusyError` when another run keeps it or nobody may run."""
    if row.state != "active":
        raise BusyError(f"connection {row.name} is {row.state}; nothing is read or written", operation="lease")
    store = installation.store
    lease = Lease(store.db, store.clock, name=f"{row.name}/{direction}", owner=uuid4().hex)
    await lease.acquire()
    beat = asyncio.create_task(lease.beat())
    try:
        yield lease
    finally:
        beat.cancel()
        # A beat that failed has left the lease to end, which every send and every chunk notices by itself.
        await asyncio.gather(beat, return_exceptions=True)
        await lease.release()


def read_settings(model: type[BaseModel], row: ConnectionRow) -> Any:
    """A connection's settings as its typed model, or one line that names what is wrong."""
    try:
        return model.model_validate(row.settings)
    except ValidationError as error:
        raise ConfigurationError(f"settings of connection {row.name}: {first_problem(error)}") from error


async def refuse_overlap(
    installation: Installation, direction: Direction, settings: Any, *, name: str, source_tenant: str | None
) -> None:
    """ConfigurationError when another connection of the same source tenant would write the same records."""
    for row in await installation.connections.list():
        if row.name == name or (row.pair, row.source_tenant) != (direction.pair, source_tenant):
            continue
        if row.state == "paused" and not await _may_have_written(installation, row.name):
            continue
        if both := direction.overlap(settings, read_settings(direction.settings, row)):
            raise ConfigurationError(f"connection {name} would write what {row.name} writes: {both}")


async def _may_have_written(installation: Installation, name: str) -> bool:
    """Whether a paused connection left records that are, or may be, posted but not marked so at their source."""
    waiting = [Outcome.HELD, Outcome.IN_DOUBT, Outcome.REJECTED]
    rows = await ledger.listing(installation.store.db, outcomes=waiting, connection=name)
    return any(row.in_doubt or (row.posted and not row.complete) for row in rows)


async def change_settings(
    installation: Installation, direction: Direction, name: str, settings: Any, *, based_on: int
) -> ConnectionRow:
    """Store new settings for a connection under a new version; another tenant needs another connection.

    `based_on` is the version that the person saw: settings saved since then are never undone unseen.
    """
    row = await installation.connections.get(name)
    if row.settings_version != based_on:
        raise ConfigurationError(
            f"this form shows version {based_on} of the settings of {name}, which are at version "
            f"{row.settings_version} now; `ml-connector deploy` fills it in anew"
        )
    if direction.proven(settings) != direction.proven(read_settings(direction.settings, row)):
        wanted = "/".join(direction.proven(settings))
        raise ConfigurationError(f"connection {name} is proven for another tenant than {wanted}; connect a new one")
    await refuse_overlap(installation, direction, settings, name=name, source_tenant=row.source_tenant)
    content = settings.model_dump(mode="json", exclude_unset=True)
    return await installation.connections.save(replace(row, settings=content, time_zone=settings.time_zone))


async def responsible(db: Database, connections: Connections, name: str, among: Any) -> frozenset[str]:
    """The connections whose ledger rows (`among` names which) are this one's: itself, and for their heir those gone."""
    names = {name}
    known = [one.name for one in await connections.list()]
    gone = select(ledger_table.c.connection).distinct().where(ledger_table.c.connection.not_in(known))
    async with db.read() as tx:
        if await ledger.is_heir(tx, name):
            names.update((await tx.execute(gone.where(among))).scalars())
    return frozenset(names)


def need(login: BaseModel, kinds: tuple[type[BaseModel], ...], connection: str) -> Any:
    """A login of one side, refused when its block belongs to another system."""
    if not isinstance(login, kinds):
        names = " or ".join(kind.__name__ for kind in kinds)
        raise ConfigurationError(f"connection {connection}: its block holds {type(login).__name__}, not {names}")
    return login
