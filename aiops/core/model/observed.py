"""Stage observe: what the metrics source, the cluster and people said, as one immutable Snapshot."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeAlias

from aiops.core.model.budgeted import BudgetStanding
from aiops.core.model.declared import Declared
from aiops.core.model.looked import Looked
from aiops.core.model.names import F64, Bools, FieldOwner, Instant, Mode, PolicyKey, Reason, TargetRef
from aiops.core.model.planned import Order
from aiops.core.model.priced import Pool, PriceBook
from aiops.core.model.started import StartupTime
from aiops.core.model.swift import swift
from aiops.core.model.used import UsePast

# -- what the metrics source said -----------------------------------------------------------------


@swift
@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """How much of a signal's selectors is there: series found, targets known and targets up."""

    series: int
    targets: int = 0
    up: int = 0


@swift
@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """The source answered one number; `newest_at` is the time of the newest sample behind it, if known."""

    value: float
    newest_at: Instant | None = None
    coverage: Coverage | None = None
    presence: bool | None = None
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class NoSeries:
    """The source answered, and there was nothing; `presence` is the presence query's answer, if one was asked."""

    presence: bool | None = None
    coverage: Coverage | None = None


@swift
@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """The source did not answer this query: error, time-out, refused limit, more than one series."""

    error: str


Answer: TypeAlias = Answered | NoSeries | Failed


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """The source answered a query with many series. rows: the values of the labels that were asked for, in their order.

    error: why nothing is known, '' where it is.
    """

    rows: tuple[tuple[str, ...], ...] = ()
    values: tuple[float, ...] = ()
    error: str = ""


class SignalState(StrEnum):
    """What a signal is at one instant (S1): six ways of not being a value."""

    VALUE = "value"
    ABSENT = "absent"
    EMPTY = "empty"
    NAN = "nan"
    STALE = "stale"
    PARTIAL = "partial"
    FAILED = "failed"


_VALUE = SignalState.VALUE  # a member by its class costs ten times a name


@swift
@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """A named signal of a policy at one instant. `value` is NaN unless something was read."""

    name: str
    state: SignalState
    value: float = math.nan
    age_s: float = math.inf
    detail: str = ""

    @property
    def usable(self) -> bool:
        """Return whether decisions may rest on the value."""
        return self.state is _VALUE


@swift
@dataclass(frozen=True, slots=True, kw_only=True)
class SignalMemory:
    """What is remembered of a signal to tell empty from absent and partial from whole."""

    answered: bool = False
    last_value: float = math.nan
    last_good_at: Instant = -math.inf
    series_high: int = 0
    series_high_replicas: int = 0
    partial_since: Instant = math.inf


@dataclass(frozen=True, slots=True, eq=False)
class SeriesIndex:
    """Which row of a frame is which series: `keys[row]` is its declared identity, `labels[row]` its labels.

    A key begins with its policy's key and `#`. Two frames of the same series share one index object.
    """

    keys: tuple[str, ...]
    labels: tuple[Mapping[str, str], ...]

    def __len__(self) -> int:
        return len(self.keys)


@swift
@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Frame:
    """The samples of one instant for many series, columnar. Missing is NaN.

    values: float64[n]; learn: bool[n], False where the value may be scored but not learnt from (S1).
    """

    at: Instant
    index: SeriesIndex
    values: F64
    learn: Bools


# -- what the cluster is -----------------------------------------------------------------


class Autoscaler(StrEnum):
    """Which autoscaler's floor it is: an HPA's `minReplicas`, or the `min-scale` of a Knative revision."""

    HPA = "hpa"
    KNATIVE = "knative"


