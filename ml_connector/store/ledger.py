"""The ledger: one row per source record and target, with the ordered effects it owns. It alone says what was written.

Rows are read and saved whole, many at a time. A save is a compare-and-set on each row's version, so that a run
which lost its lease cannot overwrite what the next one knows.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Row, and_, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from ml_connector.domain.outcomes import Outcome
from ml_connector.domain.reasons import Reason
from ml_connector.errors import LeaseLostError
from ml_connector.store.database import Database
from ml_connector.store.schema import connection as connections
from ml_connector.store.schema import effect, ledger

PENDING, INTENDED, IN_DOUBT, DONE, REFUSED = "pending", "intended", "in_doubt", "done", "refused"
_CHUNK = 400


@dataclass(frozen=True, slots=True)
class EffectRow:
    """One effect of a ledger row: what is intended, under which lease epoch, and how far it got.

    `blob` is the payload as intended, `synced` the one that an object which follows its record was last seen with.
    """

    ordinal: int
    name: str
    state: str = PENDING
    revision: int = 0
    key: str = ""
    fingerprint: str = ""
    blob: bytes | None = None
    synced: bytes | None = None
    epoch: int = 0
    doubt_since: datetime | None = None
    target_id: str = ""
    notes: tuple[str, ...] = ()

    @property
    def open(self) -> bool:
        """A write of it may have taken effect and nobody knows yet."""
        return self.state in (INTENDED, IN_DOUBT)


@dataclass(frozen=True, slots=True)
class LedgerRow:
    """What we know of one source record; `snapshot` and `detail` are sealed and only present when about to be saved.

    `stored` are the effects as the store has them at this version.
    """

    id: str
    connection: str
    direction: str
    route: str
    external_id: str
    target_tenant: str
    token: str
    label: str
    source_version: str
    settings_version: int
    outcome: Outcome
    since: datetime
    effects: tuple[EffectRow, ...]
    reasons: tuple[Reason, ...] = ()
    written_version: str = ""
    fingerprint: str = ""
    revision: int = 0
    due_at: datetime | None = None
    target_type: str = ""
    target_id: str | None = None
    attempts: int = 0
    last_run: str = ""
    last_page: str = ""
    version: int = 0
    snapshot: bytes | None = None
    detail: bytes | None = None
    stored: tuple[EffectRow, ...] = field(default=(), compare=False, repr=False)

    @property
    def posted(self) -> bool:
        """The first effect, the document itself, exists in the target, even while a change of it is on its way."""
        return self.effects[0].state == DONE or bool(self.effects[0].target_id)

    @property
    def complete(self) -> bool:
        """Every effect is done."""
        return all(one.state == DONE for one in self.effects)

    @property
    def in_doubt(self) -> EffectRow | None:
        """The effect whose write may have taken effect, if there is one."""
        return next((one for one in self.effects if one.open), None)

    @property
    def next_effect(self) -> EffectRow | None:
        """The first effect that is not done."""
        return next((one for one in self.effects if one.state != DONE), None)

    def with_effect(self, changed: EffectRow) -> LedgerRow:
        """The row with one effect replaced."""
        return replace(self, effects=tuple(changed if one.ordinal == changed.ordinal else one for one in self.effects))


def row_id(direction: str, external_id: str, target_tenant: str) -> str:
    """The row's own key, derived from what makes it unique, so that a new row needs no round trip."""
    return hashlib.sha256(f"{direction}|{external_id}|{target_tenant}".encode()).hexdigest()[:32]


def aligned(row: LedgerRow, names: Sequence[str]) -> LedgerRow:
    """The row with its effects in the order that a route has now: settings may add, drop or reorder effects.

    An effect that is new to a finished document counts as done, for new settings do not rewrite what is posted; one
    that the route no longer has goes to the end and is over.
    """
    if [one.name for one in row.effects[: len(names)]] == list(names) and not row.effects[len(names) :]:
        return row
    known = {one.name: one for one in row.effects}
    added = DONE if row.complete else PENDING
    wanted = [known.get(name, EffectRow(0, name, added)) for name in names]
    over = [replace(one, state=DONE, doubt_since=None) for one in row.effects if one.name not in names]
    return replace(row, effects=tuple(replace(one, ordinal=n) for n, one in enumerate([*wanted, *over])))


