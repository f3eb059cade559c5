"""The margin above the forecast that an SLO's error budget allows: two integral controllers in one number.

The first follows the forecast's own errors: the share of the time in which demand exceeds forecast + margin * scale is
kept at what the budget allows (`spread.followed`). The second follows what users felt: the share of requests under a
broken SLO. It corrects what the first cannot know: rounding to whole pods, capacity that was misjudged, queues that
drain slowly.
"""

from __future__ import annotations

import numpy as np

from aiops.core.model import F64, Rows
from aiops.core.nowcast.spread import followed
from aiops.core.protocols import Arrays

ERROR_GAIN = 0.02
FELT_GAIN = 0.015
AIM_RATIO = 0.68
"""Of the budget, this share is spent on purpose: the rest is for bad days and for what no margin covers."""

SLACK = 4.0
"""Two horizons are covered, pods are whole and scale-in waits, so a demand above the margin seldom breaks the SLO: in
contests on six traces every fourth time."""

LEAST, MOST = 0.5, 8.0
LEAST_FELT, MOST_FELT = -1.5, 4.0
START = 2.5


class Margins:
    """Changed in place. allowed: float64[n], the share of requests that may break the SLO, as 0.005.

    worth: float64[n], the share that two prices make worth it, NaN without them; it counts where it is less.
    """

    version = 1

    def __init__(self, allowed: F64) -> None:
        self.allowed = allowed
        self.worth = np.full(len(allowed), np.nan)
        self.errors = np.full(len(allowed), START)
        self.felt = np.zeros(len(allowed))

    def follow(self, scaled_errors: F64, broken: F64) -> None:
        """Take one step. scaled_errors: of the lead horizon; broken: 1 where the SLO was broken, weighted by demand."""
        exceeded = np.where(np.isfinite(scaled_errors), (scaled_errors > self.errors) * 1.0, np.nan)
        moved = followed(self.errors, exceeded, self.exceeded_share, ERROR_GAIN)
        self.errors = np.clip(moved, LEAST, MOST)
        moved = followed(self.felt, broken, AIM_RATIO * self.spent, FELT_GAIN)
        self.felt = np.clip(moved, LEAST_FELT, MOST_FELT)

    @property
    def values(self) -> F64:
        """Return the margins, in scales of the error."""
        return np.clip(self.errors + self.felt, LEAST, MOST)

    @property
    def spent(self) -> F64:
        """Return the shares of requests that are to break the SLO: what is allowed, or less where money says so."""
        return np.asarray(np.fmin(self.allowed, self.worth))

    @property
    def exceeded_share(self) -> F64:
        """Return the share of the time in which demand may exceed forecast and margin."""
        return np.asarray(AIM_RATIO * SLACK * self.spent)

    def start(self, row: int, margin: float) -> None:
        """Begin with what history says; NaN says nothing."""
        if np.isfinite(margin):
            self.errors[row] = min(max(margin, LEAST), MOST)

    def arrays(self) -> Arrays:
        """Return the state for a checkpoint."""
        return {"errors": self.errors, "felt": self.felt}

    def take(self, arrays: Arrays, mine: Rows, theirs: Rows) -> None:
        """Let rows `mine` go on where rows `theirs` of a checkpoint stood."""
        self.errors[mine], self.felt[mine] = arrays["errors"][theirs], arrays["felt"][theirs]
