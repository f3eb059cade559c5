"""Between what values rows have stayed at each time of a season, and how far a sample lies beyond."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from aiops.core.detect.rebasing import Shifts
from aiops.core.detect.wall_clock import UTC, WallClock
from aiops.core.model import F64, Instant, Rows
from aiops.core.protocols import Arrays

BINS = 40
FORGETS = 0.0
"""By which share of its width an envelope shrinks from season to season, so that what is long past is no excuse."""

WAITS = 3
"""A stretch of the season counts once so many have begun after it: an anomaly does not excuse itself."""

_MOST = 1e36
_NOWHERE = -(2**40)
_ROWS = ("low", "high", "waiting")


class Envelopes:
    """Arrays over n rows, changed in place. low, high: float32[40, n]; +inf and -inf where nothing is known.

    waiting: float32[2, 3, n], least and greatest of the stretches that do not count yet.
    """

    def __init__(self, rows: int, season_s: float, zone: str = UTC) -> None:
        self.season_s, self._clock = season_s, WallClock(zone)
        self.width_s = season_s / BINS
        self.low, self.high = np.full((BINS, rows), np.inf, np.float32), np.full((BINS, rows), -np.inf, np.float32)
        self.waiting = np.stack([np.full((WAITS, rows), np.inf), np.full((WAITS, rows), -np.inf)]).astype(np.float32)
        self._turns, self._open, self._turned_at = [_NOWHERE] * WAITS, _NOWHERE, math.nan
        self._cached, self._union = _NOWHERE, np.zeros((2, rows))

    def around(self, at: Instant) -> F64:
        """Return float64[2, n]: least and greatest value at this time of earlier seasons, +inf and -inf of unknown."""
        turn = self._turn_of(at)
        if turn != self._cached:
            here = turn % BINS
            near = [(here - 1) % BINS, here, (here + 1) % BINS]
            self._union = np.stack([self.low[near].min(axis=0), self.high[near].max(axis=0)]).astype(np.float64)
            self._cached = turn
        return self._union

    def at(self, at: Instant, rows: Rows) -> F64:
        """Return float64[2, m]: the same as `around` of some rows, at an instant that is not now."""
        here = self._turn_of(at) % BINS
        near = np.array([(here - 1) % BINS, here, (here + 1) % BINS])[:, None]
        return np.stack([self.low[near, rows].min(axis=0), self.high[near, rows].max(axis=0)]).astype(np.float64)

    def move(self, shifts: Shifts) -> None:
        """Let what rows stayed between move: where something may have been added or multiplied, both are usual.

        Samples of the new level are usual, and what they need beyond is given to all of the season.
        """
        rows, beyond = shifts.rows, np.zeros((2, len(shifts.rows)))
        for least, most in ((self.low, self.high), (self.waiting[0], self.waiting[1])):
            low, high = least[:, rows].astype(np.float64), most[:, rows].astype(np.float64)
            lows, highs = (shifts.moved(one, np.broadcast_to(np.arange(len(rows)), one.shape)) for one in (low, high))
            known = low <= high
            least[:, rows] = np.where(known, np.clip(np.minimum(*lows), -_MOST, _MOST), np.inf)
            most[:, rows] = np.where(known, np.clip(np.maximum(*highs), -_MOST, _MOST), -np.inf)
        for at in np.unique(shifts.at[np.isfinite(shifts.values)]).tolist():
            places, slots = np.nonzero(shifts.at == at)
            bounds, values = self.at(at, rows[places]), shifts.values[places, slots]
            outside = np.where(bounds[0] <= bounds[1], np.stack([bounds[0] - values, values - bounds[1]]), 0.0)
            for side, one in zip(beyond, outside, strict=True):
                np.maximum.at(side, places, one)
        self.low[:, rows] -= beyond[0].astype(np.float32)
        self.high[:, rows] += beyond[1].astype(np.float32)
        self._cached = _NOWHERE

    def turns(self, at: Instant) -> bool:
        """Return whether `at` lies in another stretch of the season than what was noted last."""
        return self._turn_of(at) != self._open

    def turn(self, at: Instant) -> None:
        """Begin the stretch of `at`; what has waited long enough counts."""
        turn, back = self._turn_of(at), not at >= self._turned_at
        for slot, waits in enumerate(self._turns):
            # wall clocks may go back while time does not: what waits goes on waiting, while its place is not wanted
            due = turn - waits >= WAITS or (turn < waits and back) or (slot == turn % WAITS and turn != waits)
            if waits != _NOWHERE and due:
                self._count(waits % BINS, self.waiting[:, slot])
                self._turns[slot] = _NOWHERE
        self._open, self._turns[turn % WAITS], self._turned_at = turn, turn, at
        self._cached = _NOWHERE

    def note(self, values: F64) -> None:
        """Take values into the open stretch; NaN is none."""
        low, high = self.waiting[:, self._open % WAITS]
        rounded = values.astype(np.float32)  # rounding keeps order: what is least stays so
        np.fmin(low, rounded, out=low)
        np.fmax(high, rounded, out=high)

    def fits(self, at: Instant, turn: int) -> bool:
        """Return whether a stretch that was open at `at` is of this season: in another length it has another number."""
        return not math.isfinite(at) or abs(self._turn_of(at) - turn) <= BINS

    def take(self, rows: Rows) -> None:
        """Become the envelopes of other rows; -1 starts afresh."""
        fresh, old = Envelopes(len(rows), self.season_s, self._clock.name), rows >= 0
        for name in _ROWS:
            getattr(fresh, name)[..., old] = getattr(self, name)[..., rows[old]]
        fresh._turns, fresh._open, fresh._turned_at = self._turns, self._open, self._turned_at
        self.__dict__.update(fresh.__dict__)

    def arrays(self) -> Arrays:
        """Return the state for a checkpoint."""
        return {name: getattr(self, name) for name in _ROWS} | {"turns": np.array([*self._turns, self._open])}

    def restore(self, arrays: Arrays) -> None:
        """Take the state of a checkpoint whose shapes were checked."""
        for name in _ROWS:
            setattr(self, name, np.array(arrays[name], np.float32))
        *self._turns, self._open = (int(turn) for turn in arrays["turns"])
        self._cached = _NOWHERE

    # -- inner ---------------------------------------------------------------------------------------

    def _turn_of(self, at: Instant) -> int:
        """Return which stretch an instant lies in, by the wall clock."""
        return math.floor((at + self._clock.ahead_s(at)) / self.width_s)

    def _count(self, place: int, waited: NDArray[np.float32]) -> None:
        """Let what waited count in a stretch of the season; the oldest of it shrinks a little."""
        low, high = self.low[place], self.high[place]
        if FORGETS:
            with np.errstate(invalid="ignore"):
                shrink = np.nan_to_num(FORGETS * (high - low)) * np.isfinite(waited[0])
            low += shrink
            high -= shrink
        np.minimum(low, waited[0], out=low)
        np.maximum(high, waited[1], out=high)
        waited[0], waited[1] = np.inf, -np.inf
