"""Compiled cost policies that let workloads rest: by the clock, or while they are idle."""

from __future__ import annotations

from dataclasses import dataclass

from aiops.core.model import Selection, Wanted
from aiops.core.planning.saving import SavingPolicy
from aiops.core.protocols import Schedule

AROUND = (
    ("autoscaling/v2", "HorizontalPodAutoscaler"),
    ("keda.sh/v1alpha1", "ScaledObject"),
    ("policy/v1", "PodDisruptionBudget"),
)
"""What is looked at beside workloads: who steers them, and what guards them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RestPolicy(SavingPolicy):
    """What both carry. to: replicas at rest. override_s: how long a person's hand is respected.

    budgets_bind: whether a PodDisruptionBudget's least number of pods is kept at rest.
    """

    to: int = 0
    override_s: float = 3600.0
    budgets_bind: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class SleepPolicy(RestPolicy):
    """A compiled CostPolicy with `sleep`. hours: in which workloads sleep.

    ahead_s: how long before their end they are woken, None for as long as they took to start lately.
    """

    hours: Schedule
    ahead_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class IdleSign:
    """A signal below `below` says idle, above `above` it says demand; between both nothing changes."""

    signal: str
    below: float
    above: float


@dataclass(frozen=True, slots=True, kw_only=True)
class IdlePolicy(RestPolicy):
    """A compiled CostPolicy with `idle`: at rest once every sign said idle for `for_s` without a break.

    naps_a_day: so often at most. blind_s: at rest, after so long without knowing whether there is demand, it is woken.
    """

    signs: tuple[IdleSign, ...]
    for_s: float = 1800.0
    naps_a_day: int = 3
    blind_s: float = 600.0


def wanted_of(policy: RestPolicy) -> Wanted:
    """Return what is looked at: the workloads, and whoever steers them."""
    targets = policy.targets
    if targets is None:
        return Wanted()
    around = tuple(
        Selection(cluster=targets.cluster, namespace=targets.namespace, api_version=version, kind=kind)
        for version, kind in AROUND
    )
    return Wanted(objects=targets.wanted.objects, selections=(*targets.wanted.selections, *around))
