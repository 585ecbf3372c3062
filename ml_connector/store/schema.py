"""Every table of the store. Names and document numbers are in clear; whatever a business wrote is sealed in `blob`s."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    text,
)
from sqlalchemy.engine import Dialect

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)


class Instant(TypeDecorator[datetime]):
    """An aware UTC instant on every database; SQLite itself would drop the zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("an instant needs a time zone")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Exact(TypeDecorator[Decimal]):
    """A Decimal kept digit by digit as text, because SQLite would make it a float."""

    impl = String(64)
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:
        return None if value is None else format(value, "f")

    def process_result_value(self, value: Any, dialect: Dialect) -> Decimal | None:
        return None if value is None else Decimal(value)


tenant = Table(
    "tenant",
    metadata,
    Column("code", String(4), primary_key=True),
    Column("system", String(32), nullable=False),
    Column("identity", String(400), nullable=False),
    Column("created_at", Instant, nullable=False),
    UniqueConstraint("system", "identity"),
)

connection = Table(
    "connection",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("pair", String(64), nullable=False),
    Column("source_block", String(128), nullable=False),
    Column("target_block", String(128), nullable=False),
    Column("source_tenant", ForeignKey("tenant.code"), nullable=False),
    Column("target_tenant", ForeignKey("tenant.code"), nullable=False),
    Column("time_zone", String(64), nullable=False),
    Column("settings", JSON, nullable=False),
    Column("schema_version", Integer, nullable=False),
    Column("settings_version", Integer, nullable=False),
    Column("state", String(16), nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("updated_at", Instant, nullable=False),
)

vault = Table(
    "vault",
    metadata,
    Column("slot", String(200), primary_key=True),
    Column("blob", LargeBinary),
    Column("version", Integer, nullable=False, server_default="0"),
    Column("renew_owner", String(64)),
    Column("renew_until", Instant),
    Column("denied_at", Instant),
    Column("denied_reason", Text),
    Column("updated_at", Instant, nullable=False),
)

lease = Table(
    "lease",
    metadata,
    Column("name", String(200), primary_key=True),
    Column("owner", String(64), nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("until", Instant, nullable=False),
)

mark = Table(
    "mark",
    metadata,
    Column("connection", String(64), primary_key=True),
    Column("stream", String(64), primary_key=True),
    Column("value", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("updated_at", Instant, nullable=False),
)

run = Table(
    "run",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("connection", String(64), nullable=False),
    Column("direction", String(64), nullable=False),
    Column("started_at", Instant, nullable=False),
    Column("ended_at", Instant),
    Column("counts", JSON, nullable=False),
    Index("ix_run_connection_started", "connection", "direction", "started_at"),
)

page = Table(
    "page",
    metadata,
    Column("run", String(64), primary_key=True),
    Column("route", String(64), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("stage", String(16), primary_key=True),
    Column("blob", LargeBinary, nullable=False),
    Column("created_at", Instant, nullable=False),
)

ledger = Table(
    "ledger",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("connection", String(64), nullable=False),
    Column("direction", String(64), nullable=False),
    Column("route", String(64), nullable=False),
    Column("external_id", String(300), nullable=False),
    Column("target_tenant", String(4), nullable=False),
    Column("token", String(20), nullable=False),
    Column("label", String(200), nullable=False),
    Column("source_version", String(40), nullable=False),
    Column("written_version", String(40), nullable=False, server_default=""),
    Column("settings_version", Integer, nullable=False),
    Column("fingerprint", String(40), nullable=False, server_default=""),
    Column("revision", Integer, nullable=False, server_default="0"),
    Column("outcome", String(16), nullable=False),
    Column("reasons", JSON, nullable=False),
    Column("since", Instant, nullable=False),
    Column("due_at", Instant),
    Column("target_type", String(64), nullable=False, server_default=""),
    Column("target_id", String(200)),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("last_run", String(64), nullable=False, server_default=""),
    Column("last_page", String(80), nullable=False, server_default=""),
    Column("version", Integer, nullable=False, server_default="0"),
    Column("snapshot", LargeBinary),
    Column("detail", LargeBinary),
    Column("created_at", Instant, nullable=False),
    Column("updated_at", Instant, nullable=False),
    UniqueConstraint("direction", "external_id", "target_tenant"),
    Index("ix_ledger_due", "connection", "direction", "route", "outcome", "due_at"),
    Index("ix_ledger_label", "label"),
    Index("ix_ledger_token", "token"),
    Index("ix_ledger_last_run", "last_run"),
    Index(
        "uq_ledger_target",
        "target_tenant",
        "target_type",
        "target_id",
        unique=True,
        sqlite_where=text("target_id IS NOT NULL"),
        postgresql_where=text("target_id IS NOT NULL"),
    ),
)

effect = Table(
    "effect",
    metadata,
    Column("ledger_id", ForeignKey("ledger.id"), primary_key=True),
    Column("ordinal", Integer, primary_key=True),
    Column("name", String(32), nullable=False),
    Column("state", String(16), nullable=False),
    Column("revision", Integer, nullable=False),
    Column("key", String(32), nullable=False, server_default=""),
    Column("fingerprint", String(40), nullable=False, server_default=""),
    Column("blob", LargeBinary),
    Column("synced", LargeBinary),
    Column("epoch", Integer, nullable=False, server_default="0"),
    Column("doubt_since", Instant),
    Column("target_id", String(200), nullable=False, server_default=""),
    Column("notes", JSON, nullable=False),
    Column("updated_at", Instant, nullable=False),
)

reservation = Table(
    "reservation",
    metadata,
    Column("ledger_id", ForeignKey("ledger.id"), primary_key=True),
    Column("tenant", String(4), primary_key=True),
    Column("domain", String(16), primary_key=True),
    Column("po_number", String(32), primary_key=True),
    Column("po_line", Integer, primary_key=True),
    Column("quantity", Exact, nullable=False),
    Column("receivers", JSON, nullable=False),
    Column("permanent", Boolean, nullable=False),
    Index("ix_reservation_line", "tenant", "domain", "po_number", "po_line"),
)

overlay = Table(
    "overlay",
    metadata,
    Column("ledger_id", ForeignKey("ledger.id"), primary_key=True),
    Column("path", String(120), primary_key=True),
    Column("blob", LargeBinary, nullable=False),
    Column("created_at", Instant, nullable=False),
)

audit = Table(
    "audit",
    metadata,
    Column("chain", String(140), primary_key=True),
    Column("seq", Integer, primary_key=True),
    Column("at", Instant, nullable=False),
    Column("kind", String(48), nullable=False),
    Column("external_id", String(300), nullable=False),
    Column("data", JSON, nullable=False),
    Column("digest", String(64), nullable=False),
    Column("blob", LargeBinary),
    Column("previous", String(64), nullable=False),
    Column("mac", String(64), nullable=False),
    Index("ix_audit_external_id", "external_id"),
)

audit_head = Table(
    "audit_head",
    metadata,
    Column("chain", String(140), primary_key=True),
    Column("seq", Integer, nullable=False),
    Column("mac", String(64), nullable=False),
)

permit = Table(
    "permit",
    metadata,
    Column("tenant", String(64), primary_key=True),
    Column("second", Integer, nullable=False),
    Column("used", Integer, nullable=False),
)

# What both directions of a pair last agreed on, per field that travels both ways; `record` is the ledger row of the
# document that carries it.
agreed = Table(
    "agreed",
    metadata,
    Column("record", String(32), primary_key=True),
    Column("name", String(64), primary_key=True),
    Column("blob", LargeBinary, nullable=False),
    Column("updated_at", Instant, nullable=False),
)

ingress = Table(
    "ingress",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("system", String(32), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("options", JSON, nullable=False),
    Column("secrets", LargeBinary, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("updated_at", Instant, nullable=False),
)

# Whom a delivery concerns: by site and the system's own id of the webhook, both empty where an ingress is one
# connection's.
subscription = Table(
    "subscription",
    metadata,
    Column("ingress", ForeignKey("ingress.name"), primary_key=True),
    Column("site", String(200), primary_key=True),
    Column("webhook", String(64), primary_key=True),
    Column("connection", String(64), primary_key=True),
    Column("direction", String(64), primary_key=True),
    Column("expires_at", Instant),
)

inbox = Table(
    "inbox",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("connection", String(64), nullable=False),
    Column("direction", String(64), nullable=False),
    Column("ingress", String(64), nullable=False),
    Column("delivery", String(120), nullable=False),
    Column("topic", String(64), nullable=False),
    Column("object_id", String(120), nullable=False),
    Column("received_at", Instant, nullable=False),
    Column("drained_at", Instant),
    UniqueConstraint("connection", "direction", "ingress", "delivery"),
    Index("ix_inbox_waiting", "connection", "direction", "drained_at"),
)

wake = Table(
    "wake",
    metadata,
    Column("connection", String(64), primary_key=True),
    Column("direction", String(64), primary_key=True),
    Column("pending_since", Instant),
)
