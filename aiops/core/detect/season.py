"""How a row usually moves with the time of its season: 96 bins by row, and how far they are worth following."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from aiops.core.model import F64, Instant, Rows
from aiops.core.protocols import Arrays

BINS = 96
GAIN_LEAST = 0.2
"""What the newest season weighs in the profile once several are known."""

ECHO_GAIN = 0.35
"""What an anomaly weighs that came at the same time of the last season too: it may belong to the season."""

_ECHO_MOST = 6e4
_KNOWN_SEASONS = 1.0 + 2.0 / BINS
_WORTH_KEEP = 1.0 - 1.0 / (2 * BINS)
_NOWHERE = -2
_ROWS = ("_sum", "_count", "_cut", "_before", "_with", "_square", "_worth", "_pivot", "_left", "_right")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Known:
    """What is known of n rows beside the profile. seasons: how many were seen; scale: below which moves say nothing."""

    seasons: F64
    scale: F64


class SeasonProfile:
    """Arrays over n rows, changed in place; shape: float32[96, n], the usual value of each bin.

    echo: float16[96, n], by how many scales the last season's anomalies lay beyond what was expected.

    worth: float64[n] in [0, 1], the regression of what came from bin to bin on what the profile said would come: near 1
    for a row that repeats itself, near 0 for one that wanders; 0 until a season is known. pivot: float64[n], where the
    profile stood at last.
    """

    def __init__(self, rows: int, season_s: float) -> None:
        self.season_s = season_s
        self._width_s = season_s / BINS
        self._shape = np.zeros((BINS, rows), np.float32)
        self._echo = np.zeros((BINS, rows), np.float16)
        self._sum, self._count, self._cut = np.zeros(rows), np.zeros(rows), np.zeros(rows)
        self._before = np.full(rows, np.nan)
        self._with, self._square = np.zeros(rows), np.zeros(rows)
        self._worth, self._pivot = np.zeros(rows), np.zeros(rows)
        self._left, self._right = np.zeros(rows), np.zeros(rows)
        self._bin = self._bin_before = self._low = _NOWHERE
        self._turn()

    def move(self, at: Instant, step_s: float) -> F64:
        """Return float64[n]: how far the profile has moved the row from its pivot at `at`."""
        low, share = self._place(at, step_s)
        if low == self._low:
            return np.asarray(self._base + share * self._slope, np.float64)
        left, right = self._sides(low)
        return np.asarray(self._worth * (left + share * (right - left) - self._pivot), np.float64)

    def look(self, at: Instant, step_s: float) -> None:
        """Let time come to `at`; what is looked at then stays as it is until the next middle of a bin."""
        low, _ = self._place(at, step_s)
        if low != self._low:
            self._low = low
            self._left, self._right = self._sides(low)
            self._turn()

    def passed(self, at: Instant) -> bool:
        """Return whether `at` lies in another bin than what was noted last."""
        return self._bin_of(at) != self._bin

    def close(self, at: Instant, step_s: float, known: Known) -> F64:
        """End the bin that was noted last; return how far rows had moved from the old pivot, the new one is here."""
        self.look(at, step_s)
        _, share = self._place(at, step_s)
        stand = self._left + share * (self._right - self._left)
        if step_s >= self._width_s and self._bin != _NOWHERE:
            stand = self._shape[self._bin].astype(np.float64)
        moved = self._worth * (stand - self._pivot)
        if self._bin != _NOWHERE:
            self._learn(known)
        self._bin_before, self._bin = self._bin, self._bin_of(at)
        self._sum.fill(0.0)
        self._count.fill(0.0)
        self._cut.fill(0.0)
        self._pivot = stand
        self._turn()
        return np.asarray(moved, np.float64)

    def note(self, cleaned: F64, weights: F64) -> None:
        """Take values (anomalies clipped, 0 where missing) and weights (0 or 1) into the open bin."""
        self._sum += cleaned
        self._count += weights

    def cut(self, rows: Rows, amounts: F64) -> None:
        """Note by how much the anomalies of some rows were cut off; when they come again, they are the season's."""
        self._cut[rows] += amounts

    def take(self, rows: Rows) -> None:
        """Become the profile of other rows; -1 starts afresh."""
        fresh = SeasonProfile(len(rows), self.season_s)
        old = rows >= 0
        for name in _ROWS:
            getattr(fresh, name)[old] = getattr(self, name)[rows[old]]
        fresh._shape[:, old] = self._shape[:, rows[old]]
        fresh._echo[:, old] = self._echo[:, rows[old]]
        fresh._bin, fresh._bin_before, fresh._low = self._bin, self._bin_before, self._low
        fresh._turn()
        self.__dict__.update(fresh.__dict__)

    def begin(self, rows: Rows, values: F64) -> None:
        """Let rows that are seen for the first time have always been what they are now."""
        self._shape[:, rows] = values
        self._left[rows] = self._right[rows] = self._pivot[rows] = values
        self._turn()

    def arrays(self) -> Arrays:
        """Return the state for a checkpoint."""
        places = np.array([self._bin, self._bin_before, self._low])
        return {
            "shape": self._shape,
            "echo": self._echo,
            "places": places,
            **{name[1:]: getattr(self, name) for name in _ROWS},
        }

    def restore(self, arrays: Arrays) -> None:
        """Take the state of a checkpoint whose shapes were checked."""
        self._shape, self._echo = np.array(arrays["shape"], np.float32), np.array(arrays["echo"], np.float16)
        for name in _ROWS:
            setattr(self, name, np.array(arrays[name[1:]], np.float64))
        self._bin, self._bin_before, self._low = (int(x) for x in arrays["places"])
        self._turn()

    # -- inner ---------------------------------------------------------------------------------------

    def _bin_of(self, at: Instant) -> int:
        return math.floor((at % self.season_s) / self._width_s)

    def _place(self, at: Instant, step_s: float) -> tuple[int, float]:
        """Return the left one of the two bins around `at` and the right one's share; its own where steps are wider."""
        place = (at % self.season_s) / self._width_s
        if step_s >= self._width_s:
            return math.floor(place), 0.0
        low = math.floor(place - 0.5)
        return low, place - 0.5 - low

    def _sides(self, low: int) -> tuple[F64, F64]:
        return self._shape[low % BINS].astype(np.float64), self._shape[(low + 1) % BINS].astype(np.float64)

    def _turn(self) -> None:
        self._base = self._worth * (self._left - self._pivot)
        self._slope = self._worth * (self._right - self._left)

    def _learn(self, known: Known) -> None:
        closed = self._bin
        there = self._count > 0
        clean, cut = self._sum / np.maximum(self._count, 1.0), self._cut / np.maximum(self._count, 1.0)
        agreed = self._agreed(closed, cut, known)
        mean = clean + agreed
        old = self._shape[closed].astype(np.float64)
        if self._bin_before != _NOWHERE:
            self._learn_worth(mean - self._before, old - self._shape[self._bin_before], there, known)
        gain = np.maximum(1.0 / (1.0 + np.floor(known.seasons)), np.where(agreed == 0.0, GAIN_LEAST, ECHO_GAIN)) * there
        self._shape[closed] = old + gain * (mean - old)
        self._before = np.where(there, mean, np.nan)

    def _agreed(self, closed: int, cut: F64, known: Known) -> F64:
        """Return how far this season's and the last one's anomalies of a bin go the same way."""
        last = self._echo[closed] * known.scale
        self._echo[closed] = np.clip(cut / known.scale, -_ECHO_MOST, _ECHO_MOST)
        return np.where(cut * last > 0, np.sign(cut) * np.minimum(np.abs(cut), np.abs(last)), 0.0)

    def _learn_worth(self, came: F64, expected: F64, there: np.ndarray, known: Known) -> None:
        """Follow the regression, through the origin, of the moves that came on those that were expected."""
        counts = there & np.isfinite(came) & (known.seasons >= _KNOWN_SEASONS)
        came = np.where(counts, came, 0.0)
        expected = np.where(counts, expected, 0.0)
        keep = np.where(counts, _WORTH_KEEP, 1.0)
        self._with = keep * self._with + came * expected
        self._square = keep * self._square + expected * expected
        prior = known.scale * known.scale
        worth = np.clip((self._with + prior) / np.maximum(self._square + prior, 1e-300), 0.0, 1.0)
        self._worth = np.where(known.seasons >= _KNOWN_SEASONS, worth, 0.0)
