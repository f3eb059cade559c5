"""How long a sort of work takes, of which some runs were seen: what the next one may take."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from aiops.core.model import F64

QUANTILE = 0.95
LEAST_SPREAD = 0.1
"""Runs that were all alike are no promise: their lengths are taken to stray by a tenth at least."""

UNSEEN_SPREAD = 0.3
"""By so much lengths are taken to stray of which fewer than `ENOUGH` were seen."""

ENOUGH = 3
_Z = 1.6448536269514722
_ERF = (0.254829592, -0.284496736, 1.421413741, -1.453152027, 1.061405429)
"""Abramowitz and Stegun, 7.1.26: out by 1.5e-7 at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Length:
    """Lengths are lognormal: center and spread of their logarithm, as so many degrees of freedom tell them.

    most_s: what the next run takes at most, 19 times of 20; usual_s: half of the times.
    """

    usual_s: float
    most_s: float
    center: float
    spread: float
    freedom: float

    def beyond(self, seconds: F64) -> F64:
        """Return float64[n]: the chance that the next run takes longer, by Student's t around what was seen."""
        known = np.log(np.maximum(seconds, 1e-3))
        t = (known - self.center) / self.spread
        df = self.freedom
        if math.isinf(df):
            z = t
        else:  # Wallace (1959): a normal deviate of the same chance
            z = np.sign(t) * np.sqrt(df * np.log1p(t * t / df)) * (8.0 * df + 1.0) / (8.0 * df + 3.0)
        return np.where(seconds <= 0.0, 1.0, _upper(z))


def unseen(most_s: float) -> Length:
    """Return what is taken of work of which no run was seen: that it takes so long at most, 19 times of 20.

    >>> unseen(1800.0).most_s
    1800.0
    """
    center = math.log(most_s) - _Z * UNSEEN_SPREAD
    return Length(usual_s=most_s, most_s=most_s, center=center, spread=UNSEEN_SPREAD, freedom=math.inf)


def seen(took: Sequence[float]) -> Length:
    """Return what the lengths of runs, one at least, tell of the next one.

    What it takes at most is the bound that a new one of a lognormal sample stays below, as long as that is no more
    than twice the longest; of fewer than `ENOUGH` it is the longest of them.
    """
    ordered = sorted(max(one, 1.0) for one in took)
    logs, count = [math.log(one) for one in ordered], len(ordered)
    center = math.fsum(logs) / count
    usual_s, longest_s = ordered[count // 2], ordered[-1]
    if count < ENOUGH:
        return Length(usual_s=usual_s, most_s=longest_s, center=center, spread=UNSEEN_SPREAD, freedom=math.inf)
    freedom = count - 1
    strays = math.sqrt(math.fsum((one - center) ** 2 for one in logs) / freedom)
    spread = max(strays, LEAST_SPREAD) * math.sqrt(1.0 + 1.0 / count)
    bound_s = math.exp(center + _t95(freedom) * strays * math.sqrt(1.0 + 1.0 / count))
    ranked_s = ordered[math.ceil(QUANTILE * count) - 1]
    most_s = max(ranked_s, min(bound_s, 2.0 * longest_s))
    return Length(usual_s=usual_s, most_s=most_s, center=center, spread=spread, freedom=float(freedom))


def _t95(freedom: int) -> float:
    """Return Student's one-sided 95 % quantile, by Wallace's formula: out by 2 % at two degrees of freedom.

    >>> round(_t95(2), 2), round(_t95(9), 2), round(_t95(19), 2)
    (2.97, 1.83, 1.73)
    """
    z = _Z * (8.0 * freedom + 3.0) / (8.0 * freedom + 1.0)
    return math.sqrt(freedom * math.expm1(z * z / freedom))


def _upper(z: F64) -> F64:
    """Return the chance that a normal deviate is above."""
    x = np.abs(z) / math.sqrt(2.0)
    t = 1.0 / (1.0 + 0.3275911 * x)
    a, b, c, d, e = _ERF
    tail = 0.5 * t * (a + t * (b + t * (c + t * (d + t * e)))) * np.exp(-x * x)
    return np.asarray(np.where(z >= 0.0, tail, 1.0 - tail), np.float64)
