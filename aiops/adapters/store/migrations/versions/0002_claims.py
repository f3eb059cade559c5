"""Who led, the fence that its epoch is, and series with names of any length."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the claims; the fence begins at 0, which no claim has."""
    op.create_table(
        "claims",
        sa.Column("epoch", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("holder", sa.Text, nullable=False),
        sa.Column("at", sa.Float, nullable=False),
    )
    op.execute("INSERT INTO meta (key, value) VALUES ('fence', '0')")
    # SQLite keeps any length, PostgreSQL would refuse the tick of a series with many labels
    with op.batch_alter_table("findings") as findings:
        findings.alter_column("series", existing_type=sa.String(512), type_=sa.Text, existing_nullable=False)


def downgrade() -> None:
    """Refuse: a fence is not taken down."""
    raise NotImplementedError("an older program would write past the fence")
