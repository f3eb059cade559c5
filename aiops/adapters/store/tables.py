"""The tables of the store. A change here needs a migration in `migrations/versions/`."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
)

METADATA = MetaData()
REVISION = "0012"
"""The newest migration: what this version of the program needs."""

FENCE = "fence"
"""The key in `meta` of the epoch that may write; its row is there from the beginning, so that it can be locked."""

_ID = String(26)
_KEY = String(512)
_PLACE = BigInteger().with_variant(Integer, "sqlite")

META = Table("meta", METADATA, Column("key", String(64), primary_key=True), Column("value", Text, nullable=False))

CLAIMS = Table(
    "claims",
    METADATA,
    Column("epoch", Integer, primary_key=True, autoincrement=False),
    Column("holder", Text, nullable=False),
    Column("at", Float, nullable=False),
)

TICKS = Table(
    "ticks",
    METADATA,
    Column("id", _ID, primary_key=True),
    Column("at", Float, nullable=False, index=True),
)

DECISIONS = Table(
    "decisions",
    METADATA,
    Column("id", _ID, primary_key=True),
    Column("tick_id", _ID, nullable=False),
    Column("at", Float, nullable=False, index=True),
    Column("until", Float, nullable=False),
    Column("ticks", Integer, nullable=False),
    Column("policy", _KEY, nullable=False),
    Column("target", _KEY, nullable=False),
    Column("verdict", String(16), nullable=False),
    Column("reason", String(32), nullable=False),
    Column("before", Integer),
    Column("after", Integer),
    Column("dry_run", Boolean, nullable=False),
    Column("action_id", _ID),
    Column("policy_digest", String(32), nullable=False),
    Column("story", Text, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Index("decisions_by_policy", "policy", "at"),
    Index("decisions_by_target", "target", "at"),
    Index("decisions_by_verdict", "verdict", "at"),
    Index("decisions_by_reason", "reason", "at"),
)

INPUTS = Table(
    "inputs", METADATA, Column("decision_id", _ID, primary_key=True), Column("body", LargeBinary, nullable=False)
)

DOCUMENTS = Table(
    "documents",
    METADATA,
    Column("digest", String(32), primary_key=True),
    Column("policy", _KEY, nullable=False),
    Column("body", Text, nullable=False),
)

ACTIONS = Table(
    "actions",
    METADATA,
    Column("id", _ID, primary_key=True),
    Column("decision_id", _ID, nullable=False, index=True),
    Column("policy", _KEY, nullable=False),
    Column("target", _KEY, nullable=False),
    Column("at", Float, nullable=False, index=True),
    Column("before", Integer, nullable=False),
    Column("after", Integer, nullable=False),
    Column("dry_run", Boolean, nullable=False),
    Column("status", String(16), nullable=False),
    Column("message", Text, nullable=False),
    Column("body", LargeBinary, nullable=False),
)

OUTCOMES = Table(
    "outcomes",
    METADATA,
    Column("action_id", _ID, primary_key=True),
    Column("at", Float, primary_key=True),
    Column("kind", String(16), nullable=False),
    Column("detail", Text, nullable=False),
)

FINDINGS = Table(
    "findings",
    METADATA,
    Column("series", Text, primary_key=True),
    Column("since", Float, primary_key=True),
    Column("until", Float, nullable=False, index=True),
    Column("policy", _KEY, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("peak", Float, nullable=False),
    Column("reason", Text, nullable=False),
    Column("body", LargeBinary),
)

INCIDENTS = Table(
    "incidents",
    METADATA,
    Column("id", _ID, primary_key=True),
    Column("since", Float, nullable=False),
    Column("until", Float, nullable=False, index=True),
    Column("kind", String(16), nullable=False),
    Column("series", Integer, nullable=False),
    Column("peak", Float, nullable=False),
    Column("peak_at", Float),
    Column("state", String(16)),
    Column("body", LargeBinary),
)

ALERTS = Table(
    "alerts",
    METADATA,
    Column("fingerprint", String(64), primary_key=True),
    Column("starts_at", Float, primary_key=True),
    Column("name", Text, nullable=False),
    Column("labels", Text, nullable=False),
    Column("status", String(16), nullable=False, index=True),
    Column("ends_at", Float),
    Column("seen_at", Float, nullable=False),
)

STATE = Table("state", METADATA, Column("policy", _KEY, primary_key=True), Column("body", Text, nullable=False))

EFFECTS = Table("effects", METADATA, Column("key", _KEY, primary_key=True), Column("body", Text, nullable=False))

SAMPLES = Table(
    "samples",
    METADATA,
    Column("policy", _KEY, primary_key=True),
    Column("at", Float, primary_key=True),
    Column("demand", Float),
    Column("ahead", Float),
    Column("ahead_p50", Float),
    Column("ahead_p95", Float),
    Column("capacity", Float),
    Column("replicas", Integer),
    Column("ready", Integer),
    Column("wanted", Integer),
    Column("usd_per_hour", Float),
)

PAUSES = Table(
    "pauses",
    METADATA,
    Column("id", _ID, primary_key=True),
    Column("scope", _KEY, nullable=False),
    Column("direction", String(8), nullable=False),
    Column("reason", Text, nullable=False),
    Column("by", String(256), nullable=False),
    Column("since", Float, nullable=False),
    Column("until", Float),
    Column("hold_at", Integer),
    Column("release", Boolean, nullable=False),
    Column("ended_at", Float),
)

APPROVALS = Table(
    "approvals",
    METADATA,
    Column("ask_id", _ID, primary_key=True),
    Column("by", String(256), primary_key=True),
    Column("approved", Boolean, nullable=False),
    Column("at", Float, nullable=False),
    Column("reason", Text, nullable=False),
)

PLANS = Table(
    "plans",
    METADATA,
    Column("id", _ID, primary_key=True),
    Column("policy", _KEY, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("subject", Text, nullable=False),
    Column("status", String(16), nullable=False),
    Column("created_at", Float, nullable=False, index=True),
    Column("ended_at", Float),
    Column("carried", Boolean, nullable=False),
    Column("body", Text, nullable=False),
)
"""carried: whether the loop still carries it on from tick to tick."""

MEMORIES = Table(
    "memories",
    METADATA,
    Column("policy", _KEY, primary_key=True),
    Column("kind", String(16), nullable=False),
    Column("body", Text, nullable=False),
)

ORDERS = Table(
    "orders",
    METADATA,
    Column("id", _ID, primary_key=True),
    Column("kind", String(16), nullable=False),
    Column("subject", _KEY, nullable=False),
    Column("by", String(256), nullable=False),
    Column("at", Float, nullable=False),
    Column("reason", Text, nullable=False),
    Column("expires_at", Float, nullable=False),
    Column("to", String(256), nullable=False),
)

PROMOTIONS = Table(
    "promotions",
    METADATA,
    Column("id", _ID, primary_key=True),
    Column("policy", _KEY, nullable=False),
    Column("spec_hash", String(32), nullable=False),
    Column("mode", String(16), nullable=False),
    Column("by", String(256), nullable=False),
    Column("at", Float, nullable=False),
    Column("reason", Text, nullable=False),
    Column("forced", Boolean, nullable=False),
    Column("evidence", Text, nullable=False),
    Column("document", Text, nullable=False),
    Index("promotions_by_policy", "policy", "at"),
)

AUDIT = Table(
    "audit",
    METADATA,
    Column("seq", _PLACE, primary_key=True, autoincrement=False),
    Column("at", Float, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("by", String(256), nullable=False),
    Column("subject", _KEY, nullable=False),
    Column("ref", String(256), nullable=False),
    Column("text", Text, nullable=False),
    Column("digest", String(64), nullable=False),
    Index("audit_by_kind", "kind", "seq"),
)
"""The chain. text: what is hashed; the columns before it are said in it, too."""

ANCHORS = Table(
    "anchors",
    METADATA,
    Column("seq", _PLACE, primary_key=True, autoincrement=False),
    Column("key", String(64), primary_key=True),
    Column("kind", String(16), primary_key=True),
    Column("digest", String(64), nullable=False),
    Column("at", Float, nullable=False),
    Column("signature", Text, nullable=False),
)

CURSORS = Table(
    "cursors",
    METADATA,
    Column("name", String(128), primary_key=True),
    Column("seq", _PLACE, nullable=False),
    Column("lost", Integer, nullable=False),
)
"""How far whoever follows the chain has come. lost: what it never got, and has not been told of yet."""

NOTICES = Table(
    "notices",
    METADATA,
    Column("route", String(64), primary_key=True),
    Column("key", String(300), primary_key=True),
    Column("group", Text, nullable=False),
    Column("seq", _PLACE, nullable=False),
    Column("at", Float, nullable=False),
    Column("severity", Integer, nullable=False),
    Column("state", String(8), nullable=False),
    Column("told_at", Float),
    Column("due_at", Float, nullable=False),
    Column("body", Text, nullable=False),
)
"""What people are still to be told, by route, and what stands of which they were told."""
