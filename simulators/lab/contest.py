"""A contest: every autoscaler on every trace at once, each in a lane of its own, and what came of it.

Metrics are a step late: what is decided before a step has seen the step before the last one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

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
    autoscaler: Autoscaler | Crowd


class Crowd(Protocol):
    """One that scales several lanes at once: the same object in each of their entries, asked in their order."""

    def fit_all(self, histories: Sequence[F64], step_s: float, startup_s: float, slo_p95_s: float) -> None:
        """Take what is known of each lane before the start."""
        ...

    def decide_all(self, seen: Sequence[Glance]) -> Sequence[int]:
        """Return the new spec.replicas of each lane."""
        ...


class Glance(NamedTuple):
    """What one lane shows at a step: the newest scraped step, replicas that are Ready now, and spec.replicas."""

    sample: Sample
    ready: int
    current: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DayScore:
    """One day of a lane, or what there is of it."""

    violating: float
    offered: float
    pod_hours: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """What came of one lane. violating_ratio: of its requests; pod_hours: billed; a day: changes of spec.replicas.

    reversed_a_day: scale-ins that were followed by a scale-out within ten minutes. days: the lane's, in order.
    """

    trace: str
    name: str
    violating_ratio: float
    pod_hours: float
    changes_a_day: float
    reversed_a_day: float
    days: tuple[DayScore, ...] = ()


def contest(
    entries: Sequence[Entry], tables: Tables, startup_s: float, tick: Callable[[], None] = lambda: None
) -> list[Score]:
    """Return a score for each entry, in their order."""
    longest = max(len(entry.trace.rps) for entry in entries)
    rates = np.zeros((longest, len(entries)))
    for lane, entry in enumerate(entries):
        rates[: len(entry.trace.rps), lane] = entry.trace.rps
    _fit(entries, startup_s, tables.service.slo_p95_s)
    crowds, singles = _crowds(entries), _singles(entries)
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
            wanted = _decided(crowds, singles, _glances(step, seen, (lanes.ready, current)))
            lanes.resize(book.changed(step, current, np.clip(wanted, 0, MOST_PODS)))
        seen = served
        tick()
    return [book.score(lane, entry) for lane, entry in enumerate(entries)]


def _crowds(entries: Sequence[Entry]) -> list[tuple[Crowd, list[int]]]:
    """Return those that scale several lanes, with their lanes."""
    found: dict[int, tuple[Crowd, list[int]]] = {}
    for lane, entry in enumerate(entries):
        if not isinstance(entry.autoscaler, Autoscaler):
            found.setdefault(id(entry.autoscaler), (entry.autoscaler, []))[1].append(lane)
    return list(found.values())


def _singles(entries: Sequence[Entry]) -> list[tuple[int, Autoscaler]]:
    return [(lane, one.autoscaler) for lane, one in enumerate(entries) if isinstance(one.autoscaler, Autoscaler)]


def _fit(entries: Sequence[Entry], startup_s: float, slo_p95_s: float) -> None:
    for crowd, lanes in _crowds(entries):
        crowd.fit_all([entries[lane].trace.history for lane in lanes], STEP_S, startup_s, slo_p95_s)
    for lane, one in _singles(entries):
        one.fit(entries[lane].trace.history, STEP_S, startup_s, slo_p95_s)


def _glances(step: int, seen: Served, pods: tuple[Counts, Counts]) -> list[Glance]:
    ready, current = pods[0].tolist(), pods[1].tolist()
    shown = (seen.rps, seen.util, seen.p95, seen.inflight, seen.dropped, seen.backlog, seen.ready)
    columns = zip(*(one.tolist() for one in shown), ready, current, strict=True)
    at = step * STEP_S
    return [Glance(Sample(at, *column[:-2]), *column[-2:]) for column in columns]


def _decided(
    crowds: Sequence[tuple[Crowd, list[int]]], singles: Sequence[tuple[int, Autoscaler]], shown: Sequence[Glance]
) -> Counts:
    out = np.zeros(len(shown), np.int64)
    for crowd, lanes in crowds:
        out[lanes] = crowd.decide_all([shown[lane] for lane in lanes])
    for lane, one in singles:
        out[lane] = one.decide(*shown[lane])
    return out


class _Book:
    """Sums for each lane while its trace lasts."""

    def __init__(self, lengths: Counts) -> None:
        self._lengths = lengths
        days = (-(-int(lengths.max()) // DAY_STEPS), len(lengths))
        self._violating, self._offered, self._billed = np.zeros(days), np.zeros(days), np.zeros(days)
        self._changes = np.zeros(len(lengths))
        self._reversed, self._last_in = np.zeros(len(lengths)), np.full(len(lengths), -(10**9))

    def note(self, step: int, served: Served, count: Counts) -> None:
        live, day = step < self._lengths, step // DAY_STEPS
        self._violating[day] += served.violating * live
        self._offered[day] += served.rps * STEP_S * live
        self._billed[day] += count * live

    def changed(self, step: int, current: Counts, wanted: Counts) -> Counts:
        live = step < self._lengths
        self._changes += (wanted != current) & live
        self._reversed += (wanted > current) & (step - self._last_in < REVERSED_STEPS) & live
        self._last_in = np.where(wanted < current, step, self._last_in)
        return wanted

    def score(self, lane: int, entry: Entry) -> Score:
        length = self._lengths[lane] / DAY_STEPS
        days = tuple(
            DayScore(
                violating=float(self._violating[day, lane]),
                offered=float(self._offered[day, lane]),
                pod_hours=float(self._billed[day, lane] * STEP_S / 3600.0),
            )
            for day in range(math.ceil(length))
        )
        return Score(
            trace=entry.trace.name,
            name=entry.name,
            violating_ratio=sum(day.violating for day in days) / max(sum(day.offered for day in days), 1e-9),
            pod_hours=sum(day.pod_hours for day in days),
            changes_a_day=float(self._changes[lane] / length),
            reversed_a_day=float(self._reversed[lane] / length),
            days=days,
        )


def best_hours(trace: Trace, tables: Tables, startup_s: float, allowed_ratio: float) -> float:
    """Return the pod hours of the clairvoyant optimum of a trace (`simulators.autoscalers.oracle`)."""
    service = tables.service
    levels = int(np.ceil(float(trace.rps.max()) / service.pod_rps * 1.3)) + 4
    violating: F64 = tables.violating(trace.rps, levels)
    problem = Problem(violating=violating, startup_steps=round(startup_s / STEP_S))
    found = optimum(problem, float(trace.rps.sum()) * STEP_S, allowed_ratio)
    return found.plan.billed * STEP_S / 3600.0
