"""The margin above the forecast that an SLO's error budget allows: two integral controllers in one number.

The first follows the forecast's own errors: the share of the time in which demand exceeds forecast + margin * scale
is kept at what the budget allows (`spread.followed`), and what whole pods add to it: there are between none and one
more of them than was asked for. Beyond the margin, errors fall off about as exp(-error / tail). So demand exceeds
what is there in (1 - exp(-q)) / q of the times in which it exceeds the margin, where q is what one pod is, in scales,
over the tail: seldom with few pods or steady demand, often with many pods or wild demand. The second follows what
users felt: the share of requests under a broken SLO. It corrects what the first cannot know: capacity that was
misjudged, queues that drain slowly.
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
"""While it is not known what one pod is: every so manyth time that demand is above the margin breaks the SLO."""

WAITING = 1.5
"""What of it is not whole pods: two horizons are covered and scale-in waits. With it, AIM_RATIO is what is spent."""

LEAST_TAIL, MOST_TAIL, START_TAIL = 0.25, 1.0, 0.4
TAIL_GAIN, MOST_BEYOND = 0.02, 3.0
MOST_WHOLE = 4.0
"""Whole pods are never taken to leave more than this many times what was asked for."""

LEAST, MOST = 0.5, 8.0
LEAST_FELT, MOST_FELT = -1.5, 4.0
START = 2.5


class Margins:
    """Changed in place. allowed: float64[n], the share of requests that may break the SLO, as 0.005.

    worth: float64[n], the share that two prices make worth it, NaN without them; it counts where it is less.
    grain: float64[n], what one pod, or one step of them, is of the demand ahead, in scales of its error, NaN unknown.
    tail: float64[n], the mean of what exceeds the margin, in scales.
    """

    version = 1

    def __init__(self, allowed: F64) -> None:
        self.allowed = allowed
        self.worth, self.grain = np.full(len(allowed), np.nan), np.full(len(allowed), np.nan)
        self.errors = np.full(len(allowed), START)
        self.felt = np.zeros(len(allowed))
        self.tail = np.full(len(allowed), START_TAIL)

    def follow(self, scaled_errors: F64, broken: F64) -> None:
        """Take one step. scaled_errors: of the lead horizon; broken: 1 where the SLO was broken, weighted by demand."""
        beyond = scaled_errors - self.errors
        moved = self.tail + TAIL_GAIN * (np.minimum(beyond, MOST_BEYOND) - self.tail)
        self.tail = np.where(beyond > 0.0, moved, self.tail)
        exceeded = np.where(np.isfinite(scaled_errors), (beyond > 0.0) * 1.0, np.nan)
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
        return np.asarray(np.minimum(AIM_RATIO * self.slack * self.spent, 1.0))

    @property
    def slack(self) -> F64:
        """Return how many times demand exceeds the margin for each time that the SLO is broken by it."""
        falls = np.maximum(self.grain, 1e-9) / np.clip(self.tail, LEAST_TAIL, MOST_TAIL)
        whole = np.clip(falls / -np.expm1(-falls), 1.0, MOST_WHOLE)
        return np.where(np.isfinite(whole), WAITING * whole, SLACK)

    def start(self, row: int, margin: float) -> None:
        """Begin with what history says; NaN says nothing."""
        if np.isfinite(margin):
            self.errors[row] = min(max(margin, LEAST), MOST)

    def arrays(self) -> Arrays:
        """Return the state for a checkpoint."""
        return {"errors": self.errors, "felt": self.felt, "tail": self.tail}

    def take(self, arrays: Arrays, mine: Rows, theirs: Rows) -> None:
        """Let rows `mine` go on where rows `theirs` of a checkpoint stood; one from before has no tails."""
        self.errors[mine], self.felt[mine] = arrays["errors"][theirs], arrays["felt"][theirs]
        self.tail[mine] = arrays["tail"][theirs] if "tail" in arrays else START_TAIL
