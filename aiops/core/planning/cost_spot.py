"""A compiled CostPolicy that runs part of workloads on spot nodes: how much may be lost, and how fast shares move."""

from __future__ import annotations

from dataclasses import dataclass

from aiops.core.model import Looked, SeenObject, Selection, Wanted
from aiops.core.planning.cost_pack import Within
from aiops.core.planning.saving import NotKnown, SavingPolicy, Targets

DAY_S = 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Risk:
    """What is taken of reclaims, and what they cost. survive: the floor is served in this share of cases (1: all).

    lost_usd_per_hour: a replica that is missing when nothing of the headroom is left. replace_s: until what was taken
    away runs elsewhere. assumed_per_hour: waves of reclaims of a pool of which nothing is known. confidence: of the
    upper bound of the rate. half_life_s: of what was seen.
    """

    lost_usd_per_hour: float
    survive: float = 1.0
    replace_s: float = 300.0
    assumed_per_hour: float = 0.05
    confidence: float = 0.95
    half_life_s: float = 7 * DAY_S


@dataclass(frozen=True, slots=True, kw_only=True)
class Fallback:
    """When everything goes back on demand at once: by more waves in an hour, by a share of all spot nodes.

    pending_s: or by pods of a companion that are not ready for so long. come_back_s: until a share may grow again,
    twice as long after each further fallback.
    """

    waves_per_hour: int = 3
    storm_ratio: float = 0.5
    pending_s: float = 180.0
    come_back_s: float = 1800.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Steps:
    """How fast a share moves: at most `step_ratio` of the replicas, once in `every_s`, watched for `watch_s`."""

    step_ratio: float = 0.25
    every_s: float = 600.0
    watch_s: float = 300.0
    slo: tuple[Within, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SpotPolicy(SavingPolicy):
    """A compiled CostPolicy with `spot`. suffix: of the companion's name. floor, floor_ratio: what must be left.

    most_ratio: of the replicas on spot nodes, whatever would be worth it.
    """

    suffix: str
    risk: Risk
    floor: int = 1
    floor_ratio: float = 0.5
    most_ratio: float = 0.5
    fallback: Fallback = Fallback()
    steps: Steps = Steps()

    def runs(self, looked: Looked) -> tuple[SeenObject, ...] | NotKnown:
        """Return the workloads and their companions."""
        found = SavingPolicy.runs(self, looked)
        if self.targets is None:
            return found
        names = {f"{one.ref.name}{self.suffix}" for one in found if isinstance(one, SeenObject)}
        every = looked.selections.get(around(self.targets)[0].key, ())
        known = [one for one in found if isinstance(one, SeenObject)]
        keys = {one.ref.key for one in known}
        more = [one for one in every if one.ref.name in names and one.ref.key not in keys]
        return (*known, *more) if more else found


def around(targets: Targets) -> tuple[Selection, Selection, Selection]:
    """Return the selections of the namespace's Deployments and pods, and of the cluster's nodes."""

    def every(namespace: str, api_version: str, kind: str) -> Selection:
        return Selection(cluster=targets.cluster, namespace=namespace, api_version=api_version, kind=kind)

    namespace = targets.namespace
    return every(namespace, "apps/v1", "Deployment"), every(namespace, "v1", "Pod"), every("", "v1", "Node")


def wanted(targets: Targets) -> Wanted:
    """Return what is looked at at every instant: companions have names of their own, and other labels maybe."""
    steering = (("autoscaling/v2", "HorizontalPodAutoscaler"), ("keda.sh/v1alpha1", "ScaledObject"))
    steerers = tuple(
        Selection(cluster=targets.cluster, namespace=targets.namespace, api_version=version, kind=kind)
        for version, kind in steering
    )
    selections = (*targets.wanted.selections, *around(targets), *steerers)
    return Wanted(objects=targets.wanted.objects, selections=tuple({one.key: one for one in selections}.values()))
