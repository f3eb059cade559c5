"""Where samples of rows are calm and where their band lies, kept from tick to tick: in a calm tick few of them move.

What is here follows from the rows' cover, envelopes and records, is in no checkpoint, and is the same whether it was
kept or is made anew. Rows go through it a block at a time, so that what is in between stays near the processor; a
choice by row (`np.where`) is made by the greater of two numbers where it can be, as no processor foresees the other.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aiops.core.detect.cover import RESOLUTION
from aiops.core.model import F64, Bools, Rows

BLOCK = 16_384
"""So many rows at a time."""

CALM_SCORE = 0.5
_FEW = 4
"""When more than one row of so many has moved, all are made anew: that is quicker."""

F32 = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sources:
    """What bounds follow from. around: float64[2, n], see `Envelopes.around`: another object is of another time.

    home: float64[2, n], see `Cover`. calm: float32[n], of the context. reach: float32[2, n], of value and of context.
    """

    around: F64
    home: F64
    calm: F32
    reach: F32

    def of(self, rows: Rows) -> Sources:
        """Return those of some rows."""
        around, home, calm = self.around.take(rows, axis=1), self.home.take(rows, axis=1), self.calm.take(rows)
        return Sources(around=around, home=home, calm=calm, reach=self.reach.take(rows, axis=1))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Banded:
    """What is expected of n rows, float64[n] each, and the scores of those that are calm.

    outside: the rows whose sample does not lie within their band; NaN lies nowhere.
    """

    expected: F64
    lower: F64
    upper: F64
    score: F64
    outside: Rows


class Bounds:
    """Arrays over n rows. calm: float64[2, n], from where to where a sample is calm. band: float64[2, n].

    usual: float64[2, n], what the level is kept within: the envelopes', without bounds where these know nothing.
    known: bool[n], where they know something; all_known: whether that is everywhere.
    """

    def __init__(self) -> None:
        self.calm, self.band, self.usual = (np.zeros((2, 0)) for _ in range(3))
        self.known, self.all_known = np.zeros(0, np.bool_), True
        self._around: F64 | None = None
        self._moved: list[Rows] = []

    def forget(self) -> None:
        """Make all of them anew when they are asked for next."""
        self._around, self._moved = None, []

    def moved(self, rows: Rows) -> None:
        """Note that home, calm or reach of some rows are others now."""
        self._moved.append(rows)

    def follow(self, of: Sources) -> None:
        """Find anew what has moved."""
        moved, self._moved = self._moved, list[Rows]()
        if of.around is not self._around:
            low, high = of.around
            self.known = low <= high
            self.all_known = bool(self.known.all())
            self.usual = of.around
            if not self.all_known:
                self.usual = np.where(self.known, of.around, np.array([[-np.inf], [np.inf]]))
            self.calm, self.band = np.empty_like(of.around), np.empty_like(of.around)
        elif sum(map(len, moved)) * _FEW <= len(self.known):
            for rows in moved:
                for mine, new in zip((self.calm, self.band), _found(of.of(rows), self.known.take(rows)), strict=True):
                    mine[0][rows], mine[1][rows] = new
            return
        self._around = of.around
        for begin in range(0, len(self.known), BLOCK):
            here = slice(begin, begin + BLOCK)
            part = Sources(
                around=of.around[:, here], home=of.home[:, here], calm=of.calm[here], reach=of.reach[:, here]
            )
            self.calm[:, here], self.band[:, here] = _found(part, self.known[here])

    def unusual(self, values: F64) -> Rows:
        """Return the rows whose sample is there, and not calm."""
        (low, high), found = self.calm, list[Rows]()
        for begin in range(0, len(values), BLOCK):
            here = slice(begin, begin + BLOCK)
            calm = values[here] >= low[here]
            calm &= values[here] <= high[here]
            rows = np.flatnonzero(np.logical_not(calm, out=calm))
            rows += begin
            found.append(rows[np.isfinite(values[rows])])
        return np.concatenate([*found, np.zeros(0, np.intp)])

    def banded(self, values: F64, level: F64) -> Banded:
        """Return the bands of rows, and how calm samples are: from 0 where expected to 0.5 at the edge, NaN is none."""
        rows = len(values)
        expected, lower, upper, score = (np.empty(rows) for _ in range(4))
        spare, found = np.empty(min(BLOCK, rows)), list[Rows]()
        for begin in range(0, rows, BLOCK):
            here = slice(begin, begin + BLOCK)
            parts = tuple(one[here] for one in (expected, lower, upper, score))
            away = _beyond(values[here], level[here], (self.usual[:, here], self.band[:, here]), parts, spare)
            away += begin
            found.append(away)
        outside = np.concatenate([*found, np.zeros(0, np.intp)])
        score[outside[~np.isfinite(values[outside])]] = np.nan
        return Banded(expected=expected, lower=lower, upper=upper, score=score, outside=outside)


def _found(of: Sources, known: Bools) -> tuple[F64, F64]:
    """Return from where to where samples of some rows are calm, and the bands that need not be wider."""
    (low, high), (value, context) = of.around, of.reach
    calm, band = np.stack([low - of.calm, high + of.calm]), np.stack([low - context, high + context])
    if not known.all():
        calm = np.where(known, calm, np.array([[-np.inf], [np.inf]]))
        band = np.where(known, band, np.stack([of.home[0] - value, of.home[1] + value]))
    np.maximum(calm[0], of.home[0], out=calm[0])
    np.minimum(calm[1], of.home[1], out=calm[1])
    return calm, band


def _beyond(values: F64, level: F64, bounds: tuple[F64, F64], out: tuple[F64, ...], spare: F64) -> Rows:
    """Fill in expectation, band and score of a block, and return the places whose sample lies outside of the band."""
    (least, most), (low, high) = bounds
    expected, lower, upper, score = out
    spare = spare[: len(values)]
    np.maximum(level, least, out=expected)
    np.minimum(expected, most, out=expected)
    np.abs(expected, out=spare)
    spare *= RESOLUTION
    spare += 1e-12
    np.subtract(expected, spare, out=lower)
    np.minimum(low, lower, out=lower)
    np.add(expected, spare, out=upper)
    np.maximum(high, upper, out=upper)
    np.subtract(values, expected, out=score)
    # shares of the way to either edge: the one that is not negative is meant
    below = lower - expected
    np.divide(score, below, out=below)
    np.subtract(upper, expected, out=spare)
    score /= spare
    np.maximum(score, below, out=score)
    np.minimum(score, 1.0, out=score)
    score *= CALM_SCORE
    score += 0.0  # none is no negative nothing
    inside = lower <= values
    inside &= values <= upper
    return np.flatnonzero(np.logical_not(inside, out=inside))
