"""The audit trail: what happened to which record, appended only, each event signed over the one before it.

An event keeps codes and document numbers in clear and everything a business wrote in a sealed detail. The signature
covers a keyed digest of the detail, never its blob: a detail emptied for retention or sealed anew breaks nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import orjson
from sqlalchemy import Row, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from ml_connector.clock import Clock
from ml_connector.domain.money import plain
from ml_connector.errors import TransientError
from ml_connector.store.crypto import Keys
from ml_connector.store.database import Database
from ml_connector.store.schema import audit, audit_head

ADMIN_CHAIN = "admin"


@dataclass(frozen=True, slots=True)
class AuditEvent:
    """One thing that happened. `data` is JSON kept in clear (codes, document numbers); `detail` is kept sealed."""

    kind: str
    external_id: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)
    detail: Mapping[str, Any] | None = None


class Audit:
    """Appends events to the chain of a direction, or to the chain of administrative changes."""

    def __init__(self, db: Database, keys: Keys, clock: Clock) -> None:
        self._db = db
        self._keys = keys
        self._clock = clock

    async def append(self, tx: AsyncConnection, chain: str, events: Sequence[AuditEvent]) -> None:
        """Add events at the end of a chain, inside the caller's transaction: kept with its changes or not at all."""
        if not events:
            return
        start, previous = await self._head(tx, chain)
        at = self._clock.now().astimezone(UTC)
        rows = []
        for seq, event in enumerate(events, start=start + 1):
            row = self._row(chain, seq, at, event)
            row["previous"] = previous
            row["mac"] = previous = sign(self._keys, row)
            rows.append(row)
        await tx.execute(audit.insert(), rows)
        moved = await tx.execute(
            update(audit_head)
            .where(audit_head.c.chain == chain, audit_head.c.seq == start)
            .values(seq=start + len(rows), mac=previous)
        )
        if moved.rowcount != 1:
            raise TransientError(f"audit chain {chain} moved on while events were added; nothing was kept")

    async def _head(self, tx: AsyncConnection, chain: str) -> tuple[int, str]:
        # The lock on the head row makes writers of one chain wait for each other, so the chain cannot fork.
        query = select(audit_head.c.seq, audit_head.c.mac).where(audit_head.c.chain == chain).with_for_update()
        head = (await tx.execute(query)).first()
        if head is None:
            first = self._db.insert(audit_head).values(chain=chain, seq=0, mac="")
            await tx.execute(first.on_conflict_do_nothing())
            head = (await tx.execute(query)).one()
        return head.seq, head.mac

    def _row(self, chain: str, seq: int, at: datetime, event: AuditEvent) -> dict[str, Any]:
        digest, blob = "", None
        if event.detail is not None:
            plaintext = pack(event.detail)
            digest = self._keys.audit_digest(plaintext)
            blob = self._keys.seal(plaintext, about=about(chain, seq), schema="audit", version=1)
        return {
            "chain": chain,
            "seq": seq,
            "at": at,
            "kind": event.kind,
            "external_id": event.external_id,
            "data": dict(event.data),
            "digest": digest,
            "blob": blob,
        }


def about(chain: str, seq: int) -> str:
    """What an event's sealed detail is bound to."""
    return f"audit:{chain}:{seq}"


def sign(keys: Keys, row: Mapping[str, Any] | Row[Any]) -> str:
    """The signature that an event's row must carry."""
    event = row if isinstance(row, Mapping) else row._mapping
    content = [event[name] for name in ("chain", "seq", "kind", "external_id", "data", "digest", "previous")]
    message = orjson.dumps([event["at"].isoformat(), *content], option=orjson.OPT_SORT_KEYS)
    return keys.audit_mac(message)


def pack(detail: Mapping[str, Any]) -> bytes:
    """A detail as bytes: exact decimals as text, dates in ISO form, members sorted."""
    return orjson.dumps(detail, default=_exact, option=orjson.OPT_SORT_KEYS)


def _exact(value: Any) -> Any:
    if isinstance(value, Decimal):
        return plain(value)
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} cannot be kept in an audit detail")
