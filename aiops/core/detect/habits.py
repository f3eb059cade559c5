"""What a row's surprises have come to: the limit at which it spends its budget, found in its own record.

A surprise of s comes 10^-s times the samples of a week where distances are independent and alike from sample to sample;
heavy tails, seasons and memory make it more or less. Two things tell which, and both move the limit:

- Events a decade more frequent than the budget are counted, and how far they go beyond (in decades, exponential by the
  theory of peaks over a threshold), each drawn to what is usual by two events' worth of evidence:
  s1 + m log(rate beyond s1 / rate allowed). What is extreme is no habit.
- Alarms are held against the budget: a limit that let more of them through in the last weeks than it may goes up, and
  one that let none through comes down by and by. That is online control of the rate, as of conformal prediction when
  its distribution shifts (Gibbs and Candes, "Adaptive conformal inference under distribution shift", 2021), in
  logarithms: what a bound is wrong by, whatever the reason, is made up for.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aiops.core.detect.rest import REST_S, REST_SAMPLES
from aiops.core.detect.rules import WEEK_S
from aiops.core.detect.surprise import HALF_LIFE_S
from aiops.core.model import F64, Bools, Instant, Rows
from aiops.core.protocols import Arrays

TOGETHER = 11.0
"""How many surprising samples come for one false alarm where nothing else is known; as in `novelty`."""

BACK_DECADES, LEAST_DECADES = 1.0, 1.3
"""Events are counted from a decade below the limit on, but none that more than one sample in twenty would be."""

PRIOR_EVENTS, MOST_EXCESS = 2.0, 1.5
USUAL = 2.0
"""How many times as many events come as 10^-s says, in a row that keeps to its budget. Measured, see docs."""

PRIOR_ALARMS, REMEMBERS_S = 0.3, 14 * 86_400.0
"""Alarms are drawn to what is allowed by so much evidence, and forgotten with this half-life."""

LOWERED_MOST, RAISED_MOST = 1.5, 0.85
"""By how many decades a limit may move, either way: what is far beyond all others is an alarm in any row."""

APART_S, APART_SAMPLES = 3600.0, 4.0
"""Surprises closer than this are one event."""

FADES_S = 86_400.0
_MEAN = 1.0 / math.log(10.0)
_PREDICTED, _CAME, _EXCESS, _PEAK, _OFFSET, _ALLOWED, _ALARMS = range(7)
_KEPT_BEFORE = 5
"""Of the numbers of a row so many were kept when alarms were not held against the budget yet."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Surprised:
    """Surprises of some rows that were not extreme."""

    rows: Rows
    surprises: F64


