"""What people said: pauses and answers to questions."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, insert, or_, select, update

from aiops.adapters.store.audit import chain
from aiops.adapters.store.database import insert_absent, translated, writing
from aiops.adapters.store.tables import APPROVALS, PAUSES
from aiops.core.ids import ulid
from aiops.core.model import Approval, Direction, Instant, Pause
from aiops.core.record.audit import AuditKind, Entry
from aiops.errors import Conflict, NotFound

if TYPE_CHECKING:
    from sqlalchemy import Engine


class People:
    """Reads and writes of the few rows that people make."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def pauses(self, at: Instant) -> tuple[Pause, ...]:
        """Return the pauses in force."""
        query = select(PAUSES).where(PAUSES.c.ended_at.is_(None), or_(PAUSES.c.until.is_(None), PAUSES.c.until > at))
        with translated("the pauses cannot be read"), self._engine.connect() as connection:
            return tuple(_pause(row) for row in connection.execute(query.order_by(PAUSES.c.since)))

    def add_pause(self, pause: Pause) -> Pause:
        """Write a pause and return it with its id."""
        pause_id = pause.id or ulid(pause.since, "pause", pause.scope, pause.direction.value, pause.by, pause.reason)
        row = {
            "id": pause_id,
            "scope": pause.scope,
            "direction": pause.direction.value,
            "reason": pause.reason,
            "by": pause.by,
            "since": pause.since,
            "until": pause.until if math.isfinite(pause.until) else None,
            "hold_at": pause.hold_at,
            "release": pause.release,
            "ended_at": None,
        }
        with translated("the pause cannot be written"), writing(self._engine) as connection:
            connection.execute(insert(PAUSES), [row])
            made = _pause(connection.execute(select(PAUSES).where(PAUSES.c.id == pause_id)).one())
            chain(connection, [_begun(made)])
        return made

    def end_pause(self, pause_id: str, at: Instant, by: str = "") -> int:
        """End a pause, or all of them with `*`, and return how many ended; raise NotFound when none does."""
        meant = "" if pause_id == "*" else pause_id
        standing = and_(PAUSES.c.ended_at.is_(None), PAUSES.c.id.startswith(meant, autoescape=True))
        with translated("the pause cannot be ended"), writing(self._engine) as connection:
            # held until this transaction ends: of two who end one pause, one does
            ended = connection.execute(select(PAUSES).where(standing).with_for_update()).all()
            ids = [row.id for row in ended]
            connection.execute(update(PAUSES).where(PAUSES.c.id.in_(ids)).values(ended_at=at))
            chain(connection, [_ended(row, at, by) for row in ended])
        if not ended and pause_id != "*":
            raise NotFound(f"there is no pause {pause_id} in force")
        return len(ended)

    def approvals(self, since: Instant) -> tuple[Approval, ...]:
        """Return the answers that were given since."""
        query = select(APPROVALS).where(APPROVALS.c.at >= since)
        with translated("the approvals cannot be read"), self._engine.connect() as connection:
            return tuple(
                Approval(ask_id=row.ask_id, approved=row.approved, by=row.by, at=row.at, reason=row.reason)
                for row in connection.execute(query)
            )

    def answer(self, approval: Approval, *, several: bool = False) -> None:
        """Write an answer; a second one to the same question is refused. several: another person may answer, too."""
        row = {
            "ask_id": approval.ask_id,
            "approved": approval.approved,
            "by": approval.by,
            "at": approval.at,
            "reason": approval.reason,
        }
        with translated("the answer cannot be written"), writing(self._engine) as connection:
            query = select(APPROVALS).where(APPROVALS.c.ask_id == approval.ask_id).order_by(APPROVALS.c.at)
            if several:
                query = query.where(APPROVALS.c.by == approval.by)
            known = connection.execute(query.limit(1)).first()
            if known is None and insert_absent(connection, APPROVALS, [row]):
                chain(connection, [_answered(approval)])
                return
            known = known or connection.execute(query.limit(1)).one()
            said = "approved" if known.approved else "rejected"
            raise Conflict(f"question {approval.ask_id} is answered already: {said} by {known.by}")


def _begun(pause: Pause) -> Entry:
    until = pause.until if math.isfinite(pause.until) else None
    detail = {"direction": pause.direction.value, "hold_at": pause.hold_at, "release": pause.release, "until": until}
    return Entry(
        at=pause.since,
        kind=AuditKind.PAUSE,
        by=pause.by,
        subject=pause.scope,
        ref=pause.id,
        did="released" if pause.release else "stopped" if _stops_all(pause) else "paused",
        said=pause.reason,
        detail=detail,
    )


def _stops_all(pause: Pause) -> bool:
    return pause.scope == "*" and pause.direction is Direction.ALL and pause.hold_at is None


def _ended(row: Any, at: Instant, by: str) -> Entry:
    said = f"paused by {row.by}: {row.reason}"
    return Entry(at=at, kind=AuditKind.RESUME, by=by, subject=row.scope, ref=row.id, did="resumed", said=said)


def _answered(approval: Approval) -> Entry:
    return Entry(
        at=approval.at,
        kind=AuditKind.APPROVAL,
        by=approval.by,
        subject=approval.ask_id,
        ref=approval.ask_id,
        did="approved" if approval.approved else "rejected",
        said=approval.reason,
    )


def _pause(row: Any) -> Pause:
    return Pause(
        id=row.id,
        scope=row.scope,
        direction=Direction(row.direction),
        reason=row.reason,
        by=row.by,
        since=row.since,
        until=math.inf if row.until is None else row.until,
        hold_at=row.hold_at,
        release=row.release,
    )
