"""A quick quantile forecast: what a day's errors say is added to the last two minutes, and nothing else is modelled.

It is what somebody writes in an afternoon. Persistence is the forecast (Hyndman and Athanasopoulos, "Forecasting:
Principles and Practice", 3rd ed., section 5.2), the quantile of its own errors the margin (split conformal prediction,
as in section 5.5 with bootstrapped residuals): of the last day, load when a replica that is asked for now would serve,
over the level of now. Fewer replicas wait as in `behavior`: two minutes, one replica less for seven.
"""

from __future__ import annotations

import math
from collections import deque

import numpy as np

from aiops.core.model import F64
from simulators.autoscalers.protocol import SYNC_S, Carried, Clock, Sample

QUANTILE = 0.9
LEVEL_SYNCS, DAY_SYNCS, LEAST_SYNCS = 8, 5760, 240
SEEN_SYNCS = 2
"""What is decided at a step is there for the next one, by what the last one showed."""

REFRESH_SYNCS = 40
WINDOW_SYNCS, SINGLE_SYNCS = 8, 28
_EPS = 1e-9


def growth(load: F64, ahead: int, quantile: float = QUANTILE) -> float:
    """Return the quantile of load `ahead` steps on over the level before; NaN with less than an hour of it.

    load: float64[t] in steps of `SYNC_S`, NaN where it is not known.
    """
    load = load[-(DAY_SYNCS + LEVEL_SYNCS + ahead) :]
    if len(load) < LEAST_SYNCS + LEVEL_SYNCS + ahead:
        return math.nan
    levels = np.lib.stride_tricks.sliding_window_view(load, LEVEL_SYNCS).mean(axis=1)[:-ahead]
    ratios = load[LEVEL_SYNCS - 1 + ahead :] / np.maximum(levels, _EPS)
    known = ratios[np.isfinite(ratios)]
    return float(np.quantile(known, quantile)) if len(known) >= LEAST_SYNCS else math.nan


class QuantileForecastAutoscaler:
    """Its knob is the use of the replicas that is aimed at, of what is foreseen."""

    def __init__(self, target_ratio: float = 0.7) -> None:
        self.name = "quantile-forecast"
        self._target_ratio = target_ratio
        self._clock = Clock()
        self._carried = Carried()
        self._ahead = SEEN_SYNCS
        self._load: list[float] = []
        self._growth = math.nan
        self._wishes: deque[int] = deque(maxlen=SINGLE_SYNCS)

    def fit(self, history_rps: F64, step_s: float, startup_s: float, slo_p95_s: float) -> None:
        """Take the last day of history, on a grid of `SYNC_S`, and the start-up."""
        self._ahead = SEEN_SYNCS + round(startup_s / SYNC_S)
        steps = np.arange(0.0, len(history_rps) * step_s, SYNC_S) // step_s
        self._load = history_rps[steps.astype(np.intp)][-(DAY_SYNCS + LEVEL_SYNCS + self._ahead) :].tolist()

    def decide(self, sample: Sample, ready: int, current: int) -> int:
        """Return the new spec.replicas."""
        now = self._clock.tick()
        self._carried.note(sample)
        self._load.append(sample.rps)
        if round(now / SYNC_S) % REFRESH_SYNCS == 0:
            self._load = self._load[-(DAY_SYNCS + LEVEL_SYNCS + self._ahead) :]
            self._growth = growth(np.asarray(self._load), self._ahead)
        recent = [one for one in self._load[-LEVEL_SYNCS:] if not math.isnan(one)]
        if not recent or math.isnan(self._carried.rps):
            return current
        foreseen = sum(recent) / len(recent) * (1.0 if math.isnan(self._growth) else self._growth)
        wanted = max(1, math.ceil(foreseen / (self._carried.rps * self._target_ratio) - _EPS))
        self._wishes.append(wanted)
        if wanted >= current:
            return wanted
        stays = max(list(self._wishes)[-WINDOW_SYNCS:])
        return min(current, max(self._wishes) if current - stays == 1 else stays)
