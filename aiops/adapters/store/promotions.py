"""Whose word which spec acts by: rows are added and never changed, the newest counts (S6)."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, insert, select

from aiops.adapters.store.audit import chain
from aiops.adapters.store.database import translated, writing
from aiops.adapters.store.tables import PROMOTIONS
from aiops.core.ids import ulid
from aiops.core.model import Mode, PolicyKey
from aiops.core.record.audit import AuditKind, Entry, sum_of
from aiops.core.versions import Promotion

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

LEAST_S = 0.001
"""By so much two promotions of one policy differ at least in time, so that one of them is the newer."""


class Promotions:
    """Reads and writes of the promotions."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def every(self) -> tuple[Promotion, ...]:
        """Return all of them, the oldest first."""
        with translated("the promotions cannot be read"), self._engine.connect() as connection:
            rows = connection.execute(select(PROMOTIONS).order_by(PROMOTIONS.c.at, PROMOTIONS.c.id))
            return tuple(_promotion(row) for row in rows)

    def newest(self) -> tuple[int, str]:
        """Return what differs whenever one was added."""
        query = select(func.count(), func.max(PROMOTIONS.c.at))
        with translated("the promotions cannot be read"), self._engine.connect() as connection:
            count, at = connection.execute(query).one()
        return int(count), repr(at)

    def add(self, promotion: Promotion) -> Promotion:
        """Write one and return it as it stands: later than every other of its policy."""
        with translated("the promotion cannot be written"), writing(self._engine) as connection:
            return _added(connection, promotion)

    def add_new(self, promotion: Promotion) -> bool:
        """Write one unless the newest of its policy says the same already; return whether it was written."""
        with translated("the promotion cannot be written"), writing(self._engine) as connection:
            known = _newest_of(connection, promotion.policy)
            if known is not None and (known.spec_hash, known.mode) == (promotion.spec_hash, promotion.mode.value):
                return False
            _added(connection, promotion)
            return True


def _newest_of(connection: Connection, policy: PolicyKey) -> Any:
    query = select(PROMOTIONS).where(PROMOTIONS.c.policy == policy)
    return connection.execute(query.order_by(PROMOTIONS.c.at.desc()).limit(1)).first()


def _added(connection: Connection, promotion: Promotion) -> Promotion:
    known = _newest_of(connection, promotion.policy)
    at = promotion.at if known is None else max(promotion.at, known.at + LEAST_S)
    made = replace(promotion, at=at)
    row = {**asdict(made), "mode": made.mode.value}
    row["id"] = ulid(at, "promotion", made.policy, made.spec_hash, made.mode.value, made.by)
    connection.execute(insert(PROMOTIONS), [row])
    chain(connection, [_said(made, row["id"], known)])
    return made


def _said(made: Promotion, ref: str, known: Any) -> Entry:
    before = None if known is None else f"{known.spec_hash} {known.mode}"
    return Entry(
        at=made.at,
        kind=AuditKind.PROMOTION,
        by=made.by,
        subject=made.policy,
        ref=ref,
        did="forced" if made.forced else "promoted",
        before=before,
        after=f"{made.spec_hash} {made.mode.value}",
        said=made.reason,
        sum=sum_of(f"{made.evidence}\n{made.document}".encode()),
    )


def _promotion(row: Any) -> Promotion:
    return Promotion(
        policy=row.policy,
        spec_hash=row.spec_hash,
        mode=Mode(row.mode),
        by=row.by,
        at=row.at,
        reason=row.reason,
        forced=row.forced,
        evidence=row.evidence,
        document=row.document,
    )
