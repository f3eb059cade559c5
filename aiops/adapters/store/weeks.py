"""What a stretch of time held, summed in the database: decisions and how long they stood, ends, gaps, people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import case, func, select

from aiops.adapters.store.audit import LOOP
from aiops.adapters.store.database import rows_of, translated
from aiops.adapters.store.tables import ACTIONS, AUDIT, DECISIONS, INCIDENTS, OUTCOMES, SAMPLES, TICKS
from aiops.core.model import Instant
from aiops.core.versions import MARK

if TYPE_CHECKING:
    from sqlalchemy import Engine, Select

MOST_INCIDENTS = 500


class Weeks:
    """Reads of a time from `since` to `until`; what stood over an end of it counts for as long as it stood within."""

    def __init__(self, engine: Engine, since: Instant, until: Instant, step_s: float) -> None:
        self._engine = engine
        self._since, self._until, self._step_s = since, until, step_s

    def held(self) -> list[dict[str, Any]]:
        """Return how often and how long each policy decided what, and for which reason; shadows are left out."""
        row = DECISIONS.c
        begins = case((row.at < self._since, self._since), else_=row.at)
        stood_until = row.until + self._step_s
        ends = case((stood_until > self._until, self._until), else_=stood_until)
        group = (row.policy, row.verdict, row.reason, row.dry_run)
        query = select(*group, func.count().label("records"), func.sum(ends - begins).label("seconds"))
        query = query.where(row.until >= self._since, row.at < self._until, ~row.policy.contains(MARK, autoescape=True))
        return self._rows(query.group_by(*group).order_by(*group))

    def turns(self, gap_s: float) -> dict[str, float]:
        """Return how often the loop turned, and for how long it did not: gaps between turns longer than `gap_s`.

        The time before the first turn and after the last one of the stretch is a gap, too, as far as turns were
        recorded before it at all.
        """
        before = select(func.max(TICKS.c.at)).where(TICKS.c.at < self._since).scalar_subquery()
        inside = select(TICKS.c.at).where(TICKS.c.at >= self._since, TICKS.c.at < self._until)
        with translated("the ticks cannot be read"), self._engine.connect() as connection:
            known_before = connection.execute(select(before)).scalar()
            times = inside.order_by(TICKS.c.at).subquery()
            last = func.lag(times.c.at).over(order_by=times.c.at)
            steps = select((times.c.at - last).label("gap")).subquery()
            long = func.coalesce(func.sum(case((steps.c.gap > gap_s, steps.c.gap), else_=0.0)), 0.0)
            gaps = float(connection.execute(select(long)).scalar_one())
            turns, first, end = connection.execute(
                select(func.count(), func.min(times.c.at), func.max(times.c.at)).select_from(times)
            ).one()
        if not turns:
            return {"turns": 0, "gap_s": self._until - self._since if known_before is not None else 0.0}
        lead = float(first) - self._since if known_before is not None else 0.0
        tail = self._until - float(end)
        return {"turns": int(turns), "gap_s": gaps + sum(one for one in (lead, tail) if one > gap_s)}

    def ends(self) -> list[dict[str, Any]]:
        """Return how the actions ended, by policy; `begun` and `refused` those that have no outcome."""
        row = ACTIONS.c
        word = select(OUTCOMES.c.kind).where(OUTCOMES.c.action_id == row.id).order_by(OUTCOMES.c.at.desc()).limit(1)
        named = func.coalesce(word.scalar_subquery(), row.status).label("ended")
        acted = select(row.policy, row.dry_run, named, (row.after - row.before).label("delta"))
        acted = acted.where(row.at >= self._since, row.at < self._until)
        some = acted.subquery()
        out = func.sum(case((some.c.delta > 0, 1), else_=0)).label("out")
        into = func.sum(case((some.c.delta < 0, 1), else_=0)).label("in")
        group = (some.c.policy, some.c.dry_run, some.c.ended)
        return self._rows(select(*group, func.count().label("actions"), out, into).group_by(*group).order_by(*group))

    def incidents(self) -> list[dict[str, Any]]:
        """Return the incidents that stood, the gravest first."""
        names = ("id", "since", "until", "kind", "series", "peak", "state")
        query = select(*(INCIDENTS.c[name] for name in names))
        query = query.where(INCIDENTS.c.until >= self._since, INCIDENTS.c.since < self._until)
        return self._rows(query.order_by(INCIDENTS.c.peak.desc(), INCIDENTS.c.id).limit(MOST_INCIDENTS))

    def people(self) -> list[dict[str, Any]]:
        """Return what people did, by who it was."""
        row = AUDIT.c
        query = select(row.by, row.kind, func.count().label("times"))
        query = query.where(row.at >= self._since, row.at < self._until, row.by != LOOP, ~row.by.startswith(f"{LOOP},"))
        return self._rows(query.group_by(row.by, row.kind).order_by(row.by, row.kind))

    def foretold(self) -> list[dict[str, Any]]:
        """Return for each policy how many ticks it had, how many of them with a forecast, and its mean demand."""
        row = SAMPLES.c
        known = func.sum(case((row.ahead_p95.is_not(None), 1), else_=0)).label("forecast")
        query = select(row.policy, func.count().label("ticks"), known, func.avg(row.demand).label("demand"))
        query = query.where(row.at >= self._since, row.at < self._until, ~row.policy.contains(MARK, autoescape=True))
        return self._rows(query.group_by(row.policy).order_by(row.policy))

    def path(self, policy: str) -> list[tuple[float, float | None, float | None]]:
        """Return time, demand, and the high forecast of each tick of a policy."""
        row = SAMPLES.c
        query = select(row.at, row.demand, row.ahead_p95).where(
            row.policy == policy, row.at >= self._since, row.at < self._until
        )
        with translated("the samples cannot be read"), self._engine.connect() as connection:
            return [(one.at, one.demand, one.ahead_p95) for one in connection.execute(query.order_by(row.at))]

    def _rows(self, query: Select[Any]) -> list[dict[str, Any]]:
        with translated("the record cannot be read"), self._engine.connect() as connection:
            return rows_of(connection, query)
