"""One run of one direction: its lease, its store, and the few operations that every step shares."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy.ext.asyncio import AsyncConnection

from ml_connector.clock import Clock
from ml_connector.domain.keys import ExternalId, token
from ml_connector.domain.outcomes import Outcome
from ml_connector.domain.reasons import Reason
from ml_connector.store import ledger
from ml_connector.store.audit import Audit, AuditEvent
from ml_connector.store.crypto import Keys
from ml_connector.store.database import Database
from ml_connector.store.leases import Lease
from ml_connector.store.ledger import EffectRow, LedgerRow
from ml_connector.sync.seams import Route
from ml_connector.sync.work import PageCache, Work

_LABEL_LENGTH = 200
# Between two effects a row says "may have been written", which is no news to whoever reads its history.
_ON_THE_WAY = frozenset({"intended", "written", "found", "adopted"})


@dataclass(frozen=True, slots=True)
class Store:
    """What the engine needs of an installation: database, keys, audit trail and clock."""

    db: Database
    keys: Keys
    audit: Audit
    clock: Clock


@dataclass(slots=True)
class SyncRun:
    """A run that holds the lease of (connection, direction).

    `settings_version` is the connection's at its start, which was at `started`; `page` is the page that is worked on,
    `young` a ledger without any history here.
    """

    id: str
    connection: str
    direction: str
    source_tenant: str
    target_tenant: str
    time_zone: str
    settings_version: int
    store: Store
    lease: Lease
    routes: dict[str, Route[Any]]
    started: datetime
    page_size: int = 500
    page: str = ""
    young: bool = True
    cache: PageCache = field(default_factory=PageCache)

    @property
    def chain(self) -> str:
        """The audit chain of this direction."""
        return f"{self.connection}/{self.direction}"

    @property
    def now(self) -> datetime:
        """The current instant."""
        return self.store.clock.now()

    @property
    def today(self) -> date:
        """The date in the connection's time zone, which posting dates follow."""
        return self.now.astimezone(ZoneInfo(self.time_zone)).date()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncConnection]:
        """A write transaction that no run without the lease gets through."""
        async with self.store.db.write() as tx:
            await self.lease.verify(tx, ended_is_lost=False)
            yield tx

    async def save(
        self, tx: AsyncConnection, rows: Sequence[LedgerRow], events: Sequence[AuditEvent]
    ) -> list[LedgerRow]:
        """Rows and the audit events that explain them, in one transaction."""
        saved = await ledger.save(self.store.db, tx, rows, self.now)
        await self.store.audit.append(tx, self.chain, events)
        return saved

    def external_id(self, route: Route[Any], key: str) -> ExternalId:
        """Our name for a source record."""
        return ExternalId(self.source_tenant, route.record_type, key)

    def row_id(self, route: Route[Any], key: str) -> str:
        """The ledger row of a source record."""
        return ledger.row_id(self.direction, str(self.external_id(route, key)), self.target_tenant)

    def label(self, route: Route[Any], work: Work[Any]) -> str:
        """The document number as a person knows it, made fit for a column: printable and not endless."""
        text = route.label(work.record) if work.record is not None else work.key
        return "".join(letter if letter.isprintable() else " " for letter in text)[:_LABEL_LENGTH]

    async def rows(self, route: Route[Any], keys: Iterable[str]) -> dict[str, LedgerRow]:
        """The ledger rows of source keys, their effects in the order of the route as it is now."""
        ids = {self.row_id(route, key): key for key in keys}
        names = [effect.name for effect in route.effects]
        found = await ledger.load(self.store.db, ids)
        return {ids[row_id]: ledger.aligned(row, names) for row_id, row in found.items()}

    async def owned_elsewhere(self, route: Route[Any], target_ids: Mapping[str, str]) -> frozenset[str]:
        """Of {row id: target id} the rows whose target object another row has already: a number given out twice."""
        owners = await ledger.owners(self.store.db, self.target_tenant, route.target_type, target_ids.values())
        return frozenset(row for row, target in target_ids.items() if owners.get(target, row) != row)

    def new_row(self, route: Route[Any], work: Work[Any]) -> LedgerRow:
        """The first ledger row of a record, nothing done yet."""
        external_id = self.external_id(route, work.key)
        return LedgerRow(
            id=self.row_id(route, work.key),
            connection=self.connection,
            direction=self.direction,
            route=route.name,
            external_id=str(external_id),
            target_tenant=self.target_tenant,
            token=token(external_id, self.target_tenant),
            label=self.label(route, work),
            source_version="",
            settings_version=self.settings_version,
            outcome=Outcome.HELD,
            since=self.now,
            target_type=route.target_type,
            effects=tuple(EffectRow(n, one.name) for n, one in enumerate(route.effects)),
        )

    def judged(self, row: LedgerRow, outcome: Outcome, reasons: tuple[Reason, ...] = ()) -> LedgerRow:
        """The row with a new outcome, decided on the current page; `since` stays while it lacks the same thing."""
        same = row.outcome is outcome and lacks(row.reasons) == lacks(reasons) and row.version > 0
        return replace(
            row,
            connection=self.connection,
            outcome=outcome,
            reasons=reasons,
            since=row.since if same else self.now,
            due_at=self.now if outcome in (Outcome.HELD, Outcome.IN_DOUBT) else None,
            settings_version=self.settings_version,
            last_run=self.id,
            last_page=self.page,
        )


def lacks(reasons: Sequence[Reason]) -> list[tuple[str, ...]]:
    """What reasons are about, without the quantities in them: a hold that gets smaller is still the same hold."""
    about = ("po", "line", "supplier", "effect", "code")
    return [(one.code, *(one.params.get(name, "") for name in about)) for one in reasons]


def event(kind: str, row: LedgerRow, **data: Any) -> AuditEvent:
    """An audit event about a row: codes and document numbers only; what a business wrote goes into `detail`."""
    detail = data.pop("detail", None)
    clear = {"record": row.label, "outcome": row.outcome.value, **data}
    if row.reasons and kind not in _ON_THE_WAY:
        clear["reasons"] = [{"code": one.code, **one.params} for one in row.reasons]
    return AuditEvent(kind=kind, external_id=row.external_id, data=clear, detail=detail)
