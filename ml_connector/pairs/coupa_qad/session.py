"""Opens a run of this pair: both clients under one lease, with the tenants' shared rate budgets."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from pydantic import BaseModel

from ml_connector.domain.keys import ExternalId, token
from ml_connector.domain.matching import LineKey
from ml_connector.installation import Installation
from ml_connector.pairs.base import Direction, Session, Transports, leased, need, read_settings
from ml_connector.pairs.coupa_qad.routes import RECORD_TYPE, invoices
from ml_connector.pairs.coupa_qad.settings import CoupaQadSettings, overlap, proven
from ml_connector.store import ledger, reservations, runs
from ml_connector.store.leases import Lease
from ml_connector.store.ledger import LedgerRow
from ml_connector.store.reservations import LineUse
from ml_connector.store.tenants import ConnectionRow
from ml_connector.sync.run import SyncRun
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
from ml_connector.systems.qad.ports import QadPort, QadRest

QAD_LOGINS = (QadPasswordLogin, QadClientCredentialsLogin, QadSessionLogin, QadBasicLogin)


@dataclass(frozen=True, slots=True)
class _Links:
    coupa: str
    qad: str

    def source(self, row: LedgerRow) -> str:
        return f"{self.coupa}/invoices/{ExternalId.parse(row.external_id).key}"

    def target(self, row: LedgerRow) -> str:
        # QAD documents no address of a single voucher, so the link leads to the tenant.
        return self.qad if row.target_id else ""


@asynccontextmanager
async def _coupa_to_qad(
    installation: Installation,
    row: ConnectionRow,
    logins: Sequence[BaseModel],
    *,
    run_id: str,
    transports: Transports | None = None,
) -> AsyncIterator[Session]:
    settings: CoupaQadSettings = read_settings(CoupaQadSettings, row)
    store = installation.store
    async with AsyncExitStack() as stack:
        lease = await stack.enter_async_context(leased(installation, row, "coupa_to_qad"))
        coupa = _open_coupa(installation, row, logins, settings, lease, transports or {})
        stack.push_async_callback(coupa.http.aclose)
        qad = _open_qad(installation, row, logins, settings, lease, transports or {})
        stack.push_async_callback(qad.client.http.aclose)

        async def read_uses(numbers: Iterable[str]) -> Mapping[LineKey, LineUse]:
            async with store.db.read() as tx:
                return await reservations.uses(tx, row.target_tenant, numbers)

        def token_of(key: str) -> str:
            return token(ExternalId(row.source_tenant, RECORD_TYPE, key), row.target_tenant)

        run = SyncRun(
            id=run_id,
            connection=row.name,
            direction="coupa_to_qad",
            source_tenant=row.source_tenant,
            target_tenant=row.target_tenant,
            time_zone=row.time_zone,
            settings_version=row.settings_version,
            store=store,
            lease=lease,
            routes={"invoices": invoices(coupa, qad, settings, read_uses=read_uses, token_of=token_of)},
            page_size=settings.invoices.page_size,
            young=await ledger.is_young(store.db, "coupa_to_qad", row.target_tenant),
        )
        await runs.start(store.db, run_id, connection=row.name, direction=run.direction, now=run.now)
        yield Session(
            steps=EngineSteps(run, run.now),
            links=_Links(coupa.http.base_url, qad.client.http.base_url),
            prove=lambda: _prove(coupa, qad),
            checkpoints=installation.settings.checkpoints,
            ignored=lambda: coupa.http.ignored_fields + qad.client.http.ignored_fields,
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


async def _prove(coupa: CoupaClient, qad: QadPort) -> dict[str, str]:
    return {"coupa": await coupa.who_am_i(), "qad": await qad.who_am_i()}


COUPA_TO_QAD = Direction(
    name="coupa_to_qad",
    pair="coupa_qad",
    source="coupa",
    target="qad",
    settings=CoupaQadSettings,
    flow="flows.coupa_to_qad.coupa_to_qad",
    settings_flow="flows.connection_settings.coupa_qad_settings",
    open=_coupa_to_qad,
    overlap=overlap,
    proven=proven,
)
