"""The I/O seams on one page: what the loop needs of the world outside. Adapters and the simulator fill them.

Every method may raise the port errors of `aiops.errors` alone; a client library's are translated at the border.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from aiops.core.detect.elsewhere import Announced, Elsewhere
from aiops.core.detect.sight import Look
from aiops.core.lineage.version import FitJob, FitResult
from aiops.core.model import (
    F64,
    Action,
    Alert,
    Answer,
    Approval,
    BudgetStanding,
    Declared,
    DeclaredSizes,
    Errand,
    Finding,
    Frame,
    Freeze,
    Instant,
    Leadership,
    Looked,
    LoopState,
    Machine,
    Message,
    Order,
    Outcome,
    Pause,
    PodShare,
    PolicyKey,
    PriceBook,
    Reason,
    SeriesIndex,
    Stamp,
    Startup,
    Step,
    StepResult,
    TargetRef,
    Tick,
    Wanted,
    Workload,
)
from aiops.core.model.swift import swift
from aiops.core.money.metering import Turned
from aiops.core.policies import PolicySet, SignalQuery, WatchQuery


@swift
@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """What the metrics source said at one instant.

    answers: by policy, then by signal name. frame: one row per watched series; its keys are `policy#identity`.
    watch_errors: policies whose watch query failed, with the reason; their rows are NaN in the frame. watch_notes: of
    policies whose query was answered, what is to be told of it all the same, such as series that are not followed.
    """

    answers: Mapping[PolicyKey, Mapping[str, Answer]]
    frame: Frame
    watch_errors: Mapping[PolicyKey, str] = field(default_factory=dict)
    watch_notes: Mapping[PolicyKey, str] = field(default_factory=dict)


class Source(Protocol):
    """Answers what is true now."""

    def read(self, signals: Sequence[SignalQuery], watches: Sequence[WatchQuery], at: Instant) -> Observation:
        """Ask everything once, within the limits; one failing query fails alone."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Matrix:
    """A range answer on one grid: times float64[t], values float64[n, t] with NaN where there is no sample."""

    times: F64
    values: F64
    index: SeriesIndex


class History(Protocol):
    """Answers what was true, for learning, the page and the command line."""

    def range(self, query: SignalQuery | WatchQuery, start: Instant, end: Instant, step_s: float) -> Matrix:
        """Return the series of a query on the grid start, start + step_s, ... <= end."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Nodes:
    """How many nodes a cluster has, and in which state."""

    total: int
    ready: int
    unschedulable: int


@swift
@dataclass(frozen=True, slots=True, kw_only=True)
class Inventory:
    """What the clusters' APIs showed; machines by `Machine.key`, errors and nodes by cluster, else by `TargetRef.key`.

    errors, refused: why it is not known. pods: what each requests, and where it runs. startups: in order of `ready_at`.
    """

    workloads: Mapping[str, Workload]
    errors: Mapping[str, str] = field(default_factory=dict)
    refused: Mapping[str, tuple[Reason, str]] = field(default_factory=dict)
    nodes: Mapping[str, Nodes] = field(default_factory=dict)
    pods: Mapping[str, tuple[PodShare, ...]] = field(default_factory=dict)
    machines: Mapping[str, Machine] = field(default_factory=dict)
    startups: Mapping[str, tuple[Startup, ...]] = field(default_factory=dict)


class Cluster(Protocol):
    """The Kubernetes API of one or several clusters: reads from caches, writes one step at a time."""

    def inventory(self, targets: Sequence[TargetRef], at: Instant) -> Inventory:
        """Return the workloads that are known; a missing one is not there, an error names its cluster."""
        ...

    def send(self, action: Action, step: Step, at: Instant) -> StepResult:
        """Send one step before the action expires; a missing answer is `unknown`, never sent again blindly."""
        ...

    def stamp(self, stamp: Stamp, at: Instant, until: Instant) -> StepResult:
        """Write a new leader's epoch on one object, or not at all after `until` (S6)."""
        ...

    def announce(self, target: TargetRef, reason: str, message: str, action_id: str, at: Instant) -> None:
        """Emit an Event on the target; a failure is logged and lost."""
        ...

    def look(self, wanted: Wanted, at: Instant) -> Looked:
        """Return what plans want to see, as it is now, in bounded time; what cannot be known says why by its key."""
        ...

    def perform(self, errand: Errand, step: Step, at: Instant) -> StepResult:
        """Send one request of a plan before its errand expires; no answer is `unknown`, never sent again blindly.

        What makes sending it again harmless counts as done: a creation that is there already, a deletion of what is
        gone. An eviction for which a disruption budget has no room is refused with 429 and that reason.
        """
        ...


