"""A compiled ScalingPolicy."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from aiops.core.model import Direction, Instant, Mode, PolicyKey, TargetRef, stricter
from aiops.core.policies.asked import SignalSpec
from aiops.core.protocols import Condition, DayCalendar, Schedule
from aiops.core.selection import Selection


class Lever(StrEnum):
    """Which field the policy moves."""

    REPLICAS = "replicas"
    HPA_FLOOR = "hpa-floor"
    KNATIVE_MIN_SCALE = "knative-min-scale"

    @property
    def is_floor(self) -> bool:
        """Return whether it moves the floor of an autoscaler, which stays the reactive net."""
        return self is not _REPLICAS


_FUZZ = 1e-9
_REPLICAS = Lever.REPLICAS  # a member by its class costs ten times a name


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

    single_step_s: the window for a change of one replica, or of one step, at least `stabilisation_s`: what so few save
    or serve is soon outweighed by changing to and fro.
    """

    stabilisation_s: float
    rates: tuple[RatePolicy, ...]
    select: Select
    tolerance_ratio: float
    single_step_s: float = 0.0
    longest_s: float = field(init=False, repr=False, compare=False, default=0.0)
    """The longest of the windows."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "longest_s", max(self.stabilisation_s, self.single_step_s))

    def window_s(self, change: int, step: int) -> float:
        """Return the window in which a change of so many replicas must have been wished throughout."""
        return self.longest_s if abs(change) <= step else self.stabilisation_s


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
class ObjectivePrice:
    """What a request that breaks the SLO costs, and a replica per hour, in one currency.

    replica_hour: None is what the price feed says.
    """

    violated_request: float
    replica_hour: float | None = None
    currency: str = "USD"


@dataclass(frozen=True, slots=True, kw_only=True)
class Objective:
    """What to serve: the demand signal, what one replica carries within the SLO, and the SLO itself.

    per_replica: None is learnt from load, `utilisation` (the signal of how much of the ready replicas is used) and the
    SLO's latency. price: by which the served quantile is set; None leaves it to the SLO or to what is written. refused:
    the signal of what is turned away, per second in units of demand, which does not count it.
    """

    demand: str
    per_replica: float | None
    slo: Slo | None = None
    utilisation: str | None = None
    backlog: Backlog | None = None
    price: ObjectivePrice | None = None
    refused: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ForecastSpec:
    """Which model looks ahead, over how much history, and which quantile is served.

    lead_s is the start-up lead time used until it is measured. by_slo: what is served is the margin that the SLO's
    error budget allows, above a forecast for the lead time itself; `quantile` serves until that has learnt. calendar:
    of holidays, None without one. challengers: other models, judged in the shadow of the one that acts. finds_drift:
    whether drift of its errors is a finding.
    """

    model: str
    history_s: float
    quantile: float
    lead_s: float
    season_s: float
    by_slo: bool = False
    calendar: DayCalendar | None = None
    challengers: tuple[str, ...] = ()
    finds_drift: bool = False


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
        if not self.windows:
            return self.min_replicas, max(self.min_replicas, self.max_replicas), ""
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
    into a policy for each workload that matches; None for a policy. seen: the variables that its conditions name.
    step_ratio: what a forecast asks for is rounded up to steps of this share of it.
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
    step_ratio: float = 0.0
    time_zone: str = "UTC"
    spec_hash: str = ""
    candidate_for: PolicyKey = ""
    selection: Selection | None = None
    seen: frozenset[str] = field(init=False, repr=False, compare=False, default=frozenset())

    def __post_init__(self) -> None:
        conditions = [one.when for one in self.guardrails]
        if self.verify.expect is not None:
            conditions.append(self.verify.expect)
        object.__setattr__(self, "seen", frozenset(name for one in conditions for name in one.used))

    def step(self, replicas: int) -> int:
        """Return how many replicas a step is where there are so many: one at least."""
        return max(1, math.floor(self.step_ratio * replicas + _FUZZ))

    @property
    def by_slo(self) -> bool:
        """Return whether the SLO's error budget says how far above its forecast it is."""
        return self.forecast is not None and self.forecast.by_slo

    @property
    def reach(self) -> Mode:
        """Return how far it may go: a candidate never acts, whatever its mode says (S4)."""
        return stricter(self.mode, Mode.DRY_RUN) if self.candidate_for else self.mode
