"""What was spent, hour by hour, and the ledger of what was saved."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_WHOLE = sa.BigInteger().with_variant(sa.Integer, "sqlite")
_SUMS = (
    "seen_ms", "gap_ms", "replica_ms", "unpriced_ms", "nano", "compared_ms", "reference_ms", "reference_low_ms",
    "reference_high_ms", "saved", "saved_low", "saved_high", "realised", "use_known_ms", "used_ms", "idle_ms", "slo_ms",
)  # fmt: skip


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "cost_subjects",
        sa.Column("id", sa.String(16), primary_key=True),
        sa.Column("target", sa.String(512), nullable=False),
        sa.Column("policy", sa.String(512), nullable=False),
        sa.Column("namespace", sa.String(256), nullable=False),
        sa.Column("labels", sa.Text, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "costs",
        sa.Column("at", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("span_s", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("subject", sa.String(16), primary_key=True),
        *(sa.Column(name, _WHOLE, nullable=False) for name in _SUMS),
        sa.Column("peak", sa.Integer, nullable=False),
        sa.Column("late", sa.Float, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "savings",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("policy", sa.String(512), nullable=False),
        sa.Column("target", sa.String(512), nullable=False),
        sa.Column("namespace", sa.String(256), nullable=False),
        sa.Column("labels", sa.Text, nullable=False),
        sa.Column("opened_at", sa.Float, nullable=False),
        sa.Column("until", sa.Float, nullable=False),
        sa.Column("closed_at", sa.Float),
        sa.Column("dry_run", sa.Boolean, nullable=False),
        *(sa.Column(name, _WHOLE) for name in ("promised", "promised_low", "promised_high")),
        *(sa.Column(name, _WHOLE, nullable=False) for name in ("seen_ms", "replica_ms", "unpriced_ms", "slo_ms")),
        *(sa.Column(name, _WHOLE, nullable=False) for name in ("saved", "saved_low", "saved_high", "realised")),
        sa.Column("late", sa.Float, nullable=False),
        sa.Column("note", sa.Text, nullable=False),
    )
    op.create_index("savings_by_time", "savings", ["until"])


def downgrade() -> None:
    """Drop the tables: an older program knows no money."""
    for name in ("savings", "costs", "cost_subjects"):
        op.drop_table(name)
