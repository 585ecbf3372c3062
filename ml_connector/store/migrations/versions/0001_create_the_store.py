"""Create the store."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Apply the change."""
    op.create_table(
        "agreed",
        sa.Column("record", sa.String(length=32), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("blob", sa.LargeBinary(), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("record", "name", name=op.f("pk_agreed")),
    )
    op.create_table(
        "audit",
        sa.Column("chain", sa.String(length=140), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("kind", sa.String(length=48), nullable=False),
        sa.Column("external_id", sa.String(length=300), nullable=False),
        sa.Column("data", sa.JSON(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("blob", sa.LargeBinary(), nullable=True),
        sa.Column("previous", sa.String(length=64), nullable=False),
        sa.Column("mac", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("chain", "seq", name=op.f("pk_audit")),
    )
    with op.batch_alter_table("audit", schema=None) as batch_op:
        batch_op.create_index("ix_audit_external_id", ["external_id"], unique=False)

    op.create_table(
        "audit_head",
        sa.Column("chain", sa.String(length=140), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("mac", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("chain", name=op.f("pk_audit_head")),
    )
    op.create_table(
        "inbox",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("connection", sa.String(length=64), nullable=False),
        sa.Column("direction", sa.String(length=64), nullable=False),
        sa.Column("ingress", sa.String(length=64), nullable=False),
        sa.Column("delivery", sa.String(length=120), nullable=False),
        sa.Column("topic", sa.String(length=64), nullable=False),
        sa.Column("object_id", sa.String(length=120), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("drained_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_inbox")),
        sa.UniqueConstraint(
            "connection",
            "direction",
            "ingress",
            "delivery",
            name=op.f("uq_inbox_connection_direction_ingress_delivery"),
        ),
    )
    with op.batch_alter_table("inbox", schema=None) as batch_op:
        batch_op.create_index("ix_inbox_waiting", ["connection", "direction", "drained_at"], unique=False)

    op.create_table(
        "ingress",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("system", sa.String(length=32), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("options", sa.JSON(), nullable=False),
        sa.Column("secrets", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_ingress")),
    )
    op.create_table(
        "lease",
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("owner", sa.String(length=64), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_lease")),
    )
    op.create_table(
        "ledger",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("connection", sa.String(length=64), nullable=False),
        sa.Column("direction", sa.String(length=64), nullable=False),
        sa.Column("route", sa.String(length=64), nullable=False),
        sa.Column("external_id", sa.String(length=300), nullable=False),
        sa.Column("target_tenant", sa.String(length=4), nullable=False),
        sa.Column("token", sa.String(length=20), nullable=False),
        sa.Column("label", sa.String(length=200), nullable=False),
        sa.Column("source_version", sa.String(length=40), nullable=False),
        sa.Column("written_version", sa.String(length=40), server_default="", nullable=False),
        sa.Column("settings_version", sa.Integer(), nullable=False),
        sa.Column("fingerprint", sa.String(length=40), server_default="", nullable=False),
        sa.Column("revision", sa.Integer(), server_default="0", nullable=False),
        sa.Column("outcome", sa.String(length=16), nullable=False),
        sa.Column("reasons", sa.JSON(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("target_type", sa.String(length=64), server_default="", nullable=False),
        sa.Column("target_id", sa.String(length=200), nullable=True),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("last_run", sa.String(length=64), server_default="", nullable=False),
        sa.Column("last_page", sa.String(length=80), server_default="", nullable=False),
        sa.Column("version", sa.Integer(), server_default="0", nullable=False),
        sa.Column("snapshot", sa.LargeBinary(), nullable=True),
        sa.Column("detail", sa.LargeBinary(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ledger")),
        sa.UniqueConstraint(
            "direction", "external_id", "target_tenant", name=op.f("uq_ledger_direction_external_id_target_tenant")
        ),
    )
    with op.batch_alter_table("ledger", schema=None) as batch_op:
        batch_op.create_index("ix_ledger_due", ["connection", "direction", "route", "outcome", "due_at"], unique=False)
        batch_op.create_index("ix_ledger_label", ["label"], unique=False)
        batch_op.create_index("ix_ledger_last_run", ["last_run"], unique=False)
        batch_op.create_index("ix_ledger_token", ["token"], unique=False)
        batch_op.create_index(
            "uq_ledger_target",
            ["target_tenant", "target_type", "target_id"],
            unique=True,
            sqlite_where=sa.text("target_id IS NOT NULL"),
            postgresql_where=sa.text("target_id IS NOT NULL"),
        )

    op.create_table(
        "mark",
        sa.Column("connection", sa.String(length=64), nullable=False),
        sa.Column("stream", sa.String(length=64), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("connection", "stream", name=op.f("pk_mark")),
    )
    op.create_table(
        "page",
        sa.Column("run", sa.String(length=64), nullable=False),
        sa.Column("route", sa.String(length=64), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("stage", sa.String(length=16), nullable=False),
        sa.Column("blob", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("run", "route", "number", "stage", name=op.f("pk_page")),
    )
    op.create_table(
        "permit",
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("second", sa.Integer(), nullable=False),
        sa.Column("used", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", name=op.f("pk_permit")),
    )
    op.create_table(
        "run",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("connection", sa.String(length=64), nullable=False),
        sa.Column("direction", sa.String(length=64), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("counts", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_run")),
    )
    with op.batch_alter_table("run", schema=None) as batch_op:
        batch_op.create_index("ix_run_connection_started", ["connection", "direction", "started_at"], unique=False)

    op.create_table(
        "tenant",
        sa.Column("code", sa.String(length=4), nullable=False),
        sa.Column("system", sa.String(length=32), nullable=False),
        sa.Column("identity", sa.String(length=400), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("code", name=op.f("pk_tenant")),
        sa.UniqueConstraint("system", "identity", name=op.f("uq_tenant_system_identity")),
    )
    op.create_table(
        "vault",
        sa.Column("slot", sa.String(length=200), nullable=False),
        sa.Column("blob", sa.LargeBinary(), nullable=True),
        sa.Column("version", sa.Integer(), server_default="0", nullable=False),
        sa.Column("renew_owner", sa.String(length=64), nullable=True),
        sa.Column("renew_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("denied_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("denied_reason", sa.Text(), nullable=True),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("slot", name=op.f("pk_vault")),
    )
    op.create_table(
        "wake",
        sa.Column("connection", sa.String(length=64), nullable=False),
        sa.Column("direction", sa.String(length=64), nullable=False),
        sa.Column("pending_since", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("connection", "direction", name=op.f("pk_wake")),
    )
    op.create_table(
        "connection",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("pair", sa.String(length=64), nullable=False),
        sa.Column("source_block", sa.String(length=128), nullable=False),
        sa.Column("target_block", sa.String(length=128), nullable=False),
        sa.Column("source_tenant", sa.String(length=4), nullable=False),
        sa.Column("target_tenant", sa.String(length=4), nullable=False),
        sa.Column("time_zone", sa.String(length=64), nullable=False),
        sa.Column("settings", sa.JSON(), nullable=False),
        sa.Column("schema_version", sa.Integer(), nullable=False),
        sa.Column("settings_version", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["source_tenant"], ["tenant.code"], name=op.f("fk_connection_source_tenant")),
        sa.ForeignKeyConstraint(["target_tenant"], ["tenant.code"], name=op.f("fk_connection_target_tenant")),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_connection")),
    )
    op.create_table(
        "effect",
        sa.Column("ledger_id", sa.String(length=32), nullable=False),
        sa.Column("ordinal", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=32), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("key", sa.String(length=32), server_default="", nullable=False),
        sa.Column("fingerprint", sa.String(length=40), server_default="", nullable=False),
        sa.Column("blob", sa.LargeBinary(), nullable=True),
        sa.Column("synced", sa.LargeBinary(), nullable=True),
        sa.Column("epoch", sa.Integer(), server_default="0", nullable=False),
        sa.Column("doubt_since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("target_id", sa.String(length=200), server_default="", nullable=False),
        sa.Column("notes", sa.JSON(), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["ledger_id"], ["ledger.id"], name=op.f("fk_effect_ledger_id")),
        sa.PrimaryKeyConstraint("ledger_id", "ordinal", name=op.f("pk_effect")),
    )
    op.create_table(
        "overlay",
        sa.Column("ledger_id", sa.String(length=32), nullable=False),
        sa.Column("path", sa.String(length=120), nullable=False),
        sa.Column("blob", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["ledger_id"], ["ledger.id"], name=op.f("fk_overlay_ledger_id")),
        sa.PrimaryKeyConstraint("ledger_id", "path", name=op.f("pk_overlay")),
    )
    op.create_table(
        "reservation",
        sa.Column("ledger_id", sa.String(length=32), nullable=False),
        sa.Column("tenant", sa.String(length=4), nullable=False),
        sa.Column("domain", sa.String(length=16), nullable=False),
        sa.Column("po_number", sa.String(length=32), nullable=False),
        sa.Column("po_line", sa.Integer(), nullable=False),
        sa.Column("quantity", sa.String(length=64), nullable=False),
        sa.Column("receivers", sa.JSON(), nullable=False),
        sa.Column("permanent", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["ledger_id"], ["ledger.id"], name=op.f("fk_reservation_ledger_id")),
        sa.PrimaryKeyConstraint("ledger_id", "tenant", "domain", "po_number", "po_line", name=op.f("pk_reservation")),
    )
    with op.batch_alter_table("reservation", schema=None) as batch_op:
        batch_op.create_index("ix_reservation_line", ["tenant", "domain", "po_number", "po_line"], unique=False)

    op.create_table(
        "subscription",
        sa.Column("ingress", sa.String(length=64), nullable=False),
        sa.Column("site", sa.String(length=200), nullable=False),
        sa.Column("webhook", sa.String(length=64), nullable=False),
        sa.Column("connection", sa.String(length=64), nullable=False),
        sa.Column("direction", sa.String(length=64), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["ingress"], ["ingress.name"], name=op.f("fk_subscription_ingress")),
        sa.PrimaryKeyConstraint("ingress", "site", "webhook", "connection", "direction", name=op.f("pk_subscription")),
    )


def downgrade() -> None:
    """Take the change back."""
    op.drop_table("subscription")
    with op.batch_alter_table("reservation", schema=None) as batch_op:
        batch_op.drop_index("ix_reservation_line")

    op.drop_table("reservation")
    op.drop_table("overlay")
    op.drop_table("effect")
    op.drop_table("connection")
    op.drop_table("wake")
    op.drop_table("vault")
    op.drop_table("tenant")
    with op.batch_alter_table("run", schema=None) as batch_op:
        batch_op.drop_index("ix_run_connection_started")

    op.drop_table("run")
    op.drop_table("permit")
    op.drop_table("page")
    op.drop_table("mark")
    with op.batch_alter_table("ledger", schema=None) as batch_op:
        batch_op.drop_index(
            "uq_ledger_target",
            sqlite_where=sa.text("target_id IS NOT NULL"),
            postgresql_where=sa.text("target_id IS NOT NULL"),
        )
        batch_op.drop_index("ix_ledger_token")
        batch_op.drop_index("ix_ledger_last_run")
        batch_op.drop_index("ix_ledger_label")
        batch_op.drop_index("ix_ledger_due")

    op.drop_table("ledger")
    op.drop_table("lease")
    op.drop_table("ingress")
    with op.batch_alter_table("inbox", schema=None) as batch_op:
        batch_op.drop_index("ix_inbox_waiting")

    op.drop_table("inbox")
    op.drop_table("audit_head")
    with op.batch_alter_table("audit", schema=None) as batch_op:
        batch_op.drop_index("ix_audit_external_id")

    op.drop_table("audit")
    op.drop_table("agreed")
