"""Fields that travel both ways: merged against the value that both sides last agreed on, never just overwritten.

A side that differs from it has changed the field; where both did, and differently, a person decides. What one
direction may just have written is no change of the other side, so the other direction waits until that is known.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from ml_connector.domain.writes import Finding, Found
from ml_connector.store import agreed, ledger
from ml_connector.store.ledger import DONE, PENDING, LedgerRow
from ml_connector.sync.payloads import synced_payload
from ml_connector.sync.run import SyncRun
from ml_connector.sync.seams import Effect, Route

Values = Mapping[tuple[str, str], str]
# Under this name, which no field has, a record knows the ledger row of its way back.
_BACK = "/way back"


async def bases(
    run: SyncRun, effect: Effect[Any], documents: Mapping[str, Mapping[str, Any]]
) -> dict[str, dict[str, str]]:
    """The agreed value of every shared member, by ledger row; a member that was never agreed on is empty."""
    if not effect.shared:
        return {}
    records = {row: _record(row, document) for row, document in documents.items()}
    known = await agreed.load(run.store.db, run.store.keys, records.values())
    return {
        row: {member: known.get(record, {}).get(name, "") for member, name in effect.shared.items()}
        for row, record in records.items()
    }


async def unclear(
    run: SyncRun, effect: Effect[Any], documents: Mapping[str, Mapping[str, Any]]
) -> frozenset[str]:
    """The ledger rows about whose shared members the other direction may have written, and nobody knows yet.

    Or has written since this run began, when what was read may be older than that.
    """
    if not effect.shared:
        return frozenset()
    records = {row: _record(row, document) for row, document in documents.items()}
    lately = await agreed.changed_since(run.store.db, records.values(), run.started)
    own = {row for row, known in (await ledger.load(run.store.db, records)).items() if known.last_run == run.id}
    stale = {row for row, record in records.items() if record in lately and row not in own}
    known = await agreed.load(run.store.db, run.store.keys, [one for row, one in records.items() if row == one])
    others = {row: known.get(one, {}).get(_BACK, "") if row == one else one for row, one in records.items()}
    rows = await ledger.load(run.store.db, set(others.values()) - {""})
    return frozenset(stale | {row for row, other in others.items() if other in rows and rows[other].effects[0].open})


async def reopened(run: SyncRun, route: Route[Any], rows: Mapping[str, LedgerRow]) -> dict[str, LedgerRow]:
    """The ledger rows, those open again that were brought in line with another value than is agreed on now.

    The other direction has gone on since, so a source that shows the old value has gone back to it.
    """
    effect = route.effects[0]
    done = {row.id: row for row in rows.values() if effect.shared and row.effects[0].state == DONE}
    synced = {name: synced_payload(run.store.keys, row, row.effects[0]) for name, row in done.items()}
    base = await bases(run, effect, {name: payload for name, payload in synced.items() if payload})
    moved = {
        name
        for name, values in base.items()
        if any(member in synced[name] and _text(synced[name][member]) != value for member, value in values.items())
    }
    return {
        key: replace(row.with_effect(replace(row.effects[0], state=PENDING)), written_version="")
        if row.id in moved
        else row
        for key, row in rows.items()
    }


def both_changed(found: Finding, base: Mapping[str, str], document: Mapping[str, Any]) -> tuple[str, ...]:
    """The shared members that both sides have changed since they agreed, to different values."""
    if not isinstance(found, Found) or not base:
        return ()
    shown = found.data.get("shown", {})
    return tuple(
        name
        for name in found.differs
        if name in base and _text(document.get(name)) != base[name] and _text(shown.get(name)) != base[name]
    )


def settled(
    effect: Effect[Any], row: LedgerRow, document: Mapping[str, Any], *, apart: Collection[str] = ()
) -> dict[tuple[str, str], str]:
    """What is agreed on now that the document is written or found; members that stay `apart` are not."""
    record = _record(row.id, document)
    return {
        (record, name): _text(document[member])
        for member, name in effect.shared.items()
        if member in document and member not in apart
    }


def intended(effect: Effect[Any], row: LedgerRow, document: Mapping[str, Any]) -> dict[tuple[str, str], str]:
    """Where a record finds the row of its way back, kept before that writes anything."""
    record = _record(row.id, document)
    return {(record, _BACK): row.id} if effect.shared and record != row.id else {}


async def note(run: SyncRun, tx: AsyncConnection, values: Sequence[Values]) -> None:
    """Keep what is agreed on, in the transaction that says so of the documents."""
    together = {key: value for one in values for key, value in one.items()}
    await agreed.put(run.store.db, run.store.keys, tx, together, run.now)


def _record(row: str, document: Mapping[str, Any]) -> str:
    """The way back names the row of the document on the way there."""
    return str(document.get("link") or row)


def _text(value: object) -> str:
    return "" if value is None else str(value)
