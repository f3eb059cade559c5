"""Stages verify and record: outcomes, decisions, ticks, and what is carried to the next tick."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from aiops.core.model.budgeted import Allowance
from aiops.core.model.decided import Action, Effect, Verdict, VerdictWord
from aiops.core.model.names import Instant, PolicyKey, Reason, TargetRef
from aiops.core.model.observed import Signal, SignalMemory, Snapshot
from aiops.core.model.perceived import Capacity, Finding, Fleet, Forecast, Incident, Nowcast
from aiops.core.model.planned import Errand, Plan, Scaling
from aiops.core.model.remembered import GroupState, LadderState
from aiops.core.model.saved import SavingState
from aiops.core.model.swift import swift


class OutcomeKind(StrEnum):
    """How an action ended, judged on a later Snapshot."""

    TOOK_EFFECT = "took-effect"
    NO_EFFECT = "no-effect"
    FAILED = "failed"
    UNDONE = "undone"
    DRY_RUN = "dry-run"
    UNKNOWN = "unknown"


@swift
@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The end of one action. `detail` says what was seen."""

    action_id: str
    policy: PolicyKey
    target: TargetRef
    kind: OutcomeKind
    at: Instant
    detail: str


@swift
@dataclass(frozen=True, slots=True, kw_only=True)
class ScaleEvent:
    """One accepted change of level, for the rate policies: positive is out."""

    at: Instant
    delta: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """An Ask that stands in the queue."""

    id: str
    after: int
    expires_at: Instant


@swift
@dataclass(frozen=True, slots=True, kw_only=True)
class TargetState:
    """What the loop carries for one policy and its target from tick to tick.

    recommendations: unstabilised wishes inside the longest stabilisation window, oldest first.
    events: accepted changes inside the longest rate period or the budget's hour, oldest first.
    settled: the level of the last dry-run decision, which a dry-run does not propose again.
    decision_id: of the newest full record, which run-length rows extend.
    owned: whether the field was last seen to be ours; yielded: the foreign write that we yield to, '' for none.
    slo_broken_since: when the SLO was first seen broken without a break since, infinite while it holds.
    drain_by: when the backlog that stands must be gone, infinite while none does.
    since: when the target was first looked at, infinite before: nobody was blind before that.
    ready: how many were ready when it was last looked at, at `ready_at`: who became ready since is in no sample yet.
    most_ready: how many of those that run were ever ready at once.
    traffic: of demand and of its siblings lately, where the policy asks for it. upstream_since: since when traffic is
    missing because something above fails, infinite while it is not; upstream_from, upstream_why: how much there was,
    and what spoke for it.
    """

    uid: str = ""
    recommendations: tuple[tuple[Instant, int], ...] = ()
    events: tuple[ScaleEvent, ...] = ()
    last_out_at: Instant = -math.inf
    last_in_at: Instant = -math.inf
    pending: Action | None = None
    override_until: Instant = -math.inf
    owned: bool = False
    yielded: str = ""
    slo_broken_since: Instant = math.inf
    drain_by: Instant = math.inf
    since: Instant = math.inf
    ready: int = 0
    ready_at: Instant = -math.inf
    most_ready: int = 0
    traffic: Mapping[str, tuple[tuple[Instant, float], ...]] = field(default_factory=dict)
    upstream_since: Instant = math.inf
    upstream_from: float = 0.0
    upstream_why: str = ""
    question: Question | None = None
    settled: int | None = None
    signals: Mapping[str, SignalMemory] = field(default_factory=dict)
    fingerprint: str = ""
    decision_id: str = ""


@swift
@dataclass(frozen=True, slots=True, kw_only=True)
class LoopState:
    """What is carried to the next tick. targets: by policy key. effects: by `object.key#attribute`.

    plans: by id, those that stand and those that ended lately. groups, ladders, savings: by policy key. orders: by id,
    when those that were followed or refused lose their force.
    """

    targets: Mapping[PolicyKey, TargetState] = field(default_factory=dict)
    effects: Mapping[str, Effect] = field(default_factory=dict)
    ticks: int = 0
    plans: Mapping[str, Plan] = field(default_factory=dict)
    groups: Mapping[PolicyKey, GroupState] = field(default_factory=dict)
    ladders: Mapping[PolicyKey, LadderState] = field(default_factory=dict)
    savings: Mapping[PolicyKey, SavingState] = field(default_factory=dict)
    orders: Mapping[str, Instant] = field(default_factory=dict)


