"""What every compiled cost policy carries: which workloads it is for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from aiops.core.model import Looked, Reason, SeenObject, Selection, TargetRef, Wanted
from aiops.core.objects.bodies import at, strings
from aiops.core.policies import PlanPolicy
from aiops.core.selection import LabelSelector

API_VERSIONS: Mapping[str, str] = {
    "Deployment": "apps/v1",
    "StatefulSet": "apps/v1",
    "DaemonSet": "apps/v1",
    "CronJob": "batch/v1",
    "Job": "batch/v1",
}

NotKnown: TypeAlias = tuple[Reason, str]
"""Why it is not known, or not right, which workloads there are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Targets:
    """Workloads of one namespace. name: '' for those of `kinds` with `labels`; labels: None for every one.

    exclude: names that are left alone. most: more matches than that hold all of it (S3).
    """

    cluster: str
    namespace: str
    kinds: tuple[str, ...]
    name: str = ""
    labels: LabelSelector | None = None
    exclude: frozenset[str] = field(default_factory=frozenset)
    most: int = 1

    @property
    def wanted(self) -> Wanted:
        """Return what is looked at to know them."""
        if self.name:
            return Wanted(objects=tuple(self._ref(kind, self.name) for kind in self.kinds))
        return Wanted(selections=tuple(self._selection(kind) for kind in self.kinds))

    def meets(self, other: Targets) -> bool:
        """Return whether it is certain that a workload of the one is one of the other, too, if there are any."""
        if (self.cluster, self.namespace) != (other.cluster, other.namespace) or not set(self.kinds) & set(other.kinds):
            return False
        if {self.name, other.name} & (self.exclude | other.exclude):
            return False
        if self.name and other.name:
            return self.name == other.name
        # which labels the one of that name has is not known
        return self._holds(other) or other._holds(self)

    def _holds(self, other: Targets) -> bool:
        """Return whether all workloads of another that are not excluded are its own."""
        if self.name:
            return False
        mine, theirs = self.labels, other.labels
        if mine is None or theirs is None:
            return mine is None
        every = zip(
            (mine.match_labels, mine.match_expressions), (theirs.match_labels, theirs.match_expressions), strict=True
        )
        return all(set(wide) <= set(narrow) for wide, narrow in every)

    def found(self, looked: Looked) -> tuple[SeenObject, ...] | NotKnown:
        """Return the workloads that there are, in the order of kinds and names; or why that is not known."""
        every = self._named(looked) if self.name else self._selected(looked)
        if every and isinstance(every[0], Reason):
            return every
        seen = tuple(one for one in every if isinstance(one, SeenObject) and one.ref.name not in self.exclude)
        if len(seen) > self.most:
            return Reason.BOUNDS, f"{len(seen)} workloads match, more than maxTargets: {self.most}"
        return seen

    def _named(self, looked: Looked) -> tuple[SeenObject, ...] | NotKnown:
        for kind in self.kinds:
            ref = self._ref(kind, self.name)
            if ref.key in looked.errors:
                return looked.errors[ref.key]
            if ref.key in looked.objects:
                return (looked.objects[ref.key],)
        return ()

    def _selected(self, looked: Looked) -> tuple[SeenObject, ...] | NotKnown:
        every: list[SeenObject] = []
        for kind in self.kinds:
            key = self._selection(kind).key
            if key in looked.errors:
                return looked.errors[key]
            if key not in looked.selections:
                return Reason.UNKNOWN_TARGET, f"the {kind}s of {self.namespace} were not seen yet"
            some = (one for one in looked.selections[key] if self._matches(one))
            every += sorted(some, key=lambda one: one.ref.name)
        return tuple(every)

    def _matches(self, one: SeenObject) -> bool:
        return self.labels is None or self.labels.matches(strings(at(one.body, "metadata", "labels")))

    def _ref(self, kind: str, name: str) -> TargetRef:
        return TargetRef(
            cluster=self.cluster, namespace=self.namespace, api_version=API_VERSIONS[kind], kind=kind, name=name
        )

    def _selection(self, kind: str) -> Selection:
        exact = {} if self.labels is None else dict(self.labels.match_labels)
        return Selection(
            cluster=self.cluster,
            namespace=self.namespace,
            api_version=API_VERSIONS[kind],
            kind=kind,
            labels=exact,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SavingPolicy(PlanPolicy):
    """What every cost policy carries beside its action. targets: None for a policy over nodes."""

    targets: Targets | None = None

    def runs(self, looked: Looked) -> tuple[SeenObject, ...] | NotKnown:
        """Return the workloads whose replicas it sees, or why it is not known which there are."""
        return () if self.targets is None else self.targets.found(looked)
