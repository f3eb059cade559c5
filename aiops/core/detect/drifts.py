"""Drift: what a detector has learnt of a row fits it no more, though no sample need be odd.

Followed are the size of its errors (how far samples lie from what was expected, in shares of what is usual) and how
many samples lie out of the usual range: their means over a 48th of a season, by ADWIN (`windows`). What ADWIN sees
first is small; so what comes after it has seen that is compared with what was before, and only what grew is drift.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from aiops.core.detect.blocks import BINS
from aiops.core.detect.standing import Standing
from aiops.core.detect.windows import Windows
from aiops.core.model import F64, Bools, Instant, Rows
from aiops.core.protocols import Arrays, Scores

MOST_TIMES = 4.0
"""Errors beyond so many times the usual count as that."""

USUAL_OF = 7.0 * BINS
LEAST_SEEN = 24.0
CONFIRMED_BY = 6.0
"""Blocks after a cut that are compared with what was before."""

GREW, WIDENED = 1.5, 0.1
"""What drift is: errors so many times as large, or so much more of the samples out of the usual range."""

STANDS = float(BINS)
"""Blocks after which drift is over: the new way has been learnt by then, or it is found again."""

TESTS = 2.0 * BINS
"""Looks in a season: two a block."""

_ROWS = ("sums", "usual", "seen", "before", "after", "since", "left")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Drifted:
    """What is so of all rows. since: float64[n], when drift was seen first, NaN where there is none.

    errors, before: float64[2, n], mean error (in units of the row) and share of samples out of the usual range, since
    then and before.
    """

    since: F64
    errors: F64
    before: F64


class DriftWatch:
    """Arrays over n rows. sums: float64[3, n], errors, samples out of range and samples of the block that goes on.

    usual: float32[n], the mean error of about a week. seen: float32[n], blocks. before, after: float32[2, n] and
    float32[3, n], means at a cut, and sums and count of the blocks since. left: float32[n], blocks until it is over.
    """

    def __init__(self, rows: int, season_s: float) -> None:
        self.block_s, self.number = season_s / BINS, np.nan
        self.sums = np.zeros((3, rows))
        self.usual, self.seen = np.zeros(rows, np.float32), np.zeros(rows, np.float32)
        self.before, self.after = np.zeros((2, rows), np.float32), np.zeros((3, rows), np.float32)
        self.since, self.left = np.full(rows, np.nan), np.zeros(rows, np.float32)
        self.errors, self.outside, self.standing = Windows(rows), Windows(rows), Standing(rows)

    def look(self, at: Instant, values: F64, taken: Bools, scores: Scores, delta: F64) -> Drifted:
        """Take in what was said of values and return what has drifted. delta: float64[n], false alarms by look."""
        number = at // self.block_s
        if number != self.number:
            if np.isfinite(self.number):
                self._judge(at, delta)
                # a series that has no value any more drifts no longer either; one that cannot be read is as it was
                gone = taken & ~np.isfinite(values) & (self.sums[2] == 0)
                self.left[gone] = np.maximum(self.left[gone] - 1.0, 0.0)
            self.sums[:] = 0.0
            self.number = number
        with np.errstate(invalid="ignore", over="ignore"):
            error = np.minimum(np.abs(values - scores.expected), 1e30)
            known = taken & np.isfinite(error) & scores.learned
            out = (values < scores.lower) | (values > scores.upper)
        self.sums[0] += np.where(known, error, 0.0)
        self.sums[1] += known & out
        self.sums[2] += known
        return self._standing()

    # -- inner ---------------------------------------------------------------------------------------

    def _standing(self) -> Drifted:
        there = self.left > 0
        count = np.maximum(self.after[2].astype(np.float64), 1.0)
        return Drifted(
            since=np.where(there, self.since, np.nan),
            errors=self.after[:2].astype(np.float64) / count,
            before=self.before.astype(np.float64),
        )

    def _judge(self, at: Instant, delta: F64) -> None:
        rows = np.flatnonzero(self.sums[2] > 0)
        error, outside = self.sums[0, rows] / self.sums[2, rows], self.sums[1, rows] / self.sums[2, rows]
        self.left[rows] = np.maximum(self.left[rows] - 1.0, 0.0)
        following = rows[self.after[2, rows] > 0]
        self._confirm(following, np.isin(rows, following), error, outside)
        old = (self.seen[rows] >= LEAST_SEEN) & (self.usual[rows] > 0)
        known, usual = rows[old], self.usual[rows[old]].astype(np.float64)
        shares = np.clip(error[old] / usual, 0.0, MOST_TIMES) / MOST_TIMES
        worse, _ = self.errors.means(known)
        wider, _ = self.outside.means(known)
        cut = self.errors.add(known, shares, delta[known]) | self.outside.add(known, outside[old], delta[known])
        cut &= self.after[2, known] == 0
        begun = known[cut]
        self.before[0, begun], self.before[1, begun] = worse[cut] * MOST_TIMES * usual[cut], wider[cut]
        self.after[0, begun], self.after[1, begun] = error[old][cut], outside[old][cut]
        self.after[2, begun] = 1.0
        self.since[begun] = np.where(self.left[begun] > 0, self.since[begun], at)
        for one in (self.errors, self.outside):
            one.clear(begun)
        self.seen[rows] += 1.0
        before = self.usual[rows].astype(np.float64)
        clipped = np.where(self.seen[rows] > LEAST_SEEN, np.minimum(error, MOST_TIMES * before), error)
        self.usual[rows] = before + (clipped - before) / np.minimum(self.seen[rows], USUAL_OF)

    def _confirm(self, following: Rows, these: Bools, error: F64, outside: F64) -> None:
        """Follow the blocks after cuts; where there are enough, say whether what was cut has grown."""
        if not len(following):
            return
        self.after[0, following] += error[these].astype(np.float32)
        self.after[1, following] += outside[these].astype(np.float32)
        self.after[2, following] += 1.0
        due = following[self.after[2, following] == CONFIRMED_BY]
        grew = self.after[0, due] / CONFIRMED_BY >= GREW * self.before[0, due]
        grew |= self.after[1, due] / CONFIRMED_BY >= WIDENED + self.before[1, due]
        self.left[due[grew]] = STANDS
        over = following[(self.after[2, following] >= CONFIRMED_BY) & (self.left[following] <= 0)]
        self.after[:, over] = 0.0

    # -- following rows ------------------------------------------------------------------------------

    def take(self, rows: Rows) -> None:
        """Become other rows; -1 starts afresh."""
        fresh, old = DriftWatch(len(rows), self.block_s * BINS), rows >= 0
        for name in _ROWS:
            getattr(fresh, name)[..., old] = getattr(self, name)[..., rows[old]]
        for name, part in self._parts().items():
            part.take(rows)
            setattr(fresh, name, part)
        fresh.number = self.number
        self.__dict__.update(fresh.__dict__)

    def _parts(self) -> dict[str, Windows | Standing]:
        return {"errors": self.errors, "outside": self.outside, "standing": self.standing}

    def arrays(self) -> Arrays:
        """Return the state for a checkpoint."""
        nested = {f"{name}/{key}": one for name, part in self._parts().items() for key, one in part.arrays().items()}
        return {name: getattr(self, name) for name in _ROWS} | nested | {"number": np.array([self.number])}

    def restore(self, arrays: Arrays) -> None:
        """Take the state of a checkpoint whose shapes were checked."""
        for name in _ROWS:
            setattr(self, name, np.array(arrays[name], getattr(self, name).dtype))
        for name, part in self._parts().items():
            part.restore({key: arrays[f"{name}/{key}"] for key in part.arrays()})
        self.number = float(arrays["number"][0])
