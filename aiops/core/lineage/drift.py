"""Whether the errors of a model are not what they were: ADWIN on their size, and the coverage of its intervals.

ADWIN (Bifet and Gavalda, SIAM Data Mining 2007; river's) keeps a window of errors for as long as its older and its
newer part have one mean. It is given one error in five minutes, as neighbours are alike, in shares of what is usual, as
its bound is for values of about one. What ADWIN sees first is small; so the errors of the hour after it saw that are
compared with what was usual before, and only an error that grew is drift: a model that got better needs no fit.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from aiops.core.lineage.contest import KEPT, Record

EVERY_MIN = 5
DELTA, CLOCK = 0.002, 6
USUAL_OF, LEAST_SEEN = 288, 24
"""What is usual is the mean of about a day's errors, and is known after two hours."""

MOST_TIMES, GREW, CONFIRMED_BY = 10.0, 1.5, 12
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
        self._window: Callable[[float], bool] | None = None
        self._usual, self._seen = 0.0, 0
        self._before = 0.0
        self._after: list[float] | None = None

    def errors(self, minute: int, loss: float) -> str:
        """Learn the loss of a minute; return why that is drift, '' while it is none."""
        if minute % EVERY_MIN or not math.isfinite(loss) or loss < 0.0:
            return ""
        self._seen += 1
        self._usual += (loss - self._usual) / min(self._seen, USUAL_OF)
        if self._seen <= LEAST_SEEN or self._usual <= 0.0:
            return ""
        if self._window is None:
            self._window = adwin()
        drifted = self._window(min(loss / self._usual, MOST_TIMES))
        if self._after is not None:
            self._after.append(loss)
        elif drifted:
            self._before, self._after = self._usual, []
        return self._grown()

    def _grown(self) -> str:
        if self._after is None or len(self._after) < CONFIRMED_BY:
            return ""
        times, self._after = sum(self._after) / len(self._after) / self._before, None
        return f"errors are {times:.1f} times what was usual (ADWIN)" if times >= GREW else ""


def adwin() -> Callable[[float], bool]:
    """Return what is given one error after the other, and says whether the window was cut: river's ADWIN.

    The package around it imports scipy's statistics for its other detectors: 65 MB and a second that nothing here uses.
    So its engine is taken by itself, where this version of river has it.
    """
    usual: dict[str, Any] = {"max_buckets": 5, "min_window_length": 5, "grace_period": 10}
    settings: dict[str, Any] = {"delta": DELTA, "clock": CLOCK, **usual}
    try:
        from river._river_rust.drift import AdaptiveWindowing
    except ImportError:
        return _of_package(settings)
    window: list[AdaptiveWindowing] = [AdaptiveWindowing(**settings)]

    def cut(error: float) -> bool:
        drifted = bool(window[0].update(error))
        if drifted:  # what was seen before has no say in what is found next
            window[0] = AdaptiveWindowing(**settings)
        return drifted

    return cut


def _of_package(settings: dict[str, Any]) -> Callable[[float], bool]:
    from river.drift import ADWIN

    window = ADWIN(**settings)  # type: ignore[no-untyped-call]

    def cut(error: float) -> bool:
        window.update(error)  # type: ignore[no-untyped-call]
        return bool(window.drift_detected)

    return cut


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
