"""Retention by age and size, and backup. What the loop carries is never pruned."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import delete, func, select, text

from aiops.adapters.store.database import translated
from aiops.adapters.store.tables import (
    ACTIONS,
    APPROVALS,
    DECISIONS,
    DOCUMENTS,
    FINDINGS,
    INCIDENTS,
    INPUTS,
    OUTCOMES,
    PAUSES,
    SAMPLES,
    TICKS,
)
from aiops.core.model import Instant
from aiops.errors import InvalidInput, StoreUnavailable

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

_SHRINK = 0.8
"""When the store is too large, the oldest fifth of its time goes, again and again."""

_ROUNDS = 20


def prune(engine: Engine, now: Instant, max_age_s: float, max_bytes: int) -> dict[str, int]:
    """Remove what is too old, then the oldest of the rest while it is too large; return rows removed by table."""
    with translated("the store cannot be pruned"):
        removed = _before(engine, now - max_age_s)
        for _ in range(_ROUNDS):
            if used_bytes(engine) <= max_bytes:
                break
            oldest = _oldest(engine)
            if oldest is None:
                break
            for name, count in _before(engine, now - (now - oldest) * _SHRINK).items():
                removed[name] = removed.get(name, 0) + count
    return {name: count for name, count in removed.items() if count}


def used_bytes(engine: Engine) -> int:
    """Return the size of what is stored; 0 where the database does not tell."""
    if engine.dialect.name != "sqlite":
        return 0
    with engine.connect() as connection:
        pages = connection.execute(text("PRAGMA page_count")).scalar_one()
        free = connection.execute(text("PRAGMA freelist_count")).scalar_one()
        size = connection.execute(text("PRAGMA page_size")).scalar_one()
    return int((pages - free) * size)


def backup(source: Path, target: Path) -> int:
    """Copy a SQLite store while it is in use, check the copy, and return its size in bytes."""
    if target.exists():
        raise InvalidInput(f"{target} is there already: a backup overwrites nothing")
    try:
        with sqlite3.connect(source) as original, sqlite3.connect(target) as copy:
            original.backup(copy)
            answer = copy.execute("PRAGMA integrity_check").fetchone()[0]
    except (sqlite3.Error, OSError) as err:
        raise StoreUnavailable(f"the backup to {target} failed: {err}") from err
    if answer != "ok":
        raise StoreUnavailable(f"the backup {target} is not whole: {answer}")
    return target.stat().st_size


def _oldest(engine: Engine) -> Instant | None:
    with engine.connect() as connection:
        return connection.execute(select(func.min(TICKS.c.at))).scalar()


def _before(engine: Engine, cut: Instant) -> dict[str, int]:
    with engine.begin() as connection:
        gone = {
            DECISIONS.name: _delete(connection, delete(DECISIONS).where(DECISIONS.c.until < cut)),
            TICKS.name: _delete(connection, delete(TICKS).where(TICKS.c.at < cut)),
            SAMPLES.name: _delete(connection, delete(SAMPLES).where(SAMPLES.c.at < cut)),
            OUTCOMES.name: _delete(connection, delete(OUTCOMES).where(OUTCOMES.c.at < cut)),
            FINDINGS.name: _delete(connection, delete(FINDINGS).where(FINDINGS.c.until < cut)),
            INCIDENTS.name: _delete(connection, delete(INCIDENTS).where(INCIDENTS.c.until < cut)),
            APPROVALS.name: _delete(connection, delete(APPROVALS).where(APPROVALS.c.at < cut)),
            PAUSES.name: _delete(connection, delete(PAUSES).where(PAUSES.c.ended_at < cut)),
            # an intent without an answer is kept until somebody has looked at it
            ACTIONS.name: _delete(connection, delete(ACTIONS).where(ACTIONS.c.at < cut, ACTIONS.c.status != "begun")),
        }
        kept = select(DECISIONS.c.id)
        gone[INPUTS.name] = _delete(connection, delete(INPUTS).where(INPUTS.c.decision_id.not_in(kept)))
        used = select(DECISIONS.c.policy_digest)
        gone[DOCUMENTS.name] = _delete(connection, delete(DOCUMENTS).where(DOCUMENTS.c.digest.not_in(used)))
    return gone


def _delete(connection: Connection, statement: object) -> int:
    return int(connection.execute(statement).rowcount)  # type: ignore[call-overload]  # any of SQLAlchemy's deletes
