"""`*.test.yaml` as people write it: which policies, a world in virtual time, and what must and must not come of it."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum

from pydantic import Field, field_validator, model_validator

from aiops.core.decide.quantities import Duration, Quantity
from aiops.core.decide.spec import Spec
from aiops.core.guard.chain import CHAIN
from aiops.core.model import FindingKind, Mode, OutcomeKind, PlanStatus, Reason, VerdictWord
from aiops.policy.testing.objects import ObjectPattern, ObjectSpec, UseSpec
from aiops.policy.testing.surroundings import (
    AlertSpec,
    ApprovalSpec,
    BudgetSpec,
    FaultSpec,
    FindingSpec,
    FreezeSpec,
    IncidentSpec,
    InventorySpec,
    NodesSpec,
    PauseSpec,
    PricesSpec,
    ScopeSpec,
    Span,
    WorkloadSpec,
)
from aiops.policy.testing.times import Compared, Moment, Notation, Start

DEFAULT_START = datetime(2026, 1, 5, 12, tzinfo=UTC)
"""A Monday noon."""

GUARDS = tuple(name for name, _ in CHAIN)


class ActionWord(StrEnum):
    """Scale is any change of how many replicas there are, by either lever; SetFloor is one of an HPA's floor."""

    SCALE = "Scale"
    SET_FLOOR = "SetFloor"
    NONE = "none"


class Way(StrEnum):
    """Which way a change goes."""

    OUT = "out"
    IN = "in"


class HistorySpec(Spec):
    """Demand before the start, from which the policy's real forecaster learns."""

    series: Notation = Field(description="a series in the notation")
    step: Duration = Field(60.0, ge=1)
    repeat: int = Field(1, ge=1, le=60, description="so many times one after the other; the last one ends at the start")


class GivenSpec(Spec):
    """What is learnt in production is given in a test."""

    per_replica: Quantity | None = Field(None, gt=0, description="what one replica carries, learnt or not")
    lead_time: Duration | None = Field(None, description="the measured start-up time; else the policy's")
    mode: Mode | None = Field(None, description="the policy's mode; else what the policy says")
    forecast: Notation | None = Field(None, description="a series of the demand that is foreseen, or off")
    history: HistorySpec | None = None
    scope: ScopeSpec = ScopeSpec()

    @model_validator(mode="after")
    def one_source_of_foresight(self) -> GivenSpec:
        """Refuse a history that a given forecast would leave unused."""
        if self.history is not None and self.forecast is not None:
            raise ValueError("a forecast is given, or learnt from a history, not both")
        return self


class ChangeSpec(Spec):
    """A change by its ends."""

    from_: int | None = Field(None, alias="from", ge=0, description="replicas before")
    to: int | None = Field(None, ge=0, description="replicas after")

    @model_validator(mode="after")
    def says_something(self) -> ChangeSpec:
        """Refuse an empty change."""
        if self.from_ is None and self.to is None:
            raise ValueError("a change has from, to, or both")
        return self


class PlanWord(StrEnum):
    """How a plan stands, or that there is none."""

    PROPOSED = PlanStatus.PROPOSED.value
    RUNNING = PlanStatus.RUNNING.value
    PAUSED = PlanStatus.PAUSED.value
    ASKING = PlanStatus.ASKING.value
    ROLLING_BACK = PlanStatus.ROLLING_BACK.value
    DONE = PlanStatus.DONE.value
    ROLLED_BACK = PlanStatus.ROLLED_BACK.value
    FAILED = PlanStatus.FAILED.value
    REFUSED = PlanStatus.REFUSED.value
    REHEARSED = PlanStatus.REHEARSED.value
    NONE = "none"


ONLY_PLANS = frozenset({"plan", "subject", "does", "because", "saw", "object"})
ONLY_SCALING = frozenset(
    {"action", "replicas", "direction", "change", "guard", "wants", "ready", "running", "outcome", "finding", "members"}
)
"""Fields of a pattern that are said of one sort of decision alone."""


