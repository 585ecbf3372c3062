"""Which issues are ours and what people were told by them, read from the ledger of the way there."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal

from sqlalchemy import select

from ml_connector.domain.keys import ExternalId
from ml_connector.pairs.base import responsible
from ml_connector.store import agreed, inbox, ledger
from ml_connector.store.ledger import EffectRow, LedgerRow
from ml_connector.store.schema import effect
from ml_connector.store.schema import ledger as ledger_table
from ml_connector.store.tenants import ConnectionRow, Connections
from ml_connector.sync.payloads import synced_payload
from ml_connector.sync.run import Store
from ml_connector.systems.jira.states import CLOSED

FORWARD, BACK = "qad_to_jira", "jira_to_qad"
ISSUE = "issue"
# What the records of the way there are called in their external ids.
RECORD_TYPES: Mapping[str, str] = {"invoice": "invoice_exception", "order": "late_order"}
# Under this name, which no field has, a row knows how its source was listed.
_LOOK = "/look"
# By then a search shows whatever was created.
_SIGHT = timedelta(hours=1)
# By then a poll has shown every issue that is new.
_LATELY = timedelta(days=2)
# Longer numbers are no ids of Jira's.
_LONGEST_ID = 19


@dataclass(frozen=True, slots=True)
class OurIssue:
    """An issue of ours: the QAD record behind it, the ledger row that made it, and what it told people.

    `seen` is the hold that the issue shows: amount, lock and status of the invoice; `closed` the status and moment at
    which we closed it because its exception had cleared; `moving` says that we may have moved it and do not know yet.
    """

    about: Literal["invoice", "order"]
    key: str
    row: str
    seen: Mapping[str, str]
    closed: tuple[str, str]
    moving: bool = False


class OurIssues:
    """Reads the ledger of one connection's way there; what a connection left that is gone belongs to its heir."""

    def __init__(self, store: Store, connections: Connections, row: ConnectionRow) -> None:
        self._store = store
        self._connections = connections
        self._row = row

    async def of(self, issues: Iterable[str]) -> dict[str, OurIssue]:
        """Our issues by Jira's id; those of others, and copies of ours, are left out."""
        owners = await ledger.owners(self._store.db, self._row.target_tenant, ISSUE, issues)
        rows = await ledger.load(self._store.db, owners.values())
        names = await self._responsible()
        return {
            issue: self._told(rows[row_id])
            for issue, row_id in owners.items()
            if rows[row_id].direction == FORWARD and rows[row_id].connection in names
        }

    async def known(self, subject: str, keys: Collection[str]) -> frozenset[str]:
        """Of these QAD records those that have an issue, or may have one."""
        ids = {self._row_id(subject, key): key for key in keys}
        found = await ledger.load(self._store.db, ids)
        return frozenset(ids[row.id] for row in found.values() if row.posted or row.in_doubt)

    async def looks(self, keys: Collection[str]) -> dict[str, str]:
        """How QAD's list showed these invoices when they were last read whole."""
        ids = {self._row_id("invoice", key): key for key in keys}
        found = await agreed.load(self._store.db, self._store.keys, ids)
        return {ids[row]: values[_LOOK] for row, values in found.items() if _LOOK in values}

    async def looked(self, looks: Mapping[str, str]) -> None:
        """Keep how it showed them now that they have their outcome."""
        values = {(self._row_id("invoice", key), _LOOK): look for key, look in looks.items()}
        async with self._store.db.write() as tx:
            await agreed.put(self._store.db, self._store.keys, tx, values, self._store.clock.now())

    async def open_orders(self) -> frozenset[str]:
        """Orders whose exception people were last told is open."""
        query = select(ledger_table.c.id).where(
            ledger_table.c.direction == FORWARD,
            ledger_table.c.target_tenant == self._row.target_tenant,
            ledger_table.c.route == "orders",
            ledger_table.c.connection.in_(await self._responsible()),
        )
        async with self._store.db.read() as tx:
            ids = list((await tx.execute(query)).scalars())
        rows = (await ledger.load(self._store.db, ids)).values()
        still = [row for row in rows if row.posted and self._payload(row, "state").get("state", "open") == "open"]
        return frozenset(ExternalId.parse(row.external_id).key for row in still)

    async def lately(self) -> list[str]:
        """Issues that became ours, or were changed by us, in the last days."""
        first = (effect.c.ledger_id == ledger_table.c.id) & (effect.c.ordinal == 0)
        query = select(ledger_table.c.target_id).join(effect, first).where(
            ledger_table.c.direction == FORWARD,
            ledger_table.c.target_tenant == self._row.target_tenant,
            ledger_table.c.connection.in_(await self._responsible()),
            ledger_table.c.target_id.is_not(None),
            effect.c.updated_at >= self._store.clock.now() - _LATELY,
        )
        async with self._store.db.read() as tx:
            return sorted((await tx.execute(query)).scalars())

    async def sighted(self) -> list[int]:
        """Issues that Jira told us were created lately and that no row of ours owns: one may be a create in doubt."""
        since = self._store.clock.now() - _SIGHT
        ids = await inbox.recent(self._store.db, self._row.name, BACK, "jira:issue_created", since=since)
        taken = await ledger.owners(self._store.db, self._row.target_tenant, ISSUE, ids)
        return [int(one) for one in ids if one.isdecimal() and len(one) < _LONGEST_ID and one not in taken][:50]

    def _told(self, row: LedgerRow) -> OurIssue:
        name = ExternalId.parse(row.external_id)
        about = next(subject for subject, kind in RECORD_TYPES.items() if kind == name.type)
        state = _effect(row, "state")
        closed = [note.split(":", 2)[1:] for note in state.notes if note.startswith(f"{CLOSED}:")]
        return OurIssue(
            about=about,  # type: ignore[arg-type]
            key=name.key,
            row=row.id,
            seen=dict(self._payload(row, ISSUE).get("seen") or {}),
            closed=(closed[0][0], closed[0][1]) if closed else ("", ""),
            moving=state.open,
        )

    def _payload(self, row: LedgerRow, effect: str) -> dict[str, Any]:
        return synced_payload(self._store.keys, row, _effect(row, effect))

    def _row_id(self, subject: str, key: str) -> str:
        name = ExternalId(self._row.source_tenant, RECORD_TYPES[subject], key)
        return ledger.row_id(FORWARD, str(name), self._row.target_tenant)

    async def _responsible(self) -> frozenset[str]:
        mine = (ledger_table.c.direction == FORWARD) & (ledger_table.c.target_tenant == self._row.target_tenant)
        return await responsible(self._store.db, self._connections, self._row.name, mine)


def _effect(row: LedgerRow, name: str) -> EffectRow:
    return next((one for one in row.effects if one.name == name), EffectRow(0, name))
