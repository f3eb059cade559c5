"""A saving knows which requests it changed, so that those of several changes are told apart."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; what is stored has changed nothing that is known."""
    op.add_column("savings", sa.Column("links", sa.Text, nullable=False, server_default="[]"))


def downgrade() -> None:
    """Drop the column: the newest change of several is counted alone again."""
    with op.batch_alter_table("savings") as table:
        table.drop_column("links")
