"""One service in virtual time: its pods, and the queue in front of them.

Up to 97 % utilisation the steady state of an M/M/c queue is there within a step and is computed at once
(`aiops.core.queueing`). Beyond it, and until the line is short again, the mean number of waiting requests is followed
second by second by the pointwise stationary fluid approximation (W. P. Wang, D. Tipper and S. Banerjee, "A simple
approximation for modeling nonstationary queues", INFOCOM 1996). What waits beyond the steady line of the present load
is a backlog that everybody behind it waits for alike; who would wait longer than the time-out fails. Both are held
against events drawn one by one (tests/unit/test_service.py).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from aiops.core.model import Instant
from aiops.core.queueing import (
    STEADY_RATIO,
    line_after,
    line_at,
    response_quantile,
    slower_share,
    use_at,
    wait_probability,
)
from simulators.calls import Beneath, Call, Times, quantile, share_above, together
from simulators.nodes import NodePool
from simulators.pods import Fleet, Pods, Slower, Startup, WarmUp
from simulators.retries import RetrySpec

__all__ = ["Pods", "Queue", "Served", "ServiceSim", "ServiceSpec", "Startup"]

_FLUID_S = 1.0
_COLD_S = 5.0
"""While pods warm up, what they carry is taken as constant for so long."""

_NEARLY_FULL = 0.999
_SETTLED = 0.02
"""A line this much longer than the steady one counts as steady."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceSpec:
    """What one service is. capacity_rps: requests per second that one pod serves at most.

    A pod serves `capacity_rps * service_s` requests at a time. Requests wait `timeout_s` at most. `slo_s` is what the
    scorecard counts by. calls: made for each request served. shares: the service
    whose load it takes a part of, '' for none. pool: the node pool's name, empty where a pod's room is
    not asked about.
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
    warm_up: WarmUp | None = None
    slower: Slower | None = None
    calls: tuple[Call, ...] = ()
    retries: RetrySpec | None = None
    pool: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    shares: str = ""


class Served(NamedTuple):
    """What happened in one stretch of time: numbers of requests, response times, pods.

    offered: requests that came for the first time, retried: that came again; served and failed are of both. violating:
    requests slower than the SLO or failed when they came for the first time. Response times include those of calls.
    utilisation_ratio: of the ready pods, infinite never, NaN when none is ready. pod_s: pod seconds from creation on.
    pending: pods that wait for a node.
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
    retried: float = 0.0
    pending: int = 0


class Tally(NamedTuple):
    """Sums since the last drain: requests that came, were worked on, failed, were answered too late; their times."""

    came: float
    worked: float
    failed: float
    late: float
    admitted: float
    time_s: float
    time_s2: float


