"""Demand that is gone at once, below what is usual: an outage above looks like that, and comes back as it went.

What carries it is kept for a while, in proportion to what it would take to have it again: a few lead times, an hour at
most. So long the row learns nothing but its season, since an outage says nothing of ordinary days (guarded learning);
what stays away for longer is how it is now. Demand that comes back in stages is coming back: each new high begins the
time anew. After a fall a row rests: load that goes on and off is no row of outages.
"""

from __future__ import annotations

import math

import numpy as np

from aiops.core.model import F64, Bools

FALL = math.log(2.0)
"""Gone is more than half of what is usual, in logarithms, twice in a row."""

FALL_SCALES = 6.0
"""And farther than noise reaches: so many scales of the lead's error."""

BACK = FALL / 2.0
"""It is back when less than this is missing; so much higher than before in a fall is a stage."""

KEPT_LEADS, MOST_KEPT_STEPS = 6.0, 240.0
REST = 6.0
"""After a fall no other is known for so many times the time that is kept."""


class Falls:
    """Changed in place. left: float64[n], steps for which what fell away is still kept for; below 0: of rest.

    before: float64[n], the logarithm of the demand that fell away, NaN for rows as ever. top: the highest since.
    """

    def __init__(self, rows: int) -> None:
        self.left = np.zeros(rows)
        self.before, self.top = np.full(rows, np.nan), np.full(rows, np.nan)
        self.below = np.zeros(rows, np.bool_)

    @property
    def fallen(self) -> Bools:
        """Return which rows are below what is kept for."""
        return self.left > 0.0

    @property
    def kept_steps(self) -> F64:
        """Return for how many steps what fell away is still kept for."""
        return np.maximum(self.left, 0.0)

    def wait(self) -> None:
        """Let a step go by of which nothing is known; nothing ends in it."""
        self.left = np.where(self.left > 0.0, np.maximum(self.left - 1.0, 1.0), np.minimum(self.left + 1.0, 0.0))

    def watch(self, log_demand: F64, usual: F64, scale: F64, lead: F64, rising: Bools) -> tuple[Bools, Bools]:
        """Take one step; return which rows end being fallen (back, or how it is now), and which rose to a new stage.

        log_demand: NaN for no sample. usual: what there should be, in logarithms. scale: of the lead's error, NaN where
        too little was seen. lead: in steps. rising: which rows have left what was foretold behind, upwards.
        """
        kept = np.minimum(KEPT_LEADS * lead, MOST_KEPT_STEPS)
        was, resting = self.fallen, self.left < 0.0
        below = usual - log_demand > np.maximum(FALL, FALL_SCALES * scale)
        fell = below & self.below & ~was & ~resting
        stage = was & rising & (log_demand > self.top + BACK)
        left = np.where(was, np.where(stage, kept, self.left - 1.0), np.minimum(self.left + 1.0, 0.0))
        ended = was & ((left <= 0.0) | (log_demand > self.before - BACK))
        left = np.where(ended, -REST * kept, left)
        self.left = np.where(fell, kept, left)
        self.before = np.where(fell, usual, np.where(ended, np.nan, self.before))
        self.top = np.where(fell | stage, log_demand, np.where(ended, np.nan, self.top))
        self.below = below & ~ended
        return ended, stage
