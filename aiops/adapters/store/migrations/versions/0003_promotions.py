"""Which specs may act, by whose word; what acts already is adopted, so that an upgrade stops nothing."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the promotions, and note what the newest decision of each policy shows to be acting."""
    promotions = op.create_table(
        "promotions",
        sa.Column("id", sa.String(26), primary_key=True),
        sa.Column("policy", sa.String(512), nullable=False),
        sa.Column("spec_hash", sa.String(32), nullable=False),
        sa.Column("mode", sa.String(16), nullable=False),
        sa.Column("by", sa.String(256), nullable=False),
        sa.Column("at", sa.Float, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("forced", sa.Boolean, nullable=False),
        sa.Column("evidence", sa.Text, nullable=False),
        sa.Column("document", sa.Text, nullable=False),
    )
    op.create_index("promotions_by_policy", "promotions", ["policy", "at"])
    adopted = [row for found in _newest() if (row := _adopted(*found)) is not None]
    if adopted:
        op.bulk_insert(promotions, adopted)


def _newest() -> list[tuple[str, float, str]]:
    """Return (policy, time, document) of each policy whose newest decision was no dry run; a bug tells no mode."""
    rows = op.get_bind().execute(
        sa.text(
            "SELECT d.policy, d.at, o.body, d.dry_run FROM decisions d "
            "JOIN (SELECT policy, max(at) AS at FROM decisions WHERE verdict <> 'bug' GROUP BY policy) n "
            "ON n.policy = d.policy AND n.at = d.at "
            "JOIN documents o ON o.digest = d.policy_digest WHERE d.verdict <> 'bug'"
        )
    )
    found = {row[0]: (row[0], float(row[1]), str(row[2])) for row in rows if not row[3]}
    return list(found.values())


def _adopted(policy: str, at: float, document: str) -> dict[str, Any] | None:
    """Return the promotion of what acted, None for a policy that acts in no mode."""
    try:
        whole = json.loads(document)
        mode = whole["spec"].pop("mode")
    except (ValueError, TypeError, KeyError):
        return None
    if mode not in ("approve", "enforce"):
        return None
    # as the program of this revision hashes specs; what later ones add to documents they see to themselves
    for name in ("labels", "annotations"):
        whole["metadata"].pop(name, None)
    canonical = json.dumps(whole, sort_keys=True, separators=(",", ":"))
    return {
        "id": hashlib.blake2b(f"upgrade {policy}".encode(), digest_size=13).hexdigest().upper(),
        "policy": policy,
        "spec_hash": hashlib.blake2b(canonical.encode(), digest_size=8).hexdigest(),
        "mode": mode,
        "by": "upgrade",
        "at": at,
        "reason": "it acted before promotions were kept",
        "forced": False,
        "evidence": "{}",
        "document": document,
    }


def downgrade() -> None:
    """Refuse: an older program would act on every edit."""
    raise NotImplementedError("an older program knows no promotions, and acts on whatever is loaded")
