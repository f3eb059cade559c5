"""Plans: ordered steps, each with a precondition, a check and an undo (a saga), and what they look at (S6, S7, S9).

A plan is a value that is journalled with the state at every tick. What it does is said by closed unions: an
`Operation` is one thing that is done to one object or told to one person, a `Check` is what must be seen.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from aiops.core.model.decided import Step
from aiops.core.model.names import Instant, PolicyKey, TargetRef
from aiops.core.model.operations import Operation
from aiops.core.model.swift import swift

# -- what must be seen -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Aim:
    """What the step's own operation aims at is seen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadyAtLeast:
    """So many replicas of a workload are ready."""

    target: TargetRef
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteServes:
    """A site of a failover group is known to be well, and has been for `for_s`."""

    group: PolicyKey
    site: str
    for_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalWithin:
    """A signal of a policy is known and lies in [at_least, at_most]."""

    policy: PolicyKey
    signal: str
    at_least: float = -math.inf
    at_most: float = math.inf


@dataclass(frozen=True, slots=True, kw_only=True)
class Holds:
    """A condition that the policy carries under this text holds; a policy that carries it no more leaves it unknown."""

    policy: PolicyKey
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Calm:
    """What a remediation was for is gone: its policy's trigger is not seen for the subject any more."""

    policy: PolicyKey
    subject: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """A cost policy says that what its plan for the subject wants to see in the world is seen."""

    policy: PolicyKey
    subject: str


Check: TypeAlias = Aim | ReadyAtLeast | SiteServes | SignalWithin | Holds | Calm | Settled


# -- whether it helped -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """What a plan should better: `signal` of its policy in [at_least, at_most] within `within_s` of its last step.

    load: the signal of the load, '' for none: worse under more of it is no harm (S7).
    """

    signal: str
    within_s: float
    at_least: float = -math.inf
    at_most: float = math.inf
    load: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Counterfactual:
    """What the goal's signal would do without the plan, forecast before it began (S7).

    start, step_s: the grid; lower, middle, upper: the 10 %, 50 % and 90 % quantiles on it. load: the 90 % quantile of
    the load, () where it is not known.
    """

    start: Instant
    step_s: float
    lower: tuple[float, ...]
    middle: tuple[float, ...]
    upper: tuple[float, ...]
    load: tuple[float, ...] = ()


class Helped(StrEnum):
    """How a plan's effect is judged against its counterfactual."""

    HELPED = "helped"
    NO_EFFECT = "no-effect"
    HARMED = "harmed"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True, slots=True, kw_only=True)
class Effectiveness:
    """The judgement of a plan: with the p-value of `no effect`, NaN where nothing could be tested."""

    word: Helped
    p_value: float
    at: Instant
    detail: str


# -- plans -----------------------------------------------------------------------------------------


class Otherwise(StrEnum):
    """What a plan does when a step does not come to its check in time."""

    UNDO = "undo"
    ASK = "ask"
    GO_ON = "go-on"


class Stage(StrEnum):
    """How far one step is."""

    PENDING = "pending"
    BEGUN = "begun"
    DONE = "done"
    SKIPPED = "skipped"
    FAILED = "failed"
    UNKNOWN = "unknown"
    UNDOING = "undoing"
    UNDONE = "undone"


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanStep:
    """One step: when all of `requires` holds it is begun, when all of `checks` held for `hold_s` it is done.

    within_s: how long both together may take. undoable: whether anything can take it back; then `undo` is made from
    what is seen when it begins. sent: errands so far, the last at `sent_at`; again: that was refused and did nothing.
    well_since: since when the checks hold, infinite while not. shown_at: when what was written was first seen. pods:
    how many it takes away, as was seen before it began; out: so many ready ones of the plan's subject are away at once.
    """

    name: str
    operation: Operation
    requires: tuple[Check, ...] = ()
    checks: tuple[Check, ...] = (Aim(),)
    hold_s: float = 0.0
    within_s: float = 300.0
    otherwise: Otherwise = Otherwise.UNDO
    undoable: bool = True
    undo: tuple[Operation, ...] = ()
    stage: Stage = Stage.PENDING
    since: Instant = math.inf
    well_since: Instant = math.inf
    sent: int = 0
    sent_at: Instant = -math.inf
    again: bool = False
    shown_at: Instant = math.inf
    detail: str = ""
    pods: int = 0
    out: int = 0


class PlanKind(StrEnum):
    """Why there is a plan. A saving costs capacity; a restore gives back what a saving took.

    prepare: a standby is made large enough before it is known whether it is needed, and given back when it was not.
    """

    FAILOVER = "failover"
    FAILBACK = "failback"
    DRILL = "drill"
    PREPARE = "prepare"
    REMEDIATION = "remediation"
    SAVING = "saving"
    RESTORE = "restore"


