"""The audit chain with its anchors, and who follows it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_PLACE = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Make the tables, and say until when the record has no chain."""
    op.create_table(
        "audit",
        sa.Column("seq", _PLACE, primary_key=True, autoincrement=False),
        sa.Column("at", sa.Float, nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("by", sa.String(256), nullable=False),
        sa.Column("subject", sa.String(512), nullable=False),
        sa.Column("ref", sa.String(256), nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
    )
    op.create_index("audit_by_kind", "audit", ["kind", "seq"])
    op.create_table(
        "anchors",
        sa.Column("seq", _PLACE, primary_key=True, autoincrement=False),
        sa.Column("key", sa.String(64), primary_key=True),
        sa.Column("kind", sa.String(16), primary_key=True),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("at", sa.Float, nullable=False),
        sa.Column("signature", sa.Text, nullable=False),
    )
    op.create_table(
        "cursors",
        sa.Column("name", sa.String(128), primary_key=True),
        sa.Column("seq", _PLACE, nullable=False),
        sa.Column("lost", sa.Integer, nullable=False),
    )
    op.create_table(
        "notices",
        sa.Column("route", sa.String(64), primary_key=True),
        sa.Column("key", sa.String(300), primary_key=True),
        sa.Column("group", sa.Text, nullable=False),
        sa.Column("seq", _PLACE, nullable=False),
        sa.Column("at", sa.Float, nullable=False),
        sa.Column("severity", sa.Integer, nullable=False),
        sa.Column("state", sa.String(8), nullable=False),
        sa.Column("told_at", sa.Float),
        sa.Column("due_at", sa.Float, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
    )
    _say_until_when_there_was_none()


def _say_until_when_there_was_none() -> None:
    meta = sa.table("meta", sa.column("key", sa.String), sa.column("value", sa.Text))
    latest = [
        op.get_bind().execute(sa.select(sa.func.max(sa.column("at"))).select_from(sa.table(name))).scalar()
        for name in ("decisions", "actions")
    ]
    known = [float(at) for at in latest if at is not None]
    if known:
        op.execute(sa.insert(meta).values(key="audit_unchained", value=repr(max(known))))


def downgrade() -> None:
    """Refuse: an older program would act without a record that anybody could check."""
    raise NotImplementedError("an older program would act without the chain, and leave a hole in it")
