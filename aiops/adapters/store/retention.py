"""Retention by age and size. What the loop carries is never pruned."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import delete, exists, func, select, text

from aiops.adapters.store import audit
from aiops.adapters.store.database import translated, writing
from aiops.adapters.store.tables import (
    ACTIONS,
    ALERTS,
    APPROVALS,
    AUDIT,
    CLAIMS,
    DECISIONS,
    DOCUMENTS,
    FINDINGS,
    INCIDENTS,
    INPUTS,
    ORDERS,
    OUTCOMES,
    PAUSES,
    PLANS,
    SAMPLES,
    TICKS,
)
from aiops.core.model import Instant

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

    from aiops.core.record.anchors import Signer

_SHRINK = 0.8
"""When the store is too large, the oldest fifth of its time goes, again and again."""

_ROUNDS = 20
_CUT_EVERY_S = 86_400.0
"""By age the chain is cut once a day: each cut leaves an anchor and a record."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Keeping:
    """How the audit chain is cut. audit_s: how long its records are kept at least as long as there is room.

    signer: signs the anchor that stays in the place of what was cut.
    """

    audit_s: float
    signer: Signer | None = None


def prune(engine: Engine, now: Instant, max_age_s: float, max_bytes: int, keeping: Keeping) -> dict[str, int]:
    """Remove what is too old, then the oldest of the rest while it is too large; return rows removed by table.

    Too large is what the rows take (`live_bytes`), and not the files: PostgreSQL's keep their size, and the room in
    them is filled again after its vacuum has run.
    """
    with translated("the store cannot be pruned"):
        removed = _before(engine, now - max_age_s, now)
        if _oldest_record(engine) < now - keeping.audit_s - _CUT_EVERY_S:
            removed[AUDIT.name] = _cut(engine, now - keeping.audit_s, now, keeping)
        for _ in range(_ROUNDS):
            # what the files take is told at once, what the rows take must be added up
            if used_bytes(engine) <= max_bytes or live_bytes(engine) <= max_bytes:
                break
            oldest = _oldest(engine)
            if oldest is None:
                break
            before = now - (now - oldest) * _SHRINK
            gone = {**_before(engine, before, now), AUDIT.name: _cut(engine, before, now, keeping)}
            if not any(gone.values()):
                break
            for name, count in gone.items():
                removed[name] = removed.get(name, 0) + count
    return {name: count for name, count in removed.items() if count}


def used_bytes(engine: Engine) -> int:
    """Return what the store takes on disk: of SQLite the pages in use, of PostgreSQL the tables with their indexes.

    PostgreSQL's files do not become smaller when rows are removed; `live_bytes` does.
    """
    if engine.dialect.name == "sqlite":
        return _pages_in_use(engine)
    from aiops.adapters.store import postgres

    with engine.connect() as connection:
        return postgres.disk_bytes(connection)


def live_bytes(engine: Engine) -> int:
    """Return what the rows that are there take, with their share of the indexes; on PostgreSQL reads every table."""
    if engine.dialect.name == "sqlite":
        return _pages_in_use(engine)
    from aiops.adapters.store import postgres

    with engine.connect() as connection, postgres.patient(connection):
        return postgres.live_bytes(connection)


def _pages_in_use(engine: Engine) -> int:
    with engine.connect() as connection:
        pages = connection.execute(text("PRAGMA page_count")).scalar_one()
        free = connection.execute(text("PRAGMA freelist_count")).scalar_one()
        size = connection.execute(text("PRAGMA page_size")).scalar_one()
    return int((pages - free) * size)


def _oldest(engine: Engine) -> Instant | None:
    """Return since when there is a record; the chain may go back further than the ticks."""
    with engine.connect() as connection:
        tick = connection.execute(select(func.min(TICKS.c.at))).scalar()
    oldest = min(math.inf if tick is None else tick, _oldest_record(engine))
    return oldest if math.isfinite(oldest) else None


def _oldest_record(engine: Engine) -> Instant:
    with engine.connect() as connection:
        found = connection.execute(select(AUDIT.c.at).order_by(AUDIT.c.seq).limit(1)).scalar()
    return math.inf if found is None else float(found)


def _cut(engine: Engine, before: Instant, now: Instant, keeping: Keeping) -> int:
    """Cut the chain; nothing while another process prunes."""
    with writing(engine) as connection, _patient_alone(connection) as alone:
        return audit.cut(connection, before, now, keeping.signer) if alone else 0


def _before(engine: Engine, cut: Instant, now: Instant) -> dict[str, int]:
    """Remove what ended before, and record that of what records vouch for; nothing while another process does so."""
    with writing(engine) as connection, _patient_alone(connection) as alone:
        gone = _remove(connection, cut) if alone else {}
        if gone.keys() & {DECISIONS.name, ACTIONS.name}:
            audit.note_pruned(connection, cut, now)
        return gone


@contextmanager
def _patient_alone(connection: Connection) -> Iterator[bool]:
    """Let this transaction take long, and yield whether no other process prunes meanwhile."""
    if connection.dialect.name == "sqlite":
        yield True
        return
    from aiops.adapters.store import postgres

    with postgres.patient(connection):
        yield postgres.alone_in_pruning(connection)


def _remove(connection: Connection, cut: Instant) -> dict[str, int]:
    newest = select(func.max(CLAIMS.c.epoch)).scalar_subquery()
    gone = {
        DECISIONS.name: _delete(connection, delete(DECISIONS).where(DECISIONS.c.until < cut)),
        TICKS.name: _delete(connection, delete(TICKS).where(TICKS.c.at < cut)),
        SAMPLES.name: _delete(connection, delete(SAMPLES).where(SAMPLES.c.at < cut)),
        OUTCOMES.name: _delete(connection, delete(OUTCOMES).where(OUTCOMES.c.at < cut)),
        FINDINGS.name: _delete(connection, delete(FINDINGS).where(FINDINGS.c.until < cut)),
        INCIDENTS.name: _delete(connection, delete(INCIDENTS).where(INCIDENTS.c.until < cut)),
        ALERTS.name: _delete(connection, delete(ALERTS).where(ALERTS.c.seen_at < cut)),
        APPROVALS.name: _delete(connection, delete(APPROVALS).where(APPROVALS.c.at < cut)),
        PAUSES.name: _delete(connection, delete(PAUSES).where(PAUSES.c.ended_at < cut)),
        ORDERS.name: _delete(connection, delete(ORDERS).where(ORDERS.c.expires_at < cut)),
        PLANS.name: _delete(connection, delete(PLANS).where(PLANS.c.ended_at < cut, ~PLANS.c.carried)),
        # an intent without an answer is kept until somebody has looked at it
        ACTIONS.name: _delete(connection, delete(ACTIONS).where(ACTIONS.c.at < cut, ACTIONS.c.status != "begun")),
        # the newest claim says whose the epoch in force is
        CLAIMS.name: _delete(connection, delete(CLAIMS).where(CLAIMS.c.at < cut, CLAIMS.c.epoch < newest)),
    }
    kept = exists().where(DECISIONS.c.id == INPUTS.c.decision_id)
    gone[INPUTS.name] = _delete(connection, delete(INPUTS).where(~kept))
    used = select(DECISIONS.c.policy_digest).distinct()
    gone[DOCUMENTS.name] = _delete(connection, delete(DOCUMENTS).where(DOCUMENTS.c.digest.not_in(used)))
    return {name: count for name, count in gone.items() if count}


def _delete(connection: Connection, statement: object) -> int:
    return int(connection.execute(statement).rowcount)  # type: ignore[call-overload]  # any of SQLAlchemy's deletes
