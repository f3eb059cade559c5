"""What the loop did, as records of the audit chain."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from sqlalchemy import select

from aiops.adapters.store.audit import LOOP
from aiops.adapters.store.database import translated
from aiops.adapters.store.tables import AUDIT, INCIDENTS
from aiops.core.model import FindingKind, IncidentState, LoopState, StepStatus
from aiops.core.record.audit import AuditKind, Entry, sum_of

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from aiops.adapters.store.rows import Row
    from aiops.core.model import Action, Incident, Outcome, Plan, StepResult, Tick

_REMEMBERED = 1000
"""Actions whose policy is remembered until their answer comes, and plans and incidents whose state is."""

_OVER_S = 600.0
"""A budget that no tick has seen overrun for so long is kept again."""

_Memory: TypeAlias = tuple[dict[str, tuple[str, str]], dict[str, str] | None, dict[str, tuple[str, float]] | None]


class Auditor:
    """Turns what the journal writes into records; remembers only what says from what something changed."""

    def __init__(self) -> None:
        self.by = LOOP
        self._plans: dict[str, tuple[str, str]] = {}
        self._incidents: dict[str, str] | None = None
        self._budgets: dict[str, tuple[str, float]] | None = None
        self._acted: dict[str, tuple[str, str]] = {}
        self._sure = self._memory()

    def lead(self, epoch: int) -> None:
        """Say under which epoch the loop acts from now on."""
        self.by = f"{LOOP}, epoch {epoch}"

    def know(self, state: LoopState) -> None:
        """Take the plans as they are stored."""
        self._plans = {plan.id: _stands(plan) for plan in state.plans.values()}
        self._incidents = self._budgets = None
        self._sure = self._memory()

    def kept(self) -> None:
        """Take what was remembered for written."""
        self._sure = self._memory()

    def lost(self) -> None:
        """Forget what was remembered since the last time that something was written: it will be told again."""
        self._plans, self._incidents, self._budgets = self._sure

    def _memory(self) -> _Memory:
        incidents, budgets = self._incidents, self._budgets
        return (
            dict(self._plans),
            None if incidents is None else dict(incidents),
            None if budgets is None else dict(budgets),
        )

    def ticked(self, tick: Tick, rows: Mapping[str, Row], actions: list[Row], engine: Engine) -> list[Entry]:
        """Return the records of a tick. rows: of the decisions that changed, by id; actions: those of its actions."""
        entries = [self._decision(row) for row in rows.values()]
        entries += [self._action(action, row) for action, row in zip(tick.actions, actions, strict=True)]
        entries += [self._outcome(outcome) for outcome in tick.outcomes]
        entries += [entry for plan in tick.plans for entry in self._plan(plan, tick.at)]
        if tick.incidents:
            known = self._known_incidents(engine)
            entries += [entry for one in tick.incidents for entry in self._incident(one, known, tick.at)]
        return [*entries, *self._overruns(tick, engine)]

    def settled(self, results: Sequence[StepResult], outcomes: Sequence[Outcome]) -> list[Entry]:
        """Return the records of answers and of ends. A dry-run's answer says nothing that its intent does not."""
        answers = [self._result(one) for one in results if one.status is not StepStatus.DRY_RUN]
        return [*answers, *(self._outcome(one) for one in outcomes)]

    def _decision(self, row: Row) -> Entry:
        return Entry(
            at=row["at"],
            kind=AuditKind.DECISION,
            by=self.by,
            subject=row["policy"],
            ref=row["id"],
            did=row["verdict"],
            before=row["before"],
            after=row["after"],
            said=row["story"],
            detail={
                "target": row["target"],
                "reason": row["reason"],
                "dry_run": row["dry_run"],
                "policy": row["policy_digest"],
            },
            sum=sum_of(row["body"]),
        )

    def _action(self, action: Action, row: Row) -> Entry:
        self._acted[action.id] = (action.policy, str(action.target))
        _forget_oldest(self._acted)
        return Entry(
            at=action.issued_at,
            kind=AuditKind.ACTION,
            by=self.by,
            subject=action.policy,
            ref=action.id,
            did="begun",
            before=row["before"],
            after=row["after"],
            detail={
                "target": row["target"],
                "change": type(action.change).__name__,
                "decision": action.decision_id,
                "dry_run": action.dry_run,
            },
            sum=sum_of(row["body"]),
        )

    def _result(self, result: StepResult) -> Entry:
        policy, target = self._acted.get(result.action_id, ("", ""))
        return Entry(
            at=result.at,
            kind=AuditKind.RESULT,
            by=self.by,
            subject=policy,
            ref=result.action_id,
            did=result.status.value,
            said=result.message,
            detail={
                "target": target,
                "code": result.code,
                "reason": "" if result.reason is None else result.reason.value,
            },
        )

    def _outcome(self, outcome: Outcome) -> Entry:
        return Entry(
            at=outcome.at,
            kind=AuditKind.OUTCOME,
            by=self.by,
            subject=outcome.policy,
            ref=outcome.action_id,
            did=outcome.kind.value,
            said=outcome.detail,
            detail={"target": str(outcome.target)},
        )

    def _plan(self, plan: Plan, at: float) -> list[Entry]:
        before, after = self._plans.get(plan.id), _stands(plan)
        if before == after:
            return []
        self._plans[plan.id] = after
        _forget_oldest(self._plans)
        return [
            Entry(
                at=at,
                kind=AuditKind.PLAN,
                by=self.by,
                subject=plan.policy,
                ref=plan.id,
                did=after[0],
                before=None if before is None else before[0],
                after=after[0],
                said=plan.notes[-1].text if plan.notes else plan.reason,
                detail={
                    "plan": plan.kind.value,
                    "about": plan.subject,
                    "reason": plan.reason,
                    "ordered_by": plan.by,
                    "effectiveness": after[1],
                    "dry_run": plan.dry_run,
                },
            )
        ]

    def _overruns(self, tick: Tick, engine: Engine) -> list[Entry]:
        """Return budgets that are overrun since now, and those that have not been for a while."""
        found = {one.series: one for one in tick.findings if one.kind is FindingKind.OVERRUN}
        if not found and self._budgets == {}:
            return []
        known = self._budgets = _known_budgets(engine, tick.at) if self._budgets is None else self._budgets
        entries = []
        for series, one in found.items():
            word = "exceeded" if one.p_value <= 0.0 else "overrun"
            before, _ = known.get(series, (None, 0.0))
            known[series] = (word, tick.at)
            if word != before:
                entries.append(self._budget(series, (before, word), tick.at, one.reason))
        for series, (before, seen_at) in [*known.items()]:
            # a tick of plans alone looks at no budget
            if tick.at - seen_at > _OVER_S:
                del known[series]
                entries.append(self._budget(series, (before, "within"), tick.at, ""))
        return entries

    def _budget(self, series: str, moved: tuple[str | None, str], at: float, said: str) -> Entry:
        before, after = moved
        return Entry(
            at=at, kind=AuditKind.BUDGET, by=self.by, subject=series, did=after, before=before, after=after, said=said
        )

    def _known_incidents(self, engine: Engine) -> dict[str, str]:
        if self._incidents is None:
            query = select(INCIDENTS.c.id, INCIDENTS.c.state).where(INCIDENTS.c.state == IncidentState.OPEN.value)
            with translated("the incidents cannot be read"), engine.connect() as connection:
                self._incidents = {row.id: row.state for row in connection.execute(query)}
        return self._incidents

    def _incident(self, incident: Incident, known: dict[str, str], at: float) -> list[Entry]:
        before, after = known.get(incident.id), incident.state.value
        if before == after:
            return []
        known[incident.id] = after
        _forget_oldest(known)
        named = ", ".join(one.name for one in incident.suspects[:3])
        many = f"{len(incident.series)} series are" if len(incident.series) > 1 else f"{incident.series[0]} is"
        return [
            Entry(
                at=at,
                kind=AuditKind.INCIDENT,
                by=self.by,
                subject=", ".join(f"{name}={value}" for name, value in sorted(incident.labels.items())),
                ref=incident.id,
                did=after,
                before=before,
                after=after,
                said=f"{many} out of the ordinary ({incident.kind})" + (f", suspected: {named}" if named else ""),
                detail={"series": len(incident.series), "peak": incident.peak_score, "merged": incident.merged_into},
            )
        ]


def _known_budgets(engine: Engine, at: float) -> dict[str, tuple[str, float]]:
    """Return the budgets that were recorded as overrun last."""
    query = select(AUDIT.c.subject, AUDIT.c.text).where(AUDIT.c.kind == AuditKind.BUDGET.value)
    with translated("the audit record cannot be read"), engine.connect() as connection:
        rows = connection.execute(query.order_by(AUDIT.c.seq.desc()).limit(_REMEMBERED)).all()
    last = {row.subject: str(json.loads(row.text)["did"]) for row in reversed(rows)}
    return {subject: (did, at) for subject, did in last.items() if did != "within"}


def _stands(plan: Plan) -> tuple[str, str]:
    return plan.status.value, "" if plan.effectiveness is None else plan.effectiveness.word.value


def _forget_oldest(known: dict[str, Any]) -> None:
    while len(known) > _REMEMBERED:
        del known[next(iter(known))]