class Pattern(Spec):
    """What a decision is compared with; everything that is written must fit."""

    action: ActionWord | None = Field(None, description="Scale, SetFloor or none")
    replicas: Compared | None = Field(None, description="the level that the decision leaves")
    direction: Way | None = Field(None, description="out or in")
    change: ChangeSpec | None = None
    verdict: VerdictWord | None = None
    reason: Reason | None = Field(None, description="of the ruling that bound; absent_signal includes empty_signal")
    guard: str | None = Field(None, description="which guard bound", json_schema_extra={"enum": [*GUARDS]})
    wants: Compared | None = Field(None, description="what the policy wanted before any guard")
    ready: Compared | None = Field(None, description="how many pods were ready")
    running: Compared | None = Field(None, description="spec.replicas of the target")
    story: str | None = Field(None, min_length=1, description="a part of the decision's sentence")
    outcome: OutcomeKind | None = Field(None, description="how an earlier action ended, as this tick saw it")
    finding: FindingKind | None = Field(None, description="an open finding, for a WatchPolicy")
    members: tuple[str, ...] | None = Field(None, description="for a selector: the names of all whom it scales")
    plan: PlanWord | None = Field(None, description="how the newest plan (for `subject`) stands; none: there is none")
    subject: str | None = Field(None, min_length=1, description="whose plan: the name of a workload, a node, a policy")
    does: str | None = Field(None, min_length=1, description="a part of what one of its steps does, in words")
    because: str | None = Field(None, min_length=1, description="a part of the plan's reason")
    saw: str | None = Field(None, min_length=1, description="a part of one line of what the decision saw")
    object: ObjectPattern | None = Field(None, description="what an object in the cluster is like")

    @field_validator("guard")
    @classmethod
    def a_known_guard(cls, value: str | None) -> str | None:
        """Accept the guards of the chain."""
        if value is not None and value not in GUARDS:
            raise ValueError(f"{value[:60]!r} is no guard; the guards are {', '.join(GUARDS)}")
        return value

    @property
    def asks(self) -> tuple[str, ...]:
        """Return the fields that are compared."""
        return tuple(name for name in Pattern.model_fields if getattr(self, name) is not None)


class ExpectSpec(Pattern):
    """Must be so at a time, once by a time, or once within an interval."""

    at: Moment | None = Field(None, description="of the decision that stands then")
    by: Moment | None = Field(None, description="of one decision up to then")
    from_: Moment | None = Field(None, alias="from", description="of one decision from then on")
    to: Moment | None = Field(None, description="and up to then")

    @model_validator(mode="after")
    def one_time(self) -> ExpectSpec:
        """Refuse no time and two times, and an expectation of nothing."""
        ways = [self.at is not None, self.by is not None, self.from_ is not None or self.to is not None]
        if sum(ways) == 0:
            raise ValueError("when? write at, by, or from and to")
        if sum(ways) > 1:
            raise ValueError("at, by, and from/to exclude each other")
        _asks_something(self)
        return self


class NeverSpec(Pattern, Span):
    """Must not be so in an interval, both ends included; the whole test where none is written."""

    @model_validator(mode="after")
    def says_something(self) -> NeverSpec:
        """Refuse to forbid nothing, or everything."""
        _asks_something(self)
        return self


def _asks_something(pattern: Pattern) -> None:
    if not pattern.asks:
        raise ValueError("nothing is said of the decision: write action, replicas, verdict, reason, ...")


class TestSpec(Spec):
    """One test."""

    __test__ = False

    name: str = Field(min_length=1, max_length=200, description="what is so, as a sentence")
    policy: str | None = Field(None, description="which policy, by name or key, where the files have several")
    targets: tuple[WorkloadSpec, ...] = Field(
        (), max_length=1000, description="of a policy with a selector: the workloads there are in its namespace"
    )
    target: str | None = Field(
        None, description="of which of them series, replicas and expectations are; the first where it is left out"
    )
    replicas: int = Field(1, ge=0, le=100_000, description="how many run and are ready at the start")
    given: GivenSpec = GivenSpec()
    series: dict[str, Notation] = Field(default_factory=dict, description="by signal: a sample for each step")
    presence: dict[str, Notation] = Field(
        default_factory=dict, description="by signal: a series of its presence query, present where it is not 0"
    )
    inventory: InventorySpec = InventorySpec()
    objects: tuple[ObjectSpec, ...] = Field((), max_length=1000, description="what is in the cluster, for plans")
    nodes: tuple[NodesSpec, ...] = Field(
        (), max_length=100, description="nodes of the target's cluster, as conditions count them"
    )
    use: tuple[UseSpec, ...] = Field((), max_length=1000, description="what containers use, for rightsizing")
    prices: PricesSpec = PricesSpec()
    faults: tuple[FaultSpec, ...] = ()
    findings: tuple[FindingSpec, ...] = ()
    incidents: tuple[IncidentSpec, ...] = ()
    alerts: tuple[AlertSpec, ...] = ()
    budgets: tuple[BudgetSpec, ...] = Field((), max_length=20, description="CostBudgets that cover the policy")
    pauses: tuple[PauseSpec, ...] = ()
    approvals: tuple[ApprovalSpec, ...] = ()
    freezes: tuple[FreezeSpec, ...] = ()
    expect: tuple[ExpectSpec, ...] = ()
    never: tuple[NeverSpec, ...] = ()

    @model_validator(mode="after")
    def expects_something(self) -> TestSpec:
        """Refuse a test that cannot fail."""
        if not self.expect and not self.never:
            raise ValueError("a test without expect and never cannot fail")
        return self


class TestFileSpec(Spec):
    """One file of tests."""

    __test__ = False

    policies: tuple[str, ...] = Field(min_length=1, description="files and folders, relative to this file")
    step: Duration = Field(15.0, ge=1, le=3600, description="time between two decisions, and two samples")
    start: Start = Field(DEFAULT_START, description="when the first sample is")
    tests: tuple[TestSpec, ...] = Field(min_length=1)