class Habits:
    """Arrays over n rows, changed in place. quiet_at: float64[2, n], when the newest event, and alarm's rest, is over.

    state: float32[7, n], events predicted and come, their excess, the newest's peak, offset of the limit, alarms
    allowed and come.
    """

    def __init__(self, rows: int) -> None:
        self.state, self.quiet_at = np.zeros((7, rows), np.float32), np.full((2, rows), -np.inf)
        self._bare, self._back = np.zeros(rows), np.zeros(rows)
        self._often, self._share = np.zeros(rows, np.float32), np.zeros(rows, np.float32)
        self._step_s = self._faded_at = math.nan

    def follow(self, budgets: F64, step_s: float) -> None:
        """Know budgets (float64[n], false alarms a week) and the seconds between samples."""
        if step_s != self._step_s or len(budgets) != len(self._bare):
            self._step_s = step_s
            self._bare = np.log10(np.maximum(WEEK_S / step_s / TOGETHER / budgets, 1.0))
            self._back = np.clip(self._bare - LEAST_DECADES, 0.0, BACK_DECADES)
            share = budgets * (step_s / WEEK_S)
            self._share, self._often = share.astype(np.float32), (10.0**self._back * share).astype(np.float32)

    def forget_pace(self) -> None:
        """Find limits anew at the next `follow`."""
        self._step_s = math.nan

    def limits(self, rows: Rows) -> F64:
        """Return the surprises that spend the budgets of some rows."""
        return np.asarray(self._bare[rows] + self.state[_OFFSET, rows], np.float64)

    def limit(self, row: int) -> float:
        """Return the same of one row."""
        return float(self._bare[row] + self.state[_OFFSET, row])

    def decades(self, rows: Rows, surprises: F64) -> F64:
        """Return by how many decades surprises of some rows are rarer than their budgets."""
        return np.asarray(surprises - self.limits(rows), np.float64)

    def beyond(self, rows: Rows, surprises: F64) -> F64:
        """Return the same of rows on the whole: what is no example is not for a limit that has moved to say."""
        return np.asarray(surprises - self._bare[rows], np.float64)

    def pass_time(self, at: Instant, taken: Bools) -> None:
        """Note one more sample of the rows where `taken` is True; once a day what was counted fades."""
        state, every = self.state, bool(taken.all())
        state[_PREDICTED] += self._often if every else self._often * taken
        state[_ALLOWED] += self._share if every else self._share * taken
        if not at - self._faded_at < FADES_S:
            if math.isfinite(self._faded_at):
                passed = at - self._faded_at
                state[:_PEAK] *= np.float32(0.5 ** (passed / HALF_LIFE_S))
                state[_ALLOWED:] *= np.float32(0.5 ** (passed / REMEMBERS_S))
            self._faded_at = at

    def note(self, at: Instant, seen: Surprised) -> None:
        """Count surprises of some rows as events, or as more of the event that goes on."""
        state, quiet_at = self.state, self.quiet_at[0]
        over = seen.surprises - (self._bare - self._back)[seen.rows]
        rows, over = seen.rows[over > 0], np.minimum(over[over > 0], MOST_EXCESS)
        new = _over(quiet_at[rows], at, self._apart_s)
        peak = np.where(new, 0.0, state[_PEAK, rows])
        state[_CAME, rows] += new
        state[_EXCESS, rows] += np.maximum(over - peak, 0.0)
        state[_PEAK, rows] = np.maximum(over, peak)
        quiet_at[rows] = at + self._apart_s

    def alarmed(self, at: Instant, rows: Rows) -> None:
        """Count alarms of some rows; each rests as those do that people are called for."""
        rested_at, rest_s = self.quiet_at[1], max(REST_S, REST_SAMPLES * self._step_s)
        rows = rows[_over(rested_at[rows], at, rest_s)]
        self.state[_ALARMS, rows] += 1.0
        rested_at[rows] = at + rest_s

    def going_on(self, rows: Rows, at: Instant) -> Bools:
        """Return which of some rows are within an event."""
        return ~_over(self.quiet_at[0, rows], at, self._apart_s)

    @property
    def _apart_s(self) -> float:
        return max(APART_S, APART_SAMPLES * self._step_s)

    def settle(self, rows: Rows) -> None:
        """Find the limits of some rows anew."""
        predicted, came, excess, _, _, allowed, alarms = self.state.take(rows, axis=1).astype(np.float64)
        mean = (excess + PRIOR_EVENTS * _MEAN) / (came + PRIOR_EVENTS)
        back, often = self._back[rows], (came + PRIOR_EVENTS) / (predicted + PRIOR_EVENTS) / USUAL
        moved = mean * (back * math.log(10.0) + np.log(often)) - back
        moved += np.log10((alarms + PRIOR_ALARMS) / (allowed + PRIOR_ALARMS))
        self.state[_OFFSET, rows] = np.clip(moved, -LOWERED_MOST, RAISED_MOST)

    def take(self, rows: Rows) -> None:
        """Become the habits of other rows; -1 starts afresh."""
        fresh, old = Habits(len(rows)), rows >= 0
        fresh.state[:, old], fresh.quiet_at[:, old] = self.state[:, rows[old]], self.quiet_at[:, rows[old]]
        fresh._faded_at = self._faded_at
        self.__dict__.update(fresh.__dict__)

    def arrays(self) -> Arrays:
        """Return the state for a checkpoint."""
        return {"state": self.state, "quiet_at": self.quiet_at, "faded_at": np.array([self._faded_at])}

    def restore(self, arrays: Arrays) -> None:
        """Take the state of a checkpoint whose shapes were checked."""
        self.state, self.quiet_at = np.array(arrays["state"], np.float32), np.array(arrays["quiet_at"], np.float64)
        self._faded_at = float(arrays["faded_at"][0])
        self.forget_pace()


def _over(ends: F64, at: Instant, lasts_s: float) -> Bools:
    """Return what is over at an instant; what ends later than it can was noted by a clock that was set back since."""
    return np.asarray((ends < at) | (ends > at + 2.0 * lasts_s), np.bool_)


def brought_up(arrays: Arrays) -> dict[str, NDArray[np.generic]]:
    """Return the habits of a checkpoint, of now: older ones knew nothing of alarms."""
    if "faded_at" in arrays or not {"state", "quiet_at"} <= arrays.keys() or arrays["quiet_at"].ndim != 1:
        return dict(arrays)
    rows = len(arrays["quiet_at"])
    state, quiet_at = np.zeros((7, rows), np.float32), np.full((2, rows), -np.inf)
    if arrays["state"].shape[1:] == (rows,):
        state[:_KEPT_BEFORE], quiet_at[0] = arrays["state"][:_KEPT_BEFORE], arrays["quiet_at"]
    return {"state": state, "quiet_at": quiet_at, "faded_at": np.array([math.nan])}