class Queue:
    """The line in front of the pods. `backlog` requests wait while it is not steady.

    Set from outside: latency_factor and error_ratio (a bad release); coupled (whether others look at the tally),
    beneath (how calls are answered) and first_ratio (the share of requests that come for the first time). Answers that
    take longer than `patience_s` are too late for their clients.
    """

    def __init__(self, spec: ServiceSpec) -> None:
        self._spec = spec
        self.backlog = 0.0
        self.latency_factor = 1.0
        self.error_ratio = spec.error_ratio
        self.beneath: Beneath | None = None
        self.coupled = False
        self.first_ratio = 1.0
        self.patience_s = math.inf if spec.retries is None else spec.retries.patience_s
        self.offered = self.served = self.failed = self.violating = self.retried = 0.0
        self.busy = self.able = 0.0
        self._late = self._admitted = self._p50 = self._p95 = self._time_s = self._time_s2 = 0.0
        self._line = self._steady_line = 0.0
        self._asked: tuple[object, ...] = ()
        self._told = (0.0, 0.0, 0.0, 0.0, Times(0.0, 0.0, 0.0))

    def serve(self, seconds: float, rate: float, ready: int, power: float | None = None) -> None:
        """Serve `rate` requests per second with `ready` pods for some time. power: the standard pods they are worth."""
        worth = float(ready) if power is None else power
        slowness = self.latency_factor * (ready / worth if worth > 0.0 else 1.0)
        capacity = ready * self._spec.capacity_rps / slowness
        service_s = self._spec.service_s * slowness
        left = seconds
        while left > 1e-9:
            if self._line <= 0.0 and rate <= STEADY_RATIO * capacity:
                self._stand(left, rate, capacity, service_s)
                return
            piece = min(_FLUID_S, left)
            self._flow(piece, rate, capacity, service_s)
            left -= piece

    def drain(self, ready: int, replicas: int, pod_s: float, pending: int = 0) -> Served:
        """Return what happened since the last call, and start anew."""
        offered, retried, served = self.offered, self.retried, self.served
        failed, violating = self.failed, self.violating
        p50, p95, used = self._drain_totals()
        return Served(
            offered, served, failed, violating, p50, p95, used, self.backlog, ready, replicas, pod_s, retried, pending
        )

    def tally(self) -> Tally:
        """Return the sums since the last drain."""
        came = self.offered + self.retried
        return Tally(came, self.busy, self.failed, self._late, self._admitted, self._time_s, self._time_s2)

    def _drain_totals(self) -> tuple[float, float, float]:
        """Return p50, p95 and utilisation since the last call, and start anew."""
        if self._admitted > 0.0:
            p50, p95 = self._p50 / self._admitted, self._p95 / self._admitted
        else:
            p50 = p95 = self._spec.timeout_s if self.offered > 0.0 else math.nan
        used = self.busy / self.able if self.able > 0.0 else math.nan
        self.offered = self.served = self.failed = self.violating = self.retried = 0.0
        self.busy = self.able = 0.0
        self._late = self._admitted = self._p50 = self._p95 = self._time_s = self._time_s2 = 0.0
        return p50, p95, used

    def _stand(self, seconds: float, rate: float, capacity: float, service_s: float) -> None:
        """Serve in the steady state."""
        requests = rate * seconds
        self._come(requests)
        self._work(requests, capacity * seconds)
        if requests > 0.0:
            rho = rate / capacity
            waiting = wait_probability(capacity * service_s, rho)
            self._steady_line = waiting * rho / (1.0 - rho)
            self._answer(requests, 0.0, service_s, capacity * (1.0 - rho), waiting)

    def _flow(self, seconds: float, rate: float, capacity: float, service_s: float) -> None:
        """Move the line on by a short time; those beyond the time-out fail."""
        servers, arrived, able = capacity * service_s, rate * seconds, capacity * seconds
        rho = rate / capacity if capacity > 0.0 else math.inf
        steady = line_at(servers, _mirrored(rho))
        before, self._steady_line = self._line + self._steady_line, 0.0
        wished = self._moved(servers, before, arrived, able)
        self._line = min(capacity * self._spec.timeout_s, wished)
        refused = wished - self._line
        self._come(arrived)
        self.failed += refused
        self.violating += min(refused, arrived) * self.first_ratio
        self._work(max(0.0, before + arrived - wished), able)
        self.backlog = self._line
        if capacity > 0.0:
            middle = (before + self._line) / 2.0
            spread = min(middle, steady)
            used = use_at(servers, spread)
            waiting = wait_probability(servers, used)
            delay_s = (middle - spread) / capacity
            self._answer(max(0.0, arrived - refused), delay_s, service_s, capacity * (1.0 - used), waiting)
        if rho <= STEADY_RATIO and self._line <= (1.0 + _SETTLED) * steady:
            self._steady_line, self._line, self.backlog = self._line, 0.0, 0.0

    @staticmethod
    def _moved(servers: float, line: float, arrived: float, able: float) -> float:
        """Return how many wait after a time in which `arrived` come: pods idle at times only close to full use."""
        rest = line + arrived - able
        if arrived <= STEADY_RATIO * able:
            return max(rest, min(line, line_at(servers, arrived / able)))
        if arrived >= (2.0 - STEADY_RATIO) * able:
            return max(rest, 0.0)
        return line_after(servers, line, arrived, able)

    def _come(self, requests: float) -> None:
        first = requests * self.first_ratio
        self.offered += first
        self.retried += requests - first

    def _work(self, requests: float, able: float) -> None:
        """Count what was served, of what could be."""
        well = 1.0 - self.error_ratio
        if self.beneath is not None:
            well *= self.beneath.well_ratio
        self.busy += requests
        self.able += able
        self.served += requests * well
        self.failed += requests * (1.0 - well)

    def _answer(self, admitted: float, delay_s: float, service_s: float, drain_per_s: float, waiting: float) -> None:
        """Count how long those who came now wait and are served."""
        if admitted <= 0.0:
            return
        spec, well = self._spec, 1.0 - self.error_ratio
        if not self.coupled:
            slow = slower_share(spec.slo_s - delay_s, service_s, drain_per_s, waiting)
            p50_s = delay_s + response_quantile(0.5, service_s, drain_per_s, waiting)
            p95_s = delay_s + response_quantile(0.95, service_s, drain_per_s, waiting)
        else:
            slow, p50_s, p95_s = self._coupled(admitted, delay_s, service_s, drain_per_s, waiting)
        if self.beneath is not None:
            well *= self.beneath.well_ratio
        elif self._line > 0.0:
            p95_s = min(p95_s, spec.timeout_s + 3.0 * service_s)
            p50_s = min(p50_s, p95_s)
        self.violating += admitted * (1.0 - well + well * slow) * self.first_ratio
        self._admitted += admitted
        self._p50 += admitted * p50_s
        self._p95 += admitted * p95_s

    def _coupled(
        self, admitted: float, delay_s: float, service_s: float, drain_per_s: float, waiting: float
    ) -> tuple[float, float, float]:
        """Return the share slower than the SLO, p50 and p95, with the calls' times in them; keep what others ask."""
        asked = (delay_s, service_s, drain_per_s, waiting, self.beneath)
        if asked != self._asked:
            self._asked, self._told = asked, self._times(delay_s, service_s, drain_per_s, waiting)
        slow, late, p50_s, p95_s, whole = self._told
        well = 1.0 - self.error_ratio if self.beneath is None else (1.0 - self.error_ratio) * self.beneath.well_ratio
        self._late += admitted * well * late
        self._time_s += admitted * whole.mean_s
        self._time_s2 += admitted * (whole.var_s2 + whole.mean_s * whole.mean_s)
        return slow, p50_s, p95_s

    def _times(
        self, delay_s: float, service_s: float, drain_per_s: float, waiting: float
    ) -> tuple[float, float, float, float, Times]:
        """Return the shares that are slower than the SLO and too late, p50, p95, and the times as a whole."""
        spec = self._spec
        mean_s = delay_s + service_s + waiting / drain_per_s
        var_s2 = service_s * service_s + waiting * (2.0 - waiting) / (drain_per_s * drain_per_s)
        kinds: tuple[Times, ...] = (Times(1.0, mean_s, var_s2),)
        if self.beneath is None:
            slow = slower_share(spec.slo_s - delay_s, service_s, drain_per_s, waiting)
            late = slower_share(self.patience_s - delay_s, service_s, drain_per_s, waiting)
            p50_s = delay_s + response_quantile(0.5, service_s, drain_per_s, waiting)
            p95_s = delay_s + response_quantile(0.95, service_s, drain_per_s, waiting)
        else:
            kinds = tuple(Times(share, mean_s + one_s, var_s2 + one_s2) for share, one_s, one_s2 in self.beneath.kinds)
            slow, late = share_above(spec.slo_s, kinds), share_above(self.patience_s, kinds)
            p50_s, p95_s = quantile(0.5, kinds), quantile(0.95, kinds)
        return slow, late, p50_s, p95_s, together(kinds)


