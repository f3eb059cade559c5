"""How rare a surprise of one row must be to spend its budget, where the row's own surprises say so.

A surprise of s comes 10^-s times the samples of a week, in runs of eleven: that is so of rows on the whole. In a row
whose distances surprise together (heavy tails) it comes more often; where they hardly ever agree (a season, counts),
more seldom. Both show long before an alarm: log rates fall in about a straight line from the same beginning, so what
comes ten times a week tells how often the limit would be passed. Counted are surprises that are common, not extreme,
and the limit moves by as much as they come more, or less, often than in rows that keep to their budget; it is not
lowered where alarms have spent the budget already. In rows that are read hourly what comes ten times a week is nearly
an alarm itself, and says little of noise.
"""

from __future__ import annotations

import math

import numpy as np

from aiops.core.detect.rest import REST_S, REST_SAMPLES
from aiops.core.detect.rules import WEEK_S
from aiops.core.detect.surprise import HALF_LIFE_S
from aiops.core.model import F64, Instant, Rows
from aiops.core.protocols import Arrays

TOGETHER = 11.0
"""How many surprising samples come for one false alarm: neighbours share windows. Measured, see docs/detection.md."""

OFTEN = 10.0
"""Surprises that come so often a week are what is counted, and none that more than one sample in eight would be."""

LEAST_SURPRISE = 0.9

USUAL = 1.8
"""How many times as many of them come as 10^-s says, in a row that keeps to its budget. Measured, as the eleven."""

PRIOR_EVENTS, PRIOR_ALARMS = 2.0, 0.25
LOWERED_MOST, RAISED_MOST = 1.0, 0.5
"""By how many decades a limit may move, either way."""

EXTREME_DECADES = 1.0
APART_S, APART_SAMPLES = 3600.0, 4.0
"""Surprises closer than this are one event."""

_NEVER = -1e18
_PREDICTED, _CAME, _ALLOWED, _ALARMS, _QUIET_AT, _RESTED_AT = range(6)
_FRESH = np.array([0.0, 0.0, 0.0, 0.0, _NEVER, _NEVER])[:, None]


class Allowance:
    """Arrays over n rows, changed in place. state: float64[6, n].

    Events predicted and come, alarms allowed and come, and when the newest event, and the newest alarm's rest, is over.
    """

    def __init__(self, rows: int) -> None:
        self.state = np.tile(_FRESH, (1, rows))

    def limits(self, budgets: F64, step_s: float) -> F64:
        """Return float64[n]: the surprise that spends each row's budget (false alarms a week)."""
        bare = bare_limits(budgets, step_s)
        predicted, came, allowed, alarms = self.state[:_QUIET_AT]
        back = _back(bare, budgets)
        share = np.log10((came + PRIOR_EVENTS) / (USUAL * predicted + PRIOR_EVENTS))
        moved = share * bare / np.maximum(bare - back, LEAST_SURPRISE)
        spent = np.log10((alarms + PRIOR_ALARMS) / (allowed + PRIOR_ALARMS))
        moved = np.where(moved < 0.0, np.minimum(np.maximum(moved, spent), 0.0), moved)
        return np.asarray(bare + np.clip(moved, -LOWERED_MOST, RAISED_MOST) * _told(back), np.float64)

    def note(self, at: Instant, rows: Rows, surprises: F64, told: tuple[F64, F64, float]) -> None:
        """Count surprises of some rows. told: limits and budgets of all rows, and the seconds between samples."""
        limits, budgets, step_s = told[0][rows], told[1][rows], told[2]
        bare, state = bare_limits(budgets, step_s), self.state
        back, share = _back(bare, budgets), step_s / WEEK_S
        state[:_QUIET_AT, rows] *= 0.5 ** (step_s / HALF_LIFE_S)
        state[_PREDICTED, rows] += 10.0**back * budgets * share
        state[_ALLOWED, rows] += budgets * share
        events = (surprises > bare - back) & (surprises - limits < EXTREME_DECADES)
        self._count(rows[events], at, (_CAME, _QUIET_AT), max(APART_S, APART_SAMPLES * step_s))
        over = surprises > bare
        rested = rows[over & (state[_RESTED_AT, rows] <= at)]
        self._count(rested, at, (_ALARMS, _RESTED_AT), max(REST_S, REST_SAMPLES * step_s))

    def take(self, rows: Rows) -> None:
        """Become the allowance of other rows; -1 starts afresh."""
        fresh, old = np.tile(_FRESH, (1, len(rows))), rows >= 0
        fresh[:, old] = self.state[:, rows[old]]
        self.state = fresh

    def arrays(self) -> Arrays:
        """Return the state for a checkpoint."""
        return {"state": self.state}

    def restore(self, arrays: Arrays) -> None:
        """Take the state of a checkpoint, nothing of one that has none; raise ValueError if it does not fit."""
        state = arrays.get("state", self.state)
        if state.shape != self.state.shape:
            raise ValueError(f"the checkpoint's allowance does not fit {self.state.shape}")
        self.state = np.array(state, np.float64)

    # -- inner ---------------------------------------------------------------------------------------

    def _count(self, rows: Rows, at: Instant, places: tuple[int, int], quiet_s: float) -> None:
        count, until = places
        self.state[count, rows] += self.state[until, rows] <= at
        self.state[until, rows] = at + quiet_s


def bare_limits(budgets: F64, step_s: float) -> F64:
    """Return the surprises that spend budgets in rows on the whole."""
    return np.asarray(np.log10(np.maximum(WEEK_S / step_s / TOGETHER / budgets, 1.0)), np.float64)


def _back(bare: F64, budgets: F64) -> F64:
    """Return how many decades below the limit the surprises lie that are counted."""
    return np.asarray(np.clip(math.log10(OFTEN) - np.log10(budgets), 0.0, np.maximum(bare - LEAST_SURPRISE, 0.0)))


def _told(back: F64) -> F64:
    """Return how much they tell of noise: all a decade below the limit, next to nothing half a decade below."""
    return np.asarray(np.minimum(back, 1.0) ** 3, np.float64)
