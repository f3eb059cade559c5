"""One workload: the service model under a load, with as many pods as the cluster has, and what it shows."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from aiops.core.model import Instant
from simulators.emulator.config import WorkloadSpec
from simulators.emulator.faults import (
    LONGEST_LAG_S,
    AbsentFault,
    Fault,
    FrozenFault,
    LagFault,
    NanFault,
    Surface,
    WrongFault,
)
from simulators.emulator.pods import PodBook
from simulators.exporter import EDGES, share_below
from simulators.load import Load
from simulators.service import Queue, Served, ServiceSpec, Startup

_Z95 = 1.6448536269514722
_HISTORY_STEP_S = 1.0


class Counters(NamedTuple):
    """What only grows: requests by their end, request durations by their edge, and core seconds."""

    served: float = 0.0
    failed: float = 0.0
    below: tuple[float, ...] = (0.0,) * len(EDGES)
    duration_s: float = 0.0
    cpu_s: float = 0.0

    def plus(self, more: Counters, factor: float) -> Counters:
        """Return both, the other one times a factor."""
        return Counters(
            served=self.served + factor * more.served,
            failed=self.failed + factor * more.failed,
            below=tuple(a + factor * b for a, b in zip(self.below, more.below, strict=True)),
            duration_s=self.duration_s + factor * more.duration_s,
            cpu_s=self.cpu_s + factor * more.cpu_s,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What a workload shows at an instant. use_ratio: of what its ready pods request."""

    at: Instant
    counters: Counters
    offered_rps: float = 0.0
    use_ratio: float = 0.0
    cpu_cores: float = 0.0
    queue: float = 0.0
    ready: float = 0

    def times(self, factor: float) -> Shown:
        """Return this with load and CPU use multiplied; counters are multiplied as they grow."""
        return replace(
            self,
            offered_rps=factor * self.offered_rps,
            use_ratio=factor * self.use_ratio,
            cpu_cores=factor * self.cpu_cores,
        )

    def nan(self) -> Shown:
        """Return this with every number NaN."""
        none = math.nan
        counters = Counters(none, none, (none,) * len(EDGES), none, none)
        return Shown(
            at=self.at, counters=counters, offered_rps=none, use_ratio=none, cpu_cores=none, queue=none, ready=none
        )


class Workload:
    """A workload that lives on the wall clock. override_rps: the load that was set at run time, None for its own."""

    def __init__(self, spec: WorkloadSpec, load: Load, window_s: float, now: Instant) -> None:
        self.spec = spec
        self.book = PodBook(spec.cpu_request)
        self.load = load
        self.override_rps: float | None = None
        self.faults: dict[Surface, Fault] = {}
        self.last = Shown(at=now, counters=Counters())
        self._queue = Queue(_service(spec))
        self._window_s = window_s
        self._work: deque[tuple[float, float]] = deque()
        self._history: deque[Shown] = deque(maxlen=int(LONGEST_LAG_S / _HISTORY_STEP_S) + 2)
        self._frozen: dict[Surface, Shown] = {}

    @property
    def live(self) -> bool:
        """Return whether its pods are known; before that there is nothing to show."""
        return self.book.synced

    def offered_rps(self, at: Instant) -> float:
        """Return its own load."""
        return rate_at(self.load, self.override_rps, at)

    def step(self, now: Instant, seconds: float, offered_rps: float) -> Served:
        """Answer a load for the time up to now, and return what happened."""
        ready, capacity_rps = self.book.ready, self.spec.capacity
        self._queue.serve(seconds, offered_rps, ready)
        self._work.append((seconds, self._queue.busy))
        served = self._queue.drain(ready, ready, ready * seconds)
        use_ratio = self._use_ratio(ready * capacity_rps)
        cores = use_ratio * self.book.requested_cores
        wrong = self.faults.get(Surface.METRICS)
        factor = wrong.factor if isinstance(wrong, WrongFault) else 1.0
        self.last = Shown(
            at=now,
            counters=self.last.counters.plus(_counted(served, cores * seconds), factor),
            offered_rps=offered_rps,
            use_ratio=use_ratio,
            cpu_cores=cores,
            queue=served.queue,
            ready=ready,
        )
        if not self._history or now - self._history[-1].at >= _HISTORY_STEP_S:
            self._history.append(self.last)
        return served

    def set_fault(self, fault: Fault | None) -> None:
        """Let a fault begin on its surfaces, or end all."""
        if fault is None:
            self.faults.clear()
            return
        for surface in fault.on:
            self.faults[surface] = fault
            self._frozen[surface] = self.last

    def shown(self, surface: Surface) -> Shown | None:
        """Return what is seen on a surface, None when nothing is."""
        fault = self.faults.get(surface)
        if not self.live:
            return None
        match fault:
            case None:
                return self.last
            case AbsentFault():
                return None
            case NanFault():
                return self.last.nan() if surface is Surface.METRICS else None
            case FrozenFault():
                return self._frozen[surface]
            case LagFault():
                return self._before(self.last.at - fault.seconds)
            case WrongFault():
                return self.last.times(fault.factor)

    def _before(self, at: Instant) -> Shown | None:
        return next((one for one in reversed(self._history) if one.at <= at), None)

    def _use_ratio(self, capacity_rps: float) -> float:
        """Return the work of the window, spread over the pods that are ready now."""
        while len(self._work) > 1 and sum(seconds for seconds, _ in self._work) > self._window_s:
            self._work.popleft()
        if capacity_rps <= 0.0:
            return 0.0
        seconds = sum(seconds for seconds, _ in self._work)
        return min(1.0, sum(work for _, work in self._work) / seconds / capacity_rps)


def rate_at(load: Load, override_rps: float | None, at: Instant) -> float:
    """Return what is offered at an instant: what was set at run time, else the load's own."""
    return override_rps if override_rps is not None else float(load.rates(np.array([at]))[0])


def _counted(served: Served, cpu_s: float) -> Counters:
    answered = served.served + served.failed
    below = tuple(answered * share_below(edge, served.p50_s, served.p95_s) for edge in EDGES)
    duration_s = answered * _mean_s(served.p50_s, served.p95_s)
    return Counters(served=served.served, failed=served.failed, below=below, duration_s=duration_s, cpu_s=cpu_s)


def _mean_s(p50_s: float, p95_s: float) -> float:
    """Return the mean of a lognormal with this median and 95th percentile."""
    if math.isnan(p50_s) or p50_s <= 0.0:
        return 0.0
    sigma = math.log(max(1.0, p95_s / p50_s)) / _Z95
    return p50_s * math.exp(sigma * sigma / 2.0)


def _service(spec: WorkloadSpec) -> ServiceSpec:
    return ServiceSpec(
        name=spec.service,
        namespace=spec.namespace,
        capacity_rps=spec.capacity,
        service_s=spec.service_time,
        timeout_s=spec.timeout,
        slo_s=spec.timeout,
        error_ratio=spec.error_ratio,
        replicas=0,
        startup=Startup(median_s=1.0, p95_s=2.0),
        usd_per_hour=0.0,
    )
