"""Plans, what their policies remember, what people order; and questions that several people answer."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables; an answer is told apart by who gave it, too."""
    op.create_table(
        "plans",
        sa.Column("id", sa.String(26), primary_key=True),
        sa.Column("policy", sa.String(512), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("created_at", sa.Float, nullable=False),
        sa.Column("ended_at", sa.Float),
        sa.Column("carried", sa.Boolean, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
    )
    op.create_index("ix_plans_created_at", "plans", ["created_at"])
    op.create_table(
        "memories",
        sa.Column("policy", sa.String(512), primary_key=True),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("body", sa.Text, nullable=False),
    )
    op.create_table(
        "orders",
        sa.Column("id", sa.String(26), primary_key=True),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("subject", sa.String(512), nullable=False),
        sa.Column("by", sa.String(256), nullable=False),
        sa.Column("at", sa.Float, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("expires_at", sa.Float, nullable=False),
        sa.Column("to", sa.String(256), nullable=False),
    )
    op.rename_table("approvals", "approvals_before")
    made = op.create_table(
        "approvals",
        sa.Column("ask_id", sa.String(26), primary_key=True),
        sa.Column("by", sa.String(256), primary_key=True),
        sa.Column("approved", sa.Boolean, nullable=False),
        sa.Column("at", sa.Float, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
    )
    before = sa.table("approvals_before", *(sa.column(one.name) for one in made.columns))
    columns = [before.c[one.name] for one in made.columns]
    op.execute(sa.insert(made).from_select([one.name for one in made.columns], sa.select(*columns)))
    op.drop_table("approvals_before")


def downgrade() -> None:
    """Refuse: an older program would leave a plan half done, and know nothing of it."""
    raise NotImplementedError("an older program knows no plans, and would leave one half done")