class PlanStatus(StrEnum):
    """How a plan stands. `asking`: a person must say how it goes on; `proposed`: whether it begins."""

    PROPOSED = "proposed"
    RUNNING = "running"
    PAUSED = "paused"
    ASKING = "asking"
    ROLLING_BACK = "rolling-back"
    DONE = "done"
    ROLLED_BACK = "rolled-back"
    FAILED = "failed"
    REFUSED = "refused"
    REHEARSED = "rehearsed"

    @property
    def ended(self) -> bool:
        """Return whether nothing more will be done for it."""
        return self in _ENDED


_ENDED = frozenset(
    {PlanStatus.DONE, PlanStatus.ROLLED_BACK, PlanStatus.FAILED, PlanStatus.REFUSED, PlanStatus.REHEARSED}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """One thing that happened to a plan."""

    at: Instant
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a policy does about one subject (a failover group, a target, a node), step by step.

    subject: at most one plan that has not ended stands for it. by: the policy's key, or who ordered it. keeps: any of
    these known to be false while it runs makes it roll back. dry_run: its steps are told, never sent. expires_at: when
    a proposal that nobody answered is withdrawn. needed: how many people must say yes; approvals: who did. answered: a
    person said no, or nobody said anything in time. asks: why a person must say yes in every mode, '' for no reason.
    held: why nothing is done for it now, '' for nothing. seen, loads: what the goal's signal, and the load, was since.
    """

    id: str
    kind: PlanKind
    policy: PolicyKey
    subject: str
    reason: str
    created_at: Instant
    steps: tuple[PlanStep, ...]
    evidence: tuple[str, ...] = ()
    keeps: tuple[Check, ...] = ()
    status: PlanStatus = PlanStatus.PROPOSED
    dry_run: bool = False
    by: str = ""
    expires_at: Instant = math.inf
    ended_at: Instant = math.inf
    goal: Goal | None = None
    counterfactual: Counterfactual | None = None
    seen: tuple[tuple[Instant, float], ...] = ()
    loads: tuple[tuple[Instant, float], ...] = ()
    effectiveness: Effectiveness | None = None
    needed: int = 1
    approvals: tuple[str, ...] = ()
    answered: bool = False
    asks: str = ""
    held: str = ""
    notes: tuple[Note, ...] = ()

    @property
    def touches_back(self) -> bool:
        """Return whether something of it stands in a cluster that it could take back (S9)."""
        return any(step.sent and step.undo and step.stage is not Stage.UNDONE for step in self.steps)

    @property
    def current(self) -> int | None:
        """Return the number of the step that is at work: forward the first not done, backward the last to undo."""
        if self.status is PlanStatus.ROLLING_BACK:
            back = [n for n, step in enumerate(self.steps) if step.stage in _TO_UNDO]
            return back[-1] if back else None
        ahead = [n for n, step in enumerate(self.steps) if step.stage not in (Stage.DONE, Stage.SKIPPED)]
        return ahead[0] if ahead else None


_TO_UNDO = frozenset(Stage) - {Stage.PENDING, Stage.UNDONE}


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """What is told to people or posted to an endpoint, as data. key: the same message has the same key (S6)."""

    operation: Operation
    key: str
    summary: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Errand:
    """The requests of one plan's step at one tick: written ahead, sent until `expires_at`.

    id: also what travels in the User-Agent. back: whether the step is being taken back.
    """

    id: str
    plan_id: str
    step: int
    back: bool
    policy: PolicyKey
    dry_run: bool
    issued_at: Instant
    expires_at: Instant
    epoch: int
    steps: tuple[Step, ...] = ()
    messages: tuple[Message, ...] = ()


@swift
@dataclass(frozen=True, slots=True, kw_only=True)
class Scaling:
    """How a ScalingPolicy stands to its target, for the arbiter. pending: a change of it is not seen to be done yet.

    pending_out: and that is one for more. out_at, in_at: when it last scaled out, and in.
    """

    policy: PolicyKey
    target: TargetRef
    pending: bool = False
    pending_out: bool = False
    out_at: Instant = -math.inf
    in_at: Instant = -math.inf


class OrderKind(StrEnum):
    """What a person may ask of plans."""

    START = "start"
    BACK = "back"
    DRILL = "drill"
    ABORT = "abort"
    PAUSE = "pause"
    RESUME = "resume"
    ROLL_BACK = "rollback"


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """A person's word. subject: a plan's id for abort, pause, resume and rollback; a failover policy's key otherwise.

    to: the site for start and drill, '' for the policy's choice.
    """

    id: str
    kind: OrderKind
    subject: str
    by: str
    at: Instant
    reason: str
    expires_at: Instant
    to: str = ""
