"""The tables of money: what was spent, hour by hour, and the ledger of what was saved."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Float, Index, Integer, String, Table, Text

from aiops.adapters.store.tables import METADATA

_WHOLE = BigInteger().with_variant(Integer, "sqlite")
"""Whole numbers beyond 32 bits: milliseconds, and billionths of a USD."""

SUMS = (
    "seen_ms",
    "gap_ms",
    "replica_ms",
    "unpriced_ms",
    "nano",
    "compared_ms",
    "reference_ms",
    "reference_low_ms",
    "reference_high_ms",
    "saved",
    "saved_low",
    "saved_high",
    "realised",
    "use_known_ms",
    "used_ms",
    "idle_ms",
    "slo_ms",
)
"""What can be added up over time and over subjects; `nano`, `saved` and `realised` are billionths of a USD."""

SUBJECTS = Table(
    "cost_subjects",
    METADATA,
    Column("id", String(16), primary_key=True),
    Column("target", String(512), nullable=False),
    Column("policy", String(512), nullable=False),
    Column("namespace", String(256), nullable=False),
    Column("labels", Text, nullable=False),
    sqlite_with_rowid=False,
)
"""On whose account something is spent. id: a hash of the rest."""

COSTS = Table(
    "costs",
    METADATA,
    Column("at", Integer, primary_key=True, autoincrement=False),
    Column("span_s", Integer, primary_key=True, autoincrement=False),
    Column("subject", String(16), primary_key=True),
    *(Column(name, _WHOLE, nullable=False) for name in SUMS),
    Column("peak", Integer, nullable=False),
    Column("late", Float, nullable=False),
    sqlite_with_rowid=False,
)
"""Sums of a subject over an hour that began `at`; over a day (UTC) once that is long past."""

SAVINGS = Table(
    "savings",
    METADATA,
    Column("id", String(64), primary_key=True),
    Column("kind", String(16), nullable=False),
    Column("policy", String(512), nullable=False),
    Column("target", String(512), nullable=False),
    Column("namespace", String(256), nullable=False),
    Column("labels", Text, nullable=False),
    Column("opened_at", Float, nullable=False),
    Column("until", Float, nullable=False),
    Column("closed_at", Float),
    Column("dry_run", Boolean, nullable=False),
    Column("promised", _WHOLE),
    Column("promised_low", _WHOLE),
    Column("promised_high", _WHOLE),
    *(Column(name, _WHOLE, nullable=False) for name in ("seen_ms", "replica_ms", "unpriced_ms", "slo_ms")),
    *(Column(name, _WHOLE, nullable=False) for name in ("saved", "saved_low", "saved_high", "realised")),
    Column("late", Float, nullable=False),
    Column("note", Text, nullable=False),
    Column("links", Text, nullable=False, server_default="[]"),
    Index("savings_by_time", "until"),
)
"""The ledger. promised: billionths of a USD per hour, as estimated before; saved: what came of it.

links: as JSON, which requests were changed: place, resource, before, after.
"""
