"""Policies as the core sees them: compiled, frozen, checked. `aiops.policy` makes them from YAML."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeAlias

from aiops.core.model import Direction, Instant, LadderState, Mode, PolicyKey, TargetRef, Wanted
from aiops.core.protocols import Condition, DayCalendar, Schedule
from aiops.core.selection import Selection

# -- what is asked of the metrics source ---------------------------------------------------------


class Reaction(StrEnum):
    """What a policy does about a signal that is not a value (S1)."""

    HOLD = "hold"
    ZERO = "zero"
    IGNORE = "ignore"


class NoTraffic(StrEnum):
    """What a latency quantile without traffic (NaN or nothing) means."""

    HOLD = "hold"
    MEETS_SLO = "meets-slo"


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalQuery:
    """One signal's PromQL with its companions, ready to be asked.

    age_exprs: the newest `timestamp()` per selector. coverage_exprs: `count()` per selector. up_exprs: `up` of each
    selector's targets, where its labels name them. presence_expr: answers something while what is measured is there.
    source: which of the named metrics sources is asked, '' for the one that all policies ask.
    """

    policy: PolicyKey
    name: str
    expr: str
    age_exprs: tuple[str, ...]
    coverage_exprs: tuple[str, ...]
    up_exprs: tuple[str, ...] = ()
    presence_expr: str | None = None
    source: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalSpec:
    """A named signal of a policy: its query, its unit, how old it may be, and what its absence means."""

    query: SignalQuery
    unit: str
    max_age_s: float
    on_absent: Reaction = Reaction.HOLD
    on_nan: Reaction = Reaction.HOLD
    on_stale: Reaction = Reaction.HOLD
    on_partial: Reaction = Reaction.HOLD
    when_no_traffic: NoTraffic = NoTraffic.HOLD


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchQuery:
    """A selector whose series are all watched. identity: the labels that name a series across restarts; () is all."""

    policy: PolicyKey
    expr: str
    identity: tuple[str, ...]
    max_series: int


# -- ScalingPolicy ---------------------------------------------------------------------------------


class Lever(StrEnum):
    """Which field the policy moves."""

    REPLICAS = "replicas"
    HPA_FLOOR = "hpa-floor"
    KNATIVE_MIN_SCALE = "knative-min-scale"

    @property
    def is_floor(self) -> bool:
        """Return whether it moves the floor of an autoscaler, which stays the reactive net."""
        return self is not Lever.REPLICAS


class Select(StrEnum):
    """Which of several rate policies counts, as in autoscaling/v2."""

    MAX = "Max"
    MIN = "Min"
    DISABLED = "Disabled"


class RateUnit(StrEnum):
    """What a rate policy's value counts."""

    PODS = "Pods"
    PERCENT = "Percent"