@dataclass(frozen=True, slots=True, kw_only=True)
class Hpa:
    """A HorizontalPodAutoscaler that points at a workload, or the PodAutoscaler of a Knative revision."""

    name: str
    uid: str
    resource_version: str
    min_replicas: int
    max_replicas: int
    desired_replicas: int
    scaling_active: bool | None = None
    owners: tuple[FieldOwner, ...] = ()
    reads_our_metric: bool = False
    annotations: Mapping[str, str] = field(default_factory=dict)
    kind: Autoscaler = Autoscaler.HPA

    def __str__(self) -> str:
        """Return what people call it."""
        return f"HPA {self.name}" if self.kind is Autoscaler.HPA else f"PodAutoscaler {self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeGroup:
    """A workload whose replicas are nodes. least, most: the range that its annotations give to Cluster Autoscaler."""

    least: int | None = None
    most: int | None = None


@swift
@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """A scalable object with its pods, owners and limits, as the cluster's API showed it at `as_of`.

    `replicas` is the spec; `ready` counts ready pods that are not terminating; `startup`: how long its pods take to
    start, None while unknown; `startup_s`: single times that are given instead, as in records of before.
    `annotations` are those under `policy.aiops/`.
    `left`: autoscalers of former revisions that still hold a floor of ours. `beside`: those of other revisions that
    hold one, too, and still get a part of the traffic. `declared`: what files in Git say of its fields, where they do.
    `nodes`: of a group of nodes, whose replicas and `ready` count those.
    """

    ref: TargetRef
    uid: str
    resource_version: str
    as_of: Instant
    replicas: int
    ready: int
    created_at: Instant = 0.0
    opted_in: bool = False
    scalable: bool = True
    rollout: bool = False
    deleting: bool = False
    annotations: Mapping[str, str] = field(default_factory=dict)
    owners: tuple[FieldOwner, ...] = ()
    hpas: tuple[Hpa, ...] = ()
    left: tuple[Hpa, ...] = ()
    beside: tuple[Hpa, ...] = ()
    pdb_min_available: int | None = None
    startup: StartupTime | None = None
    startup_s: tuple[float, ...] = ()
    declared: tuple[Declared, ...] = ()
    nodes: NodeGroup | None = None

    def declaration(self, field: str) -> Declared | None:
        """Return what a file in Git says of a field, None where the field is not written in Git."""
        return next((one for one in self.declared if one.field == field), None) if self.declared else None

    @property
    def autoscalers(self) -> tuple[Hpa, ...]:
        """Return every autoscaler on which a floor of ours may stand."""
        return (*self.hpas, *self.beside, *self.left)


# -- what people and the loop's surroundings said ------------------------------------------


class Direction(StrEnum):
    """Which changes a pause or a guardrail binds."""

    ALL = "all"
    IN = "in"
    OUT = "out"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    """A person's wish to hold. scope: `*`, `namespace`, `namespace/name` or a policy key. hold_at: pins a level.

    release: hand back what stands in the cluster, too (S9).
    """

    id: str
    scope: str
    direction: Direction
    reason: str
    by: str
    since: Instant
    until: Instant = math.inf
    hold_at: int | None = None
    release: bool = False

    def concerns(self, target: TargetRef, policy: PolicyKey, now: Instant) -> bool:
        """Return whether it is in force for a target and its policy."""
        return self.until > now and self.scope in ("*", target.namespace, str(target), policy)


@dataclass(frozen=True, slots=True, kw_only=True)
class Freeze:
    """A change freeze that is in force now: by the calendar in the settings, or by a silence in Alertmanager (S9).

    policies: whom it binds; everybody where none is named.
    """

    name: str
    until: Instant
    policies: tuple[PolicyKey, ...] = ()

    def concerns(self, policy: PolicyKey) -> bool:
        """Return whether it binds a policy."""
        return not self.policies or policy in self.policies


