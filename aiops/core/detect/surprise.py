"""How surprising a distance is, given every distance that a row has shown before: -log10 of its p-value.

Within what was seen the p-value is the share of distances at least as large (conformal: Vovk, Gammerman and Shafer,
"Algorithmic Learning in a Random World", 2005). The largest hundredth is taken as Pareto-tailed, P(d > x) =
P(d > u) (x / u)^(-1/g), with g the mean of log(d / u) (Hill, "A simple general approach to inference about the tail of
a distribution", 1975), drawn to a light tail while there are few: a record is the more surprising the farther it goes
beyond the last, and much less so in a row whose records have always gone far. Where one distance, such as none at all,
is as frequent as a tail (counts, constants, zeros), the tail begins beyond it: what lies there is counted, and how far
the first one goes says nothing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from aiops.core.model import F64, Rows
from aiops.core.protocols import Arrays

TAIL_SHARE = 0.01
PRIOR_PEAKS, PRIOR_TAIL, LEAST_TAIL, LEAST_BESIDE_ATOM = 5.0, 0.15, 0.05, 0.3
"""Tails are drawn to the second by so much evidence, and never lighter than the third, or the fourth beside an atom."""

LEAST_ATOM, ATOM_EDGE = 2.5, 0.1
"""A bin that alone holds the tail's share, and so many, and much more than the one below, is an atom."""

TEACHES_MOST, LEAST_SEEN = 6.0, 50.0
"""Beyond this surprise a distance is no news of the tail, once so many were seen."""

MOST = 30.0
"""No surprise is greater than this."""

LOW, WIDTH, BINS = -46.0, 0.1, 920
"""Distances from 1e-20 to 1e20 in bins of a tenth in their natural logarithm."""

HALF_LIFE_S = 56 * 86_400.0
"""How long a row remembers what was surprising."""

_TRACE = 1e-3
_LEAST, _MOST = math.exp(LOW), math.exp(-LOW)
_EDGES = LOW + WIDTH * np.arange(BINS)
_CENTRES = _EDGES + 0.5 * WIDTH


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Record:
    """What a row has shown of each kind. seen, beyond: float64[kinds, 920], weights in bins, and from each bin on.

    top: where the tail begins, in logarithms. u: its least distance. peaks: the weight beyond. tail: Hill's estimate.
    """

    seen: F64
    beyond: F64
    top: F64
    u: F64
    peaks: F64
    tail: F64

    def surprises(self, distances: F64) -> F64:
        """Return float64[kinds] in [0, 30], NaN where nothing is known."""
        total, kinds = self.beyond[:, 0], np.arange(len(self.u))
        logs, bins = _logs(distances)
        within = (logs - _EDGES[bins]) / WIDTH
        p_values = (self.beyond[kinds, bins] - within * self.seen[kinds, bins] + 0.5) / (total + 1.0)
        far = (self.peaks + 1.0) / (total + 2.0) * np.exp(-np.maximum(logs - self.u, 0.0) / self.tail)
        p_values = np.where(logs > self.top, far, p_values)
        # a kind that has only begun, as a season's first return, says nothing yet beside those that are known
        known = np.isfinite(distances) & (total > 0) & (total >= np.minimum(LEAST_SEEN, 0.5 * total.max()))
        return np.where(known, -np.log10(np.minimum(np.maximum(p_values, 10.0**-MOST), 1.0)), np.nan)

    def reach(self, surprise: float) -> F64:
        """Return float64[kinds]: the distances that are so surprising, by the tail; where it begins if that is all."""
        total = self.beyond[:, 0]
        far = np.maximum(surprise * math.log(10.0) + np.log((self.peaks + 1.0) / (total + 2.0)), 0.0)
        logs = np.minimum(self.u + np.where(np.isfinite(self.tail), self.tail, 0.0) * far, -LOW)
        return np.where(total > 0, np.exp(logs), 0.0)

    def capped(self, distances: F64) -> F64:
        """Return distances as they are to be learnt: none teaches more than one that comes once in a million."""
        young = (self.beyond[:, 0] < LEAST_SEEN) | np.isinf(self.tail)
        return np.where(young, distances, np.minimum(distances, self.reach(TEACHES_MOST)))