@dataclass(frozen=True, slots=True, kw_only=True)
class RatePolicy:
    """At most `value` pods or percent within `period_s`."""

    unit: RateUnit
    value: int
    period_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ScalingRules:
    """One direction of autoscaling/v2 `behavior`. tolerance: share of the wanted level that is not worth a change.

    single_step_s: the window for a change of one replica, at least `stabilisation_s`: what one replica saves or serves
    is soon outweighed by changing to and fro.
    """

    stabilisation_s: float
    rates: tuple[RatePolicy, ...]
    select: Select
    tolerance_ratio: float
    single_step_s: float = 0.0

    def window_s(self, change: int) -> float:
        """Return the window in which a change of so many replicas must have been wished throughout."""
        return max(self.stabilisation_s, self.single_step_s) if abs(change) == 1 else self.stabilisation_s

    @property
    def longest_s(self) -> float:
        """Return the longest of the windows."""
        return self.window_s(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Slo:
    """`signal` at most `at_most` (base units), for `target_ratio` of the time."""

    signal: str
    at_most: float
    target_ratio: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Backlog:
    """What waits in a queue is gone `drain_s` after it began to stand.

    partitions: how many consumers share the work at most; a name is that of a signal. rebalance_s: how long consuming
    pauses when their number changes.
    """

    signal: str
    drain_s: float
    partitions: int | str | None = None
    rebalance_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Objective:
    """What to serve: the demand signal, what one replica carries within the SLO, and the SLO itself.

    per_replica: None is learnt from load, `utilisation` (the signal of how much of the ready replicas is used) and the
    SLO's latency.
    """

    demand: str
    per_replica: float | None
    slo: Slo | None = None
    utilisation: str | None = None
    backlog: Backlog | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ForecastSpec:
    """Which model looks ahead, over how much history, and which quantile is served.

    lead_s is the start-up lead time used until it is measured. by_slo: what is served is the margin that the SLO's
    error budget allows, above a forecast for the lead time itself; `quantile` serves until that has learnt. calendar:
    of holidays, None without one.
    """

    model: str
    history_s: float
    quantile: float
    lead_s: float
    season_s: float
    by_slo: bool = False
    calendar: DayCalendar | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BoundsWindow:
    """Another floor or ceiling while `schedule` is active."""

    name: str
    schedule: Schedule
    min_replicas: int | None
    max_replicas: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """The least and the most replicas, by schedule. Of several active windows the strictest floor and ceiling count."""

    min_replicas: int
    max_replicas: int
    windows: tuple[BoundsWindow, ...] = ()

    def at(self, now: Instant) -> tuple[int, int, str]:
        """Return (min, max, the name of the window that set either, or '') at `now`; a floor above the ceiling wins."""
        active = [w for w in self.windows if w.schedule.active_until(now) is not None]
        floors = [(w.min_replicas, w.name) for w in active if w.min_replicas is not None]
        ceilings = [(w.max_replicas, w.name) for w in active if w.max_replicas is not None]
        low, low_name = max(floors, default=(self.min_replicas, ""))
        high, high_name = min(ceilings, default=(self.max_replicas, ""))
        return low, max(low, high), low_name or high_name


@dataclass(frozen=True, slots=True, kw_only=True)
class CalendarFreeze:
    """A change freeze of a policy: nothing that can wait is changed while `schedule` is active (S9)."""

    name: str
    schedule: Schedule


class Then(StrEnum):
    """What a guardrail does while its condition holds."""

    HOLD = "hold"
    HOLD_SCALE_IN = "hold-scale-in"
    HOLD_SCALE_OUT = "hold-scale-out"
    CAP = "cap"


@dataclass(frozen=True, slots=True, kw_only=True)
class Guardrail:
    """A CEL condition and what it binds. A condition that cannot be evaluated holds scale-in."""

    when: Condition
    then: Then
    max_replicas: int | None = None

    @property
    def direction(self) -> Direction:
        """Return which direction is held."""
        match self.then:
            case Then.HOLD:
                return Direction.ALL
            case Then.HOLD_SCALE_IN:
                return Direction.IN
            case Then.HOLD_SCALE_OUT | Then.CAP:
                return Direction.OUT


@dataclass(frozen=True, slots=True, kw_only=True)
class Upstream:
    """A drop of demand by `drop_ratio` within `within_s` is no less demand while something above seems to fail.

    errors: the signal that says how callers fail, above `above`, '' for none. siblings: signals of the traffic of
    others that share the callers. hold_s: how long scale-in waits for it at most.
    """

    errors: str = ""
    above: float = 0.0
    siblings: tuple[str, ...] = ()
    drop_ratio: float = 0.3
    within_s: float = 900.0
    hold_s: float = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """An action must have taken effect, and `expect` must hold, within this time."""

    within_s: float
    expect: Condition | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How often: seconds between two changes in one direction, and changes in any hour."""

    cooldown_out_s: float
    cooldown_in_s: float
    changes_per_hour: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Fallback:
    """Replicas to fall back to when every signal has been blind for `after_s`; never below current (S2)."""

    after_s: float
    replicas: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ScalingPolicy:
    """A compiled ScalingPolicy. document: its canonical JSON, from which it can be compiled again. digest: its hash.

    spec_hash: of the document without mode, labels and annotations, by which it is promoted (S6). candidate_for: the
    key of the policy that it runs beside, '' for one that stands for itself. selection: of a template, which is made
    into a policy for each workload that matches; None for a policy.
    """

    key: PolicyKey
    digest: str
    document: str
    origin: str
    mode: Mode
    target: TargetRef
    lever: Lever
    signals: Mapping[str, SignalSpec]
    objective: Objective
    forecast: ForecastSpec | None
    bounds: Bounds
    up: ScalingRules
    down: ScalingRules
    limits: Limits
    verify: Verification
    guardrails: tuple[Guardrail, ...] = ()
    upstream: Upstream | None = None
    freezes: tuple[CalendarFreeze, ...] = ()
    fallback: Fallback | None = None
    manual_override_s: float = 3600.0
    scale_in_allowed: bool | None = None
    time_zone: str = "UTC"
    spec_hash: str = ""
    candidate_for: PolicyKey = ""
    selection: Selection | None = None

    @property
    def reach(self) -> Mode:
        """Return how far it may go: a candidate never acts, whatever its mode says (S4)."""
        return min(self.mode, Mode.DRY_RUN, key=lambda mode: mode.rank) if self.candidate_for else self.mode


# -- WatchPolicy -------------------------------------------------------------------------------------


class Side(StrEnum):
    """Which deviations count."""

    BOTH = "both"
    ABOVE = "above"
    BELOW = "below"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """A value that series must not reach, and how long before people want to know."""

    bound: float
    within_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchPolicy:
    """A compiled WatchPolicy: every series of `query` is watched for anomalies.

    budget_per_week: of false alarms over all series together, None for none. ignore_below: neither seen nor expected
    beyond it is no anomaly. maintenance: when nothing is learnt and nothing is found.
    """

    key: PolicyKey
    digest: str
    document: str
    origin: str
    query: WatchQuery
    detector: str
    side: Side
    false_alarms_per_week: float
    min_deviation: float
    min_deviation_ratio: float
    history_s: float
    season_s: float
    budget_per_week: float | None = None
    ignore_below: float = -math.inf
    maintenance: tuple[CalendarFreeze, ...] = ()
    exhaustion: Bound | None = None


# -- policies of plans -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanPolicy:
    """What every policy whose decisions are plans carries (FailoverPolicy, RemediationPolicy); the rest is its kind's.

    target: what decisions are told of: the object that steers traffic, or what is remedied. approvers: how many people
    must say yes. ask_for_s: how long a proposal waits for them. wanted: the objects that it looks at, whatever happens.
    workloads: those whose replicas it reads. conditions: by their text, for checks that name them. every_s: how often
    it is judged, 0 for at every tick.
    """

    key: PolicyKey
    digest: str
    document: str
    origin: str
    mode: Mode
    target: TargetRef
    signals: Mapping[str, SignalSpec]
    freezes: tuple[CalendarFreeze, ...] = ()
    approvers: int = 1
    ask_for_s: float = 3600.0
    wanted: Wanted = field(default_factory=Wanted)
    workloads: tuple[TargetRef, ...] = ()
    every_s: float = 0.0
    conditions: Mapping[str, Condition] = field(default_factory=dict)
    spec_hash: str = ""

    @property
    def reach(self) -> Mode:
        """Return how far it may go."""
        return self.mode

    def asked(self, ladder: LadderState | None) -> tuple[SignalQuery, ...]:
        """Return what is asked of the metrics sources now. ladder: what a remediation remembers."""
        del ladder
        return tuple(spec.query for spec in self.signals.values())


Tested: TypeAlias = ScalingPolicy | WatchPolicy
"""What a unit test of policies can drive; a plan needs a world in which it acts (a scenario)."""

AnyPolicy: TypeAlias = ScalingPolicy | WatchPolicy | PlanPolicy


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicySet:
    """Every policy in force, loaded all or nothing. digest: of all of them.

    templates: scaling policies with a selection; what is made of them for their members stands in `scaling`.
    """

    digest: str
    scaling: tuple[ScalingPolicy, ...] = ()
    watches: tuple[WatchPolicy, ...] = ()
    plans: tuple[PlanPolicy, ...] = ()
    templates: tuple[ScalingPolicy, ...] = ()
    step_s: float = 15.0
    labels: Mapping[PolicyKey, Mapping[str, str]] = field(default_factory=dict)

    @property
    def asking(self) -> tuple[ScalingPolicy | PlanPolicy, ...]:
        """Return the policies that have signals of their own."""
        return (*self.scaling, *self.plans)

    @property
    def tested(self) -> tuple[Tested, ...]:
        """Return the policies that unit tests can drive."""
        return (*self.scaling, *self.templates, *self.watches)

    @property
    def every(self) -> tuple[AnyPolicy, ...]:
        """Return the policies of every kind."""
        return (*self.scaling, *self.templates, *self.watches, *self.plans)
