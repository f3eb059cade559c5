"""What the loop stands on: its ports, the cluster of dry runs, and what does not change while it runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from aiops.core.detect.elsewhere import Announced, Elsewhere
from aiops.core.detect.sight import Look
from aiops.core.lineage.version import FitJob, FitResult
from aiops.core.model import (
    Action,
    BudgetStanding,
    Declared,
    DeclaredSizes,
    Errand,
    Finding,
    Instant,
    Leadership,
    Looked,
    Message,
    PolicyKey,
    Reason,
    Scope,
    Stamp,
    Step,
    StepResult,
    StepStatus,
    TargetRef,
    Wanted,
)
from aiops.core.money.metering import Turned
from aiops.core.policies import PolicySet
from aiops.loop.lanes import InOrder, Lanes
from aiops.loop.shedding import Budget
from aiops.ports import (
    Books,
    Clock,
    Cluster,
    Controls,
    Engine,
    Inventory,
    Journal,
    Lease,
    Notifier,
    PolicySource,
    Prices,
    Repositories,
    Source,
    Telemetry,
    Trainer,
)

_NOTHING = Elsewhere()


class NoBooks:
    """Nobody counts: budgets do not stand anywhere, and hold nothing."""

    def standings(self, policies: PolicySet, at: Instant) -> Mapping[PolicyKey, BudgetStanding]:
        """Return nothing."""
        return {}

    def overruns(self, policies: PolicySet, standings: Mapping[PolicyKey, BudgetStanding]) -> tuple[Finding, ...]:
        """Return nothing."""
        return ()

    def note(self, turned: Turned) -> None:
        """Count nothing."""

    def stand_by(self) -> None:
        """Forget nothing."""


class InProcess:
    """Everything that is watched is in the loop's own frame."""

    def own(self, policies: PolicySet) -> PolicySet:
        """Return all of it."""
        return policies

    def begin(self, policies: PolicySet, leadership: Leadership, at: Instant, changed: Announced) -> None:
        """Do nothing."""

    def gather(self, at: Instant) -> Elsewhere:
        """Return nothing."""
        return _NOTHING

    def learn(self, now: Instant) -> None:
        """Do nothing."""

    def keep(self) -> None:
        """Do nothing."""

    def look(self, key: str) -> Look | None:
        """Return nothing."""
        return None

    def stop(self, timeout_s: float) -> None:
        """Do nothing."""


class NoNotifier:
    """Nobody can be told: there are neither channels nor endpoints."""

    def tell(self, errand: Errand, message: Message, at: Instant) -> StepResult:
        """Refuse, and say what is missing."""
        return StepResult(
            action_id=errand.id,
            status=StepStatus.REFUSED,
            at=at,
            code=404,
            reason=Reason.REFUSED,
            message="nobody can be told: there are no notify.channels and notify.endpoints, or the world is simulated",
        )


class NoRepositories:
    """Nothing stands in Git."""

    def declared(self, targets: Sequence[TargetRef], at: Instant) -> Mapping[str, tuple[Declared, ...]]:
        """Return nothing."""
        return {}

    def sizes(self, targets: Sequence[TargetRef], at: Instant) -> Mapping[str, tuple[DeclaredSizes, ...]]:
        """Return nothing."""
        return {}

    def send(self, action: Action, step: Step, at: Instant) -> StepResult:
        """Refuse: the settings name no repository any more."""
        return _unknown_repository(action.id, step, at)

    def perform(self, errand: Errand, step: Step, at: Instant) -> StepResult:
        """Refuse: the settings name no repository any more."""
        return _unknown_repository(errand.id, step, at)


def _unknown_repository(asked: str, step: Step, at: Instant) -> StepResult:
    message = f"{step.summary}: the settings know no such repository"
    return StepResult(action_id=asked, status=StepStatus.REFUSED, at=at, reason=Reason.UNDECLARED, message=message)


class NoTrainer:
    """Nobody fits models: those of this loop fit themselves."""

    def submit(self, job: FitJob) -> str:
        """Refuse."""
        return f"nobody fits the model of {job.policy}"

    def finished(self) -> Sequence[FitResult]:
        """Return nothing."""
        return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """The world outside, as the loop sees it. dry: answers writes without sending them. lanes: how writes are sent."""

    policies: PolicySource
    source: Source
    cluster: Cluster
    dry: Cluster
    journal: Journal
    lease: Lease
    controls: Controls
    prices: Prices
    telemetry: Telemetry
    clock: Clock
    notifier: Notifier = field(default_factory=NoNotifier)
    trainer: Trainer = field(default_factory=NoTrainer)
    books: Books = field(default_factory=NoBooks)
    repositories: Repositories = field(default_factory=NoRepositories)
    engine: Engine = field(default_factory=InProcess)
    lanes: Lanes = field(default_factory=InOrder)


@dataclass(frozen=True, slots=True)
class DryRunCluster:
    """Answers writes without sending them; everything else is the cluster's. Dry-run is this adapter, and no `if`."""

    inner: Cluster

    def inventory(self, targets: Sequence[TargetRef], at: Instant) -> Inventory:
        """Return what the cluster shows."""
        return self.inner.inventory(targets, at)

    def send(self, action: Action, step: Step, at: Instant) -> StepResult:
        """Say that nothing was sent."""
        return StepResult(action_id=action.id, status=StepStatus.DRY_RUN, at=at, message=step.summary)

    def stamp(self, stamp: Stamp, at: Instant, until: Instant) -> StepResult:
        """Say that nothing was sent."""
        return StepResult(action_id="", status=StepStatus.DRY_RUN, at=at, message=stamp.step.summary)

    def announce(self, target: TargetRef, reason: str, message: str, action_id: str, at: Instant) -> None:
        """Announce nothing: nothing has happened."""

    def look(self, wanted: Wanted, at: Instant) -> Looked:
        """Return what the cluster shows."""
        return self.inner.look(wanted, at)

    def perform(self, errand: Errand, step: Step, at: Instant) -> StepResult:
        """Say that nothing was sent."""
        return StepResult(action_id=errand.id, status=StepStatus.DRY_RUN, at=at, message=step.summary)


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """What does not change while the loop runs. code, platform: see `Inputs`. keep_inputs: for replay.

    lane_s: how often failovers are judged between ordinary turns, which judge everything; 0 for never. budget: how long
    a turn may take, None where time is virtual.
    """

    scope: Scope = field(default_factory=Scope)
    code: str = ""
    platform: str = ""
    keep_inputs: bool = True
    lane_s: float = 0.0
    budget: Budget | None = None
