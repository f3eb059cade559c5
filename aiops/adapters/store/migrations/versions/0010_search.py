"""Decisions are found by target, verdict and reason without reading all of them."""

from __future__ import annotations

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the indices."""
    op.create_index("decisions_by_target", "decisions", ["target", "at"])
    op.create_index("decisions_by_verdict", "decisions", ["verdict", "at"])
    op.create_index("decisions_by_reason", "decisions", ["reason", "at"])


def downgrade() -> None:
    """Drop the indices."""
    for column in ("target", "verdict", "reason"):
        op.drop_index(f"decisions_by_{column}", "decisions")
