"""What Alertmanager tells, and what findings and incidents have to say for themselves."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the alerts; findings and incidents of before keep what they have, and have nothing more to say."""
    op.create_table(
        "alerts",
        sa.Column("fingerprint", sa.String(64), primary_key=True),
        sa.Column("starts_at", sa.Float, primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("labels", sa.Text, nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("ends_at", sa.Float),
        sa.Column("seen_at", sa.Float, nullable=False),
    )
    op.create_index("ix_alerts_status", "alerts", ["status"])
    op.add_column("findings", sa.Column("body", sa.LargeBinary))
    op.add_column("incidents", sa.Column("peak_at", sa.Float))
    op.add_column("incidents", sa.Column("state", sa.String(16)))
    op.add_column("incidents", sa.Column("body", sa.LargeBinary))


def downgrade() -> None:
    """Refuse: an older program would not know that an alert fires."""
    raise NotImplementedError("an older program knows nothing of alerts")
