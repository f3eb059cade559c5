"""The Predictive Horizontal Pod Autoscaler: an HPA, and models of its own past wishes.

Source: https://predictive-horizontal-pod-autoscaler.readthedocs.io and the project's algorithms (0.13). At each sync
the HPA's arithmetic gives a count; each model keeps the past counts and predicts one; the largest of all (or another
choice) goes through the HPA's behaviour. Differences: Holt-Winters starts from statsmodels' `legacy-heuristic` (one of
the documented initialization methods; to estimate a day of 15 s seasons anew does not fit into a sync), additive only,
and the stored counts are in the order of time.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, assert_never

import numpy as np

from aiops.core.model import F64
from simulators.autoscalers.behavior import STOCK, Behavior
from simulators.autoscalers.hpa import HpaAutoscaler
from simulators.autoscalers.protocol import SYNC_S, Carried, Clock, Sample

_EXACT = 1e-9
"""What a ceiling forgives: the last digits of a sum are not one replica more."""

DAY_SYNCS = 5760
LEAST_LINE = 40


class Decision(StrEnum):
    """Which of several counts is taken."""

    MAXIMUM = "maximum"
    MINIMUM = "minimum"
    MEAN = "mean"
    MEDIAN = "median"

    def of(self, counts: Sequence[int]) -> int:
        """Return the chosen count."""
        match self:
            case Decision.MAXIMUM:
                return max(counts)
            case Decision.MINIMUM:
                return min(counts)
            case Decision.MEAN:
                return max(0, math.floor(sum(counts) / len(counts) + 0.5))
            case Decision.MEDIAN:
                ordered, half = sorted(counts), len(counts) // 2
                return ordered[half] if len(counts) % 2 else (ordered[half - 1] + ordered[half]) // 2
            case _:
                assert_never(self)


class Model(Protocol):
    """A model of past counts, one each `SYNC_S`."""

    name: str

    def learn(self, counts: Sequence[int]) -> None:
        """Take counts of before, oldest first."""
        ...

    def predict(self, count: int) -> int:
        """Take the newest count and return the predicted one; 0 while there are too few."""
        ...


class Linear:
    """Least squares through the newest `history_size` counts, read `lookahead_s` ahead, rounded up."""

    def __init__(self, lookahead_s: float, history_size: int) -> None:
        self.name = "linear"
        self._ahead = lookahead_s / SYNC_S
        self._counts: deque[int] = deque()
        self._size = history_size
        self._sum = self._moment = 0

    def learn(self, counts: Sequence[int]) -> None:
        """Take counts of before, oldest first."""
        for count in counts[-self._size :]:
            self._add(count)

    def predict(self, count: int) -> int:
        """Take the newest count and return the predicted one."""
        self._add(count)
        n = len(self._counts)
        if n < 2:
            return count
        # places 0..n-1: the slope is the moment about their middle over their spread
        middle = (n - 1) / 2.0
        slope = (self._moment - middle * self._sum) / (n * (n * n - 1) / 12.0)
        return math.ceil(self._sum / n + slope * (middle + self._ahead) - _EXACT)

    def _add(self, count: int) -> None:
        if len(self._counts) >= self._size:
            self._sum -= self._counts.popleft()
            self._moment -= self._sum
        self._moment += len(self._counts) * count
        self._sum += count
        self._counts.append(count)


@dataclass(frozen=True, slots=True, kw_only=True)
class Smoothing:
    """Of level, trend and season. The defaults are those of the documentation's examples."""

    alpha: float = 0.9
    beta: float = 0.9
    gamma: float = 0.9


