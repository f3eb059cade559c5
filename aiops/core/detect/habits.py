"""What a row's surprises have come to: the limit at which it spends its budget, found in its own record.

A surprise of s comes 10^-s times the samples of a week where distances are independent and alike from sample to sample;
heavy tails, seasons and memory make it more or less. So events a decade more frequent than the budget are counted, and
how far they go beyond (in decades, exponential by the theory of peaks over a threshold), each drawn to what is usual by
five events' worth of evidence: limit = s1 + m log(rate beyond s1 / budget). What is extreme is no habit.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from aiops.core.detect.rules import WEEK_S
from aiops.core.model import F64, Bools, Instant, Rows
from aiops.core.protocols import Arrays

TOGETHER = 11.0
"""How many surprising samples come for one false alarm where nothing else is known; as in `novelty`."""

BACK_DECADES, LEAST_DECADES = 1.0, 1.3
"""Events are counted from a decade below the limit on, but none that more than one sample in twenty would be."""

PRIOR_EVENTS, MOST_EXCESS = 5.0, 1.5
APART_S, APART_SAMPLES = 3600.0, 4.0
"""Surprises closer than this are one event."""

_MEAN = 1.0 / math.log(10.0)
_PREDICTED, _CAME, _EXCESS, _PEAK, _OFFSET, _SLOPE = range(6)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Surprised:
    """Surprises of some rows that were not extreme."""

    rows: Rows
    surprises: F64


class Habits:
    """Arrays over n rows, changed in place. quiet_at: float64[n], when the newest event is over.

    state: float32[6, n], events predicted and come, their excess, the newest's peak, offset and slope of the limit.
    """

    def __init__(self, rows: int) -> None:
        self.state, self.quiet_at = np.zeros((6, rows), np.float32), np.full(rows, -np.inf)
        self.state[_SLOPE] = 1.0
        self._bare, self._back, self._often = np.zeros(rows), np.zeros(rows), np.zeros(rows)
        self._step_s = math.nan

    def follow(self, budgets: F64, step_s: float) -> None:
        """Know budgets (float64[n], false alarms a week) and the seconds between samples."""
        if step_s != self._step_s or len(budgets) != len(self._bare):
            self._step_s = step_s
            self._bare = np.log10(np.maximum(WEEK_S / step_s / TOGETHER / budgets, 1.0))
            self._back = np.clip(self._bare - LEAST_DECADES, 0.0, BACK_DECADES)
            self._often = 10.0**self._back * budgets * (step_s / WEEK_S)

    def forget_pace(self) -> None:
        """Find limits anew at the next `follow`."""
        self._step_s = math.nan

    def limits(self, rows: Rows) -> F64:
        """Return the surprises that spend the budgets of some rows."""
        return np.asarray(self._bare[rows] + self.state[_OFFSET, rows], np.float64)

    def decades(self, rows: Rows, surprises: F64) -> F64:
        """Return by how many decades surprises of some rows are rarer than their budgets."""
        return np.asarray((surprises - self.limits(rows)) / self.state[_SLOPE, rows], np.float64)

    def pass_time(self, taken: Bools) -> None:
        """Note one more sample of the rows where `taken` is True."""
        self.state[_PREDICTED] += (self._often * taken).astype(np.float32)

    def note(self, at: Instant, seen: Surprised) -> None:
        """Count surprises of some rows as events, or as more of the event that goes on."""
        state = self.state
        over = seen.surprises - (self._bare - self._back)[seen.rows]
        rows, over = seen.rows[over > 0], np.minimum(over[over > 0], MOST_EXCESS)
        new = self.quiet_at[rows] < at
        peak = np.where(new, 0.0, state[_PEAK, rows])
        state[_CAME, rows] += new
        state[_EXCESS, rows] += np.maximum(over - peak, 0.0)
        state[_PEAK, rows] = np.maximum(over, peak)
        self.quiet_at[rows] = at + max(APART_S, APART_SAMPLES * self._step_s)

    def going_on(self, rows: Rows, at: Instant) -> Bools:
        """Return which of some rows are within an event."""
        return np.asarray(self.quiet_at[rows] >= at, np.bool_)

    def settle(self, rows: Rows) -> None:
        """Find the limits of some rows anew."""
        predicted, came, excess = self.state[:3, rows].astype(np.float64)
        mean = (excess + PRIOR_EVENTS * _MEAN) / (came + PRIOR_EVENTS)
        back, often = self._back[rows], (came + PRIOR_EVENTS) / (predicted + PRIOR_EVENTS)
        self.state[_OFFSET, rows] = mean * (back * math.log(10.0) + np.log(often)) - back
        self.state[_SLOPE, rows] = mean / _MEAN

    def take(self, rows: Rows) -> None:
        """Become the habits of other rows; -1 starts afresh."""
        fresh, old = Habits(len(rows)), rows >= 0
        fresh.state[:, old], fresh.quiet_at[old] = self.state[:, rows[old]], self.quiet_at[rows[old]]
        self.__dict__.update(fresh.__dict__)

    def arrays(self) -> Arrays:
        """Return the state for a checkpoint."""
        return {"state": self.state, "quiet_at": self.quiet_at}

    def restore(self, arrays: Arrays) -> None:
        """Take the state of a checkpoint whose shapes were checked."""
        self.state, self.quiet_at = np.array(arrays["state"], np.float32), np.array(arrays["quiet_at"], np.float64)
        self.forget_pace()