class AlertStatus(StrEnum):
    """Where an alert stands, in Alertmanager's words."""

    FIRING = "firing"
    RESOLVED = "resolved"


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """An alert as Alertmanager told it. Its labels are text of others: data, never a command, a query or a URL (S10).

    fingerprint: of its labels, Alertmanager's own. name: its label `alertname`. seen_at: when it was last told.
    ends_at: infinite while it is not known.
    """

    fingerprint: str
    name: str
    labels: Mapping[str, str]
    status: AlertStatus
    starts_at: Instant
    ends_at: Instant
    seen_at: Instant


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """A person's answer to an Ask: `ask_id` names the question."""

    ask_id: str
    approved: bool
    by: str
    at: Instant
    reason: str = ""


@swift
@dataclass(frozen=True, slots=True, kw_only=True)
class Leadership:
    """Whether this process may write at all, and under which epoch (S2, S6).

    elected: leadership comes from a lease that others want too, so the journal is claimed and objects carry the epoch.
    unfenced: by `TargetRef.key`, why an object does not carry the epoch yet: an older request could still arrive.
    lies_in: the cluster that holds the lease, '' where there is no lease, None where nobody says.
    """

    leader: bool
    epoch: int
    until: Instant = math.inf
    holder: str = ""
    elected: bool = False
    unfenced: Mapping[str, tuple[Reason, str]] = field(default_factory=dict)
    lies_in: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BlastRadius:
    """What remediations and savings of all policies may do in an hour, and at once (S5).

    nodes_ratio: of all nodes, cordoned at once; capacity_ratio: of ready pods, of one workload and of all that are
    remedied, away at once; one at least. healthy_ratio: fewer of those workloads are well, and too much is sick, until
    enough have been well for storm_exit_s.
    """

    plans_per_hour: int = 20
    pods_per_hour: int = 200
    nodes_ratio: float = 0.1
    capacity_ratio: float = 0.5
    healthy_ratio: float = 0.51
    storm_exit_s: float = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What the owner of the daemon allows: the global ceiling, the protected set, and how much at once (S3, S5)."""

    ceiling: Mode = Mode.ENFORCE
    namespaces: frozenset[str] = frozenset()
    protected_namespaces: frozenset[str] = frozenset({"kube-system", "kube-public", "kube-node-lease"})
    protected_targets: frozenset[str] = frozenset()
    blast: BlastRadius = field(default_factory=BlastRadius)


@swift
@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """Everything that may sway a decision at one instant, immutable.

    answers: by policy key, then by signal name. workloads: by `TargetRef.key`. cluster_errors: by cluster name.
    target_errors: why a target's state is not known, by `TargetRef.key`.
    alerts: those that fire, oldest first. looked: what plans and their policies look at. orders: people's, to plans.
    replica_usd_per_hour: by `TargetRef.key`; a missing price is unknown, not zero. prices: where they come from, and
    those of nodes. budgets: how each CostBudget stands, by its key. tables: by policy key, then by name, what was due.
    pasts: by policy key, what history told since the last turn.
    pools: the nodes, counted, where a condition asks for them; none of a cluster whose nodes are not known.
    """

    at: Instant
    answers: Mapping[PolicyKey, Mapping[str, Answer]]
    workloads: Mapping[str, Workload]
    leadership: Leadership
    scope: Scope
    store_ok: bool = True
    cluster_errors: Mapping[str, str] = field(default_factory=dict)
    target_errors: Mapping[str, tuple[Reason, str]] = field(default_factory=dict)
    pauses: tuple[Pause, ...] = ()
    freezes: tuple[Freeze, ...] = ()
    approvals: tuple[Approval, ...] = ()
    alerts: tuple[Alert, ...] = ()
    replica_usd_per_hour: Mapping[str, float] = field(default_factory=dict)
    prices: PriceBook = field(default_factory=PriceBook)
    looked: Looked = field(default_factory=Looked)
    orders: tuple[Order, ...] = ()
    budgets: Mapping[PolicyKey, BudgetStanding] = field(default_factory=dict)
    tables: Mapping[PolicyKey, Mapping[str, Table]] = field(default_factory=dict)
    pasts: Mapping[PolicyKey, UsePast] = field(default_factory=dict)
    pools: tuple[Pool, ...] = ()
