"""A contest: every autoscaler on every trace at once, each in a lane of its own, and what came of it.

Metrics are a step late: what is decided before a step has seen the step before the last one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from aiops.core.model import F64
from simulators.autoscalers import Autoscaler, Sample
from simulators.autoscalers.oracle import Problem, optimum
from simulators.lab.lanes import Counts, Lanes, Served, Tables
from simulators.lab.traces import DAY_STEPS, STEP_S, Trace

MOST_PODS = 398
REVERSED_STEPS = 40
"""A scale-in that is followed by a scale-out within ten minutes was none."""

FIRST_MARGIN = 1.3
"""Every lane begins with this many times what its first step needs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One lane: a trace, and who is to scale it."""

    trace: Trace
    name: str
    autoscaler: Autoscaler


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """What came of one lane. violating_ratio: of its requests; pod_hours: billed; a day: changes of spec.replicas."""

    trace: str
    name: str
    violating_ratio: float
    pod_hours: float
    changes_a_day: float
    reversed_a_day: float


def contest(
    entries: Sequence[Entry], tables: Tables, startup_s: float, tick: Callable[[], None] = lambda: None
) -> list[Score]:
    """Return a score for each entry, in their order."""
    longest = max(len(entry.trace.rps) for entry in entries)
    rates = np.zeros((longest, len(entries)))
    for lane, entry in enumerate(entries):
        rates[: len(entry.trace.rps), lane] = entry.trace.rps
        entry.autoscaler.fit(entry.trace.history, STEP_S, startup_s, tables.service.slo_p95_s)
    book = _Book(np.array([len(entry.trace.rps) for entry in entries]))
    first = np.ceil(rates[0] / tables.service.pod_rps * FIRST_MARGIN).astype(np.int64)
    steps = np.full(len(entries), round(startup_s / STEP_S))
    lanes = Lanes(tables, steps, np.maximum(first, 1))
    seen: Served | None = None
    for step in range(longest):
        served = lanes.serve(rates[step])
        book.note(step, served, lanes.count)
        if seen is not None:
            current = lanes.count
            wanted = _decided(entries, step, seen, (lanes.ready, current))
            lanes.resize(book.changed(step, current, np.clip(wanted, 0, MOST_PODS)))
        seen = served
        tick()
    return [book.score(lane, entry) for lane, entry in enumerate(entries)]


def _decided(entries: Sequence[Entry], step: int, seen: Served, pods: tuple[Counts, Counts]) -> Counts:
    ready, current = pods[0].tolist(), pods[1].tolist()
    columns = [a.tolist() for a in (seen.rps, seen.util, seen.p95, seen.inflight, seen.dropped, seen.backlog)]
    counts, at = seen.ready.tolist(), step * STEP_S
    out = []
    for lane, entry in enumerate(entries):
        rps, util, p95, inflight, dropped, backlog = (column[lane] for column in columns)
        sample = Sample(at, rps, util, p95, inflight, dropped, backlog, counts[lane])
        out.append(entry.autoscaler.decide(sample, ready[lane], current[lane]))
    return np.array(out, np.int64)


class _Book:
    """Sums for each lane while its trace lasts."""

    def __init__(self, lengths: Counts) -> None:
        self._lengths = lengths
        self._violating, self._offered = np.zeros(len(lengths)), np.zeros(len(lengths))
        self._billed, self._changes = np.zeros(len(lengths)), np.zeros(len(lengths))
        self._reversed, self._last_in = np.zeros(len(lengths)), np.full(len(lengths), -(10**9))

    def note(self, step: int, served: Served, count: Counts) -> None:
        live = step < self._lengths
        self._violating += served.violating * live
        self._offered += served.rps * STEP_S * live
        self._billed += count * live

    def changed(self, step: int, current: Counts, wanted: Counts) -> Counts:
        live = step < self._lengths
        self._changes += (wanted != current) & live
        self._reversed += (wanted > current) & (step - self._last_in < REVERSED_STEPS) & live
        self._last_in = np.where(wanted < current, step, self._last_in)
        return wanted

    def score(self, lane: int, entry: Entry) -> Score:
        days = self._lengths[lane] / DAY_STEPS
        return Score(
            trace=entry.trace.name,
            name=entry.name,
            violating_ratio=float(self._violating[lane] / max(self._offered[lane], 1e-9)),
            pod_hours=float(self._billed[lane] * STEP_S / 3600.0),
            changes_a_day=float(self._changes[lane] / days),
            reversed_a_day=float(self._reversed[lane] / days),
        )


def best_hours(trace: Trace, tables: Tables, startup_s: float, allowed_ratio: float) -> float:
    """Return the pod hours of the clairvoyant optimum of a trace (`simulators.autoscalers.oracle`)."""
    service = tables.service
    levels = int(np.ceil(float(trace.rps.max()) / service.pod_rps * 1.3)) + 4
    violating: F64 = tables.violating(trace.rps, levels)
    problem = Problem(violating=violating, startup_steps=round(startup_s / STEP_S))
    found = optimum(problem, float(trace.rps.sum()) * STEP_S, allowed_ratio)
    return found.plan.billed * STEP_S / 3600.0
