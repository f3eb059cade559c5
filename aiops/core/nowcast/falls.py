"""Demand that is gone at once, below what is usual: an outage above looks like that, and comes back as it went.

What carries it is kept for a while, in proportion to what it would take to have it again: a few start-up lead times,
an hour at most. So long the row learns nothing, since an outage says nothing of ordinary days (guarded learning); what
stays away for longer is how it is now. Demand that comes back in stages is coming back: each begins the time anew.
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
"""It is back when less than this is missing."""

KEPT_LEADS, MOST_KEPT_STEPS = 6.0, 240.0


class Falls:
    """Changed in place. left: float64[n], steps for which what fell away is still kept for, 0 for rows as ever.

    before: float64[n], the logarithm of the demand that fell away.
    """

    def __init__(self, rows: int) -> None:
        self.left = np.zeros(rows)
        self.before = np.full(rows, np.nan)
        self.below = np.zeros(rows, np.bool_)

    @property
    def fallen(self) -> Bools:
        """Return which rows are below what is kept for."""
        return self.left > 0.0

    def watch(self, log_demand: F64, usual: F64, scale: F64, lead: F64, rising: Bools) -> Bools:
        """Take one step; return which rows end being fallen: they are back, or it is how it is now.

        log_demand: NaN for no sample. usual: what there should be, in logarithms. scale: of the lead's error, NaN where
        too little was seen. lead: in steps. rising: which rows have left what was foretold behind, upwards.
        """
        kept = np.minimum(KEPT_LEADS * lead, MOST_KEPT_STEPS)
        was = self.fallen
        below = usual - log_demand > np.maximum(FALL, FALL_SCALES * scale)
        fell = below & self.below & ~was
        self.below = np.where(np.isfinite(log_demand), below, self.below)
        self.left = np.where(was, np.where(rising, kept, self.left - 1.0), 0.0)
        back = was & (log_demand > self.before - BACK)
        ended = back | (was & (self.left <= 0.0))
        self.left[ended] = 0.0
        self.before = np.where(fell, usual, np.where(ended, np.nan, self.before))
        self.left = np.where(fell, kept, self.left)
        return ended