def _mirrored(rho: float) -> float:
    """Return the utilisation whose steady line is that of a load `rho`: beyond 1 it falls again, down to 97 %."""
    return min(_NEARLY_FULL, rho if rho <= 1.0 else max(STEADY_RATIO, 2.0 - rho))


class ServiceSim:
    """One service: its pods and its queue, moved on by `advance`."""

    def __init__(self, spec: ServiceSpec, dice: np.random.Generator, pool: NodePool | None = None) -> None:
        self.spec = spec
        fleet = Fleet(startup=spec.startup, warm_up=spec.warm_up, slower=spec.slower)
        self.pods = Pods(fleet, dice, spec.replicas, pool)
        self.queue = Queue(spec)
        self._plain = spec.warm_up is None and spec.slower is None

    def advance(self, start: Instant, seconds: float, rate: float) -> Served:
        """Serve `rate` requests per second from `start` for `seconds`, and return what happened."""
        pod_s = self.pods.count * seconds
        self.flow(start, seconds, rate)
        return self.drain(pod_s)

    def flow(self, start: Instant, seconds: float, rate: float) -> None:
        """Serve `rate` requests per second from `start` for `seconds`."""
        queue, pods = self.queue, self.pods
        end = start + seconds
        at = start
        pods.settle(at)
        while at < end:
            until = min(end, pods.next_ready)
            if self._plain:
                queue.serve(until - at, rate, pods.ready)
            else:
                until = min(until, at + _COLD_S) if pods.cold(at) else until
                queue.serve(until - at, rate, pods.ready, pods.power((at + until) / 2.0))
            pods.settle(until)
            at = until

    def drain(self, pod_s: float) -> Served:
        """Return what happened since the last call. pod_s: pod seconds in that time."""
        return self.queue.drain(self.pods.ready, self.pods.count, pod_s, self.pods.pending)
