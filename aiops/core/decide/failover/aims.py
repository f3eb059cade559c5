"""What a plan of a failover group must better, and what would be without it (S7)."""

from __future__ import annotations

import math

from aiops.core.decide.failover.evidence import counts
from aiops.core.decide.failover.scene import Scene
from aiops.core.model import Counterfactual, Goal, PlanKind
from aiops.core.planning.failover import SERVED

WITHIN_S = 120.0
"""By when users must fare better, after the last step."""

HORIZON_S, GRID_S = 3600.0, 60.0
DECILE = 1.2815515655446004
"""The 90 % quantile of the standard normal distribution."""


def goal(scene: Scene) -> Goal | None:
    """Return what all users must see in the end, None where nobody says how they fare."""
    if SERVED not in scene.policy.signals:
        return None
    return Goal(signal=SERVED, within_s=WITHIN_S, at_most=scene.policy.watching.bad_above_ratio)


def counterfactual(scene: Scene, kind: PlanKind) -> Counterfactual | None:
    """Return how all users would fare if nothing were moved: as they do now.

    At a failover that is what fails at the active site, as counted in the last failFor by those who are sure, times its
    share of the traffic; else what `served` says. None where neither is known.
    """
    found = _failing(scene) if kind is PlanKind.FAILOVER else None
    if found is None:
        signal = scene.situation.signals.get(SERVED)
        if signal is None or not signal.usable:
            return None
        found = (signal.value, signal.value, signal.value)
    lower, middle, upper = found
    number = int(HORIZON_S / GRID_S)
    return Counterfactual(
        start=scene.now, step_s=GRID_S, lower=(lower,) * number, middle=(middle,) * number, upper=(upper,) * number
    )


def _failing(scene: Scene) -> tuple[float, float, float] | None:
    active = scene.active
    if active is None:
        return None
    keys = scene.known.failing(scene.policy, active.name)
    pairs = [counts(scene.known.views[key], scene.policy.watching.fail_for_s) for key in keys]
    failed, asked = sum(one for one, _ in pairs), sum(one for _, one in pairs)
    if asked <= 0.0:
        return None
    part = dict(scene.weights)[active.backend] / 100.0
    low, high = wilson(failed, asked)
    return part * low, part * failed / asked, part * high


def wilson(failed: float, asked: float) -> tuple[float, float]:
    """Return the 80 % interval of a share of which `failed` of `asked` were counted (Wilson 1927).

    >>> [round(one, 3) for one in wilson(5.0, 10.0)]
    [0.312, 0.688]
    """
    share, spread = failed / asked, DECILE**2 / asked
    middle = share + spread / 2.0
    half = DECILE * math.sqrt(share * (1.0 - share) / asked + spread / (4.0 * asked))
    return max(0.0, (middle - half) / (1.0 + spread)), min(1.0, (middle + half) / (1.0 + spread))
