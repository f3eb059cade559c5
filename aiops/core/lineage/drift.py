"""Whether the errors of a model are not what they were: ADWIN on their size, and the coverage of its intervals.

ADWIN (Bifet and Gavalda, SIAM Data Mining 2007; river's) keeps a window of errors for as long as its older and its
newer part have one mean. It is given one error in five minutes, since neighbours are alike, and only an error that
grows is drift: a model that got better needs no fit.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from aiops.core.lineage.contest import KEPT, Record

if TYPE_CHECKING:
    from river.drift import ADWIN

EVERY_MIN = 5
DELTA = 0.002
NOMINAL = 0.8
COVERED_MIN = 360
"""Minutes over which coverage is looked at."""

_ALIKE_MIN = 30.0
_LEAST_MIN = 180
_Z = 3.09
"""One in a thousand, one-sided."""


class Drift:
    """Follows the errors of one model. What it has seen is not kept in checkpoints: after a restart it begins anew."""

    def __init__(self) -> None:
        self._window: ADWIN | None = None
        self._mean = math.nan

    def errors(self, minute: int, size: float, loss: float) -> str:
        """Learn the loss of a minute; return why that is drift, '' while it is none. size: the mean demand."""
        if minute % EVERY_MIN or not math.isfinite(loss) or size <= 0.0:
            return ""
        window = self._adwin()
        before = float(window.estimation)
        window.update(loss / size)  # type: ignore[no-untyped-call]
        if not window.drift_detected:
            return ""
        now = float(window.estimation)
        return f"errors grew from {before:.1%} to {now:.1%} of the demand (ADWIN)" if now > before else ""

    def _adwin(self) -> ADWIN:
        if self._window is None:
            from river.drift import ADWIN

            self._window = ADWIN(delta=DELTA)  # type: ignore[no-untyped-call]
        return self._window


def uncovered(record: Record, minute: int) -> str:
    """Return why the intervals of the last hours are drift, '' while they cover what they should.

    Errors of half an hour count as one, since neighbours are alike; too wide an interval is no reason for a fit.
    """
    order = np.arange(minute + 1 - COVERED_MIN, minute + 1) % KEPT
    known = record.inside[order]
    known = known[np.isfinite(known)]
    if len(known) < _LEAST_MIN:
        return ""
    covered, free = float(known.mean()), len(known) / _ALIKE_MIN
    if covered >= NOMINAL - _Z * math.sqrt(NOMINAL * (1.0 - NOMINAL) / free):
        return ""
    return f"{covered:.0%} of the values lay in the 80 % interval for {len(known) / 60.0:.0f} h"
