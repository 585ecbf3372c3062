"""Opens what the runs of every pair need: the clients of both systems, under one lease and with shared rate budgets."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
from pydantic import BaseModel

from ml_connector.installation import Installation
from ml_connector.pairs.base import Links, Session, Transports, leased, need, read_settings
from ml_connector.store import inbox, ledger, runs, wakes
from ml_connector.store.leases import Lease
from ml_connector.store.tenants import ConnectionRow
from ml_connector.sync.run import SyncRun
from ml_connector.sync.seams import Route
from ml_connector.sync.steps import EngineSteps
from ml_connector.systems.coupa import client as coupa_client
from ml_connector.systems.coupa.client import CoupaClient
from ml_connector.systems.coupa.config import CoupaCredentialsData, CoupaTenant
from ml_connector.systems.qad import client as qad_client
from ml_connector.systems.qad.config import QAD_LOGINS, QadTenant
from ml_connector.systems.qad.ports import QadRest


@dataclass(frozen=True, slots=True)
class End:
    """One end of a connection in a run: its block and login, the tenant's code, and the lease that ends all writing."""

    installation: Installation
    connection: str
    system: str
    block: str
    login: BaseModel
    tenant: str
    lease: Lease
    transport: httpx.AsyncBaseTransport | None


@dataclass(frozen=True, slots=True)
class Way:
    """One direction as it is opened: the clients of both ends, its routes, and how records are linked.

    `forward` says that records come from the first end, `woken` that deliveries may ask for it. `plan` makes the
    routes, and names what else a run counts.
    """

    name: str
    settings: type[BaseModel]
    forward: bool
    page_size: Callable[[Any], int]
    clients: Sequence[Callable[[End, Any], AbstractAsyncContextManager[Any]]]
    plan: Callable[[Opening], Plan]
    links: Callable[[str, str], Links]
    woken: bool = False


@dataclass(frozen=True, slots=True)
class Opening:
    """What a direction's routes are made of; `news` says that deliveries wait in its inbox."""

    installation: Installation
    row: ConnectionRow
    run: SyncRun
    settings: Any
    clients: Sequence[Any]
    news: bool


@dataclass(frozen=True, slots=True)
class Plan:
    """The routes of a run in business order, and what a person should look into at its end."""

    routes: dict[str, Route[Any]]
    alarms: Callable[[], Mapping[str, int]] = dict


@asynccontextmanager
async def opened(
    way: Way,
    installation: Installation,
    row: ConnectionRow,
    logins: Sequence[BaseModel],
    *,
    run_id: str,
    transports: Transports | None = None,
) -> AsyncIterator[Session]:
    """One run of a direction under its lease, both clients open."""
    settings = read_settings(way.settings, row)
    async with AsyncExitStack() as stack:
        lease = await stack.enter_async_context(leased(installation, row, way.name))
        news = way.woken and await _awake(installation, row, way)
        ends = _ends(installation, row, logins, lease, transports or {})
        clients = [
            await stack.enter_async_context(client(end, settings))
            for client, end in zip(way.clients, ends, strict=True)
        ]
        run = await _run(way, installation, row, settings, lease=lease, run_id=run_id)
        plan = way.plan(Opening(installation, row, run, settings, clients, news))
        run.routes = plan.routes
        await runs.start(run.store.db, run_id, connection=row.name, direction=run.direction, now=run.now)
        first, second = (one.http for one in clients)
        yield Session(
            steps=EngineSteps(run),
            links=way.links(first.base_url, second.base_url),
            prove=lambda: _prove(ends, clients),
            checkpoints=installation.settings.checkpoints,
            ignored=lambda: first.ignored_fields + second.ignored_fields,
            alarms=plan.alarms,
        )


async def _awake(installation: Installation, row: ConnectionRow, way: Way) -> bool:
    """Whether deliveries wait for this run; what arrives from here on asks for another one."""
    db = installation.store.db
    await wakes.clear(db, row.name, way.name)
    return bool(await inbox.waiting(db, row.name, way.name, 1))


async def _run(
    way: Way, installation: Installation, row: ConnectionRow, settings: Any, *, lease: Lease, run_id: str
) -> SyncRun:
    tenants = (row.source_tenant, row.target_tenant)
    source, target = tenants if way.forward else reversed(tenants)
    return SyncRun(
        id=run_id,
        connection=row.name,
        direction=way.name,
        source_tenant=source,
        target_tenant=target,
        time_zone=row.time_zone,
        settings_version=row.settings_version,
        store=installation.store,
        lease=lease,
        routes={},
        started=installation.store.clock.now(),
        page_size=way.page_size(settings),
        young=await ledger.is_young(installation.store.db, way.name, target),
    )


def _ends(
    installation: Installation, row: ConnectionRow, logins: Sequence[BaseModel], lease: Lease, transports: Transports
) -> list[End]:
    """Both ends of a connection, in the order of its pair's name."""
    systems = row.pair.split("_")
    parts = zip(
        systems, (row.source_block, row.target_block), logins, (row.source_tenant, row.target_tenant), strict=True
    )
    return [
        End(installation, row.name, system, block, login, tenant, lease, transports.get(system))
        for system, block, login, tenant in parts
    ]


async def _prove(ends: Sequence[End], clients: Sequence[Any]) -> dict[str, str]:
    """Who we are in both systems; a login that worked and is still good is not tried again just for that."""
    return {
        end.system: client.identity if await client.http.logged_in() else await client.who_am_i()
        for end, client in zip(ends, clients, strict=True)
    }


@asynccontextmanager
async def coupa(end: End, settings: CoupaTenant) -> AsyncIterator[CoupaClient]:
    """The Coupa instance of a connection."""
    login = need(end.login, (CoupaCredentialsData,), end.connection)
    client = coupa_client.open_client(
        login,
        settings,
        name=end.tenant,
        store=end.installation.vault,
        slot=end.installation.slot(end.block, login),
        budget=end.installation.budget(end.tenant, settings.per_second),
        clock=end.installation.store.clock,
        transport=end.transport,
        deadline=end.lease.deadline,
    )
    try:
        yield client
    finally:
        await client.http.aclose()


@asynccontextmanager
async def qad(end: End, settings: QadTenant) -> AsyncIterator[QadRest]:
    """The QAD tenant of a connection."""
    login = need(end.login, QAD_LOGINS, end.connection)
    client = qad_client.open_client(
        login,
        settings,
        name=end.tenant,
        store=end.installation.vault,
        slot=end.installation.slot(end.block, login),
        budget=end.installation.budget(end.tenant, settings.limits.rps),
        clock=end.installation.store.clock,
        transport=end.transport,
        deadline=end.lease.deadline,
    )
    try:
        yield QadRest(client)
    finally:
        await client.http.aclose()
