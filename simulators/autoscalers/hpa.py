"""Kubernetes' horizontal pod autoscaler: utilisation to replicas, every 15 seconds, within bounds and behaviour.

Source: https://kubernetes.io/docs/tasks/run-application/horizontal-pod-autoscale/ and the controller's code (1.33). One
difference is deliberate: without a `behavior` the controller caps a step at max(2n, 4); the documented default policies
(100 % or 4 pods in 15 s) are taken instead, which are what `behavior: {}` means and let one pod become five.
"""

from __future__ import annotations

from collections.abc import Mapping

from aiops.core.model import F64, Hpa, Instant
from simulators.autoscalers.behavior import STOCK, Behavior, Pace
from simulators.autoscalers.protocol import Carried, Clock, Sample
from simulators.autoscalers.replicas import (
    PodClock,
    Pods,
    Tolerance,
    average_value_replicas,
    is_unready,
    most,
    resource_replicas,
)

MOST_REPLICAS = 1_000_000
"""A ceiling that nobody reaches."""


class HpaController:
    """One HPA object and what the controller remembers of it: what it wants at each sync, within floor and ceiling."""

    def __init__(self, name: str, bounds: tuple[int, int], target_ratio: float, behavior: Behavior = STOCK) -> None:
        self.name = name
        self.floor, self.ceiling = bounds
        self.target_ratio = target_ratio
        self.desired = self.floor
        self._tolerance: Tolerance = behavior.tolerance
        self._target_percent = max(1, round(target_ratio * 100.0))
        self._pace = Pace(behavior)

    def sync(self, now: Instant, pods: Pods, count: int) -> int:
        """Return the replicas it sets at `now` where there are `count`; metrics that nobody knows hold them."""
        return self.settle(now, self.wanted(pods, count), count)

    def shown(self, version: str, uid: str, annotations: Mapping[str, str]) -> Hpa:
        """Return the object as the API shows it."""
        return Hpa(
            name=self.name,
            uid=uid,
            resource_version=version,
            min_replicas=self.floor,
            max_replicas=self.ceiling,
            desired_replicas=self.desired,
            scaling_active=True,
            annotations=dict(annotations),
        )

    def wanted(self, pods: Pods, current: int) -> int | None:
        """Return what utilisation asks for, None if nobody knows."""
        return resource_replicas(pods, self._target_percent, self._tolerance, current)

    def settle(self, now: Instant, wanted: int | None, current: int) -> int:
        """Return what becomes of a wish: bounds first, then stabilisation and rates; None holds what is there.

        A target at 0 whose floor is above 0 was switched off by somebody and stays so.
        """
        floor, ceiling = self.floor, self.ceiling
        if current == 0 and floor > 0:
            after = 0
        elif not floor <= current <= ceiling:
            after = min(max(current, floor), ceiling)
        elif wanted is None:
            after = current
        else:
            after = min(max(self._pace.allowed(now, wanted, current), floor), ceiling)
        self._pace.moved(now, current, after)
        self.desired = after
        return after


class HpaAutoscaler:
    """An HPA on utilisation. Its knob is the target.

    Pods that have become ready since the sample are not metered yet; pods that started longer ago than the controller
    waits for a first sample count with what they used before they served, which is nothing. `by_rate`: requests per
    second are a second metric, with the same share of what a replica carries as target; the larger wish counts.
    """

    def __init__(
        self, target_ratio: float = 0.7, behavior: Behavior = STOCK, *, by_rate: bool = False, name: str = "hpa"
    ) -> None:
        self.name = name
        self._clock = Clock()
        self._hpa = HpaController(self.name, (1, MOST_REPLICAS), target_ratio, behavior)
        self._target_ratio = target_ratio
        self._tolerance = behavior.tolerance
        self._carried = Carried() if by_rate else None
        self._newly_idle = False

    def fit(self, history_rps: F64, step_s: float, startup_s: float, slo_p95_s: float) -> None:
        """Take how long pods start; an HPA learns nothing else."""
        fresh = PodClock(started_s=startup_s, ready=True, changed_s=0.0, sample_s=0.0, window_s=step_s)
        self._newly_idle = not is_unready(fresh)

    def decide(self, sample: Sample, ready: int, current: int) -> int:
        """Return the new spec.replicas."""
        return self.settle(self._clock.tick(), self.wanted(sample, ready, current), current)

    def settle(self, now: float, wanted: int | None, current: int) -> int:
        """Return what becomes of a wish after stabilisation, rates and bounds."""
        return self._hpa.settle(now, wanted, current)

    def wanted(self, sample: Sample, ready: int, current: int) -> int | None:
        """Return what the metrics ask for, before stabilisation, rates and bounds; None if that must not be done."""
        metered = min(sample.ready, ready)
        use = sample.util
        if self._newly_idle and ready > metered > 0:
            use *= metered / ready
            metered = ready
        by_use = self._hpa.wanted(Pods(use, metered, max(0, current - metered)), current)
        if self._carried is None:
            return by_use
        self._carried.note(sample)
        threshold = self._target_ratio * self._carried.rps
        return most((by_use, average_value_replicas(sample.rps, threshold, self._tolerance, current)), current)
