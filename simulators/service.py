"""One service in virtual time: pods that take time to start, and the queue in front of them.

A steady queue is computed at once from M/M/c theory (`simulators.queueing`). An overloaded one is followed second by
second as a fluid: what exceeds the capacity waits, everybody behind it waits as long, and who would wait longer than
the time-out fails.
"""

from __future__ import annotations

import heapq
import math
from collections import deque
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from aiops.core.model import Instant
from simulators.queueing import STEADY_RATIO, response_quantile, slower_share, wait_probability

STARTUPS_KEPT = 20
_FLUID_S = 1.0
_Z95 = 1.6448536269514722
_DRAWS = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Startup:
    """Times from a pod's creation to Ready: lognormal with this median and 95th percentile."""

    median_s: float
    p95_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceSpec:
    """What one service is. capacity_rps: requests per second that one pod serves at most.

    A pod serves `capacity_rps * service_s` requests at a time. Requests wait `timeout_s` at most. `slo_s` is what the
    scorecard counts by.
    """

    name: str
    namespace: str
    capacity_rps: float
    service_s: float
    timeout_s: float
    slo_s: float
    error_ratio: float
    replicas: int
    startup: Startup
    usd_per_hour: float


class Served(NamedTuple):
    """What happened in one stretch of time: numbers of requests, response times, pods.

    violating: requests slower than the SLO or failed. utilisation_ratio: of the ready pods, infinite never, NaN when
    none is ready. pod_s: pod seconds that are billed.
    """

    offered: float
    served: float
    failed: float
    violating: float
    p50_s: float
    p95_s: float
    utilisation_ratio: float
    queue: float
    ready: int
    replicas: int
    pod_s: float


class Pods:
    """The pods of one service. They are billed from creation and serve once they are ready."""

    def __init__(self, startup: Startup, dice: np.random.Generator, count: int) -> None:
        self._startup = startup
        self._dice = dice
        self._drawn: list[float] = []
        self._starting: list[tuple[Instant, Instant]] = []
        self.ready = count
        self.resized: list[int] = []
        self.startup_s: deque[float] = deque((self._draw() for _ in range(count)), maxlen=STARTUPS_KEPT)
        self.version = 1

    @property
    def count(self) -> int:
        """Return how many pods exist, ready or not."""
        return self.ready + len(self._starting)

    @property
    def next_ready(self) -> Instant:
        """Return when the next pod becomes ready, infinite if none is starting."""
        return self._starting[0][0] if self._starting else math.inf

    def resize(self, count: int, now: Instant) -> None:
        """Create or delete pods so that there are `count`; those that have not started yet go first."""
        self.version += 1
        if count != self.count:
            self.resized.append(count - self.count)
        for _ in range(count - self.count):
            heapq.heappush(self._starting, (now + self._draw(), now))
        while self.count > count and self._starting:
            self._starting.remove(max(self._starting))
            heapq.heapify(self._starting)
        self.ready -= self.count - count

    def lose(self, count: int, now: Instant) -> None:
        """Lose ready pods and start new ones in their place."""
        lost = min(count, self.ready)
        whole, changes = self.count, len(self.resized)
        self.ready -= lost
        self.resize(whole, now)
        del self.resized[changes:]

    def settle(self, now: Instant) -> None:
        """Let everything become ready whose time has come."""
        while self._starting and self._starting[0][0] <= now:
            ready_at, created_at = heapq.heappop(self._starting)
            self.startup_s.append(ready_at - created_at)
            self.ready += 1
            self.version += 1

    def _draw(self) -> float:
        if not self._drawn:
            sigma = math.log(self._startup.p95_s / self._startup.median_s) / _Z95
            self._drawn = (self._startup.median_s * np.exp(sigma * self._dice.standard_normal(_DRAWS))).tolist()
            self._drawn.reverse()
        return self._drawn.pop()


