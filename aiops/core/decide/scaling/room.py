"""How many replicas utilisation asks for, as of an HPA: where no capacity is learnt, or no forecast adds room to it."""

from __future__ import annotations

import math
from collections.abc import Mapping

from aiops.core.decide.scaling.need import MOST
from aiops.core.model import Instant, Signal, TargetState, Workload
from aiops.core.policies import ScalingPolicy

UNLEARNT_USE_RATIO, UNLEARNT_TOLERANCE_RATIO = 0.6, 0.1
"""What an HPA on utilisation aims at, and by how much more it lets be (autoscaling/v2 has a tolerance of 10 %)."""

MEASURED_TICKS = 1.5
"""Who is ready for so long has been measured."""

_AIM_PERCENT = round(UNLEARNT_USE_RATIO * 100.0)
_FUZZ = 1e-9


def tops_up(policy: ScalingPolicy) -> bool:
    """Return whether utilisation asks for more than was learnt to be enough: who drains a backlog is in full use."""
    return policy.objective.per_replica is None and policy.objective.backlog is None


def room_of(
    policy: ScalingPolicy, signals: Mapping[str, Signal], workload: Workload, ready_before: int
) -> float | None:
    """Return the replicas, with their fraction, that an HPA on utilisation would have; None while that is not known.

    The arithmetic is the controller's ("Algorithm details" of its documentation): use counts in whole per cent, cut
    off, and is that of the replicas that were ready a tick ago, too: who became ready since is in no sample yet
    (ready_before: 0 while that is not known). Above its aim it asks for no fewer than there are, the others count as
    idle, and what is then within the tolerance asks for no more. Below its aim, and within the tolerance of scale-in,
    it asks for as many as there are, though some of them still start.
    """
    use = signals.get(policy.objective.utilisation or "")
    if use is None or not use.usable or workload.ready == 0:
        return None
    used_ratio, metered = max(use.value, 0.0), min(workload.ready, ready_before or workload.ready)
    ratio = _over_aim(used_ratio)
    if ratio < 1.0:
        held = ratio >= 1.0 - policy.down.tolerance_ratio
        return float(workload.replicas) if held else min(metered * ratio, MOST)
    count = max(metered, workload.replicas)
    ratio = _over_aim(used_ratio * metered / count)
    if ratio <= 1.0 + UNLEARNT_TOLERANCE_RATIO:
        return float(workload.replicas)
    return max(float(workload.replicas), min(count * ratio, MOST))


def ready_before(state: TargetState, now: Instant, tick_s: float) -> int:
    """Return how many were ready a tick ago, 0 where nobody looked then."""
    return state.ready if 0.0 < now - state.ready_at <= MEASURED_TICKS * tick_s else 0


def _over_aim(used_ratio: float) -> float:
    """Return use over what is aimed at, both in whole per cent; the last digits of a float do not make one less."""
    return math.floor(min(used_ratio, MOST) * 100.0 + _FUZZ) / _AIM_PERCENT
