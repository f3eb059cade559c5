"""The lanes' pods and queues in arrays: lane i is row i. One step is 15 s.

Pods are billed from creation and serve once their start-up is over; those that have not started go first when fewer are
wanted. The queue is M/M/c in its steady state, and a fluid with a backlog where load exceeds what is carried.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aiops.core.model import F64, Bools
from aiops.core.queueing import STEADY_RATIO, response_quantiles, slower_shares, wait_probabilities
from simulators.lab.traces import STEP_S

Counts = NDArray[np.int64]
_GRID = 400
_MOST_PODS = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """What one pod is: `slots` requests at a time of `service_s` each; requests wait `timeout_s` at most.

    by_request: count the requests that are slower than the SLO; else all requests of a step whose 95th percentile is.
    """

    slots: float = 1.0
    service_s: float = 0.1
    slo_p95_s: float = 0.32
    timeout_s: float = 10.0
    by_request: bool = False

    @property
    def pod_rps(self) -> float:
        """Return what one pod serves at most."""
        return self.slots / self.service_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """One step of every lane. rps: float64[n] offered; violating and dropped are numbers of requests."""

    rps: F64
    util: F64
    p95: F64
    inflight: F64
    dropped: F64
    backlog: F64
    violating: F64
    ready: Counts


class Tables:
    """95th percentile and share of slow requests by (pods, utilisation), so that a step costs a look-up."""

    def __init__(self, service: Service) -> None:
        self.service = service
        rho = np.linspace(0.0, STEADY_RATIO, _GRID)
        self.p95 = np.empty((_MOST_PODS + 1, _GRID))
        self.slow = np.empty((_MOST_PODS + 1, _GRID))
        self.mean = np.empty((_MOST_PODS + 1, _GRID))
        for pods in range(1, _MOST_PODS + 1):
            servers = pods * service.slots
            waiting = wait_probabilities(servers, rho)
            drain = servers / service.service_s * (1.0 - rho)
            self.p95[pods] = response_quantiles(0.95, service.service_s, drain, waiting)
            self.slow[pods] = slower_shares(service.slo_p95_s, service.service_s, drain, waiting)
            self.mean[pods] = service.service_s + waiting / drain
        self.p95[0] = self.mean[0] = service.timeout_s
        self.slow[0] = 1.0

    def at(self, table: F64, pods: Counts, rho: F64) -> F64:
        """Return a table's values, linear in utilisation."""
        place = np.clip(rho, 0.0, STEADY_RATIO) * ((_GRID - 1) / STEADY_RATIO)
        low = np.minimum(place.astype(np.int64), _GRID - 2)
        share = place - low
        return np.asarray(table[pods, low] * (1.0 - share) + table[pods, low + 1] * share)

    def violating(self, rps: F64, levels: int) -> F64:
        """Return float64[t, levels]: violating requests of each step by the number of ready pods, without a backlog."""
        out = np.empty((len(rps), levels))
        for pods in range(levels):
            rho = rps / max(pods * self.service.pod_rps, 1e-9)
            counts = np.full(len(rps), pods)
            share = np.where(rho > STEADY_RATIO, 1.0, self._share(counts, rho))
            out[:, pods] = share * rps * STEP_S
        return out

    def least_pods(self, rps: F64, levels: int) -> Counts:
        """Return int[t]: the fewest pods, below `levels`, that keep each step's 95th percentile in its steady state."""
        kept = np.empty((len(rps), levels), np.bool_)
        for pods in range(levels):
            rho = rps / max(pods * self.service.pod_rps, 1e-9)
            kept[:, pods] = self.at(self.p95, np.full(len(rps), pods), rho) <= self.service.slo_p95_s
            kept[:, pods] &= rho <= STEADY_RATIO
        kept[:, -1] = True
        return np.asarray(kept.argmax(axis=1))

    def _share(self, pods: Counts, rho: F64) -> F64:
        if self.service.by_request:
            return self.at(self.slow, pods, rho)
        return np.asarray(self.at(self.p95, pods, rho) > self.service.slo_p95_s, np.float64)


class Lanes:
    """Changed in place. startup_steps: int[n], how many steps a pod takes to become ready."""

    def __init__(self, tables: Tables, startup_steps: Counts, pods: Counts) -> None:
        self._tables = tables
        self._startup = startup_steps
        self.ready = pods.astype(np.int64)
        self._starting = np.zeros((len(pods), int(startup_steps.max()) + 1), np.int64)
        self._rows = np.arange(len(pods))
        self._step = 0
        self.backlog = np.zeros(len(pods))
        self.billed = np.zeros(len(pods))
        self.violating = np.zeros(len(pods))
        self.offered = np.zeros(len(pods))
        self.actions = np.zeros(len(pods), np.int64)

    @property
    def count(self) -> Counts:
        """Return how many pods each lane has, ready or not."""
        return np.asarray(self.ready + self._starting.sum(axis=1))

    def resize(self, wanted: Counts) -> None:
        """Set how many pods there are to be; the youngest that have not started go first."""
        have = self.count
        self.actions += wanted != have
        more = np.maximum(wanted - have, 0)
        size = self._starting.shape[1]
        self._starting[self._rows, (self._step + self._startup) % size] += more
        fewer = np.maximum(have - wanted, 0)
        if not fewer.any():
            return
        for ago in range(size):
            slot = (self._step + self._startup - ago) % size
            waiting = np.where(ago < self._startup, self._starting[self._rows, slot], 0)
            gone = np.minimum(waiting, fewer)
            self._starting[self._rows, slot] -= gone
            fewer = fewer - gone
        self.ready -= np.minimum(fewer, self.ready)

    def serve(self, rps: F64) -> Served:
        """Serve one step of `rps` and return what happened."""
        size = self._starting.shape[1]
        due = self._step % size
        self.ready += self._starting[:, due]
        self._starting[:, due] = 0
        self._step += 1
        service = self._tables.service
        able = self.ready * service.pod_rps
        asked = self.backlog + rps * STEP_S
        left = np.maximum(asked - able * STEP_S, 0.0)
        kept = np.minimum(left, able * service.timeout_s)
        dropped = left - kept
        rho = np.minimum(np.divide(rps, able, out=np.full_like(rps, 2.0), where=able > 0), 2.0)
        pods = np.minimum(self.ready, _MOST_PODS)
        delay = np.divide((self.backlog + kept) / 2.0, able, out=np.full_like(rps, service.timeout_s), where=able > 0)
        p95 = self._tables.at(self._tables.p95, pods, rho) + delay
        violating = np.maximum(self._violating(p95, delay, pods, rho) * rps * STEP_S, dropped)
        done = np.minimum(asked - dropped, able * STEP_S)
        util = np.divide(done, able * STEP_S, out=np.full_like(rps, math.nan), where=able > 0)
        inflight = rps * (self._tables.at(self._tables.mean, pods, rho) + delay)
        self.backlog = kept
        self.billed += self.count
        self.offered += rps * STEP_S
        self.violating += violating
        return Served(
            rps=rps,
            util=util,
            p95=p95,
            inflight=inflight,
            dropped=dropped,
            backlog=kept.copy(),
            violating=violating,
            ready=self.ready.copy(),
        )

    def _violating(self, p95: F64, delay: F64, pods: Counts, rho: F64) -> F64:
        service = self._tables.service
        if not service.by_request:
            return np.asarray(p95 > service.slo_p95_s, np.float64)
        late: Bools = delay > service.slo_p95_s / 2.0
        return np.where(late, 1.0, self._tables.at(self._tables.slow, pods, rho))
