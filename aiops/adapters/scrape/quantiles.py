"""histogram_quantile over classic buckets (promql/quantile.go)."""

from __future__ import annotations

import numpy as np

from aiops.adapters.scrape.matching import Labels
from aiops.adapters.scrape.vectors import NAME, Flags, Scalar, Vector, grouped, left_out
from aiops.core.model import F64

BUCKET = "le"


def histogram_quantile(wanted: Scalar, vector: Vector) -> Vector:
    """Return the quantile of each histogram, interpolated within its bucket; series without a bound are no buckets."""
    bounds = [_bound(one) for one in vector.labels]
    rows = [row for row, bound in enumerate(bounds) if bound is not None]
    labels, groups = grouped([left_out(vector.labels[row], (NAME, BUCKET)) for row in rows])
    values = np.full((len(labels), vector.values.shape[1]), np.nan)
    there = np.zeros(values.shape, np.bool_)
    for group in range(len(labels)):
        mine = [row for row, other in zip(rows, groups.tolist(), strict=True) if other == group]
        mine.sort(key=lambda row: bounds[row] or 0.0)
        edges = np.array([bounds[row] for row in mine], np.float64)
        there[group] = vector.there[mine].any(axis=0)
        _fill(values[group], wanted.values, (edges, vector.values[mine], vector.there[mine]))
    return Vector(labels=labels, values=values, there=there)


def _bound(labels: Labels) -> float | None:
    text = next((value for name, value in labels if name == BUCKET), None)
    try:
        return None if text is None else float(text)
    except ValueError:
        return None


def _fill(out: F64, wanted: F64, buckets: tuple[F64, F64, Flags]) -> None:
    """Write the quantile at each instant; instants at which the same buckets are there go together."""
    edges, counts, there = buckets
    patterns, which = np.unique(there, axis=1, return_inverse=True)
    for number in range(patterns.shape[1]):
        rows, columns = np.flatnonzero(patterns[:, number]), np.flatnonzero(which.reshape(-1) == number)
        if len(rows):
            with np.errstate(all="ignore"):
                out[columns] = _quantiles(wanted[columns], edges[rows], counts[np.ix_(rows, columns)])


def _quantiles(wanted: F64, edges: F64, counts: F64) -> F64:
    """Return the quantiles of one histogram. edges: sorted, float64[b]; counts: cumulative, float64[b, t]."""
    edges, counts = _coalesced(edges, counts)
    counts = _rising(counts)
    made = np.full(len(wanted), np.nan)
    if len(edges) >= 2 and np.isposinf(edges[-1]):
        made = _interpolated(wanted, edges, counts)
    made = np.where(wanted < 0, -np.inf, np.where(wanted > 1, np.inf, made))
    return np.where(np.isnan(wanted), np.nan, made)


def _interpolated(wanted: F64, edges: F64, counts: F64) -> F64:
    total = counts[-1]
    rank = wanted * total
    place = np.argmax(np.vstack((counts[:-1] >= rank, np.ones(len(rank), np.bool_))), axis=0)
    last = len(edges) - 1
    columns = np.arange(len(rank))
    before = np.maximum(place - 1, 0)
    begins = np.where(place > 0, edges[before], 0.0)
    below = np.where(place > 0, counts[before, columns], 0.0)
    share = (rank - below) / (counts[place, columns] - below)
    made = begins + (edges[place] - begins) * share
    made = np.where((place == 0) & (edges[0] <= 0), edges[0], made)
    made = np.where(place == last, edges[last - 1], made)
    return np.where(total == 0, np.nan, made)


def _coalesced(edges: F64, counts: F64) -> tuple[F64, F64]:
    """Add up buckets of the same bound."""
    distinct, places = np.unique(edges, return_inverse=True)
    if len(distinct) == len(edges):
        return edges, counts
    added = np.zeros((len(distinct), counts.shape[1]))
    np.add.at(added, places, counts)
    return distinct, added


def _rising(counts: F64) -> F64:
    """Return counts that never fall: scrapes and rates of buckets are not of one instant."""
    return np.fmax.accumulate(counts, axis=0)
