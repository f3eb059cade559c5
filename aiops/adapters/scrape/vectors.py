"""What queries answer: vectors and numbers over a grid of instants, and samples seen through windows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from aiops.adapters.scrape.buffer import Millis, Selected
from aiops.adapters.scrape.matching import Labels
from aiops.core.model import F64

Flags: TypeAlias = NDArray[np.bool_]
Places: TypeAlias = NDArray[np.int64]

NAME = "__name__"


class Dialect(IntEnum):
    """Whose rules hold where major versions of Prometheus differ.

    In 3 a window and the look-back leave out a sample at their very beginning, and the guess of where a counter was
    zero binds later in the extrapolation.
    """

    TWO = 2
    THREE = 3


class Unanswerable(ValueError):
    """A query that has no answer, as Prometheus would say too; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Vector:
    """labels: one for each series. values: float64[n, t]. there: bool[n, t], where a series has a value."""

    labels: tuple[Labels, ...]
    values: F64
    there: Flags


@dataclass(frozen=True, slots=True, kw_only=True)
class Scalar:
    """values: float64[t]."""

    values: F64


Value: TypeAlias = Vector | Scalar


@dataclass(frozen=True, slots=True, kw_only=True)
class Windows:
    """Samples with a window for each series and instant: those from low to below high. low, high: int64[n, t].

    begin_ms, end_ms: int64[t], of the windows.
    """

    samples: Selected
    low: Places
    high: Places
    begin_ms: Millis
    end_ms: Millis


def windows(samples: Selected, end_ms: Millis, range_ms: int, dialect: Dialect) -> Windows:
    """Return the windows of a range that end at each instant."""
    begin = end_ms - range_ms
    low, high = _bounds(samples, begin, end_ms, closed=dialect is Dialect.TWO)
    return Windows(samples=samples, low=low, high=high, begin_ms=begin, end_ms=end_ms)


def _bounds(samples: Selected, begin: Millis, end: Millis, *, closed: bool) -> tuple[Places, Places]:
    """Return the places of the first sample of each window and of the first one after it, for all series at once.

    The series of a sample and its time together are one number, and these numbers are sorted.
    """
    series = len(samples.labels)
    if not len(samples.times_ms) or not len(end):
        empty = np.zeros((series, len(end)), np.int64)
        return empty, empty
    base = min(int(samples.times_ms.min()), int(begin.min())) - 1
    span = max(int(samples.times_ms.max()), int(end.max())) - base + 2
    first = np.arange(series, dtype=np.int64)[:, None] * span
    keys = np.repeat(first[:, 0], np.diff(samples.starts)) + samples.times_ms - base
    low = np.searchsorted(keys, first + (begin - base)[None, :], side="left" if closed else "right")
    high = np.searchsorted(keys, first + (end - base)[None, :], side="right")
    return low.astype(np.int64), high.astype(np.int64)


def reduced(ufunc: np.ufunc, values: F64, low: Places, high: Places) -> F64:
    """Return ufunc over values[low:high] for each window; what stands for an empty one is meaningless."""
    if not low.size:
        return np.empty(low.shape)
    padded = np.append(values, 0.0)
    pairs = np.stack((low, np.maximum(low, high)), axis=-1).reshape(-1)
    return np.asarray(ufunc.reduceat(padded, pairs)[::2]).reshape(low.shape)


def without_name(vector: Vector) -> Vector:
    """Return the vector without the names of metrics."""
    labels = tuple(tuple(pair for pair in one if pair[0] != NAME) for one in vector.labels)
    return merged(replace(vector, labels=labels))


def kept(labels: Labels, names: Iterable[str]) -> Labels:
    """Return the labels of these names."""
    wanted = frozenset(names)
    return tuple(pair for pair in labels if pair[0] in wanted)


def left_out(labels: Labels, names: Iterable[str]) -> Labels:
    """Return the labels without these names."""
    unwanted = frozenset(names)
    return tuple(pair for pair in labels if pair[0] not in unwanted)


def grouped(keys: Sequence[Labels]) -> tuple[tuple[Labels, ...], Places]:
    """Return the distinct keys in the order in which they come, and for each key the place of its group."""
    places: dict[Labels, int] = {}
    groups = np.array([places.setdefault(key, len(places)) for key in keys], np.int64)
    return tuple(places), groups


def merged(vector: Vector) -> Vector:
    """Return the vector with series of the same labels as one; raise Unanswerable where two have a value at once."""
    if len(set(vector.labels)) == len(vector.labels):
        return vector
    labels, groups = grouped(vector.labels)
    there = np.zeros((len(labels), vector.there.shape[1]), np.int64)
    np.add.at(there, groups, vector.there)
    if (there > 1).any():
        raise Unanswerable("several series of the answer have the same labels: aggregate them, or keep what differs")
    values = np.zeros(there.shape)
    for row, group in enumerate(groups.tolist()):
        values[group] = np.where(vector.there[row], vector.values[row], values[group])
    return Vector(labels=labels, values=values, there=there > 0)
