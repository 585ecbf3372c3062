"""Tenants and connections: who takes part, under which code, with which settings. Every change is audited."""

from __future__ import annotations

import secrets
import string
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import Any, Literal
from zoneinfo import ZoneInfo

from sqlalchemy import Row, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from ml_connector.clock import Clock
from ml_connector.domain.keys import TENANT_CODE_LENGTH
from ml_connector.errors import ConfigurationError
from ml_connector.store.audit import ADMIN_CHAIN, Audit, AuditEvent
from ml_connector.store.database import Database
from ml_connector.store.schema import connection, tenant

State = Literal["active", "paused"]

_ALPHABET = string.ascii_uppercase + "234567"
_ATTEMPTS = 20


@dataclass(frozen=True, slots=True)
class ConnectionRow:
    """One customer's pair. Name, pair and tenants never change; `settings_version` is the version that was read.

    A connection that is not stored yet has version 0; the instants are set by the store.
    """

    name: str
    pair: str
    source_block: str
    target_block: str
    source_tenant: str
    target_tenant: str
    time_zone: str = "UTC"
    settings: Mapping[str, Any] = field(default_factory=dict)
    schema_version: int = 1
    settings_version: int = 0
    state: State = "active"
    created_at: datetime | None = None
    updated_at: datetime | None = None


_IMMUTABLE = ("pair", "source_tenant", "target_tenant")
_MUTABLE = ("source_block", "target_block", "time_zone", "settings", "schema_version")


class Tenants:
    """Gives each proven system identity a random code that it keeps for ever."""

    def __init__(self, db: Database, audit: Audit, clock: Clock) -> None:
        self._db = db
        self._audit = audit
        self._clock = clock

    async def get_or_create(self, system: str, identity: str) -> str:
        """The identity's 4-character code, drawn at random the first time it is seen."""
        for _attempt in range(_ATTEMPTS):
            code = "".join(secrets.choice(_ALPHABET) for _ in range(TENANT_CODE_LENGTH))
            row = {"code": code, "system": system, "identity": identity, "created_at": self._clock.now()}
            async with self._db.write() as tx:
                known = await _code(tx, system, identity)
                if known is None:
                    # No row appears when the code is taken, or when another process was faster with this identity.
                    await tx.execute(self._db.insert(tenant).values(row).on_conflict_do_nothing())
                    known = await _code(tx, system, identity)
                    if known == code:
                        data = {"code": code, "system": system}
                        event = AuditEvent("tenant_created", data=data, detail={"identity": identity})
                        await self._audit.append(tx, ADMIN_CHAIN, [event])
            if known is not None:
                return known
        raise ConfigurationError(f"no free tenant code was found for {system}; is the store full of unused tenants?")

    async def find(self, system: str, identity: str) -> str | None:
        """The identity's code, if it has one."""
        async with self._db.read() as tx:
            return await _code(tx, system, identity)


