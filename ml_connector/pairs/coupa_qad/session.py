"""Opens a run of either direction of this pair: both clients under one lease, with the tenants' shared rate budgets."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any

from pydantic import BaseModel

from ml_connector.domain.keys import ExternalId, token
from ml_connector.domain.matching import LineKey
from ml_connector.installation import Installation
from ml_connector.pairs.base import Direction, Session, Transports, leased, need, read_settings
from ml_connector.pairs.coupa_qad.links import ToCoupaLinks, ToQadLinks
from ml_connector.pairs.coupa_qad.ours import OurVouchers
from ml_connector.pairs.coupa_qad.routes import Ends, to_qad
from ml_connector.pairs.coupa_qad.settings import CoupaQadSettings, overlap, proven
from ml_connector.pairs.coupa_qad.way_back import to_coupa
from ml_connector.store import ledger, reservations, runs
from ml_connector.store.leases import Lease
from ml_connector.store.reservations import LineUse
from ml_connector.store.tenants import ConnectionRow
from ml_connector.sync.run import SyncRun
from ml_connector.sync.seams import Route
from ml_connector.sync.steps import EngineSteps
from ml_connector.systems.coupa import client as coupa_client
from ml_connector.systems.coupa.client import CoupaClient
from ml_connector.systems.coupa.config import CoupaCredentialsData
from ml_connector.systems.qad import client as qad_client
from ml_connector.systems.qad.config import (
    QadBasicLogin,
    QadClientCredentialsLogin,
    QadPasswordLogin,
    QadSessionLogin,
)
from ml_connector.systems.qad.ports import QadRest

QAD_LOGINS = (QadPasswordLogin, QadClientCredentialsLogin, QadSessionLogin, QadBasicLogin)
# A void that is older than this when a connection first looks was seen when it was made, or concerns nothing of ours.
_VOIDS_SINCE = timedelta(days=90)
Routes = Callable[[Ends], dict[str, Route[Any]]]


@dataclass(frozen=True, slots=True)
class _Way:
    """One direction: its routes, how records are linked, and whether Coupa is the source."""

    name: str
    routes: Routes
    links: Callable[[str, str], Any]
    from_coupa: bool
    page_size: Callable[[CoupaQadSettings], int]


@asynccontextmanager
async def _opened(
    way: _Way,
    installation: Installation,
    row: ConnectionRow,
    logins: Sequence[BaseModel],
    *,
    run_id: str,
    transports: Transports | None = None,
) -> AsyncIterator[Session]:
    settings: CoupaQadSettings = read_settings(CoupaQadSettings, row)
    store = installation.store
    tenants = (row.source_tenant, row.target_tenant)
    source, target = tenants if way.from_coupa else reversed(tenants)
    async with AsyncExitStack() as stack:
        lease = await stack.enter_async_context(leased(installation, row, way.name))
        coupa = _open_coupa(installation, row, logins, settings, lease, transports or {})
        stack.push_async_callback(coupa.http.aclose)
        qad = _open_qad(installation, row, logins, settings, lease, transports or {})
        stack.push_async_callback(qad.client.http.aclose)
        run = SyncRun(
            id=run_id,
            connection=row.name,
            direction=way.name,
            source_tenant=source,
            target_tenant=target,
            time_zone=row.time_zone,
            settings_version=row.settings_version,
            store=store,
            lease=lease,
            routes={},
            page_size=way.page_size(settings),
            young=await ledger.is_young(store.db, way.name, target),
        )
        run.routes = way.routes(_ends(installation, row, run, coupa, qad, settings))
        await runs.start(store.db, run_id, connection=row.name, direction=run.direction, now=run.now)
        yield Session(
            steps=EngineSteps(run, run.now),
            links=way.links(coupa.http.base_url, qad.client.http.base_url),
            prove=lambda: _prove(coupa, qad),
            checkpoints=installation.settings.checkpoints,
            ignored=lambda: coupa.http.ignored_fields + qad.client.http.ignored_fields,
        )


def _ends(
    installation: Installation,
    row: ConnectionRow,
    run: SyncRun,
    coupa: CoupaClient,
    qad: QadRest,
    settings: CoupaQadSettings,
) -> Ends:
    store = installation.store

    async def read_uses(numbers: Iterable[str]) -> Mapping[LineKey, LineUse]:
        async with store.db.read() as tx:
            return await reservations.uses(tx, row.target_tenant, numbers)

    async def read_tokens(tokens: frozenset[str]) -> frozenset[str]:
        return await reservations.known_tokens(store.db, row.target_tenant, tokens)

    def token_of(record_type: str, key: str) -> str:
        return token(ExternalId(run.source_tenant, record_type, key), run.target_tenant)

    return Ends(
        coupa=coupa,
        qad=qad,
        settings=settings,
        vouchers=OurVouchers(store, installation.connections, row),
        read_uses=read_uses,
        read_tokens=read_tokens,
        token_of=token_of,
        voids_since=run.now - _VOIDS_SINCE,
        today=run.today,
    )


def _open_coupa(
    installation: Installation,
    row: ConnectionRow,
    logins: Sequence[BaseModel],
    settings: CoupaQadSettings,
    lease: Lease,
    transports: Transports,
) -> CoupaClient:
    login = need(logins, 0, (CoupaCredentialsData,), row.name)
    return coupa_client.open_client(
        login,
        settings.coupa,
        name=row.source_tenant,
        store=installation.vault,
        slot=installation.slot(row.source_block, login),
        budget=installation.budget(row.source_tenant, settings.coupa.per_second),
        clock=installation.store.clock,
        transport=transports.get("coupa"),
        deadline=lease.deadline,
    )


def _open_qad(
    installation: Installation,
    row: ConnectionRow,
    logins: Sequence[BaseModel],
    settings: CoupaQadSettings,
    lease: Lease,
    transports: Transports,
) -> QadRest:
    login = need(logins, 1, QAD_LOGINS, row.name)
    client = qad_client.open_client(
        login,
        settings.qad,
        name=row.target_tenant,
        store=installation.vault,
        slot=installation.slot(row.target_block, login),
        budget=installation.budget(row.target_tenant, settings.qad.limits.rps),
        clock=installation.store.clock,
        transport=transports.get("qad"),
        deadline=lease.deadline,
    )
    return QadRest(client)


async def _prove(coupa: CoupaClient, qad: QadRest) -> dict[str, str]:
    """Who we are in both systems; a login that worked and is still good is not tried again just for that."""
    return {
        "coupa": coupa.identity if await coupa.http.logged_in() else await coupa.who_am_i(),
        "qad": qad.identity if await qad.client.http.logged_in() else await qad.who_am_i(),
    }


COUPA_TO_QAD = Direction(
    name="coupa_to_qad",
    pair="coupa_qad",
    source="coupa",
    target="qad",
    settings=CoupaQadSettings,
    flow="flows.coupa_to_qad.coupa_to_qad",
    settings_flow="flows.connection_settings.coupa_qad_settings",
    open=partial(_opened, _Way("coupa_to_qad", to_qad, ToQadLinks, True, lambda one: one.invoices.page_size)),
    overlap=overlap,
    proven=proven,
    webhooks="coupa",
)
QAD_TO_COUPA = Direction(
    name="qad_to_coupa",
    pair="coupa_qad",
    source="qad",
    target="coupa",
    settings=CoupaQadSettings,
    flow="flows.qad_to_coupa.qad_to_coupa",
    settings_flow="flows.connection_settings.coupa_qad_settings",
    open=partial(_opened, _Way("qad_to_coupa", to_coupa, ToCoupaLinks, False, lambda one: one.payments.page_size)),
    overlap=overlap,
    proven=proven,
    schedule_s=900,
)
