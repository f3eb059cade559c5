"""Functions of range vectors, as Prometheus computes them (promql/functions.go), over all windows at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np

from aiops.adapters.scrape.vectors import Dialect, Flags, Vector, Windows, reduced, without_name
from aiops.core.model import F64


@dataclass(frozen=True, slots=True)
class Made:
    """What a function makes of windows. values: float64[n, t]; there: bool[n, t]."""

    values: F64
    there: Flags


RangeFunction = Callable[[Windows, Dialect], Made]

_NEAR = 1.1
"""Below so many mean distances between samples a window is taken to go on to its end."""


def over(name: str, seen: Windows, dialect: Dialect) -> Vector:
    """Return a function of a range vector, by its name in PromQL."""
    with np.errstate(all="ignore"):
        made = RANGE_FUNCTIONS[name](seen, dialect)
    vector = Vector(labels=seen.samples.labels, values=made.values, there=made.there)
    return vector if name == "last_over_time" else without_name(vector)


# -- ends ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Ends:
    """The first and the last sample of each window, clipped to what there is; times in ms."""

    first: F64
    last: F64
    first_ms: F64
    last_ms: F64
    count: F64


def _ends(seen: Windows) -> _Ends:
    count = (seen.high - seen.low).astype(np.float64)
    values, times = seen.samples.values, seen.samples.times_ms.astype(np.float64)
    if not len(values):
        nothing = np.zeros(seen.low.shape)
        return _Ends(nothing, nothing, nothing, nothing, count)
    low = np.minimum(seen.low, len(values) - 1)
    high = np.clip(seen.high - 1, 0, len(values) - 1)
    return _Ends(values[low], values[high], times[low], times[high], count)


def _steps(seen: Windows, change: Callable[[F64, F64], F64]) -> F64:
    """Return the sum over each window of what lies between neighbours. change: of (before, after)."""
    values = seen.samples.values
    between = np.zeros(len(values))
    between[1:] = change(values[:-1], values[1:])
    return reduced(np.add, between, np.minimum(seen.low + 1, seen.high), seen.high)


def _lost(before: F64, after: F64) -> F64:
    """Return what a counter had when it was reset, 0 where it was not."""
    return np.where(after < before, before, 0.0)


# -- rates ---------------------------------------------------------------------------------------------------


def _extrapolated(seen: Windows, dialect: Dialect, *, counter: bool, per_second: bool) -> Made:
    """Return rate, increase and delta: what is between the first and the last sample, out to the window's ends."""
    ends = _ends(seen)
    there = ends.count >= 2
    lost = np.where(ends.count >= 2, _steps(seen, _lost), 0.0) if counter else 0.0
    change = ends.last - ends.first + lost
    to_start = (ends.first_ms - seen.begin_ms[None, :]) / 1000.0
    to_end = (seen.end_ms[None, :] - ends.last_ms) / 1000.0
    sampled = (ends.last_ms - ends.first_ms) / 1000.0
    mean = sampled / (ends.count - 1)
    zero = np.full(sampled.shape, np.inf)
    if counter:
        # a counter is never negative: it cannot have begun before it was zero
        zero = np.where((change > 0) & (ends.first >= 0), sampled * (ends.first / change), np.inf)
    if dialect is Dialect.TWO:
        to_start = np.minimum(to_start, zero)
        to_start = np.where(to_start < mean * _NEAR, to_start, mean / 2)
    else:
        to_start = np.where(to_start >= mean * _NEAR, mean / 2, to_start)
        to_start = np.minimum(to_start, zero)
    to_end = np.where(to_end < mean * _NEAR, to_end, mean / 2)
    factor = (sampled + to_start + to_end) / sampled
    if per_second:
        factor = factor / ((seen.end_ms - seen.begin_ms)[None, :] / 1000.0)
    return Made(change * factor, there)


def _instant(seen: Windows, _: Dialect, *, rate: bool) -> Made:
    """Return irate and idelta: of the last two samples."""
    ends = _ends(seen)
    values, times = seen.samples.values, seen.samples.times_ms.astype(np.float64)
    if len(values) < 2:
        return Made(np.zeros(seen.low.shape), np.zeros(seen.low.shape, np.bool_))
    before = np.clip(seen.high - 2, 0, len(values) - 1)
    change = ends.last - values[before]
    if not rate:
        return Made(change, ends.count >= 2)
    change = np.where(ends.last < values[before], ends.last, change)
    return Made(change / ((ends.last_ms - times[before]) / 1000.0), ends.count >= 2)


# -- over time -----------------------------------------------------------------------------------------------


def _summed(seen: Windows, _: Dialect) -> Made:
    return Made(reduced(np.add, seen.samples.values, seen.low, seen.high), seen.high > seen.low)


def _averaged(seen: Windows, dialect: Dialect) -> Made:
    made = _summed(seen, dialect)
    return Made(made.values / (seen.high - seen.low), made.there)


def _extreme(seen: Windows, _: Dialect, *, ufunc: np.ufunc) -> Made:
    return Made(reduced(ufunc, seen.samples.values, seen.low, seen.high), seen.high > seen.low)


def _counted(seen: Windows, _: Dialect) -> Made:
    return Made((seen.high - seen.low).astype(np.float64), seen.high > seen.low)


def _present(seen: Windows, _: Dialect) -> Made:
    return Made(np.ones(seen.low.shape), seen.high > seen.low)


def _last(seen: Windows, _: Dialect) -> Made:
    return Made(_ends(seen).last, seen.high > seen.low)


def _changes(seen: Windows, _: Dialect, *, resets: bool) -> Made:
    def changed(before: F64, after: F64) -> F64:
        if resets:
            return np.asarray(after < before, np.float64)
        both = np.isnan(after) & np.isnan(before)
        return np.asarray((after != before) & ~both, np.float64)

    there = seen.high > seen.low
    several = seen.high - seen.low >= 2
    return Made(np.where(several, _steps(seen, changed), 0.0), there)


RANGE_FUNCTIONS: Mapping[str, RangeFunction] = {
    "rate": partial(_extrapolated, counter=True, per_second=True),
    "increase": partial(_extrapolated, counter=True, per_second=False),
    "delta": partial(_extrapolated, counter=False, per_second=False),
    "irate": partial(_instant, rate=True),
    "idelta": partial(_instant, rate=False),
    "sum_over_time": _summed,
    "avg_over_time": _averaged,
    "min_over_time": partial(_extreme, ufunc=np.fmin),
    "max_over_time": partial(_extreme, ufunc=np.fmax),
    "count_over_time": _counted,
    "present_over_time": _present,
    "last_over_time": _last,
    "changes": partial(_changes, resets=False),
    "resets": partial(_changes, resets=True),
}
"""`absent_over_time` stands with `absent`, in functions.py."""
