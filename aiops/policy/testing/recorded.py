"""A run of a test as it was recorded, tick by tick; expectations are functions over it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from aiops.core.model import Action, Decision, Finding, Forecast, Instant, Outcome, Plan, Reason, Ruled, Workload
from aiops.core.model import Pass as Passed
from aiops.core.model.swift import swift
from aiops.core.policies import ScalingPolicy, Tested
from aiops.core.record.story import Told, explanation


@swift
@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """One tick. decision: None for a WatchPolicy, and while a selector does not select the target.

    workload: None while the target is not known. members: whom a selector selects, None without one.
    plans: that stand or ended lately, oldest first; objects: bodies by kind and name; both for policies of plans.
    """

    at: Instant
    decision: Decision | None
    action: Action | None
    outcomes: tuple[Outcome, ...]
    findings: tuple[Finding, ...]
    workload: Workload | None
    forecast: Forecast | None
    members: tuple[str, ...] | None = None
    plans: tuple[Plan, ...] = ()
    objects: Mapping[tuple[str, str], Mapping[str, Any]] = field(default_factory=dict)

    @property
    def bound(self) -> Ruled | None:
        """Return the ruling that bound, None when none did."""
        verdict = None if self.decision is None else self.decision.verdict
        return None if verdict is None else verdict.binding

    @property
    def reason(self) -> Reason | None:
        """Return the reason of the ruling that bound."""
        judgement = None if self.decision is None else self.decision.judgement
        if judgement is not None:
            return judgement.reason
        bound = self.bound
        return None if bound is None or isinstance(bound.ruling, Passed) else bound.ruling.reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What happened from `start` on, a moment every `step_s`, oldest first."""

    policy: Tested
    start: Instant
    step_s: float
    moments: Sequence[Moment]

    def standing(self, offset_s: float) -> Moment:
        """Return the tick whose decision stands so long after the start."""
        place = int((offset_s + 1e-6) // self.step_s)
        return self.moments[min(max(place, 0), len(self.moments) - 1)]

    def between(self, start_s: float, end_s: float) -> Sequence[Moment]:
        """Return the ticks from one offset to another, both included."""
        return [one for one in self.moments if start_s - 1e-6 <= one.at - self.start <= end_s + 1e-6]


def story_of(run: Run, moment: Moment) -> str:
    """Return the explanation of the decision of a tick, as `aiops explain` writes it."""
    if moment.decision is None and moment.members is not None:
        return f"the selector selects {', '.join(moment.members) or 'nobody'}"
    if moment.decision is None:
        said = [f"{one.kind.value} {one.series}: {one.reason}" for one in moment.findings]
        return "\n".join(said) or "no finding is open"
    unit = ""
    if isinstance(run.policy, ScalingPolicy):
        unit = run.policy.signals[run.policy.objective.demand].unit
    told = Told(
        decision=moment.decision,
        workload=moment.workload,
        forecast=moment.forecast,
        unit=unit,
        action=moment.action,
        outcome=moment.outcomes[0] if moment.outcomes else None,
    )
    return explanation(told)
