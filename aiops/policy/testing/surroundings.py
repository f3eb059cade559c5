"""What a test puts around a policy: the inventory, faults, findings, and what people say."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from pydantic import Field, model_validator

from aiops.core.decide.quantities import Duration, Quantity
from aiops.core.decide.spec import Spec
from aiops.core.model import BudgetPeriod, Direction, FindingKind, Mode, OwnerKind
from aiops.policy.testing.times import Moment, Notation


class Span(Spec):
    """From when to when; the whole test where nothing is said. `to` is not in it."""

    from_: Moment | None = Field(None, alias="from", description="0 where it is left out")
    to: Moment | None = Field(None, description="the end of the test where it is left out")


class HpaSpec(Spec):
    """The HPA that points at the target."""

    min_replicas: int | None = Field(None, ge=0, description="the floor at the start; the test's replicas")
    max_replicas: int | None = Field(None, ge=1, description="the policy's greatest maximum")
    desired: Notation = Field("0", description="a series of what the HPA itself wants")
    scaling_active: bool | None = Field(None, description="its condition ScalingActive")
    owner: OwnerKind = Field(OwnerKind.CREATOR, description="who manages minReplicas")
    reads_our_metric: bool = Field(False, description="whether it scales on a metric that this program exports")


class WriteSpec(Spec):
    """Somebody else writes the field that the policy moves."""

    at: Moment
    replicas: int = Field(
        ge=0, description="what is written: replicas, or minReplicas where the policy moves the floor"
    )
    by: str = Field("kubectl-edit", description="the manager in managedFields")


class InventorySpec(Spec):
    """The target as the cluster's API shows it, where it is not what follows from accepted changes."""

    ready: Notation | None = Field(None, description="a series of how many pods are ready")
    hpa: HpaSpec | Literal["none"] | None = Field(None, description="present for lever hpa-floor, else not")
    pdb: int | None = Field(None, ge=0, description="minAvailable of a PodDisruptionBudget")
    owner: OwnerKind = Field(OwnerKind.CREATOR, description="who manages spec.replicas")
    rollout: tuple[Span, ...] = Field((), description="while a rollout is under way")
    gone: tuple[Span, ...] = Field((), description="while the target is not there")
    deleting: tuple[Span, ...] = Field((), description="while it is being deleted")
    scalable: bool = Field(True, description="whether it has a scale subresource")
    opted_in: bool = Field(True, description="whether its namespace carries the label that allows writes")
    writes: tuple[WriteSpec, ...] = ()
    annotations: dict[str, str] = Field(default_factory=dict, description="such as policy.aiops/paused: in")


class WorkloadSpec(Span):
    """One of the workloads that a selector may select: from when to when it is there."""

    name: str = Field(min_length=1, description="its name")
    labels: dict[str, str] = Field(default_factory=dict, description="its own labels: tier: web")


class FaultKind(StrEnum):
    """What goes wrong."""

    SOURCE = "source"
    SIGNAL = "signal"
    PARTIAL = "partial"
    CLUSTER = "cluster"
    FORBIDDEN = "forbidden"
    STORE = "store"
    LEASE = "lease"
    UNFENCED = "unfenced"
    WRITE_REFUSED = "write-refused"
    WRITE_LOST = "write-lost"
    SLOW_START = "slow-start"


_OF_A_SIGNAL = (FaultKind.SIGNAL, FaultKind.PARTIAL)


class FaultSpec(Span):
    """Something is wrong for a while."""

    fault: FaultKind
    signal: str | None = Field(None, description="for signal and partial: which one")
    code: int = Field(409, ge=400, le=599, description="for write-refused: the API's answer")
    lead_time: Duration | None = Field(None, description="for slow-start: how long pods take that start meanwhile")

    @model_validator(mode="after")
    def has_what_it_needs(self) -> FaultSpec:
        """Tie `signal` and `leadTime` to the faults that they belong to."""
        if (self.signal is not None) != (self.fault in _OF_A_SIGNAL):
            raise ValueError("signal belongs to the faults signal and partial, which need it")
        if (self.lead_time is not None) != (self.fault is FaultKind.SLOW_START):
            raise ValueError("leadTime belongs to the fault slow-start, which needs it")
        return self


class FindingSpec(Span):
    """A series that is not normal, as a WatchPolicy would find it."""

    kind: FindingKind = FindingKind.POINT
    watch: str = Field("", description="the WatchPolicy of the namespace that found it, for triggers that name one")
    series: str = Field("a series", description="its name, as it is shown")
    score: float = Field(2.0, ge=0, description="how unusual: 1 is the threshold of an alarm")
    labels: dict[str, str] = Field(default_factory=dict, description="of the series: service: checkout")


class IncidentSpec(Span):
    """Findings that belong together."""

    kind: str = Field("point", min_length=1, description="as conditions read it: i.kind")
    suspects: tuple[str, ...] = Field((), description="the likeliest first: shop/db")
    score: float = Field(2.0, ge=0, description="how unusual: 1 is the threshold of an alarm")
    labels: dict[str, str] = Field(default_factory=dict, description="of the series: service: checkout")


