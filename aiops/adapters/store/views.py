"""Reading for the pages: many policies at a glance, and one policy over time."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, select

from aiops.adapters.store.carried import GROUP
from aiops.adapters.store.database import rows_of, translated
from aiops.adapters.store.rows import unpacked
from aiops.adapters.store.tables import ACTIONS, DECISIONS, DOCUMENTS, FINDINGS, MEMORIES, OUTCOMES, SAMPLES, STATE
from aiops.core.model import GroupState, Instant, TargetState
from aiops.core.record.codec import from_text

if TYPE_CHECKING:
    from sqlalchemy import Engine, Select

MOST_POINTS = 1500
"""Of a curve: more than a screen has columns says nothing more."""

MOST_WISHES = 2000
MOST_MARKS = 300

_ROW = ("id", "at", "until", "ticks", "policy", "target", "verdict", "reason", "before", "after", "dry_run", "story")
_LAST = ("replicas", "ready", "wanted", "capacity", "usd_per_hour")
_GREATEST = ("demand", "ahead", "ahead_p50", "ahead_p95")


class Views:
    """Reads that a page makes at once."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def asking(self) -> dict[str, TargetState]:
        """Return what the loop carries of the policies that ask something, by policy: few among many."""
        query = select(STATE).where(STATE.c.body.contains('"question":{', autoescape=True))
        with translated("the state cannot be read"), self._engine.connect() as connection:
            return {row.policy: from_text(row.body, TargetState) for row in connection.execute(query)}

    def last_of(self, policy: str) -> dict[str, Any] | None:
        """Return the newest decision of one policy, None before the first."""
        query = select(*(DECISIONS.c[name] for name in _ROW)).where(DECISIONS.c.policy == policy)
        return next(iter(self._rows(query.order_by(DECISIONS.c.at.desc()).limit(1))), None)

    def newest(self) -> list[dict[str, Any]]:
        """Return the newest decision of every policy, by policy.

        From key to key of the index, not row by row: there are few policies among many decisions.
        """
        first = select(func.min(DECISIONS.c.policy).label("key")).cte("keys", recursive=True)
        beyond = DECISIONS.alias("beyond")
        after = select(func.min(beyond.c.policy)).where(beyond.c.policy > first.c.key).scalar_subquery()
        keys = first.union_all(select(after).where(first.c.key.is_not(None)))
        mine = DECISIONS.alias("mine")
        last = select(func.max(mine.c.at)).where(mine.c.policy == keys.c.key).scalar_subquery()
        query = select(*(DECISIONS.c[name] for name in _ROW)).join(
            keys, (DECISIONS.c.policy == keys.c.key) & (DECISIONS.c.at == last)
        )
        rows = {row["policy"]: row for row in self._rows(query.order_by(DECISIONS.c.policy, DECISIONS.c.id))}
        return list(rows.values())

    def groups(self) -> dict[str, GroupState]:
        """Return what policies of failover groups remember of their sites."""
        query = select(MEMORIES.c.policy, MEMORIES.c.body).where(MEMORIES.c.kind == GROUP)
        with translated("the groups cannot be read"), self._engine.connect() as connection:
            return {row.policy: from_text(row.body, GroupState) for row in connection.execute(query)}

    def document(self, policy: str) -> dict[str, Any] | None:
        """Return the document by which a policy decided last, or that it brought; None without any."""
        query = select(DECISIONS.c.policy_digest).where(DECISIONS.c.policy == policy)
        with translated("the policy cannot be read"), self._engine.connect() as connection:
            digest = connection.execute(query.order_by(DECISIONS.c.at.desc()).limit(1)).scalar()
            known = DOCUMENTS.c.policy == policy if digest is None else DOCUMENTS.c.digest == digest
            body = connection.execute(select(DOCUMENTS.c.body).where(known).limit(1)).scalar()
        found = None if body is None else json.loads(body)
        return found if isinstance(found, dict) else None

    def curves(self, policy: str, since: Instant, until: Instant) -> dict[str, Any]:
        """Return the curves of a policy, a list for each column, and the seconds that a point stands for.

        Where there are more ticks than points, a point is the greatest demand of its ticks and the last count.
        """
        within = (SAMPLES.c.policy == policy, SAMPLES.c.at >= since, SAMPLES.c.at <= until)
        with translated("the samples cannot be read"), self._engine.connect() as connection:
            ticks = connection.execute(select(func.count()).select_from(SAMPLES).where(*within)).scalar_one()
            names = ("at", *_GREATEST, *_LAST)
            query = select(*(SAMPLES.c[name] for name in names)).where(*within).order_by(SAMPLES.c.at)
            rows = connection.execute(query).all()
        stride = -(-ticks // MOST_POINTS) if ticks else 1
        points = [
            rows[place] if stride == 1 else _one(rows[place : place + stride]) for place in range(0, len(rows), stride)
        ]
        return {"stride": stride, **{name: [row[place] for row in points] for place, name in enumerate(names)}}

    def wishes(self, policy: str, since: Instant, until: Instant) -> list[dict[str, Any]]:
        """Return what each argument asked for, what limits left, and what was decided: a row for each change of that.

        A row holds from `at` until the next one begins.
        """
        query = select(DECISIONS.c.id, DECISIONS.c.at, DECISIONS.c.until, DECISIONS.c.body).where(
            DECISIONS.c.policy == policy, DECISIONS.c.until >= since, DECISIONS.c.at <= until
        )
        with translated("the decisions cannot be read"), self._engine.connect() as connection:
            rows = connection.execute(query.order_by(DECISIONS.c.at.desc()).limit(MOST_WISHES)).all()
        return [_wish(row.id, row.at, row.until, json.loads(unpacked(row.body))) for row in reversed(rows)]

    def marks(self, policy: str, target: str, since: Instant, until: Instant) -> dict[str, list[dict[str, Any]]]:
        """Return actions of a policy, and findings of it or of its target's namespace, within a time."""
        ended = select(OUTCOMES.c.kind).where(OUTCOMES.c.action_id == ACTIONS.c.id)
        outcome = ended.order_by(OUTCOMES.c.at.desc()).limit(1).scalar_subquery().label("outcome")
        columns = [ACTIONS.c[name] for name in ("id", "decision_id", "at", "before", "after", "dry_run", "status")]
        acted = select(*columns, outcome).where(
            ACTIONS.c.policy == policy, ACTIONS.c.at >= since, ACTIONS.c.at <= until
        )
        found = select(*(column for column in FINDINGS.columns if column.name != "body")).where(
            FINDINGS.c.until >= since, FINDINGS.c.since <= until
        )
        namespace = target.partition("/")[0]
        if namespace:
            theirs = FINDINGS.c.policy.like(f"%/{_escaped(namespace)}/%", escape="\\")
            found = found.where((FINDINGS.c.policy == policy) | theirs)
        return {
            "actions": self._rows(acted.order_by(ACTIONS.c.at.desc()).limit(MOST_MARKS)),
            "findings": self._rows(found.order_by(FINDINGS.c.since.desc()).limit(MOST_MARKS)),
        }

    def _rows(self, query: Select[Any]) -> list[dict[str, Any]]:
        with translated("the store cannot be read"), self._engine.connect() as connection:
            return rows_of(connection, query)


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def _one(rows: Any) -> list[Any]:
    """Return one point for several ticks."""
    greatest = [max((v for row in rows if (v := row[1 + n]) is not None), default=None) for n in range(len(_GREATEST))]
    return [rows[-1][0], *greatest, *rows[-1][1 + len(_GREATEST) :]]


def _wish(decision_id: str, at: float, until: float, body: dict[str, Any]) -> dict[str, Any]:
    verdict = body.get("verdict") or {}
    proposal = verdict.get("proposal") or {}
    need = proposal.get("need") or {}
    limits = [
        {"guard": one["guard"], "word": one["ruling"]["type"].lower(), "after": one["after"]}
        for one in verdict.get("rulings", ())
        if one["ruling"]["type"] != "Pass"
    ]
    return {
        "id": decision_id,
        "at": at,
        "until": until,
        "reactive": need.get("reactive"),
        "forecast": need.get("forecast"),
        "backlog": need.get("backlog"),
        "asked": (proposal.get("change") or {}).get("after"),
        "got": (verdict.get("change") or {}).get("after"),
        "limits": limits,
        "story": body.get("story", ""),
    }