class Surprise:
    """Histograms of log distances of n rows and some kinds: float64[n, kinds, 920] of weights, changed in place."""

    def __init__(self, rows: int, kinds: int) -> None:
        self._kinds = np.arange(kinds)
        self._seen = np.zeros((rows, kinds, BINS))

    def record(self, row: int) -> Record:
        """Return what a row has shown until now."""
        seen, kinds = self._seen[row], self._kinds
        beyond = np.cumsum(seen[:, ::-1], axis=1)[:, ::-1]
        most = TAIL_SHARE * beyond[:, 0]
        first = np.maximum((beyond >= most[:, None]).sum(axis=1) - 1, 0)
        held, below = seen[kinds, first], np.where(first > 0, seen[kinds, first - 1], 0.0)
        atoms = (held > np.maximum(most, LEAST_ATOM)) & (below < ATOM_EDGE * held)
        first = np.minimum(first + atoms, BINS - 1)
        tops, peaks = _EDGES[first], beyond[kinds, first]
        u, tail = tops.copy(), np.empty(len(tops))
        for kind, (begin, weight) in enumerate(zip(first.tolist(), peaks.tolist(), strict=True)):
            u[kind], tail[kind] = _tail(seen[kind, begin:], begin, weight)
        # counts go in coarse steps: one more than ever is no proof of a light tail
        tail = np.maximum(tail, np.where(atoms, LEAST_BESIDE_ATOM, LEAST_TAIL))
        return Record(seen=seen, beyond=beyond, top=tops, u=u, peaks=peaks, tail=tail)

    def learn(self, row: int, distances: F64, passed_s: float) -> None:
        """Learn distances (NaN is none) that were seen `passed_s` after the last."""
        self._seen[row] *= 0.5 ** (passed_s / HALF_LIFE_S)
        there = np.isfinite(distances)
        _, bins = _logs(distances)
        self._seen[row, self._kinds[there], bins[there]] += 1.0

    def stretch(self, row: int, by: float) -> None:
        """Let distances of a row be so many times as large as they were; none stays none."""
        seen, bins = self._seen[row], round(math.log(by) / WIDTH)
        if bins <= 0:
            return
        moved = np.zeros_like(seen)
        moved[:, 1 + bins :] = seen[:, 1:-bins]
        moved[:, -1] += seen[:, -bins:].sum(axis=1)
        moved[:, 0] += seen[:, 0]
        seen[:] = moved

    def forget(self, row: int) -> None:
        """Let a row have shown nothing."""
        self._seen[row] = 0.0

    def take(self, rows: Rows) -> None:
        """Become the histograms of other rows; -1 starts afresh."""
        fresh = np.zeros((len(rows), *self._seen.shape[1:]))
        fresh[rows >= 0] = self._seen[rows[rows >= 0]]
        self._seen = fresh

    def arrays(self) -> Arrays:
        """Return the state for a checkpoint."""
        return {"seen": self._seen}

    def restore(self, arrays: Arrays) -> None:
        """Take the state of a checkpoint; raise ValueError when it does not fit."""
        if "seen" not in arrays or arrays["seen"].shape != self._seen.shape:
            raise ValueError(f"the checkpoint's seen does not fit {self._seen.shape}")
        self._seen = np.array(arrays["seen"], np.float64)


def _tail(seen: F64, begin: int, peaks: float) -> tuple[float, float]:
    """Return the least log distance from a bin on, and Hill's estimate of the tail; none where nothing lies there."""
    if peaks < 0.5:
        return float(_EDGES[begin]), math.inf
    least = float(_EDGES[begin + int(np.argmax(seen > _TRACE))])
    excess = float(seen @ _CENTRES[begin:]) - peaks * least + PRIOR_PEAKS * PRIOR_TAIL
    return least, excess / (peaks + PRIOR_PEAKS)


def _logs(distances: F64) -> tuple[F64, Rows]:
    """Return log distances within what the bins reach, and the bin of each; NaN lies in the first."""
    logs = np.log(np.minimum(np.fmax(distances, _LEAST), _MOST))
    return logs, np.minimum(((logs - LOW) / WIDTH).astype(np.intp), BINS - 1)
