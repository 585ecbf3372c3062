"""A small world of two systems in memory whose documents share a field: `code` travels both ways, `amount` is A's.

Every document of A gets one in B (a_to_b); what people choose as code there goes back (b_to_a).
"""

from __future__ import annotations

import itertools
import shutil
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

from pydantic import TypeAdapter

from ml_connector.clock import ManualClock
from ml_connector.domain.keys import ExternalId
from ml_connector.domain.outcomes import READY, Decision, Outcome, Verdict, skipped
from ml_connector.domain.reasons import reason
from ml_connector.store import agreed, ledger
from ml_connector.store.audit import Audit
from ml_connector.store.crypto import Keys
from ml_connector.store.leases import Lease
from ml_connector.store.ledger import LedgerRow
from ml_connector.sync.run import Store as Parts
from ml_connector.sync.run import SyncRun
from ml_connector.sync.seams import Effect, Facts, Route
from ml_connector.sync.steps import EngineSteps, chain
from tests.engine.both_ways_systems import Comments, Document, Documents, Stream, System, Told, Trouble
from tests.engine.faults import Faults, Killed
from tests.engine.history_store import SharedDatabase, Store

A_TO_B, B_TO_A = "a_to_b", "b_to_a"
_START = datetime(2026, 2, 10, 9, 0, tzinfo=UTC)
_KEYS = Keys.generate()
_NUMBERS = itertools.count()


class Always:
    """Check: every document of A goes to B."""

    async def load(self, records: Sequence[Document]) -> None:
        """Nothing to load."""

    def decide(self, records: Sequence[Document], context: None) -> list[Decision]:
        """Ready."""
        return [READY for _ in records]


@dataclass(frozen=True, slots=True)
class Chosen:
    """Check: a document of B goes back once its code is another than agreed; from then on every change does."""

    run: SyncRun

    async def load(self, records: Sequence[Document]) -> Any:
        """Our documents among them, the codes agreed on, and which went back before."""
        db, keys = self.run.store.db, [one.key for one in records]
        owners = await ledger.owners(db, self.run.source_tenant, "document", keys)
        ours = await ledger.load(db, owners.values())
        rows = await self.run.rows(self.run.routes["codes"], keys)
        before = {key for key, row in rows.items() if row.posted or row.in_doubt}
        return owners, ours, await agreed.load(db, self.run.store.keys, owners.values()), before

    def decide(self, records: Sequence[Document], context: Any) -> list[Decision]:
        """One decision per document."""
        return [self._decide(one, *context) for one in records]

    def _decide(
        self,
        one: Document,
        owners: Mapping[str, str],
        ours: Mapping[str, LedgerRow],
        known: Mapping[str, Mapping[str, str]],
        before: set[str],
    ) -> Decision:
        link = owners.get(one.key)
        if link is None:
            return skipped(reason("not_our_issue"))
        if one.key not in before and one.code == known.get(link, {}).get("code", ""):
            return skipped(reason("undecided"))
        return Decision(Verdict.READY, extra={"link": link, "key": ExternalId.parse(ours[link].external_id).key})


class BothWays:
    """Two systems and the connector between them; every run is a process of its own, many worlds share a store."""

    def __init__(self, store: Store, *, comments: bool = False) -> None:
        number = next(_NUMBERS)
        self.name = f"pair {number}"
        self.clock = ManualClock(_START)
        self.a, self.b = System(), System()
        self.told: Told = {}
        self._comments = comments
        self._codes = {A_TO_B: f"A{number:03}", B_TO_A: f"B{number:03}"}
        self._database = SharedDatabase(f"sqlite+aiosqlite:///{store.path}", store.engine, Faults())

    # ---- the connector

    async def run(
        self, direction: str, *, trouble: Trouble | None = None, faults: Faults | None = None
    ) -> Counter[str]:
        """One run a minute after the last; a killed one leaves its lease to end."""
        self.clock.advance(60)
        self._database.faults = faults or Faults()
        try:
            return await self._run(direction, trouble or Trouble())
        except Killed:
            self.clock.advance(180)
            return Counter(killed=1)
        finally:
            self._database.faults = Faults()

    async def _run(self, direction: str, trouble: Trouble) -> Counter[str]:
        database = self._database
        store = Parts(database, _KEYS, Audit(database, _KEYS, self.clock), self.clock)
        lease = await Lease(database, self.clock, name=f"{self.name}/{direction}", owner=uuid4().hex).acquire()
        other = {A_TO_B: B_TO_A, B_TO_A: A_TO_B}[direction]
        run = SyncRun(
            id=uuid4().hex,
            connection=self.name,
            direction=direction,
            source_tenant=self._codes[direction],
            target_tenant=self._codes[other],
            time_zone="UTC",
            settings_version=1,
            store=store,
            lease=lease,
            routes={},
            started=self.clock.now(),
        )
        route = self._there(trouble) if direction == A_TO_B else self._back(run, trouble)
        run.routes[route.name] = route
        counts: Counter[str] = Counter()
        for page in await chain(EngineSteps(run), route.name):
            counts.update(page.counts)
        await lease.release()
        return counts

    def _there(self, trouble: Trouble) -> Route[Document]:
        write: Effect[Document] = Effect(
            name="write",
            target=Documents(self.b, ("code", "amount"), trouble),
            document=lambda facts: {"code": facts.record.code, "amount": facts.record.amount},
            operation="upsert",
            shared={"code": "code"},
        )
        note: Effect[Document] = Effect(
            name="note",
            target=Comments(self.told, trouble),
            document=lambda facts: {"code": facts.record.code, "amount": facts.record.amount},
            operation="tell",
        )
        effects = (write, note) if self._comments else (write,)
        return _route("documents", "document", self.a, Always(), effects, {"code", "amount"})

    def _back(self, run: SyncRun, trouble: Trouble) -> Route[Document]:
        write: Effect[Document] = Effect(
            name="write",
            target=Documents(self.a, ("code",), trouble),
            document=_way_back,
            operation="upsert",
            shared={"code": "code"},
        )
        return _route("codes", "code", self.b, Chosen(run), (write,), {"code"})

    # ---- what the store says

    async def rows(self) -> dict[tuple[str, str], LedgerRow]:
        """Every ledger row by direction and key."""
        found = await ledger.listing(self._database, outcomes=list(Outcome), connection=self.name)
        return {(row.direction, ExternalId.parse(row.external_id).key): row for row in found}

    async def agreed_on(self, rows: Iterable[LedgerRow]) -> dict[str, str]:
        """The agreed code by ledger row."""
        known = await agreed.load(self._database, _KEYS, [row.id for row in rows])
        return {row: one["code"] for row, one in known.items() if "code" in one}


def open_store(folder: Path, template: Path) -> Store:
    """An empty store for any number of worlds."""
    store = Store(folder, template)
    shutil.copyfile(template, store.path)
    return store


def _route(
    name: str, kind: str, system: System, check: Any, effects: tuple[Effect[Document], ...], reads: set[str]
) -> Route[Document]:
    return Route(
        name=name,
        record_type=kind,
        target_type=kind,
        records=TypeAdapter(Document),
        reads=frozenset(reads),
        sources=(Stream(system, name),),
        check=check,
        effects=effects,
        key=lambda one: one.key,
        label=lambda one: one.key,
        on_change="update",
    )


def _way_back(facts: Facts[Document]) -> Mapping[str, Any]:
    extra = (facts.decision or READY).extra or {}
    return {"key": extra["key"], "link": extra["link"], "code": facts.record.code}
