"""How far apart two distributions are that are known as histograms: of a model's inputs or predictions, say.

A histogram is what Prometheus has: counts up to bounds (`le`), cumulative, the last of them +Inf.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from aiops.core.model import F64

LEAST_COUNT = 0.5
"""Added to each bucket, as much as half an observation (Jeffreys' prior): none makes no infinite distance."""


def counts(cumulative: Sequence[float] | F64) -> F64:
    """Return how many lie in each bucket; cumulative: float64[b], where rates that were rounded may fall a little.

    >>> counts([1.0, 4.0, 4.0, 10.0]).tolist()
    [1.0, 3.0, 0.0, 6.0]
    """
    rising = np.maximum.accumulate(np.asarray(cumulative, np.float64))
    return np.asarray(np.maximum(np.diff(rising, prepend=0.0), 0.0))


def shares(bucket: Sequence[float] | F64) -> F64:
    """Return the share of each bucket of counts, none of them 0; float64[b]."""
    filled = np.asarray(bucket, np.float64) + LEAST_COUNT
    return np.asarray(filled / filled.sum())


def psi(seen: Sequence[float] | F64, reference: Sequence[float] | F64) -> float:
    """Return the population stability index of two histograms of counts: the sum of (p - q) ln(p / q).

    That is Jeffreys' divergence ("An invariant form for the prior probability in estimation problems", 1946); as PSI it
    is known from credit scoring (Siddiqi, "Credit Risk Scorecards", 2006: below 0.1 stable, above 0.25 another
    population). Buckets are smoothed as in `shares`.

    >>> round(psi([10.0, 10.0], [10.0, 10.0]), 3), round(psi([20.0, 80.0], [50.0, 50.0]), 2)
    (0.0, 0.41)
    """
    p, q = shares(seen), shares(reference)
    return float(((p - q) * np.log(p / q)).sum())


def psi_by_chance(seen: float, reference: float, buckets: int) -> float:
    """Return the index that two samples of one population have by chance alone, as a mean; seen, reference: sizes.

    (1/n + 1/m)(b - 1), as the index is about chi-squared (Yurdakul, "Statistical properties of population stability
    index", 2018).

    >>> psi_by_chance(1000.0, 1000.0, 11)
    0.02
    """
    return (1.0 / max(seen, 1.0) + 1.0 / max(reference, 1.0)) * (buckets - 1)


def ks(seen: Sequence[float] | F64, reference: Sequence[float] | F64) -> float:
    """Return Kolmogorov and Smirnov's distance of two histograms of counts, over the bounds of buckets.

    Within a bucket it may be larger: what is known by buckets alone is a lower bound of it.

    >>> ks([10.0, 0.0], [5.0, 5.0])
    0.5
    """
    first, second = np.asarray(seen, np.float64), np.asarray(reference, np.float64)
    if not (first.sum() > 0 and second.sum() > 0):
        return math.nan
    return float(np.abs(np.cumsum(first) / first.sum() - np.cumsum(second) / second.sum()).max())


def ks_p_value(distance: float, seen: float, reference: float) -> float:
    """Return how likely so great a distance is of two samples of one population; seen, reference: their sizes.

    Kolmogorov's limit, 2 sum (-1)^(k-1) exp(-2 k^2 l^2) of l = (s + 0.12 + 0.11 / s) d with s^2 = n m / (n + m)
    (Stephens, "Use of the Kolmogorov-Smirnov, Cramer-von Mises and related statistics without extensive tables", 1970).

    >>> round(ks_p_value(0.1, 200.0, 200.0), 2), ks_p_value(0.0, 10.0, 10.0)
    (0.26, 1.0)
    """
    if not (seen > 0 and reference > 0 and distance > 0):
        return 1.0
    root = math.sqrt(seen * reference / (seen + reference))
    far = (root + 0.12 + 0.11 / root) * distance
    if far < 0.2:  # the sum is 1 to thirteen digits there, and converges slowly
        return 1.0
    total = sum((-1.0) ** (k - 1) * math.exp(-2.0 * k * k * far * far) for k in range(1, 101))
    return min(max(2.0 * total, 0.0), 1.0)
