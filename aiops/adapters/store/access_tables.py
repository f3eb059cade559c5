"""The tables of who was given access. Neither a token nor a cookie is in them, only the digest of each."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Float, String, Table

from aiops.adapters.store.tables import METADATA

TOKENS = Table(
    "tokens",
    METADATA,
    Column("id", String(26), primary_key=True),
    Column("name", String(256), nullable=False),
    Column("role", String(16), nullable=False),
    Column("digest", String(64), nullable=False, unique=True),
    Column("created_at", Float, nullable=False),
    Column("created_by", String(256), nullable=False),
    Column("expires_at", Float),
    Column("revoked_at", Float),
    Column("used_at", Float),
)

SESSIONS = Table(
    "sessions",
    METADATA,
    Column("digest", String(64), primary_key=True),
    Column("principal", String(256), nullable=False),
    Column("role", String(16), nullable=False),
    Column("how", String(16), nullable=False),
    Column("key", String(64), nullable=False, index=True),
    Column("shared", Boolean, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("seen_at", Float, nullable=False),
    Column("expires_at", Float, nullable=False, index=True),
)
