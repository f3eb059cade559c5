"""Reading for people: decisions, actions, findings, curves. Safe beside a daemon that writes."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, select

from aiops.adapters.store.database import rows_of, translated
from aiops.adapters.store.rows import unpacked
from aiops.adapters.store.tables import (
    ACTIONS,
    DECISIONS,
    DOCUMENTS,
    EFFECTS,
    FINDINGS,
    INCIDENTS,
    INPUTS,
    OUTCOMES,
    SAMPLES,
    STATE,
    TICKS,
)
from aiops.core.model import (
    Action,
    Decision,
    Effect,
    Finding,
    IncidentState,
    Instant,
    Outcome,
    OutcomeKind,
    TargetState,
)
from aiops.core.record.codec import from_text
from aiops.errors import NotFound

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Engine, Select, Table


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """One decision with what became of it."""

    decision: Decision
    until: Instant
    ticks: int
    action: Action | None
    outcome: Outcome | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Which decisions are looked for. policy: a key, or `namespace/name`. text: a part of the story.

    after: time and id of the last one that was read, for the page that comes next.
    """

    policy: str | None = None
    since: Instant | None = None
    until: Instant | None = None
    verdict: str | None = None
    reason: str | None = None
    text: str | None = None
    after: tuple[Instant, str] | None = None
    limit: int = 50


LOST_S = 7200.0
"""An open incident of which no tick has seen anything for so long is taken up by none any more."""

_ID_LENGTH = 26
_LISTED = ("id", "at", "until", "ticks", "policy", "target", "verdict", "reason", "before", "after", "dry_run", "story")