async def owners(db: Database, tenant: str, target_type: str, target_ids: Iterable[str]) -> dict[str, str]:
    """Which row created or adopted each of these target objects."""
    found: dict[str, str] = {}
    ids = sorted(set(target_ids))
    async with db.read() as tx:
        for start in range(0, len(ids), _CHUNK):
            query = select(ledger.c.target_id, ledger.c.id).where(
                ledger.c.target_tenant == tenant,
                ledger.c.target_type == target_type,
                ledger.c.target_id.in_(ids[start : start + _CHUNK]),
            )
            found |= {row.target_id: row.id for row in await tx.execute(query)}
    return found


async def load(db: Database, ids: Iterable[str]) -> dict[str, LedgerRow]:
    """Rows by id, without those that do not exist."""
    found: dict[str, LedgerRow] = {}
    ordered = sorted(set(ids))
    async with db.read() as tx:
        for start in range(0, len(ordered), _CHUNK):
            found |= await _read(tx, ledger.c.id.in_(ordered[start : start + _CHUNK]))
    return found


async def due(
    db: Database,
    *,
    connection: str,
    direction: str,
    tenants: tuple[str, str],
    route: str,
    settings_version: int,
    now: datetime,
    run: str = "",
    in_doubt_only: bool = False,
    after: str = "",
    limit: int = 500,
) -> list[LedgerRow]:
    """Held and in-doubt rows whose next look is due, and rejected ones decided under older settings, in id order.

    What `run` has looked at is left out. Rows of a connection that was removed fall to its heir.
    """
    source, target = tenants
    orphaned = ledger.c.connection.not_in(select(connections.c.name)) & (ledger.c.target_tenant == target)
    doubtful = (ledger.c.outcome == Outcome.IN_DOUBT) & (ledger.c.due_at <= now)
    waiting = (ledger.c.outcome == Outcome.HELD) & (ledger.c.due_at <= now)
    older = (ledger.c.outcome == Outcome.REJECTED) & (ledger.c.settings_version < settings_version)
    condition = (
        (ledger.c.direction == direction)
        & (ledger.c.route == route)
        & (doubtful if in_doubt_only else (doubtful | waiting | older) & (ledger.c.last_run != run))
        & (ledger.c.id > after)
    )
    async with db.read() as tx:
        mine = ledger.c.connection == connection
        if await is_heir(tx, connection):
            mine |= orphaned & ledger.c.external_id.startswith(source + ":")
        return list((await _read(tx, mine & condition, limit=limit)).values())


async def is_heir(tx: AsyncConnection, connection: str) -> bool:
    """Whether rows of removed connections fall to this one: the first by name of those active between its tenants."""
    own, other = connections.alias(), connections.alias()
    alike = [other.c[name] == own.c[name] for name in ("pair", "source_tenant", "target_tenant")]
    query = select(other.c.name).join_from(other, own, and_(*alike))
    query = query.where(own.c.name == connection, other.c.state == "active")
    return min((await tx.execute(query)).scalars(), default="") == connection


async def listing(
    db: Database,
    *,
    outcomes: Sequence[Outcome],
    connection: str | None = None,
    route: tuple[str, str] | None = None,
) -> list[LedgerRow]:
    """Rows that stand at one of the outcomes, oldest first; `route` is a direction and a route of it."""
    condition: Any = ledger.c.outcome.in_(list(outcomes))
    if route is not None:
        condition &= (ledger.c.direction == route[0]) & (ledger.c.route == route[1])
    if connection is not None:
        condition &= ledger.c.connection == connection
    async with db.read() as tx:
        rows = (await _read(tx, condition)).values()
    return sorted(rows, key=lambda row: (row.since, row.external_id))


