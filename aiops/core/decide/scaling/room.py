"""How many replicas utilisation asks for, as of an HPA: where no capacity is learnt, or no forecast adds room to it."""

from __future__ import annotations

from collections.abc import Mapping

from aiops.core.decide.scaling.need import MOST
from aiops.core.model import Signal, Workload
from aiops.core.policies import ScalingPolicy

UNLEARNT_USE_RATIO, UNLEARNT_TOLERANCE_RATIO = 0.6, 0.1
"""What an HPA on utilisation aims at, and by how much more it lets be (autoscaling/v2 has a tolerance of 10 %)."""


def tops_up(policy: ScalingPolicy) -> bool:
    """Return whether utilisation asks for more than was learnt to be enough: who drains a backlog is in full use."""
    return policy.objective.per_replica is None and policy.objective.backlog is None


def room_of(policy: ScalingPolicy, signals: Mapping[str, Signal], workload: Workload) -> float | None:
    """Return the replicas, with their fraction, that an HPA on utilisation would have; None while that is not known.

    Use that is above its aim asks for no fewer than there are, and for no more within the tolerance, as there.
    """
    use = signals.get(policy.objective.utilisation or "")
    if use is None or not use.usable or workload.ready == 0:
        return None
    ratio = max(use.value, 0.0) / UNLEARNT_USE_RATIO
    least = float(workload.replicas) if ratio > 1.0 else 0.0
    if 1.0 < ratio <= 1.0 + UNLEARNT_TOLERANCE_RATIO:
        return least
    return max(least, min(workload.ready * ratio, MOST))
