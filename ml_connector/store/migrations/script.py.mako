<%
    def body(operations):
        lines = (operations or "pass").splitlines()
        return "\n".join(line for line in lines if not line.strip().startswith("# ###")).strip()
%>"""${message[0].upper() + message[1:]}."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
${imports if imports else ""}
revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}


def upgrade() -> None:
    """Apply the change."""
    ${body(upgrades)}


def downgrade() -> None:
    """Take the change back."""
    ${body(downgrades)}
