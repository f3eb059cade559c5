"""Who knows in advance what nobody can: the mean of the load, and what a pod carries.

What is left to it is the movement from step to step, and a margin for that. It is no rival, but what forecasting can
come to: whoever is dearer has lost so much by not knowing the mean, or by waiting before pods are taken away.
"""

from __future__ import annotations

import numpy as np

from aiops.core.model import F64
from simulators.autoscalers import Sample
from simulators.lab.lanes import Tables
from simulators.lab.traces import STEP_S, Trace

SEEN_STEPS = 2
"""What is decided at a step is there for the next one, and the mean moves within each."""


class MeanKnownAutoscaler:
    """At each step the fewest pods that carry the mean until new ones would serve. Its knob is a margin on the mean."""

    name = "mean-known"

    def __init__(self, margin: float, trace: Trace, tables: Tables) -> None:
        load = trace.mean * (1.0 + margin)
        levels = int(np.ceil(float(load.max()) / tables.service.pod_rps * 1.5)) + 8
        self._pods = tables.least_pods(load, levels)

    def fit(self, history_rps: F64, step_s: float, startup_s: float, slo_p95_s: float) -> None:
        """Take how long a replica starts; the rest is known."""
        ahead = round(startup_s / STEP_S) + SEEN_STEPS
        padded = np.concatenate((self._pods, np.full(ahead - 1, self._pods[-1])))
        self._pods = np.lib.stride_tricks.sliding_window_view(padded, ahead).max(axis=1)

    def decide(self, sample: Sample, ready: int, current: int) -> int:
        """Return the new spec.replicas. sample: of its time alone."""
        return int(self._pods[min(round(sample.t / STEP_S), len(self._pods) - 1)])