async def touched(db: Database, *, run: str, limit: int) -> list[LedgerRow]:
    """Rows that a run decided or wrote, in id order, at most `limit`."""
    async with db.read() as tx:
        return list((await _read(tx, ledger.c.last_run == run, limit=limit)).values())


async def by_label(db: Database, text: str) -> list[LedgerRow]:
    """Rows of the record that a person names by document number, external id, source key, target id or token."""
    condition = (
        (ledger.c.label == text)
        | (ledger.c.external_id == text)
        | (ledger.c.external_id.endswith(":" + text, autoescape=True))
        | (ledger.c.target_id == text)
        | (ledger.c.token == text)
    )
    async with db.read() as tx:
        return list((await _read(tx, condition)).values())


async def related(db: Database, text: str) -> list[LedgerRow]:
    """The rows that `by_label` finds, and those about them: between the same tenants, named by their label and a word.

    Such are the payments and the correction of an invoice. An invoice whose number begins with another's is none.
    """

    def tenants(row: LedgerRow) -> set[str]:
        return {row.external_id.partition(":")[0], row.target_tenant}

    found = {row.id: row for row in await by_label(db, text)}
    async with db.read() as tx:
        for row in list(found.values()):
            begin = row.label + " "
            named = ledger.c.label.startswith(begin, autoescape=True) & (ledger.c.route != row.route)
            for one in (await _read(tx, named)).values():
                # The database may compare without regard to case.
                exact = one.label.startswith(begin) and " " not in one.label.removeprefix(begin)
                if exact and tenants(one) == tenants(row):
                    found.setdefault(one.id, one)
    return list(found.values())


async def rivals(
    tx: AsyncConnection, *, target: tuple[str, str], labels: Iterable[str], since: datetime, leave_out: Iterable[str]
) -> list[LedgerRow]:
    """Other rows of these document numbers in (target tenant, type) whose create is open, or was done since then."""
    tenant, target_type = target
    ordered, others = sorted(set(labels)), set(leave_out)
    lately = (effect.c.state == DONE) & (effect.c.updated_at >= since)
    creating = select(effect.c.ledger_id).where(
        effect.c.ordinal == 0, lately | effect.c.state.in_([INTENDED, IN_DOUBT])
    )
    found: list[LedgerRow] = []
    for start in range(0, len(ordered), _CHUNK):
        named = (
            ledger.c.label.in_(ordered[start : start + _CHUNK])
            & (ledger.c.target_tenant == tenant)
            & (ledger.c.target_type == target_type)
        )
        found += (await _read(tx, named & ledger.c.id.in_(creating))).values()
    return [row for row in found if row.id not in others and row.effects[0].blob is not None]


async def is_young(db: Database, direction: str, target_tenant: str) -> bool:
    """Whether nothing was ever written in this direction to this tenant, as far as this store knows."""
    written = (ledger.c.direction == direction) & (ledger.c.target_tenant == target_tenant) & (ledger.c.attempts > 0)
    async with db.read() as tx:
        return (await tx.execute(select(ledger.c.id).where(written).limit(1))).first() is None


async def sealed(db: Database, row: str) -> tuple[bytes | None, bytes | None]:
    """A row's sealed source snapshot and sealed detail of its last reason."""
    async with db.read() as tx:
        found = (await tx.execute(select(ledger.c.snapshot, ledger.c.detail).where(ledger.c.id == row))).one_or_none()
    return (found.snapshot, found.detail) if found else (None, None)


async def save(db: Database, tx: AsyncConnection, rows: Sequence[LedgerRow], now: datetime) -> list[LedgerRow]:
    """Insert or replace rows as planned; somebody else's newer version of any of them ends the run."""
    if not rows:
        return []
    await _compare(tx, rows)
    saved = [replace(row, version=row.version + 1, stored=row.effects) for row in rows]
    statement = db.insert(ledger)
    new = statement.excluded
    kept = {"snapshot": func.coalesce(new.snapshot, ledger.c.snapshot), "detail": new.detail}
    plain = {c.name: getattr(new, c.name) for c in ledger.c if c.name not in ("id", "created_at", *kept)}
    upsert = statement.on_conflict_do_update(index_elements=["id"], set_=plain | kept)
    await tx.execute(upsert, [_columns(row, now) for row in saved])
    changed = [_effect_columns(row.id, one, now) for row in rows for one in _changed(row)]
    if changed:
        effects = db.insert(effect)
        values = {c.name: getattr(effects.excluded, c.name) for c in effect.c if c.name not in ("ledger_id", "ordinal")}
        await tx.execute(effects.on_conflict_do_update(index_elements=["ledger_id", "ordinal"], set_=values), changed)
    return saved


