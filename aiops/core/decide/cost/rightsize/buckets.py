"""Decaying histograms over many containers at once, as the VerticalPodAutoscaler keeps one for each.

A row is a container, a column is a bucket; each bucket is wider than the one before by the same ratio, so that a
quantile is never more than that ratio too high, and never too low: the end of its bucket is told.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from aiops.core.model import F64, Rows

GROWTH = 1.05
"""As in the VerticalPodAutoscaler: a bucket is 5 % wider than the one before."""

FORGOTTEN = 1e-4
"""A bucket with less than this share of a row's weight is as good as empty."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Buckets:
    """Bucket 0 ends at `first`, bucket n at first * GROWTH ** n; the last one holds all that is more."""

    first: float
    count: int

    def of(self, values: F64) -> Rows:
        """Return the bucket of each value.

        >>> Buckets(first=0.001, count=10).of(np.array([0.0, 0.001, 0.00105, 9.0])).tolist()
        [0, 0, 1, 9]
        """
        places = np.ceil(np.log(np.maximum(values, self.first) / self.first) / math.log(GROWTH) - 1e-9)
        return np.clip(places, 0, self.count - 1).astype(np.intp)

    @property
    def ends(self) -> F64:
        """Return the end of each bucket."""
        return np.asarray(self.first * GROWTH ** np.arange(self.count), np.float64)


CORES = Buckets(first=0.001, count=284)
"""From a thousandth of a core to a thousand cores."""


def added(weights: F64, rows: Rows, values: F64, shares: F64) -> F64:
    """Return weights float64[n, buckets] with samples: `values[i]` seen in row `rows[i]`, weighing `shares[i]`."""
    after = weights.copy()
    np.add.at(after, (rows, CORES.of(values)), shares)
    return after


def decayed(weights: F64, age_s: F64, half_life_s: float) -> F64:
    """Return weights float64[n, buckets] as they are `age_s` float64[n] later."""
    return np.asarray(weights * 0.5 ** (np.maximum(age_s, 0.0) / half_life_s)[:, None], np.float64)


def quantile(weights: F64, share: float) -> F64:
    """Return float64[n]: the end of the bucket at which a row's weights reach `share` of their sum, 0 of nothing."""
    reached = np.cumsum(weights, axis=1)
    total = reached[:, -1]
    place = np.argmax(reached >= (share * total * (1.0 - 1e-12))[:, None], axis=1)
    return np.where(total > 0.0, CORES.ends[place], 0.0)
