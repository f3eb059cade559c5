"""How far demand strays from what is foretold: a scale that moves with the hour, and a margin that keeps a promise.

The scale of an error (in logarithms) is the root of three equal parts: squared errors of the last hour, of the last
day, and of the same time in past seasons. Errors divided by it are alike across the day, so that one number, the
margin, says how many scales above the forecast a share of the time lies. It is followed online by adaptive conformal
inference (I. Gibbs and E. Candès, "Adaptive conformal inference under distribution shift", NeurIPS 2021): whatever the
errors do, the share that exceeds it tends to what was asked.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from aiops.core.model import F64, Instant
from aiops.core.nowcast.season import EVEN_SEASONS, Seasons

HOUR_STEPS, DAY_STEPS = 240.0, 5760.0
PARTS = (0.34, 0.33, 0.33)
LEAST_VARIANCE = 1e-5
CLIP = 0.5
BIN_S = 300.0
"""Bins of the season of errors, averaged over half an hour around."""

AROUND = 3
AHEAD = 14
START_VARIANCE = 0.05**2
_HOUR, _DAY = 1.0 - math.exp(-1.0 / HOUR_STEPS), 1.0 - math.exp(-1.0 / DAY_STEPS)


@dataclass(frozen=True, slots=True)
class Spans:
    """What a row's errors are: their variance over the last hour and day, and how many were seen; float64[n] each."""

    hour: F64
    day: F64
    count: F64


class Spread:
    """Scales of the errors of rows that look so far ahead, float64[n] each. Changed in place."""

    def __init__(self, season_s: F64, history_s: float) -> None:
        rows = len(season_s)
        self.hour = np.full(rows, START_VARIANCE)
        self.day = np.full(rows, START_VARIANCE)
        self.count = np.zeros(rows)
        bins = int(history_s / BIN_S) + 2 * AROUND + 2
        self.season = Seasons(
            (season_s / BIN_S).astype(np.int64), bins, around=AROUND, ahead=AHEAD, weights=EVEN_SEASONS
        )

    def part(self, rows: slice) -> Spans:
        """Return some of the rows: what is changed in either is changed in both."""
        return Spans(self.hour[rows], self.day[rows], self.count[rows])

    def follow(self, at: Instant, errors: F64) -> None:
        """Take the errors that were seen at `at`; NaN is none."""
        squared = np.minimum(np.maximum(errors, -CLIP), CLIP) ** 2
        known = np.isfinite(squared)
        self.count += known
        # a row that has seen little averages what it has, so that the start's guess is soon outweighed
        mean = 1.0 / (self.count + 20.0)
        self.hour += np.where(known, np.maximum(_HOUR, mean) * (squared - self.hour), 0.0)
        self.day += np.where(known, np.maximum(_DAY, mean) * (squared - self.day), 0.0)
        self.season.add(int(at // BIN_S), squared)

    def scale(self, then: F64) -> F64:
        """Return the scale of an error at instants `then`, float64[n]."""
        usual = self.season.at(then / BIN_S - 0.5)
        usual = np.where(np.isfinite(usual), usual, self.day)
        return np.sqrt(PARTS[0] * self.hour + PARTS[1] * self.day + PARTS[2] * usual + LEAST_VARIANCE)


def first_margin(errors: F64, share: float) -> float:
    """Return the margin that a share of past scaled errors exceeds, with the finite-sample step of split conformal."""
    known = np.sort(errors[np.isfinite(errors)])
    if not len(known):
        return math.nan
    place = min(len(known) - 1, math.ceil((1.0 - share) * (len(known) + 1)) - 1)
    return float(known[place])


def followed(margin: F64, exceeded: F64, share: F64, gain: float) -> F64:
    """Return the margins after one more step of adaptive conformal inference; exceeded: 0 to 1, NaN teaches nothing."""
    return np.where(np.isfinite(exceeded), margin + gain * (exceeded - share), margin)