def _changed(row: LedgerRow) -> list[EffectRow]:
    """The effects that the store does not have like this; the row's version vouches for the others."""
    stored = {one.ordinal: one for one in row.stored}
    return [one for one in row.effects if stored.get(one.ordinal) != one]


async def touch(tx: AsyncConnection, rows: Iterable[LedgerRow], *, run: str, page: str, due_at: datetime) -> None:
    """Note that standing rows were looked at in this run; nothing else about them changed."""
    ids = [row.id for row in rows]
    for start in range(0, len(ids), _CHUNK):
        which = ledger.c.id.in_(ids[start : start + _CHUNK])
        await tx.execute(update(ledger).where(which).values(last_run=run, last_page=page, due_at=due_at))


async def _compare(tx: AsyncConnection, rows: Sequence[LedgerRow]) -> None:
    expected = {row.id: row.version for row in rows}
    ids = sorted(expected)
    stored: dict[str, int] = {}
    for start in range(0, len(ids), _CHUNK):
        query = select(ledger.c.id, ledger.c.version).where(ledger.c.id.in_(ids[start : start + _CHUNK]))
        stored |= {row.id: row.version for row in await tx.execute(query.with_for_update())}
    for row in rows:
        if stored.get(row.id, 0) != row.version:
            raise LeaseLostError(
                "another run changed this record meanwhile", operation="save", external_id=row.external_id
            )


async def _read(tx: AsyncConnection, condition: Any, *, limit: int | None = None) -> dict[str, LedgerRow]:
    columns = [column for column in ledger.c if column.name not in ("snapshot", "detail")]
    query = select(*columns).where(condition).order_by(ledger.c.id)
    found = (await tx.execute(query.limit(limit) if limit else query)).all()
    effects: dict[str, list[EffectRow]] = {}
    ids = [row.id for row in found]
    for start in range(0, len(ids), _CHUNK):
        wanted = effect.c.ledger_id.in_(ids[start : start + _CHUNK])
        for one in await tx.execute(select(effect).where(wanted).order_by(effect.c.ledger_id, effect.c.ordinal)):
            effects.setdefault(one.ledger_id, []).append(_effect(one))
    return {row.id: _row(row, tuple(effects[row.id])) for row in found}


def _effect(row: Row[Any]) -> EffectRow:
    values = dict(row._mapping)
    for name in ("ledger_id", "updated_at"):
        del values[name]
    return EffectRow(**(values | {"notes": tuple(values["notes"])}))


def _row(row: Row[Any], effects: tuple[EffectRow, ...]) -> LedgerRow:
    values = dict(row._mapping)
    for name in ("created_at", "updated_at"):
        del values[name]
    values["reasons"] = tuple(Reason(one["code"], one["params"]) for one in values["reasons"])
    values["outcome"] = Outcome(values["outcome"])
    return LedgerRow(**values, effects=effects, stored=effects)


def _columns(row: LedgerRow, now: datetime) -> Mapping[str, Any]:
    values = {name: getattr(row, name) for name in LedgerRow.__slots__ if name not in ("effects", "stored")}
    values["reasons"] = [{"code": one.code, "params": dict(one.params)} for one in row.reasons]
    values["outcome"] = row.outcome.value
    return values | {"created_at": now, "updated_at": now}


def _effect_columns(row: str, one: EffectRow, now: datetime) -> Mapping[str, Any]:
    values = {name: getattr(one, name) for name in EffectRow.__slots__}
    return values | {"ledger_id": row, "notes": list(one.notes), "updated_at": now}
