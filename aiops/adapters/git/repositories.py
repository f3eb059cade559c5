"""ports.Repositories over the repositories of the settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from aiops.adapters.git.places import Placement, placement, sized
from aiops.adapters.git.repository import Numbers, Repository
from aiops.adapters.git.writing import ForPlan
from aiops.core.model import (
    FLOOR,
    REPLICAS,
    RESOURCES,
    Action,
    Declared,
    DeclaredSizes,
    Errand,
    Instant,
    Reason,
    Step,
    StepResult,
    StepStatus,
    TargetRef,
)

MOST_KNOWN = 20_000
"""Workloads of which it is remembered where their sizes stand."""


class GitRepositories:
    """Several repositories by name, and which field of which target stands where."""

    def __init__(self, repositories: Mapping[str, Repository], placements: Sequence[Placement]) -> None:
        self._repositories = dict(repositories)
        self.placements = tuple(placements)
        self._sizing = any(one.field == RESOURCES for one in self.placements)
        self._sized: dict[str, tuple[Placement, ...]] = {}

    def start(self) -> None:
        """Begin to fetch."""
        for one in self._repositories.values():
            one.start()

    def stop(self, timeout_s: float) -> None:
        """End after what is at work."""
        for one in self._repositories.values():
            one.stop(timeout_s / max(1, len(self._repositories)))

    @property
    def numbers(self) -> Mapping[str, Numbers]:
        """Return what each repository was asked and answered."""
        return {name: one.numbers for name, one in self._repositories.items()}

    def declared(self, targets: Sequence[TargetRef], at: Instant) -> Mapping[str, tuple[Declared, ...]]:
        """Return what is known of the targets that stand in Git."""
        placed = [
            (target, said)
            for target in targets
            for field in (REPLICAS, FLOOR)
            if (said := placement(self.placements, target, field)) is not None
        ]
        for name, one in self._repositories.items():
            one.look_at([(target, said.place(target)) for target, said in placed if said.repository == name], at)
        found: dict[str, tuple[Declared, ...]] = {}
        for target, said in placed:
            declared = self._repositories[said.repository].declared(target, said.place(target), at)
            found[target.key] = (*found.get(target.key, ()), declared)
        return found

    def sizes(self, targets: Sequence[TargetRef], at: Instant) -> Mapping[str, tuple[DeclaredSizes, ...]]:
        """Return what is known of the requests and limits of the targets whose sizes stand in Git."""
        if not self._sizing:
            return {}
        placed = [(target, said) for target in targets for said in self._placed(target)]
        for name, one in self._repositories.items():
            one.look_at([(target, said.place(target)) for target, said in placed if said.repository == name], at)
        found: dict[str, tuple[DeclaredSizes, ...]] = {}
        for target, said in placed:
            view = self._repositories[said.repository].sizes(target, said.place(target), at)
            found[target.key] = (*found.get(target.key, ()), view)
        return found

    def perform(self, errand: Errand, step: Step, at: Instant) -> StepResult:
        """Push one step of a plan to the repository in which the sizes stand."""
        places = [(one, one.place(step.target)) for one in self._placed(step.target)]
        asked = (step.body["repository"], step.body["container"])
        mine = next((place for one, place in places if (one.repository, place.container) == asked), None)
        if mine is None:
            why = f"{step.summary}: the settings do not say any more that it stands there"
            return StepResult(
                action_id=errand.id, status=StepStatus.REFUSED, at=at, reason=Reason.UNDECLARED, message=why
            )
        asking = ForPlan(
            id=errand.id,
            tick_id=f"{errand.issued_at:.3f}",
            policy=errand.policy,
            target=step.target,
            epoch=errand.epoch,
            expires_at=errand.expires_at,
        )
        return self._repositories[asked[0]].send(asking, step, mine, at)

    def _placed(self, target: TargetRef) -> tuple[Placement, ...]:
        if target.key not in self._sized:
            if len(self._sized) > MOST_KNOWN:
                self._sized.clear()
            self._sized[target.key] = sized(self.placements, target)
        return self._sized[target.key]

    def send(self, action: Action, step: Step, at: Instant) -> StepResult:
        """Push one step to the repository in which the field stands."""
        said = placement(self.placements, action.target, str(step.body["field"]))
        if said is None or said.repository != step.body["repository"]:
            why = f"{step.summary}: the settings do not say any more that it stands there"
            return StepResult(
                action_id=action.id, status=StepStatus.REFUSED, at=at, reason=Reason.UNDECLARED, message=why
            )
        return self._repositories[said.repository].send(action, step, said.place(action.target), at)