class Repositories(Protocol):
    """The Git repositories in which fields of targets stand; what follows them brings those to the clusters."""

    def declared(self, targets: Sequence[TargetRef], at: Instant) -> Mapping[str, tuple[Declared, ...]]:
        """Return what files say of targets, by `TargetRef.key`; from what was read beside the loop, at no wait."""

    def sizes(self, targets: Sequence[TargetRef], at: Instant) -> Mapping[str, tuple[DeclaredSizes, ...]]:
        """Return what files say of the requests and limits of workloads' containers, where they stand there."""

    def perform(self, errand: Errand, step: Step, at: Instant) -> StepResult:
        """Push one commit of a plan before its errand expires; as `send`."""

    def send(self, action: Action, step: Step, at: Instant) -> StepResult:
        """Push one commit before the action expires; a missing answer is `unknown`, never pushed again blindly."""


class Notifier(Protocol):
    """What is told to people and posted to endpoints that the settings allow."""

    def tell(self, errand: Errand, message: Message, at: Instant) -> StepResult:
        """Tell one message once, in bounded time; what may have arrived without an answer is `unknown` (S6)."""


class Roster(Protocol):
    """Which objects there are of a kind, for selectors; the clusters fill it, too."""

    def listed(self, kind: TargetRef, at: Instant) -> Mapping[str, Mapping[str, str]]:
        """Return the labels of every object of a kind in its namespace, by name; the name in `kind` counts for nothing.

        Raises ClusterUnavailable or NoPermission while it is not known: what cannot be read is never taken for gone.
        """


class Trainer(Protocol):
    """Fits models beside the loop; neither call ever waits."""

    def submit(self, job: FitJob) -> str:
        """Take a job, or say why not."""

    def finished(self) -> Sequence[FitResult]:
        """Return what became of jobs since the last call."""


class Journal(Protocol):
    """The record. What was begun is on disk before the first request leaves (S6)."""

    def load(self) -> LoopState:
        """Return the state that the last committed tick carried on; an empty one at first."""
        ...

    def begin(self, tick: Tick, state: LoopState) -> None:
        """Write the tick, its decisions, intended actions and outcomes of older ones, with the state, at once."""
        ...

    def settle(self, results: Sequence[StepResult], outcomes: Sequence[Outcome], state: LoopState) -> None:
        """Write what became of the actions, with the state that knows it."""
        ...

    def note_inputs(self, tick: Tick, inputs: Mapping[str, str]) -> None:
        """Keep the inputs (canonical JSON by decision id) of the decisions that changed, for replay."""
        ...

    def unsettled(self) -> Sequence[Action]:
        """Return actions that were begun and never settled: the process died in between."""
        ...

    def epoch(self) -> int:
        """Return the highest epoch that was ever claimed; 0 at first."""
        ...

    def claim(self, epoch: int, holder: str, at: Instant) -> LoopState:
        """Fence off every lower epoch, forget what was gathered, and return the state of the last committed tick.

        From now on each write is checked against the fence in its own transaction. Raises Fenced when a higher epoch
        was claimed, or this one by another holder; again by the same holder changes nothing.
        """
        ...


class Lease(Protocol):
    """Who may write."""

    def leadership(self, at: Instant) -> Leadership:
        """Return what is known now; unsure is not leader."""


