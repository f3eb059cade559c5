"""The first tables."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

ID = sa.String(26)
KEY = sa.String(512)


def upgrade() -> None:
    """Make every table of the first version."""
    op.create_table(
        "meta",
        sa.Column("key", sa.String(64), primary_key=True),
        sa.Column("value", sa.Text, nullable=False),
    )
    op.create_table("ticks", sa.Column("id", ID, primary_key=True), sa.Column("at", sa.Float, nullable=False))
    op.create_table(
        "decisions",
        sa.Column("id", ID, primary_key=True),
        sa.Column("tick_id", ID, nullable=False),
        sa.Column("at", sa.Float, nullable=False),
        sa.Column("until", sa.Float, nullable=False),
        sa.Column("ticks", sa.Integer, nullable=False),
        sa.Column("policy", KEY, nullable=False),
        sa.Column("target", KEY, nullable=False),
        sa.Column("verdict", sa.String(16), nullable=False),
        sa.Column("reason", sa.String(32), nullable=False),
        sa.Column("before", sa.Integer),
        sa.Column("after", sa.Integer),
        sa.Column("dry_run", sa.Boolean, nullable=False),
        sa.Column("action_id", ID),
        sa.Column("policy_digest", sa.String(32), nullable=False),
        sa.Column("story", sa.Text, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "inputs",
        sa.Column("decision_id", ID, primary_key=True),
        sa.Column("body", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "documents",
        sa.Column("digest", sa.String(32), primary_key=True),
        sa.Column("policy", KEY, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
    )
    _acts()
    _perceived()
    _carried()
    _people()
    for table, column in (("ticks", "at"), ("decisions", "at"), ("actions", "at"), ("actions", "decision_id")):
        op.create_index(f"ix_{table}_{column}", table, [column])
    for table in ("findings", "incidents"):
        op.create_index(f"ix_{table}_until", table, ["until"])
    op.create_index("decisions_by_policy", "decisions", ["policy", "at"])


def _acts() -> None:
    op.create_table(
        "actions",
        sa.Column("id", ID, primary_key=True),
        sa.Column("decision_id", ID, nullable=False),
        sa.Column("policy", KEY, nullable=False),
        sa.Column("target", KEY, nullable=False),
        sa.Column("at", sa.Float, nullable=False),
        sa.Column("before", sa.Integer, nullable=False),
        sa.Column("after", sa.Integer, nullable=False),
        sa.Column("dry_run", sa.Boolean, nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("message", sa.Text, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "outcomes",
        sa.Column("action_id", ID, primary_key=True),
        sa.Column("at", sa.Float, primary_key=True),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
    )


def _perceived() -> None:
    op.create_table(
        "findings",
        sa.Column("series", KEY, primary_key=True),
        sa.Column("since", sa.Float, primary_key=True),
        sa.Column("until", sa.Float, nullable=False),
        sa.Column("policy", KEY, nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("peak", sa.Float, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
    )
    op.create_table(
        "incidents",
        sa.Column("id", ID, primary_key=True),
        sa.Column("since", sa.Float, nullable=False),
        sa.Column("until", sa.Float, nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("series", sa.Integer, nullable=False),
        sa.Column("peak", sa.Float, nullable=False),
    )


def _carried() -> None:
    op.create_table("state", sa.Column("policy", KEY, primary_key=True), sa.Column("body", sa.Text, nullable=False))
    op.create_table("effects", sa.Column("key", KEY, primary_key=True), sa.Column("body", sa.Text, nullable=False))
    numbers = ("demand", "ahead", "ahead_p50", "ahead_p95", "capacity")
    op.create_table(
        "samples",
        sa.Column("policy", KEY, primary_key=True),
        sa.Column("at", sa.Float, primary_key=True),
        *(sa.Column(name, sa.Float) for name in numbers),
        *(sa.Column(name, sa.Integer) for name in ("replicas", "ready", "wanted")),
        sa.Column("usd_per_hour", sa.Float),
    )


def _people() -> None:
    op.create_table(
        "pauses",
        sa.Column("id", ID, primary_key=True),
        sa.Column("scope", KEY, nullable=False),
        sa.Column("direction", sa.String(8), nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("by", sa.String(256), nullable=False),
        sa.Column("since", sa.Float, nullable=False),
        sa.Column("until", sa.Float),
        sa.Column("hold_at", sa.Integer),
        sa.Column("release", sa.Boolean, nullable=False),
        sa.Column("ended_at", sa.Float),
    )
    op.create_table(
        "approvals",
        sa.Column("ask_id", ID, primary_key=True),
        sa.Column("approved", sa.Boolean, nullable=False),
        sa.Column("by", sa.String(256), nullable=False),
        sa.Column("at", sa.Float, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
    )


def downgrade() -> None:
    """Refuse: a record is not thrown away."""
    raise NotImplementedError("there is nothing before the first version")
