"""How surprising distances are, for many rows at once: what `surprise` keeps in 920 bins, in 20, and only the far ones.

A distance that its row goes beyond about once in twenty samples is calm: it is counted and not recorded. Farther ones
are, in bins of a third in their natural logarithm, seven of them (a factor of a thousand) by row and kind. Read as in
`surprise`: conformal within, Pareto-tailed by Hill's estimate in the top hundredth, and beyond an atom (none at all, in
counts and constants) counted, with nothing said by how far the first one goes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aiops.core.detect.surprise import (
    ATOM_EDGE,
    HALF_LIFE_S,
    LEAST_ATOM,
    LEAST_BESIDE_ATOM,
    LEAST_SEEN,
    LEAST_TAIL,
    MOST,
    PRIOR_PEAKS,
    PRIOR_TAIL,
    TAIL_SHARE,
    TEACHES_MOST,
)
from aiops.core.model import F64, Bools, Instant, Rows
from aiops.core.protocols import Arrays

BINS, WIDTH = 20, 0.35
CALM_SHARE = 0.05
_TRACE = 1e-3
_LOWEST, _HIGHEST = -240, 240
"""Bins of the logarithm: distances from 1e-36 to 1e36."""

_UNBORN = -(2**15)
_FADES_S = 86_400.0
_PLACES = np.arange(BINS)
_MIDDLES = WIDTH * (_PLACES[:, None, None] + 0.5)
_ONE, _PLACES_SMALL = np.uint8(1), _PLACES[:, None, None].astype(np.uint8)
_FEW = 64
"""Of so few rows the calls cost, not the numbers: all bins at once. Sums are taken in the same order either way."""

_ROWS = ("weights", "total", "base", "calm")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Tails:
    """What m rows have shown until now, read for surprises. total, top, u, peaks, tail: float64[m, kinds].

    seen, beyond: float64[20, m, kinds], weights in bins, and from each bin on. base: log distance of the lowest bin.
    total: all samples. top: where the tail begins, u: its least distance, in logarithms. peaks: the weight beyond.
    tail: Hill's estimate.
    """

    seen: F64
    beyond: F64
    total: F64
    base: F64
    top: F64
    u: F64
    peaks: F64
    tail: F64

    def surprises(self, distances: F64) -> F64:
        """Return float64[m, kinds] in [0, 30], NaN where nothing is known."""
        with np.errstate(divide="ignore", invalid="ignore"):
            logs = np.log(distances)
            places = (logs - self.base) / WIDTH
        bins = np.clip(np.nan_to_num(places, neginf=-1.0, posinf=BINS), 0, BINS - 1).astype(np.intp)
        seen, beyond = (_at(one, bins) for one in (self.seen, self.beyond))
        within = np.clip(places - bins, 0.0, 1.0)
        bulk = np.where(places < 0, 1.0, (beyond - np.nan_to_num(within) * seen + 0.5) / (self.total + 1.0))
        strays = np.maximum(np.nan_to_num(logs, neginf=-1e3) - self.u, 0.0)
        far = (self.peaks + 1.0) / (self.total + 2.0) * np.exp(-strays / self.tail)
        p_values = np.where(logs > self.top, far, bulk)
        known = np.isfinite(distances) & (self.total >= LEAST_SEEN)
        return np.where(known, -np.log10(np.clip(p_values, 10.0**-MOST, 1.0)), np.nan)

    def reach(self, surprise: F64 | float) -> F64:
        """Return float64[m, kinds]: the distances that are so surprising, by the tail."""
        far = np.maximum(surprise * math.log(10.0) + np.log((self.peaks + 1.0) / (self.total + 2.0)), 0.0)
        logs = self.u + np.where(np.isfinite(self.tail), self.tail, 0.0) * far
        return np.where(self.beyond[0] > 0, np.exp(np.clip(logs, -80.0, 80.0)), 0.0)

    def capped(self, distances: F64) -> F64:
        """Return distances as they are to be learnt: none teaches more than one that comes once in a million."""
        young = (self.total < LEAST_SEEN) | np.isinf(self.tail)
        return np.where(young, distances, np.minimum(distances, self.reach(TEACHES_MOST)))


class Records:
    """Arrays over n rows, changed in place. weights: float32[n, kinds, 20]. total: float32[kinds, n], of all samples.

    base: int16[n, kinds], the lowest bin that is kept. calm: float32[kinds, n], up to here a distance is no news.
    """

    def __init__(self, rows: int, kinds: int) -> None:
        self.weights = np.zeros((rows, kinds, BINS), np.float32)
        self.total, self.calm = np.zeros((kinds, rows), np.float32), np.zeros((kinds, rows), np.float32)
        self.base = np.full((rows, kinds), _UNBORN, np.int16)
        self._faded_at = math.nan

    def tails(self, rows: Rows) -> Tails:
        """Return what some rows have shown until now."""
        # bins first: a pass over one bin of all rows is fast, one over twenty numbers at a time is not
        seen = np.ascontiguousarray(self.weights.take(rows, axis=0).transpose(2, 0, 1), np.float64)
        total = np.ascontiguousarray(self.total.take(rows, axis=1).T, np.float64)
        lowest = self.base.take(rows, axis=0)
        base = np.where(lowest == _UNBORN, 0, lowest) * WIDTH
        beyond, most = _from_each_on(seen), TAIL_SHARE * total
        first = np.maximum(_many(beyond >= most) - 1, 0)
        held = _at(seen, first)
        below = np.where(first > 0, _at(seen, np.maximum(first - 1, 0)), 0.0)
        # what was never recorded was calm: where that is nearly all, it is an atom below the first bin
        bare = beyond[0] < most
        atoms = (held > np.maximum(most, LEAST_ATOM)) & (below < ATOM_EDGE * held) & ~bare
        first = np.minimum(first + atoms, BINS - 1)
        peaks = _at(beyond, first)
        least, excess = _tail(seen, first)
        u = base + WIDTH * np.where(peaks > 0.5, least, first)
        excess += peaks * (base - u)
        tail = (excess + PRIOR_PEAKS * PRIOR_TAIL) / (peaks + PRIOR_PEAKS)
        tail = np.maximum(np.where(peaks > 0.5, tail, np.inf), np.where(atoms | bare, LEAST_BESIDE_ATOM, LEAST_TAIL))
        top = base + WIDTH * first
        return Tails(seen=seen, beyond=beyond, total=total, base=base, top=top, u=u, peaks=peaks, tail=tail)

    def pass_time(self, at: Instant) -> None:
        """Let what was recorded fade, once a day."""
        if not at - self._faded_at < _FADES_S:
            if math.isfinite(self._faded_at):
                keep = 0.5 ** ((at - self._faded_at) / HALF_LIFE_S)
                self.weights *= np.float32(keep)
                self.total *= np.float32(keep)
            self._faded_at = at

    def learn(self, rows: Rows, distances: F64) -> None:
        """Record distances[m, kinds] that are not calm; the samples of a row are counted in `total` by the caller."""
        news = np.isfinite(distances) & (distances > self.calm[:, rows].T)
        for kind in range(distances.shape[1]):
            there = news[:, kind]
            if there.any():
                self._record(rows[there], kind, distances[there, kind])

    def settle(self, rows: Rows, tails: Tails) -> None:
        """Find out anew what is calm in some rows, from what they have shown."""
        over = _many(tails.beyond > CALM_SHARE * tails.total)
        edges = np.exp(np.clip((self.base.take(rows, axis=0).astype(np.float64) + over) * WIDTH, -80.0, 80.0))
        for calm, found in zip(self.calm, np.where(over > 0, edges, 0.0).T, strict=True):
            calm[rows] = found

    def spacing(self, rows: Rows) -> F64:
        """Return how far apart values of some rows may lie without a gap: what is calm, or half a step of counts."""
        recorded, calm = self.weights[rows, 0] > _TRACE, self.calm[0, rows].astype(np.float64)
        least = np.exp(np.clip((self.base[rows, 0] + recorded.argmax(axis=1)) * WIDTH, -80.0, 80.0))
        return np.where(calm > 0, calm, np.where(recorded.any(axis=1), 0.5 * least, 0.0))

    def stretch(self, rows: Rows, by: F64, anew: Bools) -> None:
        """Let distances of some rows be so many times as large as they were; those that are `anew` have shown none."""
        born = self.base[rows] != _UNBORN
        moved = np.clip(self.base[rows] + np.round(np.log(by) / WIDTH)[:, None], _LOWEST, _HIGHEST)
        self.base[rows] = np.where(born, moved, _UNBORN).astype(np.int16)
        fresh = rows[anew]
        self.weights[fresh], self.base[fresh] = 0.0, _UNBORN
        self.total[:, fresh], self.calm[:, fresh] = 0.0, 0.0

    def take(self, rows: Rows) -> None:
        """Become the records of other rows; -1 starts afresh."""
        fresh, old = Records(len(rows), len(self.total)), rows >= 0
        fresh.weights[old], fresh.base[old] = self.weights[rows[old]], self.base[rows[old]]
        fresh.total[:, old], fresh.calm[:, old] = self.total[:, rows[old]], self.calm[:, rows[old]]
        fresh._faded_at = self._faded_at
        self.__dict__.update(fresh.__dict__)

    def arrays(self) -> Arrays:
        """Return the state for a checkpoint."""
        return {name: getattr(self, name) for name in _ROWS} | {"faded_at": np.array([self._faded_at])}

    def restore(self, arrays: Arrays) -> None:
        """Take the state of a checkpoint whose shapes were checked."""
        for name in _ROWS:
            setattr(self, name, np.array(arrays[name], getattr(self, name).dtype))
        self._faded_at = float(arrays["faded_at"][0])

    # -- inner ---------------------------------------------------------------------------------------

    def _record(self, rows: Rows, kind: int, distances: F64) -> None:
        bins = np.clip(np.floor(np.log(distances) / WIDTH), _LOWEST, _HIGHEST).astype(np.int16)
        base = self.base[rows, kind]
        base = np.where(base == _UNBORN, bins - BINS // 2, base)
        highest = BINS - 1 - np.argmax(self.weights[rows, kind, ::-1] > _TRACE, axis=1)
        wanted = np.clip(base, bins - (BINS - 1), np.maximum(bins, base + np.minimum(highest - (BINS - 1), 0)))
        bins = np.maximum(bins, wanted)
        moved = np.flatnonzero(wanted != base)
        if len(moved):
            self._shift(rows[moved], kind, (wanted - base)[moved])
        self.base[rows, kind] = wanted
        self.weights[rows, kind, bins - wanted] += np.float32(1.0)

    def _shift(self, rows: Rows, kind: int, by: Rows) -> None:
        """Move what some rows keep; what falls out below counts as calm from now on."""
        old = self.weights[rows, kind]
        places = _PLACES + by[:, None]
        new = np.take_along_axis(old, np.clip(places, 0, BINS - 1), 1) * ((places >= 0) & (places < BINS))
        self.weights[rows, kind] = new


def _at(bins: F64 | NDArray[np.uint8], places: Rows) -> F64:
    """Return of float64[20, m, kinds] one bin each."""
    each = places * places.size
    each += np.arange(places.size).reshape(places.shape)
    return np.asarray(bins.reshape(-1).take(each), np.float64)


def _many(there: Bools) -> Rows:
    """Return int[m, kinds], of bool[20, m, kinds] in how many bins."""
    return np.asarray(np.add.reduce(there.view(np.uint8), axis=0, dtype=np.uint8), np.intp)


def _from_each_on(numbers: F64) -> F64:
    """Return float64[20, m, kinds], the sum from each bin on, beginning with the highest."""
    if numbers.shape[1] <= _FEW:
        return np.asarray(np.add.accumulate(numbers[::-1], axis=0)[::-1])
    sums = numbers.copy()
    for place in range(BINS - 2, -1, -1):
        sums[place] += sums[place + 1]
    return sums


def _tail(seen: F64, first: Rows) -> tuple[Rows, F64]:
    """Return of the bins from `first` on the lowest that holds anything, and their weighted middles, summed."""
    # of bins that hold nothing: more than any place
    lowest = (seen > _TRACE).view(np.uint8) - _ONE | _PLACES_SMALL
    for place in range(BINS - 2, -1, -1):
        np.minimum(lowest[place], lowest[place + 1], out=lowest[place])
    least = _at(lowest, first).astype(np.intp)
    # what lies below `first` is added last: up to there it is the sum from `first` on
    return np.where(least < BINS, least, first), _at(_from_each_on(seen * _MIDDLES), first)