class Connections:
    """The connections of this installation."""

    def __init__(self, db: Database, audit: Audit, clock: Clock) -> None:
        self._db = db
        self._audit = audit
        self._clock = clock

    async def save(self, row: ConnectionRow) -> ConnectionRow:
        """Insert (version 0) or change a connection, and return it as stored; saving no change keeps its version.

        ConfigurationError when somebody else changed it since it was read, or when something immutable differs. The
        state of a stored connection is changed by `set_state` only.
        """
        _check_time_zone(row)
        async with self._db.write() as tx:
            stored = await _read(tx, row.name, lock=True)
            if stored is None:
                return await self._insert(tx, row)
            return await self._update(tx, stored, row)

    async def get(self, name: str) -> ConnectionRow:
        """One connection; ConfigurationError when there is none of that name."""
        async with self._db.read() as tx:
            return _known(name, await _read(tx, name))

    async def list(self) -> list[ConnectionRow]:
        """All connections by name."""
        async with self._db.read() as tx:
            rows = (await tx.execute(select(connection).order_by(connection.c.name))).all()
        return [_connection(row) for row in rows]

    async def set_state(self, name: str, state: State) -> ConnectionRow:
        """Pause a connection or make it active again; its settings keep their version."""
        async with self._db.write() as tx:
            stored = _known(name, await _read(tx, name, lock=True))
            if stored.state == state:
                return stored
            changed = {"state": state, "updated_at": self._clock.now()}
            await tx.execute(update(connection).where(connection.c.name == name).values(changed))
            await self._record(tx, "connection_state", name, data={"from": stored.state, "to": state})
            return _known(name, await _read(tx, name))

    async def _insert(self, tx: AsyncConnection, row: ConnectionRow) -> ConnectionRow:
        if row.settings_version:
            raise ConfigurationError(f"connection {row.name} is not stored any more; set it up anew")
        for code in (row.source_tenant, row.target_tenant):
            if (await tx.execute(select(tenant.c.code).where(tenant.c.code == code))).first() is None:
                raise ConfigurationError(f"connection {row.name} names an unknown tenant {code}; connect it first")
        now = self._clock.now()
        stored = replace(row, settings=dict(row.settings), settings_version=1, created_at=now, updated_at=now)
        inserted = await tx.execute(self._db.insert(connection).values(asdict(stored)).on_conflict_do_nothing())
        if inserted.rowcount != 1:
            raise _changed_meanwhile(row.name)
        await self._record(tx, "connection_created", row.name, data={"settings_version": 1}, detail=_content(stored))
        return stored

    async def _update(self, tx: AsyncConnection, stored: ConnectionRow, row: ConnectionRow) -> ConnectionRow:
        for name in _IMMUTABLE:
            if getattr(stored, name) != getattr(row, name):
                raise ConfigurationError(f"connection {row.name}: {name} never changes; set up another connection")
        if not row.settings_version:
            raise ConfigurationError(f"a connection named {row.name} exists already; choose another name")
        if row.settings_version != stored.settings_version:
            raise _changed_meanwhile(row.name)
        before, after = _content(stored), _content(row)
        if before == after:
            return stored
        version = stored.settings_version + 1
        values = {name: after[name] for name in _MUTABLE}
        values |= {"settings_version": version, "updated_at": self._clock.now()}
        as_read = (connection.c.name == row.name) & (connection.c.settings_version == row.settings_version)
        if (await tx.execute(update(connection).where(as_read).values(values))).rowcount != 1:
            raise _changed_meanwhile(row.name)
        detail = {"before": before, "after": after}
        await self._record(tx, "connection_changed", row.name, data={"settings_version": version}, detail=detail)
        return _known(row.name, await _read(tx, row.name))

    async def _record(
        self,
        tx: AsyncConnection,
        kind: str,
        name: str,
        *,
        data: Mapping[str, Any],
        detail: Mapping[str, Any] | None = None,
    ) -> None:
        event = AuditEvent(kind, f"connection:{name}", {"connection": name, **data}, detail)
        await self._audit.append(tx, ADMIN_CHAIN, [event])


async def _code(tx: AsyncConnection, system: str, identity: str) -> str | None:
    query = select(tenant.c.code).where(tenant.c.system == system, tenant.c.identity == identity)
    code: str | None = (await tx.execute(query)).scalar_one_or_none()
    return code


async def _read(tx: AsyncConnection, name: str, *, lock: bool = False) -> ConnectionRow | None:
    query = select(connection).where(connection.c.name == name)
    row = (await tx.execute(query.with_for_update() if lock else query)).first()
    return None if row is None else _connection(row)


def _connection(row: Row[Any]) -> ConnectionRow:
    return ConnectionRow(**row._mapping)


def _known(name: str, row: ConnectionRow | None) -> ConnectionRow:
    if row is None:
        raise ConfigurationError(f"there is no connection named {name}; `ml-connector connections` lists them")
    return row


def _content(row: ConnectionRow) -> dict[str, Any]:
    return {name: dict(row.settings) if name == "settings" else getattr(row, name) for name in _MUTABLE}


def _changed_meanwhile(name: str) -> ConfigurationError:
    return ConfigurationError(f"connection {name} was changed by somebody else meanwhile; read it again and repeat")


def _check_time_zone(row: ConnectionRow) -> None:
    try:
        ZoneInfo(row.time_zone)
    except (ValueError, LookupError, OSError):
        raise ConfigurationError(
            f"connection {row.name}: time_zone {row.time_zone!r} is unknown; use a name such as Europe/Berlin"
        ) from None
