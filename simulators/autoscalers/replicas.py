"""How many replicas the metrics ask for: the arithmetic of Kubernetes' horizontal pod autoscaler (autoscaling/v2).

Source: "Algorithm details" of its documentation and the replica calculator of the controller (1.33, with a tolerance
per direction, KEP-4951). All pods of a target are taken to request the same.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

CPU_INITIALISATION_S = 300.0
READINESS_DELAY_S = 30.0


class Tolerance(NamedTuple):
    """How far the ratio of use to target may stray before anything is done, as ratios."""

    down: float = 0.1
    up: float = 0.1

    def holds(self, ratio: float) -> bool:
        """Return whether the ratio is close enough to 1."""
        return 1.0 - self.down <= ratio <= 1.0 + self.up


class Pods(NamedTuple):
    """The pods of one target as the controller groups them; terminating and failed ones are not among them.

    use_ratio: mean use of the metered ones over their request, NaN if nobody knows. unready: pending, or not yet to be
    trusted (`is_unready`). missing: running, and without a metric.
    """

    use_ratio: float
    metered: int
    unready: int = 0
    missing: int = 0


class PodClock(NamedTuple):
    """Ages in seconds: since the pod started, since its Ready condition changed, since its sample ended.

    window_s: how long a stretch the sample covers.
    """

    started_s: float
    ready: bool
    changed_s: float
    sample_s: float
    window_s: float


def is_unready(
    pod: PodClock, initialisation_s: float = CPU_INITIALISATION_S, delay_s: float = READINESS_DELAY_S
) -> bool:
    """Return whether the CPU of a running pod is set aside because the pod is, or may be, still starting."""
    if pod.started_s < initialisation_s:
        return not pod.ready or pod.sample_s > pod.changed_s - pod.window_s
    return not pod.ready and pod.started_s - pod.changed_s < delay_s


def _percent(use_ratio: float) -> int:
    """Return use as the controller does, in whole per cent cut off; the last digits of a float do not make one less."""
    return int(use_ratio * 100.0 + 1e-9)


def resource_replicas(pods: Pods, target_percent: int, tolerance: Tolerance, current: int) -> int | None:
    """Return the replicas that average utilisation asks for, None if no pod is metered.

    On the way down a missing pod counts as fully used, on the way up a missing or unready pod counts as idle; if that
    turns the direction round or brings the ratio within tolerance, `current` stays.
    """
    if pods.metered <= 0 or math.isnan(pods.use_ratio):
        return None
    ratio = _percent(pods.use_ratio) / target_percent
    up_with_unready = pods.unready > 0 and ratio > 1.0
    if not up_with_unready and pods.missing == 0:
        return current if tolerance.holds(ratio) else math.ceil(ratio * pods.metered)
    used, count = pods.use_ratio * pods.metered, pods.metered
    if ratio != 1.0:
        count += pods.missing
        if ratio < 1.0:
            used += pods.missing * max(1.0, target_percent / 100.0)
    if up_with_unready:
        count += pods.unready
    again = _percent(used / count) / target_percent
    if tolerance.holds(again) or (again - 1.0) * (ratio - 1.0) < 0.0:
        return current
    wanted = math.ceil(again * count)
    return current if (wanted - current) * (again - 1.0) < 0.0 else wanted


def average_value_replicas(total: float, target: float, tolerance: Tolerance, current: int) -> int | None:
    """Return the replicas that an external metric with an AverageValue asks for, None without a value or a target."""
    if math.isnan(total) or math.isnan(target):
        return None
    if current > 0 and tolerance.holds(total / (target * current)):
        return current
    return math.ceil(total / target)


def most(proposals: Iterable[int | None], current: int) -> int | None:
    """Return the largest of what several metrics ask for; with one that failed (None), only if that is no less."""
    given = list(proposals)
    known = [one for one in given if one is not None]
    if not known:
        return None
    largest = max(known)
    return None if len(known) < len(given) and largest < current else largest
