"""A HorizontalPodAutoscaler on utilisation, faithful where it matters: tolerance, stabilisation, rates, warm-up.

Semantics of the horizontal pod autoscaler of Kubernetes (autoscaling/v2): every 15 s desired = ceil(ready * use /
target) within a tolerance of 0.1; pods that are not ready count as idle on the way out; behaviour defaults of 100 % or
4 pods in 15 s out, 300 s stabilisation in.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping

from aiops.core.model import Hpa, Instant

SYNC_S = 15.0
TOLERANCE = 0.1
DOWN_WINDOW_S = 300.0


class HpaController:
    """One HPA: what it wants at each sync, within floor and ceiling."""

    def __init__(self, name: str, floor: int, ceiling: int, target_ratio: float) -> None:
        self.name = name
        self.floor = floor
        self.ceiling = ceiling
        self.target_ratio = target_ratio
        self.desired = floor
        self._wished: deque[tuple[Instant, int]] = deque()

    def sync(self, now: Instant, use_ratio: float, count: int, ready: int) -> int:
        """Return the replicas it sets at `now`; NaN use keeps what is there."""
        wanted = count
        if not math.isnan(use_ratio) and ready > 0:
            ratio = use_ratio / self.target_ratio
            if ratio > 1.0 and count > ready:
                # pods that are starting count as idle, so that one start-up is not answered twice
                ratio = max(1.0, ratio * ready / count)
                ready = count
            if abs(ratio - 1.0) > TOLERANCE:
                wanted = math.ceil(ready * ratio)
        wanted = self._stabilised(now, wanted, count)
        if wanted > count:
            wanted = min(wanted, max(2 * count, count + 4))
        self.desired = min(max(wanted, self.floor), self.ceiling)
        return self.desired

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

    def _stabilised(self, now: Instant, wanted: int, count: int) -> int:
        if not self._wished:
            self._wished.append((now, count))
        self._wished.append((now, wanted))
        while self._wished and self._wished[0][0] <= now - DOWN_WINDOW_S:
            self._wished.popleft()
        return wanted if wanted >= count else min(count, max(one for _, one in self._wished))
