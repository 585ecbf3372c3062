"""What every pair offers: its directions, each with its settings and a way to open a run."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol
from uuid import uuid4

import httpx
from pydantic import BaseModel, ValidationError

from ml_connector.errors import ConfigurationError
from ml_connector.http.models import first_problem
from ml_connector.installation import Installation
from ml_connector.store import runs
from ml_connector.store.leases import Lease
from ml_connector.store.ledger import LedgerRow
from ml_connector.store.tenants import ConnectionRow
from ml_connector.sync.steps import EngineSteps

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
    """One opened run of a direction: its steps, its links, and the proof of both logins."""

    steps: EngineSteps
    links: Links
    prove: Callable[[], Any]
    notes: Callable[[], Mapping[str, int]] = field(default=dict)

    async def finish(self, counts: Mapping[str, int]) -> None:
        """Record how the run ended."""
        run = self.steps.run
        await runs.finish(run.store.db, run.id, counts=dict(counts), now=run.now)


Opener = Callable[..., AbstractAsyncContextManager[Session]]


@dataclass(frozen=True, slots=True)
class Direction:
    """One way between two systems; `schedule_s` is how often a deployment looks when nobody says otherwise."""

    name: str
    pair: str
    source: str
    target: str
    settings: type[BaseModel]
    flow: str
    open: Opener
    schedule_s: int = 300


@asynccontextmanager
async def leased(installation: Installation, row: ConnectionRow, direction: str) -> AsyncIterator[Lease]:
    """The lease of (connection, direction) for one run; `BusyError` when another run keeps it."""
    store = installation.store
    lease = Lease(store.db, store.clock, name=f"{row.name}/{direction}", owner=uuid4().hex)
    await lease.acquire()
    try:
        yield lease
    finally:
        await lease.release()


def read_settings(model: type[BaseModel], row: ConnectionRow) -> Any:
    """A connection's settings as its typed model, or one line that names what is wrong."""
    try:
        return model.model_validate(row.settings)
    except ValidationError as error:
        raise ConfigurationError(f"settings of connection {row.name}: {first_problem(error)}") from error


def need(logins: Sequence[BaseModel], position: int, kinds: tuple[type[BaseModel], ...], connection: str) -> Any:
    """The login of one side, refused when its block belongs to another system."""
    login = logins[position]
    if not isinstance(login, kinds):
        names = " or ".join(kind.__name__ for kind in kinds)
        raise ConfigurationError(f"connection {connection}: its block holds {type(login).__name__}, not {names}")
    return login