class PolicySource(Protocol):
    """Where policies come from; swaps all or nothing and keeps the last good set."""

    def current(self) -> PolicySet:
        """Return the set in force."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyResource:
    """A policy that is an object of an API server. generation: of its spec. status: what stands there."""

    kind: str
    namespace: str
    name: str
    uid: str
    generation: int
    labels: Mapping[str, str]
    spec: Mapping[str, Any]
    status: Mapping[str, Any]

    @property
    def key(self) -> PolicyKey:
        """Return `Kind/namespace/name`."""
        return f"{self.kind}/{self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourcesReading:
    """The policies in a cluster's API. found: of the kinds that are known.

    unknown: kinds of which it is not known what there is, and why. stale: those of which is known what there was.
    """

    found: Mapping[PolicyKey, PolicyResource]
    unknown: Mapping[str, tuple[Reason, str]] = field(default_factory=dict)
    stale: Mapping[str, tuple[Reason, str]] = field(default_factory=dict)


class PolicyResources(Protocol):
    """Policies in a cluster's API: read from caches, told what became of them."""

    def read(self) -> ResourcesReading:
        """Return what is known now."""
        ...

    def tell(self, resource: PolicyResource, status: Mapping[str, Any]) -> bool:
        """Write a status, and return whether its object was still there. Raises NoPermission or ClusterUnavailable."""
        ...


@swift
@dataclass(frozen=True, slots=True, kw_only=True)
class ControlsReading:
    """What people said: pauses in force, answers to questions, change freezes in force; and the alerts that fire."""

    pauses: tuple[Pause, ...] = ()
    approvals: tuple[Approval, ...] = ()
    freezes: tuple[Freeze, ...] = ()
    alerts: tuple[Alert, ...] = ()
    orders: tuple[Order, ...] = ()


class Controls(Protocol):
    """People's wishes from the command line, the API and the pause file."""

    def read(self, at: Instant) -> ControlsReading:
        """Return what is in force at `at`."""
        ...


class Prices(Protocol):
    """What nodes and replicas cost."""

    def book(self, targets: Sequence[TargetRef], inventory: Inventory, at: Instant) -> PriceBook:
        """Return every price that is known at once, for the rest why it is not; from what was read before, at no wait.

        A replica's price is made of what its pods request and of where they run, which the inventory says.
        """
        ...


class Engine(Protocol):
    """Where watched series are looked at: in the loop's own frame, or in shards that read their part themselves."""

    def own(self, policies: PolicySet) -> PolicySet:
        """Return what the loop itself has to watch, and to learn from history."""
        ...

    def begin(self, policies: PolicySet, leadership: Leadership, at: Instant, changed: Announced) -> None:
        """Set to work what looks elsewhere; waits for nothing. changed: what was, when the loop looked last."""
        ...

    def gather(self, at: Instant) -> Elsewhere:
        """Return what was found elsewhere, in bounded time; whoever has not answered is said with its policies."""
        ...

    def learn(self, now: Instant) -> None:
        """Let what looks elsewhere learn from history; waits for nothing."""
        ...

    def keep(self) -> None:
        """Let what looks elsewhere keep what it has learnt; waits for nothing."""
        ...

    def look(self, key: str) -> Look | None:
        """Return what was said elsewhere of one series at the last turn, in bounded time."""
        ...

    def stop(self, timeout_s: float) -> None:
        """Let go of what looks elsewhere, in bounded time."""
        ...


class Books(Protocol):
    """What was spent and saved, and how budgets stand by it. None of it may hold a turn up."""

    def standings(self, policies: PolicySet, at: Instant) -> Mapping[PolicyKey, BudgetStanding]:
        """Return how each CostBudget stands; what is not known is left out."""
        ...

    def overruns(self, policies: PolicySet, standings: Mapping[PolicyKey, BudgetStanding]) -> tuple[Finding, ...]:
        """Return what is found of budgets that will be overrun."""
        ...

    def note(self, turned: Turned) -> None:
        """Count the time since the last turn; called by the leader alone, once it has acted and recorded."""
        ...

    def stand_by(self) -> None:
        """Forget what was counted: another process leads, and counts."""
        ...


class Telemetry(Protocol):
    """The daemon's own metrics."""

    def stage(self, name: str, seconds: float) -> None:
        """Note how long a stage took."""
        ...

    def tick(self, tick: Tick, state: LoopState) -> None:
        """Note what a tick decided."""
        ...

    def ended(self, outcomes: Sequence[Outcome]) -> None:
        """Note what became of actions at once, when they were sent."""
        ...

    def failure(self, kind: str) -> None:
        """Count a held or failed tick: `held`, `store` when the record was what failed, or `bug`."""
        ...


class Clock(Protocol):
    """Measures durations of stages; never decides anything."""

    def elapsed_s(self) -> float:
        """Return seconds on a monotonic clock."""
        ...