class BudgetSpec(Span):
    """A CostBudget that covers the policy, as it stands; amounts in USD."""

    period: BudgetPeriod = Field(BudgetPeriod.MONTH, description="of cost.month or of cost.day")
    amount: Quantity = Field(gt=0, description="how much may be spent: cost.month.budget")
    spent: Quantity = Field(0.0, ge=0, description="how much is: cost.month.spent")
    projected: Quantity | None = Field(None, ge=0, description="how much will be; unknown where it is left out")
    ceiling: int | None = Field(None, ge=1, description="the ceiling that a priority sets; none where it is left out")
    binds: bool = Field(True, description="false: the budget is in dry-run, and only tells")

    @model_validator(mode="after")
    def a_ceiling_follows_from_a_projection(self) -> BudgetSpec:
        """Refuse a ceiling that no budget would set: without a projection nothing comes down."""
        if self.ceiling is not None and self.projected is None:
            raise ValueError("a ceiling follows from what is projected: write projected, too")
        return self


class AlertSpec(Span):
    """An alert fires, as Alertmanager would tell it."""

    name: str = Field(min_length=1, description="its alertname")
    labels: dict[str, str] = Field(default_factory=dict, description="beside its alertname: service: checkout")


class PauseSpec(Span):
    """A person pauses the target."""

    direction: Direction = Direction.ALL
    hold_at: int | None = Field(None, ge=0, description="pins this level")
    by: str = Field("a person", description="who")
    reason: str = Field("", description="why")


class FreezeSpec(Span):
    """A change freeze."""

    name: str = Field("a freeze", description="as it is shown")


class ApprovalSpec(Spec):
    """A person answers the question that stands then."""

    at: Moment
    approved: bool = Field(True, description="false: it was rejected")
    by: str = Field("a person", description="who")
    reason: str = Field("", description="why")


class NodesSpec(Span):
    """Nodes of one pool that are alike, as conditions count them."""

    pool: str = Field("", max_length=253, description="what the provider calls it; '' where no label says")
    zone: str = Field("", max_length=253, description="where they are")
    type: str = Field("", max_length=253, description="their instance type")
    spot: bool = Field(False, description="whether they may be taken away")
    count: int = Field(ge=0, le=5000, description="how many there are")
    ready: int | None = Field(None, ge=0, description="how many are ready; all where it is left out")
    schedulable: int | None = Field(None, ge=0, description="how many of these take new pods; all where it is left out")
    cores: Quantity = Field(0.0, ge=0, description="what pods may take of one of them")
    memory: Quantity = Field(0.0, ge=0, description="bytes, such as 14Gi")
    gpus: float = Field(0.0, ge=0, description="GPUs of one of them")
    usd_per_hour: float | None = Field(None, ge=0, description="USD of one for an hour; unknown if left out")

    @model_validator(mode="after")
    def no_more_than_there_are(self) -> NodesSpec:
        """Refuse more that are ready than there are, and more that take pods than are ready."""
        ready = self.count if self.ready is None else self.ready
        if ready > self.count:
            raise ValueError(f"{ready} of {self.count} cannot be ready")
        if self.schedulable is not None and self.schedulable > ready:
            raise ValueError(f"{self.schedulable} of {ready} that are ready cannot take pods")
        return self


class PricesSpec(Spec):
    """What it costs."""

    replica_hour: float | None = Field(None, ge=0, description="USD of one replica for an hour; unknown if left out")
    core_hour: float | None = Field(None, ge=0, description="USD of a core for an hour: prices.core, with replicaHour")
    gib_hour: float | None = Field(None, ge=0, description="USD of a GiB for an hour: prices.gib, with coreHour")
    gpu_hour: float | None = Field(None, ge=0, description="USD of a GPU for an hour: prices.gpu, with coreHour")
    nodes: dict[str, float] = Field(
        default_factory=dict, description="USD of nodes for an hour, by name; of a core and a GiB by its allocatable"
    )

    @model_validator(mode="after")
    def units_of_a_replica(self) -> PricesSpec:
        """Refuse prices of units without the price of what is made of them."""
        if (self.core_hour is None) != (self.gib_hour is None):
            raise ValueError("a core and a GiB have prices together: write coreHour and gibHour")
        if self.core_hour is not None and self.replica_hour is None:
            raise ValueError("units are known of a replica that has a price: write replicaHour, too")
        if self.gpu_hour is not None and self.core_hour is None:
            raise ValueError("a GPU has a price beside those of a core and a GiB: write coreHour and gibHour, too")
        return self


class ScopeSpec(Spec):
    """What the settings of the daemon allow."""

    ceiling: Mode = Mode.ENFORCE
    protected: bool = Field(False, description="whether the target is in the protected set")