class Queue:
    """The line in front of the pods. `backlog` requests wait beyond what a steady queue explains."""

    def __init__(self, spec: ServiceSpec) -> None:
        self._spec = spec
        self.backlog = 0.0
        self.latency_factor = 1.0
        self.error_ratio = spec.error_ratio
        self.offered = self.served = self.failed = self.violating = 0.0
        self.busy = self.able = 0.0
        self._admitted = self._p50 = self._p95 = 0.0

    def serve(self, seconds: float, rate: float, ready: int) -> None:
        """Serve `rate` requests per second with `ready` pods for some time."""
        capacity = ready * self._spec.capacity_rps / self.latency_factor
        if self.backlog <= 0.0 and rate <= STEADY_RATIO * capacity:
            requests = rate * seconds
            self.offered += requests
            self._work(requests, capacity * seconds)
            self._answer(requests, 0.0, rate, capacity)
            return
        done = 0.0
        while done < seconds - 1e-9:
            piece = min(_FLUID_S, seconds - done)
            self._flow(piece, rate, capacity)
            done += piece

    def drain(self, ready: int, replicas: int, pod_s: float) -> Served:
        """Return what happened since the last call, and start anew."""
        offered, served, failed, violating = self.offered, self.served, self.failed, self.violating
        p50, p95, used = self._drain_totals()
        return Served(offered, served, failed, violating, p50, p95, used, self.backlog, ready, replicas, pod_s)

    def _drain_totals(self) -> tuple[float, float, float]:
        """Return p50, p95 and utilisation since the last call, and start anew."""
        if self._admitted > 0.0:
            p50, p95 = self._p50 / self._admitted, self._p95 / self._admitted
        else:
            p50 = p95 = self._spec.timeout_s if self.offered > 0.0 else math.nan
        used = self.busy / self.able if self.able > 0.0 else math.nan
        self.offered = self.served = self.failed = self.violating = 0.0
        self.busy = self.able = self._admitted = self._p50 = self._p95 = 0.0
        return p50, p95, used

    def _flow(self, seconds: float, rate: float, capacity: float) -> None:
        """Move the backlog on by a short time; those beyond the time-out fail."""
        before, arrived = self.backlog, rate * seconds
        wished = max(0.0, before + (rate - capacity) * seconds)
        self.backlog = min(capacity * self._spec.timeout_s, wished)
        refused = wished - self.backlog
        admitted = max(0.0, arrived - refused)
        self.offered += arrived
        self.failed += refused
        self.violating += refused
        self._work(max(0.0, before + arrived - wished), capacity * seconds)
        if capacity > 0.0:
            self._answer(admitted, (before + self.backlog) / 2.0 / capacity, rate, capacity)

    def _work(self, requests: float, able: float) -> None:
        """Count what was served, of what could be."""
        self.busy += requests
        self.able += able
        self.served += requests * (1.0 - self.error_ratio)
        self.failed += requests * self.error_ratio

    def _answer(self, admitted: float, delay_s: float, rate: float, capacity: float) -> None:
        """Count how long those who came now wait and are served."""
        if admitted <= 0.0:
            return
        spec = self._spec
        service_s = spec.service_s * self.latency_factor
        rho = min(rate / capacity, STEADY_RATIO)
        drain, waiting = capacity * (1.0 - rho), wait_probability(capacity * service_s, rho)
        slow = slower_share(spec.slo_s - delay_s, service_s, drain, waiting)
        self.violating += admitted * (self.error_ratio + (1.0 - self.error_ratio) * slow)
        self._admitted += admitted
        self._p50 += admitted * (delay_s + response_quantile(0.5, service_s, drain, waiting))
        self._p95 += admitted * (delay_s + response_quantile(0.95, service_s, drain, waiting))


class ServiceSim:
    """One service: its pods and its queue, moved on by `advance`."""

    def __init__(self, spec: ServiceSpec, dice: np.random.Generator) -> None:
        self.spec = spec
        self.pods = Pods(spec.startup, dice, spec.replicas)
        self.queue = Queue(spec)

    def advance(self, start: Instant, seconds: float, rate: float) -> Served:
        """Serve `rate` requests per second from `start` for `seconds`, and return what happened."""
        queue, pods = self.queue, self.pods
        end = start + seconds
        pod_s = pods.count * seconds
        at = start
        pods.settle(at)
        while at < end:
            until = min(end, pods.next_ready)
            queue.serve(until - at, rate, pods.ready)
            pods.settle(until)
            at = until
        return queue.drain(pods.ready, pods.count, pod_s)
