"""A queue of work that nobody leaves: what waits is what came and was not yet worked off.

Consumers share whole partitions, and none of them works for a time after their number changed. Whoever comes waits for
all that came before: the time that is told is that wait, by the work that the consumers can do now.
"""

from __future__ import annotations

from aiops.core.decide.scaling.backlog import shared
from simulators.service import Queue, ServiceSpec

PATIENCE_S = 7 * 86_400.0
"""What is told of a wait that never ends, since nobody works."""


class WorkQueue(Queue):
    """Fills the place of the line in front of a service's pods. partitions: set from outside, None without a limit."""

    def __init__(self, spec: ServiceSpec, waiting: float, rebalance_s: float = 0.0) -> None:
        super().__init__(spec)
        self.backlog = waiting
        self.partitions: int | None = None
        self._rebalance_s = rebalance_s
        self._consumers: int | None = None
        self._pause_s = 0.0

    def serve(self, seconds: float, rate: float, ready: int, power: float | None = None) -> None:
        """Work for some time, while `rate` per second comes, with so many consumers."""
        if self._consumers not in (None, ready):
            self._pause_s = self._rebalance_s
        self._consumers = ready
        worth = float(ready) if self.partitions is None else shared(ready, self.partitions)
        carried = worth * self._spec.capacity_rps
        works_s = max(0.0, seconds - self._pause_s)
        self._pause_s = max(0.0, self._pause_s - seconds)
        came, able = rate * seconds, carried * works_s
        done = min(self.backlog + came, able)
        self.backlog = self.backlog + came - done
        self._come(came)
        self._work(done, able)
        wait_s = min(self.backlog / carried, PATIENCE_S) if carried > 0.0 else PATIENCE_S * (self.backlog > 0.0)
        if came > 0.0:
            self.violating += came * (wait_s > self._spec.slo_s)
            self._admitted += came
            self._p50 += came * wait_s
            self._p95 += came * wait_s