class Reader:
    """Reads of the record."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def decisions(self, asked: Asked) -> list[dict[str, Any]]:
        """Return decisions as plain rows, newest first."""
        query = select(*(DECISIONS.c[name] for name in _LISTED), DECISIONS.c.action_id)
        if asked.policy is not None:
            query = query.where((DECISIONS.c.policy == asked.policy) | (DECISIONS.c.target == asked.policy))
        if asked.since is not None:
            query = query.where(DECISIONS.c.until >= asked.since)
        if asked.until is not None:
            query = query.where(DECISIONS.c.at <= asked.until)
        if asked.verdict is not None:
            query = query.where(DECISIONS.c.verdict == asked.verdict)
        if asked.reason is not None:
            query = query.where(DECISIONS.c.reason == asked.reason)
        if asked.text is not None:
            query = query.where(DECISIONS.c.story.contains(asked.text, autoescape=True))
        if asked.after is not None:
            query = query.where(_beyond(DECISIONS, asked.after))
        return self._rows(query.order_by(DECISIONS.c.at.desc(), DECISIONS.c.id).limit(asked.limit))

    def decision(self, prefix: str) -> Stored:
        """Return one decision by its id or the unambiguous beginning of it; raise NotFound."""
        begun = prefix.upper()
        # the range is looked up in the index, of which LIKE makes no use in SQLite; ids are of digits and capitals
        within = DECISIONS.c.id.between(begun, begun.ljust(_ID_LENGTH, "Z"))
        query = select(DECISIONS).where(within, DECISIONS.c.id.startswith(begun, autoescape=True)).limit(3)
        with translated("the decision cannot be read"), self._engine.connect() as connection:
            rows = connection.execute(query).all()
            if len(rows) != 1:
                raise NotFound(self._which(prefix, [row.id for row in rows]))
            row = rows[0]
            acted = connection.execute(select(ACTIONS.c.body).where(ACTIONS.c.decision_id == row.id)).first()
            action = None if acted is None else from_text(unpacked(acted.body), Action)
            ended = None
            if action is not None:
                ended = connection.execute(
                    select(OUTCOMES).where(OUTCOMES.c.action_id == action.id).order_by(OUTCOMES.c.at.desc())
                ).first()
        outcome = None
        if ended is not None and action is not None:
            outcome = Outcome(
                action_id=action.id,
                policy=action.policy,
                target=action.target,
                kind=OutcomeKind(ended.kind),
                at=ended.at,
                detail=ended.detail,
            )
        decision = from_text(unpacked(row.body), Decision)
        return Stored(decision=decision, until=row.until, ticks=row.ticks, action=action, outcome=outcome)

    def _which(self, prefix: str, found: Sequence[str]) -> str:
        if found:
            return f"{prefix} could be {', '.join(found)}: give more of the id"
        newest = [row["id"] for row in self.decisions(Asked(limit=3))]
        return f"there is no decision {prefix}" + (f"; the newest are {', '.join(newest)}" if newest else "")

    def inputs(self, decision_id: str) -> str:
        """Return the stored inputs of a decision; raise NotFound when they were not kept."""
        row = self._first(select(INPUTS.c.body).where(INPUTS.c.decision_id == decision_id))
        if row is None:
            raise NotFound(f"the inputs of decision {decision_id} were not kept")
        return unpacked(row.body)

    def policy_document(self, digest: str) -> str:
        """Return the document of a policy by its digest; raise NotFound."""
        row = self._first(select(DOCUMENTS.c.body).where(DOCUMENTS.c.digest == digest))
        if row is None:
            raise NotFound(f"there is no policy with digest {digest} in the store")
        return str(row.body)

    def actions(self, limit: int = 50, after: tuple[Instant, str] | None = None) -> list[dict[str, Any]]:
        """Return actions as plain rows with their last outcome, newest first. after: see `Asked`."""
        columns = [column for column in ACTIONS.columns if column.name != "body"]
        ended = select(OUTCOMES.c.kind).where(OUTCOMES.c.action_id == ACTIONS.c.id)
        outcome = ended.order_by(OUTCOMES.c.at.desc()).limit(1).scalar_subquery().label("outcome")
        query = select(*columns, outcome)
        if after is not None:
            query = query.where(_beyond(ACTIONS, after))
        return self._rows(query.order_by(ACTIONS.c.at.desc(), ACTIONS.c.id).limit(limit))

    def findings(self, since: Instant, limit: int = 100) -> list[dict[str, Any]]:
        """Return findings that were open since, newest first."""
        columns = [column for column in FINDINGS.columns if column.name != "body"]
        return self._rows(
            select(*columns).where(FINDINGS.c.until >= since).order_by(FINDINGS.c.since.desc()).limit(limit)
        )

    def findings_of(self, series: str, at: Instant | None, limit: int = 1000) -> list[tuple[Finding, Instant]]:
        """Return findings of a series, newest first, as they were at their worst, each with when it was last open.

        series: its key, or any part of it. at: only those that were open then.
        """
        escaped = FINDINGS.c.series.contains(series, autoescape=True)
        query = select(FINDINGS.c.body, FINDINGS.c.until).where(escaped, FINDINGS.c.body.is_not(None))
        if at is not None:
            query = query.where(FINDINGS.c.since <= at, FINDINGS.c.until >= at)
        with translated("the findings cannot be read"), self._engine.connect() as connection:
            rows = connection.execute(query.order_by(FINDINGS.c.since.desc()).limit(limit))
            return [(from_text(unpacked(row.body), Finding), float(row.until)) for row in rows]

    def incidents(self, since: Instant, limit: int = 100) -> list[dict[str, Any]]:
        """Return incidents that were open since, newest first, as plain values."""
        query = select(INCIDENTS).where(INCIDENTS.c.until >= since).order_by(INCIDENTS.c.since.desc())
        found = self._incidents(query.limit(limit))
        return [{name: value for name, value in row.items() if name != "members"} for row in found]

    def incident(self, prefix: str) -> dict[str, Any]:
        """Return one incident by its id or the unambiguous beginning of it; raise NotFound."""
        found = self._incidents(select(INCIDENTS).where(INCIDENTS.c.id.startswith(prefix.upper())).limit(3))
        if len(found) == 1:
            return found[0]
        if found:
            raise NotFound(f"{prefix} could be {', '.join(one['id'] for one in found)}: give more of the id")
        newest = [one["id"] for one in self.incidents(-math.inf, limit=3)]
        known = f"; the newest are {', '.join(newest)}" if newest else ""
        raise NotFound(f"there is no incident {prefix}{known}")

    def _incidents(self, query: Select[Any]) -> list[dict[str, Any]]:
        """Return incidents, the suspects and labels of which an older program did not keep."""
        with translated("the incidents cannot be read"), self._engine.connect() as connection:
            newest = connection.execute(select(func.max(TICKS.c.at))).scalar()
            rows = rows_of(connection, query)
        for row in rows:
            body = row.pop("body")
            said = {} if body is None else json.loads(unpacked(body))
            row["state"] = _state(row, newest)
            row |= {"merged_into": said.get("merged_into", ""), "standing": said.get("standing", 0)}
            row |= {"labels": said.get("labels", {}), "suspects": said.get("suspects", [])}
            row["members"] = said.get("series", [])
        return rows

    def series(self, policy: str, since: Instant, until: Instant) -> dict[str, list[Any]]:
        """Return the curves of a policy: a list for each column, on one grid of ticks."""
        within = (SAMPLES.c.policy == policy, SAMPLES.c.at >= since, SAMPLES.c.at <= until)
        columns = [column for column in SAMPLES.columns if column.name != "policy"]
        with translated("the samples cannot be read"), self._engine.connect() as connection:
            rows = connection.execute(select(*columns).where(*within).order_by(SAMPLES.c.at)).all()
        return {column.name: [row[place] for row in rows] for place, column in enumerate(columns)}

    def effects(self) -> tuple[Effect, ...]:
        """Return what stands in the clusters until it is handed back (S9)."""
        with translated("the effects cannot be read"), self._engine.connect() as connection:
            return tuple(from_text(row.body, Effect) for row in connection.execute(select(EFFECTS)))

    def states(self) -> dict[str, TargetState]:
        """Return what the loop carries, by policy."""
        with translated("the state cannot be read"), self._engine.connect() as connection:
            return {row.policy: from_text(row.body, TargetState) for row in connection.execute(select(STATE))}

    def status(self) -> dict[str, Any]:
        """Return the last tick and how much is stored."""
        with translated("the store cannot be read"), self._engine.connect() as connection:
            counts = {
                table.name: connection.execute(select(func.count()).select_from(table)).scalar_one()
                for table in (TICKS, DECISIONS, ACTIONS, FINDINGS)
            }
        return {"last_tick_at": self.last_tick_at(), "stored": counts}

    def last_tick_at(self) -> Instant | None:
        """Return the loop's time, None before the first tick."""
        with translated("the store cannot be read"), self._engine.connect() as connection:
            last: Instant | None = connection.execute(select(func.max(TICKS.c.at))).scalar()
        return last

    def journal_lines(self) -> Iterator[str]:
        """Yield the record as canonical JSON lines in order: what two runs of one seed must agree on, byte for byte."""
        with translated("the journal cannot be read"), self._engine.connect() as connection:
            for row in connection.execute(select(DECISIONS).order_by(DECISIONS.c.id)):
                yield _line("decision", ticks=row.ticks, until=row.until, body=json.loads(unpacked(row.body)))
            for row in connection.execute(select(ACTIONS).order_by(ACTIONS.c.id)):
                yield _line("action", status=row.status, body=json.loads(unpacked(row.body)))
            for table in (OUTCOMES, FINDINGS, SAMPLES):
                columns = [column for column in table.columns if column.name != "body"]
                for record in connection.execute(select(*columns).order_by(*table.primary_key.columns)).mappings():
                    yield _line(table.name, **dict(record))

    def _rows(self, query: Select[Any]) -> list[dict[str, Any]]:
        with translated("the store cannot be read"), self._engine.connect() as connection:
            return rows_of(connection, query)

    def _first(self, query: Select[Any]) -> Any:
        with translated("the store cannot be read"), self._engine.connect() as connection:
            return connection.execute(query).first()


def _beyond(table: Table, after: tuple[Instant, str]) -> ColumnElement[bool]:
    """Return what holds of rows that come later in a list: newest first, by id among those of one time."""
    at, row_id = after
    return (table.c.at < at) | ((table.c.at == at) & (table.c.id > row_id))


def _state(row: Mapping[str, Any], newest: Instant | None) -> str:
    """Return where an incident stands: `lost` is one that was open when a daemon stopped that did not take it up."""
    if row["state"] != IncidentState.OPEN.value:
        return str(row["state"] or IncidentState.ENDED.value)
    seen = newest is None or newest - row["until"] <= LOST_S
    return IncidentState.OPEN.value if seen else "lost"


def _line(record: str, /, **fields: Any) -> str:
    return json.dumps({"record": record, **fields}, sort_keys=True, separators=(",", ":"))
