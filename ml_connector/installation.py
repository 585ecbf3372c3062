"""One installation, wired together: settings, keys, database, audit trail, token vault and rate permits."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, SecretStr, TypeAdapter

from ml_connector.clock import Clock, ShiftedClock, SystemClock
from ml_connector.http.budget import Budget, SharedBudget
from ml_connector.http.tokens import Token
from ml_connector.settings import Settings
from ml_connector.store.audit import Audit
from ml_connector.store.budget import Permits
from ml_connector.store.crypto import Keys
from ml_connector.store.database import Database
from ml_connector.store.migrate import upgrade
from ml_connector.store.tenants import Connections, Tenants
from ml_connector.store.vault import Vault
from ml_connector.sync.run import Store

_TOKEN = TypeAdapter(Token)


@dataclass(frozen=True, slots=True)
class Installation:
    """Everything that is the same for all connections of one installation."""

    settings: Settings
    store: Store
    vault: Vault[Token]
    permits: Permits
    tenants: Tenants
    connections: Connections

    @classmethod
    @asynccontextmanager
    async def open(
        cls, settings: Settings | None = None, *, clock: Clock | None = None
    ) -> AsyncIterator[Installation]:
        """Open the installation that the environment names, its database brought up to date."""
        settings = settings or Settings()
        keys = Keys.load(settings.keys_path)
        db = Database(settings.store_url)
        try:
            await upgrade(db)
            shifted = ShiftedClock(settings.clock_shift_s) if settings.clock_shift_s else SystemClock()
            yield cls.assemble(settings, db, keys, clock or shifted)
        finally:
            await db.close()

    @classmethod
    def assemble(cls, settings: Settings, db: Database, keys: Keys, clock: Clock) -> Installation:
        """Wire the parts of an installation together."""
        audit = Audit(db, keys, clock)
        return cls(
            settings=settings,
            store=Store(db, keys, audit, clock),
            vault=Vault(db, keys, clock, encode=_encode, decode=_TOKEN.validate_python),
            permits=Permits(db),
            tenants=Tenants(db, audit, clock),
            connections=Connections(db, audit, clock),
        )

    def slot(self, block: str, login: BaseModel) -> str:
        """Where the tokens of a login live: another secret in the same block is another login, and not denied."""
        return f"{block}/{self.store.keys.login_fingerprint(*_parts(login))}"

    def budget(self, tenant: str, per_second: float) -> Budget:
        """The rate budget of a tenant, shared by all processes."""
        return SharedBudget(tenant, per_second, self.permits, self.store.clock)


def _encode(token: Token) -> dict[str, Any]:
    packed: dict[str, Any] = _TOKEN.dump_python(token, mode="json")
    return packed


def _parts(login: BaseModel) -> list[str]:
    return [type(login).__name__, *(_reveal(getattr(login, name)) for name in sorted(type(login).model_fields))]


def _reveal(value: object) -> str:
    return value.get_secret_value() if isinstance(value, SecretStr) else str(value)
