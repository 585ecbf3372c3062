"""Fields that travel both ways: merged against the value that both sides last agreed on, never just overwritten.

A side that differs from it has changed the field; where both did, and differently, a person decides.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from ml_connector.domain.writes import Finding, Found
from ml_connector.store import agreed
from ml_connector.store.ledger import LedgerRow
from ml_connector.sync.run import SyncRun
from ml_connector.sync.seams import Effect

Values = Mapping[tuple[str, str], str]


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


async def note(run: SyncRun, tx: AsyncConnection, values: Sequence[Values]) -> None:
    """Keep what is agreed on, in the transaction that says so of the documents."""
    together = {key: value for one in values for key, value in one.items()}
    await agreed.put(run.store.db, run.store.keys, tx, together, run.now)


def _record(row: str, document: Mapping[str, Any]) -> str:
    """The way back names the row of the document on the way there."""
    return str(document.get("link") or row)


def _text(value: object) -> str:
    return "" if value is None else str(value)
