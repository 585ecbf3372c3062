"""The doors that webhooks come in by: one address per sender, its sealed secrets, and whom its deliveries concern."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import Row, delete, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from ml_connector.clock import Clock
from ml_connector.errors import ConfigurationError
from ml_connector.store.audit import ADMIN_CHAIN, Audit, AuditEvent
from ml_connector.store.crypto import Keys
from ml_connector.store.database import Database
from ml_connector.store.schema import ingress, subscription

_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?")


@dataclass(frozen=True, slots=True)
class Ingress:
    """One door. `kind` says how its sender signs; every one of `secrets` is valid, the newest comes first."""

    name: str
    system: str
    kind: str
    options: Mapping[str, Any]
    secrets: tuple[str, ...] = field(repr=False)
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Subscription:
    """Deliveries of a site's webhook concern a direction; site and webhook are empty where a door is one tenant's."""

    connection: str
    direction: str
    site: str = ""
    webhook: str = ""
    expires_at: datetime | None = None
    ingress: str = ""


class Ingresses:
    """Makes, changes and shows the doors; every change is audited, no secret is."""

    def __init__(self, db: Database, keys: Keys, audit: Audit, clock: Clock) -> None:
        self._db = db
        self._keys = keys
        self._audit = audit
        self._clock = clock

    async def create(
        self, name: str, *, system: str, kind: str, secrets: Sequence[str], options: Mapping[str, Any] | None = None
    ) -> Ingress:
        """A new door; without a secret it refuses everything. ConfigurationError when the name is taken or unfit."""
        if not _NAME.fullmatch(name):
            raise ConfigurationError(f"{name!r} cannot be part of an address: at most 64 of a-z, 0-9 and hyphens")
        now = self._clock.now()
        made = Ingress(name, system, kind, dict(options or {}), _checked(name, secrets), now, now)
        row = asdict(made) | {"secrets": self._sealed(name, made.secrets)}
        async with self._db.write() as tx:
            if not (await tx.execute(self._db.insert(ingress).values(row).on_conflict_do_nothing())).rowcount:
                raise ConfigurationError(f"there is a webhook ingress named {name} already; choose another name")
            await self._record(tx, "ingress_created", name, system=system, signature=kind)
        return made

    async def rotate(self, name: str, secret: str) -> Ingress:
        """Add a secret beside the valid ones, so that the sender can change over without a refused delivery."""
        async with self._db.write() as tx:
            stored = self._opened(await _locked(tx, name))
            others = tuple(one for one in stored.secrets if one != secret)
            return await self._keep(tx, stored, _checked(name, (secret, *others)), "ingress_secret_added")

    async def drop_old_secrets(self, name: str) -> Ingress:
        """Let only the newest secret be valid."""
        async with self._db.write() as tx:
            stored = self._opened(await _locked(tx, name))
            return await self._keep(tx, stored, stored.secrets[:1], "ingress_secrets_dropped")

    async def set_secrets(self, name: str, secrets: Sequence[str]) -> Ingress:
        """Replace all secrets, e.g. by the present one of an OAuth app."""
        async with self._db.write() as tx:
            stored = self._opened(await _locked(tx, name))
            return await self._keep(tx, stored, _checked(name, secrets), "ingress_secrets_set")

    async def set_options(self, name: str, options: Mapping[str, Any]) -> Ingress:
        """Replace the options of a door."""
        async with self._db.write() as tx:
            await _locked(tx, name)
            changed = {"options": dict(options), "updated_at": self._clock.now()}
            await tx.execute(update(ingress).where(ingress.c.name == name).values(changed))
            await self._record(tx, "ingress_options_set", name)
            return self._opened(await _locked(tx, name))

    async def get(self, name: str) -> Ingress:
        """One door; ConfigurationError when there is none of that name."""
        async with self._db.read() as tx:
            row = (await tx.execute(select(ingress).where(ingress.c.name == name))).one_or_none()
        return self._opened(_known(name, row))

    async def subscriptions(self, *, name: str = "", connection: str = "") -> list[Subscription]:
        """Subscriptions of one door, of one connection, or all."""
        query = select(subscription).order_by(*subscription.primary_key)
        if name:
            query = query.where(subscription.c.ingress == name)
        if connection:
            query = query.where(subscription.c.connection == connection)
        async with self._db.read() as tx:
            return [Subscription(**row._mapping) for row in (await tx.execute(query)).all()]

    async def remove(self, name: str) -> None:
        """Close a door for good; what came in by it stays in the inbox."""
        async with self._db.write() as tx:
            await _locked(tx, name)
            await tx.execute(delete(subscription).where(subscription.c.ingress == name))
            await tx.execute(delete(ingress).where(ingress.c.name == name))
            await self._record(tx, "ingress_removed", name)

    async def subscribe(self, name: str, connection: str, subscriptions: Sequence[Subscription]) -> None:
        """Replace what a connection has subscribed to at a door; none ends its subscriptions."""
        rows = [asdict(replace(one, ingress=name, connection=connection)) for one in subscriptions]
        async with self._db.write() as tx:
            await _locked(tx, name)
            mine = (subscription.c.ingress == name) & (subscription.c.connection == connection)
            await tx.execute(delete(subscription).where(mine))
            if rows:
                await tx.execute(subscription.insert(), rows)
            await self._record(tx, "ingress_subscribed", name, connection=connection, subscriptions=len(rows))

    async def list(self) -> list[Ingress]:
        """All doors by name."""
        async with self._db.read() as tx:
            rows = (await tx.execute(select(ingress).order_by(ingress.c.name))).all()
        return [self._opened(row) for row in rows]

    async def _keep(self, tx: AsyncConnection, stored: Ingress, secrets: tuple[str, ...], kind: str) -> Ingress:
        changed = {"secrets": self._sealed(stored.name, secrets), "updated_at": self._clock.now()}
        await tx.execute(update(ingress).where(ingress.c.name == stored.name).values(changed))
        await self._record(tx, kind, stored.name, secrets=len(secrets))
        return self._opened(await _locked(tx, stored.name))

    async def _record(self, tx: AsyncConnection, what: str, name: str, **data: Any) -> None:
        await self._audit.append(tx, ADMIN_CHAIN, [AuditEvent(what, f"ingress:{name}", {"ingress": name, **data})])

    def _sealed(self, name: str, secrets: Sequence[str]) -> bytes:
        return self._keys.seal(orjson.dumps(list(secrets)), about=_about(name), schema="ingress", version=1)

    def _opened(self, row: Row[Any]) -> Ingress:
        secrets = orjson.loads(self._keys.open(row.secrets, about=_about(row.name)))
        return Ingress(**{**row._mapping, "secrets": tuple(secrets)})


async def _locked(tx: AsyncConnection, name: str) -> Row[Any]:
    row = (await tx.execute(select(ingress).where(ingress.c.name == name).with_for_update())).one_or_none()
    return _known(name, row)


def _known(name: str, row: Row[Any] | None) -> Row[Any]:
    if row is None:
        raise ConfigurationError(f"there is no webhook ingress named {name}; `ml-connector webhooks list` shows them")
    return row


def _checked(name: str, secrets: Sequence[str]) -> tuple[str, ...]:
    # Anyone can sign with an empty secret.
    if not all(secret.strip() for secret in secrets):
        raise ConfigurationError(f"a secret of webhook ingress {name} is empty; enter what its sender signs with")
    return tuple(secrets)


def _about(name: str) -> str:
    return f"ingress/{name}"
