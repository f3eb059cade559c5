"""A fleet that never changes: what carries the peak of the past, and a margin on top."""

from __future__ import annotations

import math

import numpy as np

from aiops.core.model import F64
from simulators.autoscalers.protocol import Carried, Sample

MARGIN = 1.2
"""What people add to the peak."""


def peak_replicas(history_rps: F64, replica_rps: float, margin: float = MARGIN) -> int:
    """Return how many replicas of `replica_rps` carry the peak of the history with a margin, at least one."""
    known = history_rps[np.isfinite(history_rps)]
    peak = float(known.max()) if len(known) else 0.0
    return max(1, math.ceil(peak * margin / replica_rps))


class StaticPeakAutoscaler:
    """The peak's replicas, set once it is known what one carries. Its knob is the margin, a factor on the peak.

    Without a history, what is there is kept.
    """

    def __init__(self, margin: float = MARGIN) -> None:
        self.name = "static-peak"
        self._margin = margin
        self._carried = Carried()
        self._history: F64 = np.empty(0)
        self._fixed: int | None = None

    def fit(self, history_rps: F64, step_s: float, startup_s: float, slo_p95_s: float) -> None:
        """Take the history."""
        self._history = np.asarray(history_rps, np.float64)

    def decide(self, sample: Sample, ready: int, current: int) -> int:
        """Return the new spec.replicas."""
        if self._fixed is not None:
            return self._fixed
        self._carried.note(sample)
        if len(self._history) == 0 or not self._carried.rps > 0.0:
            return current
        wanted = peak_replicas(self._history, self._carried.rps, self._margin)
        if self._carried.sure:
            self._fixed = wanted
        return max(current, wanted) if self._fixed is None else wanted
