"""An audit trail for tests, with its store, keys, clock and checkpoint folder."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

from sqlalchemy.sql import Executable

from ml_connector.clock import ManualClock
from ml_connector.store.audit import Audit, AuditEvent
from ml_connector.store.audit_verify import VerifyReport, verify
from ml_connector.store.checkpoints import write_checkpoint
from ml_connector.store.crypto import Keys
from ml_connector.store.database import Database

CHAIN = "acme/coupa_to_qad"
CANARY = "Canary Holdings GmbH"


class Trail:
    """An audit trail with its store, keys, clock and checkpoint folder."""

    def __init__(self, db: Database, keys: Keys, folder: Path) -> None:
        self.db = db
        self.keys = keys
        self.folder = folder
        self.clock = ManualClock(datetime(2025, 3, 1, 12, tzinfo=UTC))
        self.audit = Audit(db, keys, self.clock)

    async def append(self, *events: AuditEvent, chain: str = CHAIN) -> None:
        async with self.db.write() as tx:
            await self.audit.append(tx, chain, events)

    async def fill(self, count: int = 6, *, chain: str = CHAIN) -> None:
        """`count` events for one invoice each, a minute apart."""
        for number in range(1, count + 1):
            self.clock.advance(60)
            await self.append(event(number), chain=chain)

    async def tamper(self, *statements: Executable) -> None:
        async with self.db.write() as tx:
            for statement in statements:
                await tx.execute(statement)

    async def checkpoint(self) -> Path:
        return await write_checkpoint(self.db, self.keys, self.folder, self.clock)

    async def verify(self) -> VerifyReport:
        return await verify(self.db, self.keys, self.folder)


def event(number: int) -> AuditEvent:
    data = {"invoice": f"INV-{number}", "outcome": "created"}
    detail = {"supplier": CANARY, "total": Decimal("10.50"), "lines": ({"price": Decimal("1E+2")},)}
    return AuditEvent("created", f"AAAA:invoice:{number}", data, detail)