class HoltWinters:
    """Additive Holt-Winters over up to `stored` seasons of `season` counts, one step ahead, rounded up.

    The oldest season goes when one more is full; then, and at first, the states start from the stored counts: level the
    mean of each season's first count, trend the mean rise from the first season to the second, season the first one.
    """

    def __init__(self, season: int, stored: int, smoothing: Smoothing) -> None:
        self.name = "holt-winters"
        self._season, self._stored = season, stored
        self._smoothing = smoothing
        self._least = max(2 * season, 10 + 2 * (season // 2))
        self._counts: list[int] = []
        self._level = self._trend = 0.0
        self._seasonal: list[float] = []
        self._done = 0

    def learn(self, counts: Sequence[int]) -> None:
        """Take counts of before, oldest first."""
        kept = len(counts) - max(0, len(counts) // self._season - self._stored) * self._season
        self._counts = list(counts[len(counts) - kept :])

    def predict(self, count: int) -> int:
        """Take the newest count and return the predicted one; 0 while there are too few."""
        self._counts.append(count)
        if len(self._counts) < self._least:
            return 0
        if not self._seasonal:
            self._start()
        self._catch_up()
        ahead = self._level + self._trend + self._seasonal[self._done % self._season]
        if len(self._counts) // self._season > self._stored:
            del self._counts[: self._season]
            self._seasonal = []
        return math.ceil(ahead - _EXACT)

    def _start(self) -> None:
        counts, season = self._counts, self._season
        firsts = counts[::season]
        self._level = sum(firsts) / len(firsts)
        self._trend = (sum(counts[season : 2 * season]) - sum(counts[:season])) / season / season
        self._seasonal = [one - self._level for one in counts[:season]]
        self._done = 0

    def _catch_up(self) -> None:
        """Move the states over the counts that they have not seen."""
        alpha, beta, gamma = self._smoothing.alpha, self._smoothing.beta, self._smoothing.gamma
        level, trend, seasonal = self._level, self._trend, self._seasonal
        season = self._season
        for place in range(self._done, len(self._counts)):
            count, phase = self._counts[place], place % season
            expected = level + trend
            before = seasonal[phase]
            seasonal[phase] = gamma * (count - expected) + (1.0 - gamma) * before
            after = alpha * (count - before) + (1.0 - alpha) * expected
            trend = beta * (after - level) + (1.0 - beta) * trend
            level = after
        self._level, self._trend, self._done = level, trend, len(self._counts)


class PhpaAutoscaler:
    """A PHPA with one model. Its knob is the target utilisation of the HPA in it.

    The model has run before: its first counts are what the HPA would have wished for in the history, once it is known
    what a replica carries.
    """

    def __init__(
        self,
        target_ratio: float = 0.7,
        model: Model | None = None,
        decision: Decision = Decision.MAXIMUM,
        behavior: Behavior = STOCK,
    ) -> None:
        self.name = f"phpa-{'linear' if model is None else model.name}"
        self._hpa = HpaAutoscaler(target_ratio, behavior)
        self._target_ratio = target_ratio
        self._model = model
        self._decision = decision
        self._clock = Clock()
        self._carried = Carried()
        self._history: F64 | None = None

    def fit(self, history_rps: F64, step_s: float, startup_s: float, slo_p95_s: float) -> None:
        """Take the history; without a model, draw a line: through ten minutes or four start-ups, read one ahead.

        A line through the six counts of the examples, read as far ahead, turns its own wishes into growth without end.
        """
        self._hpa.fit(history_rps, step_s, startup_s, slo_p95_s)
        if self._model is None:
            ahead = startup_s + SYNC_S
            self._model = Linear(ahead, max(LEAST_LINE, round(4.0 * ahead / SYNC_S)))
        times = np.arange(0.0, len(history_rps) * step_s, SYNC_S)
        self._history = np.asarray(history_rps, np.float64)[(times // step_s).astype(np.int64)]

    def decide(self, sample: Sample, ready: int, current: int) -> int:
        """Return the new spec.replicas."""
        now = self._clock.tick()
        self._carried.note(sample)
        self._look_back()
        wanted = self._hpa.wanted(sample, ready, current)
        if wanted is not None and self._model is not None:
            wanted = self._decision.of((wanted, self._model.predict(wanted)))
        return self._hpa.settle(now, wanted, current)

    def _look_back(self) -> None:
        """Give the model the counts of the history, as soon as they can be known."""
        if self._history is None or self._model is None or not self._carried.sure:
            return
        wished = np.ceil(self._history[np.isfinite(self._history)] / (self._carried.rps * self._target_ratio))
        self._model.learn(wished.astype(np.int64).tolist())
        self._history = None
