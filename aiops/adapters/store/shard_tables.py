"""The tables of what shards have learnt. They hold nothing that cannot be learnt again, so no backup has them."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Float, Integer, LargeBinary, String, Table

from aiops.adapters.store.tables import METADATA

_NAME, _GENERATION = String(64), String(32)

CHECKPOINTS = Table(
    "shard_checkpoints",
    METADATA,
    Column("name", _NAME, primary_key=True),
    Column("generation", _GENERATION, nullable=False),
    Column("format", Integer, nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("at", Float, nullable=False),
    Column("parts", Integer, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("digest", String(64), nullable=False),
)
"""Which generation of a shard's checkpoint counts: the one whose parts were all there when it was put up."""

PARTS = Table(
    "shard_parts",
    METADATA,
    Column("name", _NAME, primary_key=True),
    Column("generation", _GENERATION, primary_key=True),
    Column("part", Integer, primary_key=True, autoincrement=False),
    Column("content", LargeBinary, nullable=False),
)

LEARNT = frozenset({CHECKPOINTS.name, PARTS.name})
"""Tables with a bound of their own, which neither backups nor the store's bound look at."""
