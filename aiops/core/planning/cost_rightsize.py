"""A compiled CostPolicy that rightsizes: how use is remembered, what follows from it, and how that is tried out."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from aiops.core.model import Instant, Selection, Wanted
from aiops.core.objects.admission import LIMIT_RANGES, QUOTAS
from aiops.core.planning.cost_pack import Within
from aiops.core.planning.saving import SavingPolicy
from aiops.core.policies import WatchQuery

DAY_S = 86_400.0
CPU, MEMORY, THROTTLED = "cpu", "memory", "throttled"
"""The tables that are asked for: cores, bytes and the share of throttled periods, by pod and container."""

IDENTITY = ("pod", "container")


class How(StrEnum):
    """How sizes are changed: by the template, which makes new pods, or on running pods and nowhere else."""

    ROLLOUT = "Rollout"
    IN_PLACE = "InPlace"


class Limits(StrEnum):
    """What becomes of a limit: it stays (and moves only where a request must be above), or keeps its ratio."""

    KEEP = "Keep"
    SCALE = "Scale"


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """How use is remembered. windows: how many peaks of memory, of a day each."""

    half_life_s: float = 4 * DAY_S
    windows: int = 14


@dataclass(frozen=True, slots=True, kw_only=True)
class CpuTerms:
    """How CPU is sized. least, most: cores. limit_percentile: where the request is the limit, which throttles."""

    percentile: float = 0.95
    limit_percentile: float = 0.99
    margin_ratio: float = 0.05
    least: float = 0.01
    most: float = math.inf
    limits: Limits = Limits.KEEP


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryTerms:
    """How memory is sized. least, most: bytes."""

    margin_ratio: float = 0.15
    least: float = 32.0 * 2**20
    most: float = math.inf
    limits: Limits = Limits.KEEP


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizing:
    """What a policy says of sizes. sample_s: between samples. lower_after_s: how long less would have to do.

    cpu, memory: None for what is left alone.
    """

    use: Terms = field(default_factory=Terms)
    cpu: CpuTerms | None = field(default_factory=CpuTerms)
    memory: MemoryTerms | None = field(default_factory=MemoryTerms)
    sample_s: float = 300.0
    min_history_s: float = 3 * DAY_S
    tolerance_ratio: float = 0.05
    lower_after_s: float = DAY_S


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """How a change is tried out. canary_ratio: of the pods, one at least, resized first for `canary_s`; 0 for none.

    watch_s: how long after the change it must go well. throttled_ratio: more than that of its periods, and more than
    before, is harm. slo: signals that must hold before, and all the while. back_off_s: after harm nothing is tried for
    that long, and for twice as long after each further one.
    """

    canary_ratio: float = 0.25
    canary_s: float = 1800.0
    watch_s: float = 3600.0
    throttled_ratio: float = 0.05
    slo: tuple[Within, ...] = ()
    back_off_s: float = DAY_S


class Around(NamedTuple):
    """What is looked at beside workloads: their pods, who else steers their sizes, and what the namespace lets in."""

    pods: Selection
    hpas: Selection
    vpas: Selection
    ranges: Selection
    quotas: Selection


@dataclass(frozen=True, slots=True, kw_only=True)
class RightsizePolicy(SavingPolicy):
    """A compiled CostPolicy that rightsizes. queries: by the names above. at_once: workloads changed at a time.

    exclude: names of containers that are left alone, as those that a mesh adds.
    """

    sizing: Sizing
    queries: Mapping[str, WatchQuery]
    how: How = How.ROLLOUT
    trial: Trial = Trial()
    exclude: frozenset[str] = field(default_factory=frozenset)
    at_once: int = 1

    def tables(self, learnt_at: Instant, now: Instant) -> Mapping[str, WatchQuery]:
        """Return all queries once every `sample_s`."""
        # a turn that is a little early is the one that was meant
        return self.queries if now - learnt_at >= self.sizing.sample_s - 1.0 else {}


def around(policy: RightsizePolicy) -> Around:
    """Return what is looked at in the namespace beside workloads."""
    where = policy.targets
    cluster, namespace = ("default", "") if where is None else (where.cluster, where.namespace)
    return selections(cluster, namespace)


def selections(cluster: str, namespace: str) -> Around:
    """Return the selections of a namespace."""

    def every(api_version: str, kind: str) -> Selection:
        return Selection(cluster=cluster, namespace=namespace, api_version=api_version, kind=kind)

    return Around(
        pods=every("v1", "Pod"),
        hpas=every("autoscaling/v2", "HorizontalPodAutoscaler"),
        vpas=every("autoscaling.k8s.io/v1", "VerticalPodAutoscaler"),
        ranges=every(*LIMIT_RANGES),
        quotas=every(*QUOTAS),
    )


def wanted(cluster: str, namespace: str, targets: Wanted) -> Wanted:
    """Return what is looked at at every instant."""
    return Wanted(objects=targets.objects, selections=(*targets.selections, *selections(cluster, namespace)))