@swift
@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """What the page's chart shows of one policy at one tick, beside what its verdict says; None is unknown.

    ahead_p50, ahead_p95: the demand forecast at the end of the lead time; while a policy is steered by its SLO, the
    nowcast and what it wants to carry. usd_per_hour: of all replicas now.
    """

    ready: int | None = None
    ahead_p50: float | None = None
    ahead_p95: float | None = None
    usd_per_hour: float | None = None


@swift
@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What a policy of plans decided at one tick. detail: one sentence. evidence: what was seen, line by line.

    plan_id: the plan that it made or that stands for it, '' for none.
    """

    word: VerdictWord
    detail: str
    reason: Reason | None = None
    evidence: tuple[str, ...] = ()
    plan_id: str = ""


@swift
@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What the loop decided for one policy at one tick, a decision to do nothing included.

    `changed` says whether verdict, reasons or wish differ from the decision before: then a full record is written.
    `story` is one sentence for people. `bug` holds a traceback when the policy's own code failed. candidate_for: the
    policy beside which this was decided, as its shadow. judgement: of a policy of plans, which has no verdict.
    """

    id: str
    tick_id: str
    at: Instant
    policy: PolicyKey
    policy_digest: str
    target: TargetRef
    verdict: Verdict | None
    signals: tuple[Signal, ...]
    action_id: str | None
    changed: bool
    story: str
    bug: str = ""
    sample: Sample | None = None
    candidate_for: PolicyKey = ""
    judgement: Judgement | None = None

    @property
    def word(self) -> VerdictWord | None:
        """Return the verdict's or the judgement's word, None for a bug."""
        if self.verdict is not None:
            return self.verdict.word
        return None if self.judgement is None else self.judgement.word


@swift
@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """One whole turn of the loop. waiting: what is to be handed back and cannot be now, in sentences.

    errands: what plans ask for. plans: those that changed.
    """

    id: str
    at: Instant
    decisions: tuple[Decision, ...]
    actions: tuple[Action, ...]
    outcomes: tuple[Outcome, ...]
    findings: tuple[Finding, ...]
    incidents: tuple[Incident, ...]
    waiting: tuple[str, ...] = ()
    errands: tuple[Errand, ...] = ()
    plans: tuple[Plan, ...] = ()


_NOBODY = Fleet()


@swift
@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """Everything that one decision was made from, so that it can be made again (replay).

    snapshot: restricted to the policy and its target. effects: those on the target. code and platform: the versions of
    the program, of its arithmetic libraries and of the processor's kind, which say how far a replay must agree.
    allowances: what each budget leaves to the policy. scalings: of ScalingPolicies that savings have to wait for.
    unseen: see `Percepts`; nothing where nothing asks for findings. fleet: for RemediationPolicies alone.
    """

    tick_id: str
    tick_s: float
    policy: PolicyKey
    policy_digest: str
    code: str
    platform: str
    snapshot: Snapshot
    state: TargetState
    effects: Mapping[str, Effect] = field(default_factory=dict)
    forecast: Forecast | None = None
    nowcast: Nowcast | None = None
    capacity: Capacity | None = None
    findings: tuple[Finding, ...] = ()
    incidents: tuple[Incident, ...] = ()
    plans: tuple[Plan, ...] = ()
    group: GroupState | None = None
    ladder: LadderState | None = None
    saving: SavingState | None = None
    allowances: tuple[Allowance, ...] = ()
    scalings: tuple[Scaling, ...] = ()
    unseen: Mapping[PolicyKey, str] = field(default_factory=dict)
    fleet: Fleet = _NOBODY
