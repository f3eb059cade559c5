"""ADWIN for many rows at once: windows of numbers in [0, 1], for as long as their older and newer part have one mean.

Bifet and Gavalda, "Learning from time-changing data with adaptive windowing", SIAM Data Mining 2007: numbers are kept
as sums of 1, 2, 4, ... of them, five sums of each size; where some place parts the window into two whose means differ
by more than chance explains (with probability `delta` at each look), what is older is forgotten.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from aiops.core.model import F64, Bools, Rows
from aiops.core.protocols import Arrays

KEPT, LEVELS = 5, 7
"""Sums of one size, and sizes: 635 numbers, which are two weeks of half-hours."""

LEAST_PART = 5
_SLOTS = KEPT + 1
_SIZES = np.repeat(2.0 ** np.arange(LEVELS - 1, -1, -1), _SLOTS)

F32 = NDArray[np.float32]


class Windows:
    """Arrays over n rows, changed in place. sums, squares: float32[n, 7, 6], by size, the oldest first.

    held: uint8[n, 7], how many sums there are of each size.
    """

    def __init__(self, rows: int) -> None:
        self.sums, self.squares = (np.zeros((rows, LEVELS, _SLOTS), np.float32) for _ in range(2))
        self.held = np.zeros((rows, LEVELS), np.uint8)

    def add(self, rows: Rows, numbers: F64, delta: F64) -> Bools:
        """Add a number to the windows of some rows; return which of these were cut. numbers, delta: float64[m]."""
        self._push(rows, 0, numbers, numbers * numbers)
        for level in range(LEVELS):
            full = rows[self.held[rows, level] > KEPT]
            if not len(full):
                break
            self._merge(full, level)
        return self._cut(rows, delta)

    def means(self, rows: Rows) -> tuple[F64, F64]:
        """Return the mean of the windows of some rows, and how many numbers each has."""
        sizes, sums, _ = self._flat(rows)
        count = sizes.sum(axis=1)
        return sums.sum(axis=1) / np.maximum(count, 1.0), count

    # -- inner ---------------------------------------------------------------------------------------

    def _push(self, rows: Rows, level: int, sums: F64, squares: F64) -> None:
        place = self.held[rows, level].astype(np.intp)
        self.sums[rows, level, place], self.squares[rows, level, place] = sums, squares
        self.held[rows, level] += 1

    def _merge(self, rows: Rows, level: int) -> None:
        both = [one[rows, level, :2].astype(np.float64).sum(axis=1) for one in (self.sums, self.squares)]
        self._drop(rows, level, 2)
        if level + 1 < LEVELS:
            self._push(rows, level + 1, *both)

    def _drop(self, rows: Rows, level: int, many: int) -> None:
        for one in (self.sums, self.squares):
            kept = np.zeros((len(rows), _SLOTS), np.float32)
            kept[:, : _SLOTS - many] = one[rows, level, many:]
            one[rows, level] = kept
        self.held[rows, level] -= np.uint8(many)

    def _flat(self, rows: Rows) -> tuple[F64, F64, F64]:
        """Return sizes, sums and sums of squares of some rows, oldest first; size 0 is none."""
        there = np.arange(_SLOTS) < self.held[rows][:, ::-1, None]
        shape = (len(rows), LEVELS * _SLOTS)
        sums, squares = (one[rows][:, ::-1].astype(np.float64).reshape(shape) for one in (self.sums, self.squares))
        return np.where(there.reshape(shape), _SIZES, 0.0), sums, squares

    def _cut(self, rows: Rows, delta: F64) -> Bools:
        cut = np.zeros(len(rows), np.bool_)
        places = np.arange(len(rows))
        while len(places):
            places = places[self._parted(rows[places], delta[places])]
            cut[places] = True
            if len(places):
                self._forget_oldest(rows[places])
        return cut

    def _parted(self, rows: Rows, delta: F64) -> Bools:
        """Return which windows have two parts that differ by more than chance explains (theorem 3.2)."""
        sizes, sums, squares = self._flat(rows)
        count, total = sizes.sum(axis=1)[:, None], sums.sum(axis=1)[:, None]
        older, older_sum = np.cumsum(sizes, axis=1), np.cumsum(sums, axis=1)
        newer = count - older
        enough = (older >= LEAST_PART) & (newer >= LEAST_PART) & (sizes > 0)
        width = np.maximum(count, 2.0)
        variance = np.maximum(squares.sum(axis=1)[:, None] / width - (total / width) ** 2, 0.0)
        with np.errstate(divide="ignore", invalid="ignore"):
            apart = np.abs(older_sum / older - (total - older_sum) / newer)
            often = np.log(2.0 * np.log(np.maximum(width, 3.0)) / delta[:, None])
            reciprocal = 1.0 / (older - LEAST_PART + 1.0) + 1.0 / (newer - LEAST_PART + 1.0)
            bound = np.sqrt(2.0 * reciprocal * variance * often) + 2.0 / 3.0 * reciprocal * often
        return np.asarray((enough & (apart > bound)).any(axis=1), np.bool_)

    def _forget_oldest(self, rows: Rows) -> None:
        oldest = LEVELS - 1 - np.argmax(self.held[rows][:, ::-1] > 0, axis=1)
        for level in np.unique(oldest).tolist():
            self._drop(rows[oldest == level], int(level), 1)

    # -- following rows ------------------------------------------------------------------------------

    def take(self, rows: Rows) -> None:
        """Become the windows of other rows; -1 starts afresh."""
        fresh, old = Windows(len(rows)), rows >= 0
        for name in ("sums", "squares", "held"):
            getattr(fresh, name)[old] = getattr(self, name)[rows[old]]
        self.__dict__.update(fresh.__dict__)

    def clear(self, rows: Rows) -> None:
        """Forget everything of some rows."""
        for one in (self.sums, self.squares, self.held):
            one[rows] = 0

    def arrays(self) -> Arrays:
        """Return the state for a checkpoint."""
        return {"sums": self.sums, "squares": self.squares, "held": self.held}

    def restore(self, arrays: Arrays) -> None:
        """Take the state of a checkpoint whose shapes were checked."""
        for name in ("sums", "squares", "held"):
            setattr(self, name, np.array(arrays[name], getattr(self, name).dtype))
