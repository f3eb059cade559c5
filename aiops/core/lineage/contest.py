"""Who foretells better, judged on the same live minutes: pinball losses, and the test of Diebold and Mariano.

Every minute each version promises quantiles some minutes ahead; when those minutes have come, all are judged by the
same value. The difference of two losses is tested as Diebold and Mariano do (Journal of Business and Economic
Statistics 1995), with the variance of Newey and West (Econometrica 1987), since neighbouring errors are one error told
many times, and the small-sample factor of Harvey, Leybourne and Newbold (International Journal of Forecasting 1997).
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from aiops.core.lineage.version import Scores
from aiops.core.model import F64
from aiops.core.protocols import Arrays

AHEAD = (2, 5, 15, 30)
"""Minutes ahead at which versions are judged."""

KEPT = 1440
"""Minutes whose losses are remembered: a day's."""

LEAST_JUDGED = 60
_SLOTS = AHEAD[-1] + 1
_LAGS = AHEAD[-1]
_LOW, _HIGH = 0.1, 0.9


class Record:
    """What one version promised and lost. Changed in place.

    losses: float64[1440], the mean pinball loss of the minute m in column m % 1440, NaN where it was not judged.
    inside: the share of distances at which the value lay in the 80 % interval.
    """

    def __init__(self) -> None:
        self.losses = np.full(KEPT, np.nan)
        self.inside = np.full(KEPT, np.nan)
        self._promised: dict[int, tuple[F64, F64]] = {}

    def promise(self, minute: int, levels: F64, paths: F64) -> None:
        """Note what is foretold in `minute`; paths: float64[quantiles, steps], column h is h + 1 minutes later."""
        if paths.shape[1] >= AHEAD[-1]:
            self._promised[minute] = levels, paths[:, [ahead - 1 for ahead in AHEAD]].copy()
        for old in [one for one in self._promised if one < minute - _SLOTS]:
            del self._promised[old]

    def settle(self, minute: int, value: float) -> None:
        """Judge what was promised for `minute`; without a value it is not judged."""
        lost, inside = [], []
        for column, ahead in enumerate(AHEAD):
            made = self._promised.get(minute - ahead)
            if made is None or not math.isfinite(value):
                continue
            levels, points = made[0], made[1][:, column]
            if not np.isfinite(points).all():
                continue
            over = value - points
            lost.append(float(np.maximum(levels * over, (levels - 1.0) * over).mean()))
            low, high = np.interp((_LOW, _HIGH), levels, points)
            inside.append(float(low <= value <= high))
        whole = len(lost) == len(AHEAD)
        self.losses[minute % KEPT] = sum(lost) / len(lost) if whole else math.nan
        self.inside[minute % KEPT] = sum(inside) / len(inside) if whole else math.nan

    def skip(self, first: int, last: int) -> None:
        """Forget the columns of minutes `first` to `last` (exclusive), in which nobody looked: theirs are a day old."""
        gone = np.arange(max(first, last - KEPT), last) % KEPT
        self.losses[gone] = self.inside[gone] = np.nan

    def withdraw(self) -> None:
        """Forget what was promised: it is not judged."""
        self._promised = {}

    @property
    def judged(self) -> int:
        """Return how many minutes of the last day were judged."""
        return int(np.isfinite(self.losses).sum())

    @property
    def coverage(self) -> float:
        """Return how often values lay in the 80 % interval, NaN before any was judged."""
        known = self.inside[np.isfinite(self.inside)]
        return float(known.mean()) if len(known) else math.nan

    def arrays(self) -> Arrays:
        """Return the state for a checkpoint; promises are made anew."""
        return {"losses": self.losses, "inside": self.inside}

    def restore(self, arrays: Arrays) -> None:
        """Take the state of a checkpoint; raise ValueError when it does not fit."""
        if any(name not in arrays or arrays[name].shape != (KEPT,) for name in ("losses", "inside")):
            raise ValueError("the record of a version does not fit")
        self.losses = np.array(arrays["losses"], np.float64)
        self.inside = np.array(arrays["inside"], np.float64)
        self._promised = {}


def scored(own: Record, champion: Record, minute: int, size: float) -> Scores:
    """Return how a version has done, against the champion over the minutes in which both were judged.

    minute: the newest one. size: the mean demand, in whose shares losses are told.
    """
    order = np.arange(minute + 1, minute + 1 + KEPT) % KEPT
    mine, theirs = own.losses[order], champion.losses[order]
    both = np.isfinite(mine) & np.isfinite(theirs)
    known = np.isfinite(mine)
    told = float(mine[known].mean()) / max(size, 1e-12) if known.any() else math.nan
    ratio = math.nan
    if both.any() and own is not champion:
        ratio = float(mine[both].mean()) / max(float(theirs[both].mean()), 1e-12)
    return Scores(
        judged=int(known.sum()),
        pinball=told,
        ratio=ratio,
        p_value=math.nan if own is champion else better(theirs[both] - mine[both]),
        coverage=own.coverage,
    )


def better(gains: F64) -> float:
    """Return the p-value of `the mean gain is not above nought`; NaN for less than an hour of judged minutes.

    >>> better(np.ones(30))
    nan
    """
    number = len(gains)
    if number < LEAST_JUDGED:
        return math.nan
    mean = float(gains.mean())
    centred = gains - mean
    lags = min(_LAGS, number // 4)
    variance = float(centred @ centred) / number
    for lag in range(1, lags + 1):
        weight = 1.0 - lag / (lags + 1.0)
        variance += 2.0 * weight * float(centred[lag:] @ centred[:-lag]) / number
    if variance <= 0.0:
        return 0.0 if mean > 0.0 else 1.0
    horizon = float(AHEAD[-1])
    factor = (number + 1.0 - 2.0 * horizon + horizon * (horizon - 1.0) / number) / number
    statistic = mean / math.sqrt(variance / number) * math.sqrt(max(factor, 0.0))
    return 0.5 * math.erfc(statistic / math.sqrt(2.0))


def table(records: Mapping[int, Record], champion: int, minute: int, size: float) -> Mapping[int, Scores]:
    """Return the scores of every version that is judged, by number."""
    return {number: scored(one, records[champion], minute, size) for number, one in records.items()}
