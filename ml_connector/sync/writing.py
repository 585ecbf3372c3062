"""Intend, write, confirm: a chunk of rows goes through its effects, each intended before it is sent.

The confirmation of one effect and the intention of the next share a transaction, so a crash at any point leaves
either a row that says what was intended, or one that says what is done.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from ml_connector.domain.keys import ExternalId, fingerprint, idempotency_key, source_version
from ml_connector.domain.outcomes import Outcome
from ml_connector.domain.reasons import Reason, reason
from ml_connector.domain.writes import REMEMBERED, Done, Doubt, NotSent, Order, Refused, Sent, Stopped
from ml_connector.errors import ConnectorError
from ml_connector.store import reservations
from ml_connector.store.audit import AuditEvent
from ml_connector.store.leases import LENGTH_S
from ml_connector.store.ledger import DONE, IN_DOUBT, INTENDED, PENDING, REFUSED, EffectRow, LedgerRow
from ml_connector.sync import agreeing, lanes
from ml_connector.sync.asking import document, order, reserved
from ml_connector.sync.judging import expired
from ml_connector.sync.payloads import seal, stored_payload, synced_payload
from ml_connector.sync.room import granting
from ml_connector.sync.run import SyncRun, event, lacks
from ml_connector.sync.seams import Effect, Route
from ml_connector.sync.work import Work, pack

_CHUNK = 250


async def write_all(run: SyncRun, route: Route[Any], works: Sequence[Work[Any]]) -> None:
    """Send every effect that is not done yet; each record's row then carries its outcome.

    Chunks follow each other through the effects as on a line: while one is marked in the source system, the next is
    created in the target system. The first failure stops the line; what is known by then is recorded.
    """
    slowest = min(effect.target.per_second for effect in route.effects)
    size = max(1, min(_CHUNK, int(slowest * LENGTH_S / 2)))
    line = _Line([asyncio.Lock() for _ in route.effects])
    chunks = [_Chunk(run, route, list(works[start : start + size]), line) for start in range(0, len(works), size)]
    ended = await asyncio.gather(*(chunk.go() for chunk in chunks), return_exceptions=True)
    for failure in ended:
        if failure is not None:
            raise failure


@dataclass(slots=True)
class _Line:
    """One chunk at a time per effect, until something stops the run."""

    turns: list[asyncio.Lock]
    stopped: bool = False


@dataclass(slots=True)
class _Chunk:
    """Rows that go through their effects together; `dirty` and `events` wait for the next transaction."""

    run: SyncRun
    route: Route[Any]
    works: list[Work[Any]]
    line: _Line
    alive: set[str] = field(default_factory=set)
    dirty: dict[str, Work[Any]] = field(default_factory=dict)
    events: list[AuditEvent] = field(default_factory=list)
    permanent: set[str] = field(default_factory=set)
    freed: set[str] = field(default_factory=set)
    claims: list[dict[str, Any]] = field(default_factory=list)
    agreed: dict[tuple[str, str], str] = field(default_factory=dict)
    taken: frozenset[str] = frozenset()

    async def go(self) -> None:
        self.alive = {work.known.id for work in self.works}
        try:
            for ordinal, effect in enumerate(self.route.effects):
                async with self.line.turns[ordinal]:
                    if self.line.stopped:
                        self._wait_at_next()
                        break
                    await self._pass(ordinal, effect)
            await self._record()
        except BaseException:
            self.line.stopped = True
            raise

    async def _pass(self, ordinal: int, effect: Effect[Any]) -> None:
        await self.run.lease.keep()
        async with self.run.transaction() as tx:
            orders = await self._intend(tx, ordinal, effect)
            await self._flush(tx)
        if orders:
            await self._send(ordinal, effect, orders)

    async def _send(self, ordinal: int, effect: Effect[Any], orders: Mapping[str, Order]) -> None:
        stopped: Stopped | None = None
        missing: Sent = Doubt("no answer for this record")
        try:
            sent = await effect.target.send(list(orders.values()))
        except Stopped as error:
            sent, stopped = error.sent, error
            if isinstance(error.cause, ConnectorError):
                # Login, rights or lease: definite, so what has no answer was not written.
                missing = NotSent(error.cause.message)
        works = self._at(ordinal, INTENDED)
        if ordinal == 0:
            self.taken = await self._taken(sent)
        for work in works:
            self._apply(work, effect, sent.get(work.known.external_id, missing))
        if stopped is not None:
            self._wait_at_next()
            await self._record()
            raise stopped.cause

    def _wait_at_next(self) -> None:
        """The run ends here: what is posted but not finished waits for the next one, and is in no doubt."""
        for work in self.works:
            row = work.known
            if row.id in self.alive and row.version and row.next_effect is not None and not row.in_doubt:
                self._stop(work, row, Outcome.HELD, reason("transient", effect=row.next_effect.name))

    async def _taken(self, sent: Mapping[str, Sent]) -> frozenset[str]:
        """Rows whose new document has a number that the target gave to another record of ours before."""
        rows = {work.known.external_id: work.known.id for work in self.works}
        created = {rows[name]: one.target_id for name, one in sent.items() if isinstance(one, Done)}
        return await self.run.owned_elsewhere(self.route, created)

    async def _record(self) -> None:
        if self.dirty:
            async with self.run.transaction() as tx:
                await self._flush(tx)

    def _at(self, ordinal: int, state: str) -> list[Work[Any]]:
        return [
            work for work in self.works if work.known.id in self.alive and work.known.effects[ordinal].state == state
        ]

    # ---- intend

    async def _intend(self, tx: AsyncConnection, ordinal: int, effect: Effect[Any]) -> Mapping[str, Order]:
        todo = self._at(ordinal, PENDING) + self._at(ordinal, REFUSED)
        if ordinal == 0 and todo:
            todo = await self._without_twins(tx, todo) if effect.operation == "create" else todo
            todo = await self._reserve(tx, todo)
            self.claims = [row for work in todo for row in reserved(self.run, work.known, work, permanent=False)]
        orders: dict[str, Order] = {}
        for work in todo:
            payload = self._plan(work, ordinal, effect)
            key = work.known.effects[ordinal].key
            changed = work.changed if ordinal == 0 else ()
            self.agreed |= agreeing.intended(effect, work.known, payload)
            orders[work.known.external_id] = order(
                effect, work.known, payload, key=key, changed=changed, before=self._before(work, ordinal, effect)
            )
            self._note(
                work, event("intended", work.known, effect=effect.name, revision=work.known.effects[ordinal].revision)
            )
        return orders

    def _before(self, work: Work[Any], ordinal: int, effect: Effect[Any]) -> Mapping[str, Any]:
        if effect.operation != "tell":
            return {}
        return synced_payload(self.run.store.keys, work.known, work.known.effects[ordinal])

    def _plan(self, work: Work[Any], ordinal: int, effect: Effect[Any]) -> Mapping[str, Any]:
        """Freeze payload and key in the row. A payload that was settled as absent is sent again as it was."""
        row, before = work.known, work.known.effects[ordinal]
        payload = document(self.run, effect, work)
        print_now = fingerprint(payload, leave_out=effect.clock_fields)
        again = before.blob is not None and before.fingerprint == print_now
        if again:
            payload = stored_payload(self.run.store.keys, row, before)
        revision = max(row.revision, before.revision)
        if ordinal == 0:
            revision = max(row.revision + (row.fingerprint != print_now), 1)
            row = replace(row, revision=revision)
            work.held = (row.reasons, row.since) if row.outcome is Outcome.HELD else None
        key = before.key if again else self._key(row, revision, effect)
        changed = replace(
            before,
            state=INTENDED,
            revision=revision,
            key=key,
            fingerprint=print_now,
            blob=seal(self.run.store.keys, row, before, payload),
            epoch=self.run.lease.epoch,
            doubt_since=None,
        )
        row = replace(row.with_effect(changed), attempts=row.attempts + 1)
        if ordinal == 0:
            row = self._about_to_write(row, work, print_now)
        work.row = self.run.judged(row, Outcome.IN_DOUBT, (reason("waits_for_clear_answer", effect=effect.name),))
        return payload

    def _key(self, row: LedgerRow, revision: int, effect: Effect[Any]) -> str:
        return idempotency_key(ExternalId.parse(row.external_id), revision, effect.name)

    def _about_to_write(self, row: LedgerRow, work: Work[Any], print_now: str) -> LedgerRow:
        version = source_version(work.record, self.route.reads)
        snapshot = self.run.store.keys.seal(pack(work), about=row.id, schema=row.route, version=1)
        return replace(
            row,
            label=self.run.label(self.route, work),
            source_version=version,
            written_version=version,
            fingerprint=print_now,
            snapshot=snapshot,
        )

    async def _reserve(self, tx: AsyncConnection, todo: list[Work[Any]]) -> list[Work[Any]]:
        """Take the receipts under a lock; who finds too little left is held, whatever the check saw before."""
        granted, short = await granting(tx, self.run, todo)
        for work, why in short:
            self._hold(work, why)
        return granted

    async def _without_twins(self, tx: AsyncConnection, todo: list[Work[Any]]) -> list[Work[Any]]:
        """Asked here, under the lock on the orders, so that two runs cannot intend the same paper side by side."""
        names = {self.run.label(self.route, work) for work in todo}
        await reservations.lock_orders(self.run.store.db, tx, self.run.target_tenant, (f"paper {one}" for one in names))
        twins = await lanes.twins(tx, self.run, self.route, todo)
        for work in todo:
            if work.known.id in twins:
                self._hold(work, reason("twin_in_doubt"))
        return [work for work in todo if work.known.id not in twins]

    def _hold(self, work: Work[Any], why: Reason) -> None:
        """The record waits after all; a hold that has outlived its limit is rejected, here as anywhere."""
        version = source_version(work.record, self.route.reads)
        row = replace(self.run.judged(work.known, Outcome.HELD, (why,)), source_version=version)
        outcome, reasons = expired(self.run, self.route, row)
        work.row = row if outcome is Outcome.HELD else self.run.judged(row, outcome, reasons)
        self.alive.discard(work.known.id)
        self._note(work, event(outcome.value, work.known))

    # ---- confirm

    def _apply(self, work: Work[Any], effect: Effect[Any], sent: Sent) -> None:
        row, one = work.known, next(e for e in work.known.effects if e.name == effect.name)
        match sent:
            case Done():
                self._done(work, effect, row, one, sent)
            case Refused():
                self._refused(work, row, one, sent)
            case NotSent():
                back = row.with_effect(replace(one, state=PENDING, blob=None))
                self._stop(work, back, Outcome.HELD, reason("transient", effect=one.name), detail=sent.why)
            case Doubt():
                doubtful = row.with_effect(replace(one, state=IN_DOUBT, doubt_since=self.run.now))
                why = reason("waits_for_clear_answer", effect=one.name)
                self._stop(work, doubtful, Outcome.IN_DOUBT, why, detail=sent.why)

    def _done(self, work: Work[Any], effect: Effect[Any], row: LedgerRow, one: EffectRow, sent: Done) -> None:
        synced = one.blob if effect.operation in REMEMBERED else None
        # What a tell has noted stays until it notes something else.
        notes_now = sent.notes or (one.notes if effect.operation == "tell" else ())
        finished = replace(
            one, state=DONE, target_id=sent.target_id, notes=notes_now, doubt_since=None, synced=synced
        )
        row = row.with_effect(finished)
        if one.ordinal == 0:
            row = replace(row, target_id=None if row.id in self.taken else sent.target_id)
            self.permanent.add(row.id)
            written = document(self.run, effect, work)
            self.agreed |= agreeing.settled(effect, row, written, apart=work.apart)
        if row.complete:
            row = self.run.judged(row, Outcome.UPDATED if work.updates else Outcome.CREATED)
        if row.id in self.taken or sent.reverse:
            why = reason("reverse" if sent.reverse else "number_taken", target=sent.target_id)
            row = self.run.judged(row, Outcome.REJECTED, (why,))
            self.alive.discard(row.id)
        work.reread = work.reread or sent.changed
        work.row = row
        notes: dict[str, Any] = {"notes": list(sent.notes)} if sent.notes else {}
        if sent.data:
            notes["detail"] = dict(sent.data)
        self._note(work, event("written", row, effect=one.name, target=sent.target_id, **notes))

    def _refused(self, work: Work[Any], row: LedgerRow, one: EffectRow, sent: Refused) -> None:
        state = PENDING if one.ordinal == 0 else REFUSED
        outcome = Outcome.HELD if sent.waits else Outcome.REJECTED
        if one.ordinal == 0:
            why = reason("target_refused", effect=one.name, code=sent.code)
        else:
            why = reason("effect_refused", effect=one.name, target=row.target_id, code=sent.code)
        back = row.with_effect(replace(one, state=state, blob=None))
        self._stop(work, back, outcome, why, detail=sent.detail)

    def _stop(self, work: Work[Any], row: LedgerRow, outcome: Outcome, why: Any, *, detail: str = "") -> None:
        """The record goes no further in this run; a hold for the same reason as before is as old as it was."""
        row = self.run.judged(row, outcome, (why,))
        if outcome is Outcome.HELD and work.held is not None and lacks(work.held[0]) == lacks(row.reasons):
            row = replace(row, since=work.held[1])
            outcome, reasons = expired(self.run, self.route, row)
            row = replace(row, outcome=outcome, reasons=reasons, due_at=row.due_at if outcome is Outcome.HELD else None)
        if detail:
            row = replace(
                row, detail=self.run.store.keys.seal(detail.encode(), about=row.id, schema="detail", version=1)
            )
        if not row.posted and outcome is not Outcome.IN_DOUBT:
            self.freed.add(row.id)
        work.row = row
        self.alive.discard(row.id)
        self._note(work, event(outcome.value, row, **({"detail": {"text": detail}} if detail else {})))

    # ---- keep

    def _note(self, work: Work[Any], one: AuditEvent) -> None:
        self.dirty[work.known.id] = work
        self.events.append(one)

    async def _flush(self, tx: AsyncConnection) -> None:
        works = list(self.dirty.values())
        saved = await self.run.save(tx, [work.known for work in works], self.events)
        for work, row in zip(works, saved, strict=True):
            work.row = row
        # A reservation names its ledger row, so these have to be there first.
        await reservations.reserve(tx, self.claims)
        await reservations.make_permanent(tx, self.permanent)
        await reservations.release(tx, self.freed)
        await agreeing.note(self.run, tx, [self.agreed])
        for waiting in (self.dirty, self.permanent, self.freed, self.claims, self.agreed):
            waiting.clear()
        self.events = []
