"""The alerts that Alertmanager told of: one row for each time that an alert fired."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, insert, select, update

from aiops.adapters.store.database import translated, writing
from aiops.adapters.store.tables import ALERTS
from aiops.core.model import Alert, AlertStatus, Instant

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

    from aiops.adapters.store.rows import Row


MOST_FIRING = 2_000
"""Alerts that conditions see at once; a storm of more says nothing that these do not."""


class Alerts:
    """Reads and writes of alerts."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def note(self, alerts: Iterable[Alert]) -> dict[str, int]:
        """Write what was told, and return how many were new, told again, or resolved by it.

        The same message twice changes nothing. What has been resolved fires no more under the same beginning: such a
        message is late. An alert that fires anew has ended before.
        """
        counts = {"new": 0, "again": 0, "resolved": 0}
        with translated("the alerts cannot be written"), writing(self._engine) as connection:
            for alert in alerts:
                counts[_noted(connection, alert)] += 1
        return counts

    def firing(self, since: Instant) -> tuple[Alert, ...]:
        """Return the alerts that fire and were told since, oldest first; of too many the newest."""
        firing = (ALERTS.c.status == AlertStatus.FIRING.value, ALERTS.c.seen_at >= since)
        newest = select(ALERTS).where(*firing).order_by(ALERTS.c.starts_at.desc(), ALERTS.c.fingerprint.desc())
        with translated("the alerts cannot be read"), self._engine.connect() as connection:
            rows = connection.execute(newest.limit(MOST_FIRING)).all()
        return tuple(_alert(row) for row in reversed(rows))

    def newest(self, limit: int = 100) -> tuple[Alert, ...]:
        """Return alerts whether they fire or not, the newest first."""
        query = select(ALERTS).order_by(ALERTS.c.starts_at.desc(), ALERTS.c.fingerprint).limit(limit)
        with translated("the alerts cannot be read"), self._engine.connect() as connection:
            return tuple(_alert(row) for row in connection.execute(query))


def _noted(connection: Connection, alert: Alert) -> str:
    same = and_(ALERTS.c.fingerprint == alert.fingerprint, ALERTS.c.starts_at == alert.starts_at)
    known = connection.execute(select(ALERTS).where(same)).first()
    if known is None:
        return _first(connection, alert)
    if known.status == AlertStatus.FIRING.value:
        row = _row(alert)
        connection.execute(
            update(ALERTS).where(same).values({key: row[key] for key in ("status", "ends_at", "seen_at")})
        )
        return "resolved" if alert.status is AlertStatus.RESOLVED else "again"
    return "again"


def _first(connection: Connection, alert: Alert) -> str:
    """Write an alert that is not there yet; of one fingerprint only the newest fires."""
    others = (ALERTS.c.fingerprint == alert.fingerprint, ALERTS.c.status == AlertStatus.FIRING.value)
    older = update(ALERTS).where(*others, ALERTS.c.starts_at < alert.starts_at)
    connection.execute(older.values(status=AlertStatus.RESOLVED.value, ends_at=alert.starts_at))
    newer = select(ALERTS.c.starts_at).where(
        ALERTS.c.fingerprint == alert.fingerprint, ALERTS.c.starts_at > alert.starts_at
    )
    after = connection.execute(newer.order_by(ALERTS.c.starts_at).limit(1)).scalar()
    row = _row(alert)
    if after is not None and alert.status is AlertStatus.FIRING:
        row |= {"status": AlertStatus.RESOLVED.value, "ends_at": after}
    connection.execute(insert(ALERTS), [row])
    return "new" if row["status"] == AlertStatus.FIRING.value else "resolved"


def _row(alert: Alert) -> Row:
    return {
        "fingerprint": alert.fingerprint,
        "starts_at": alert.starts_at,
        "name": alert.name,
        "labels": json.dumps(dict(alert.labels), sort_keys=True),
        "status": alert.status.value,
        "ends_at": alert.ends_at if math.isfinite(alert.ends_at) else None,
        "seen_at": alert.seen_at,
    }


def _alert(row: Any) -> Alert:
    return Alert(
        fingerprint=row.fingerprint,
        name=row.name,
        labels=json.loads(row.labels),
        status=AlertStatus(row.status),
        starts_at=row.starts_at,
        ends_at=math.inf if row.ends_at is None else row.ends_at,
        seen_at=row.seen_at,
    )
