"""Detectors of others, for benchmarks: river's and a windowed Gaussian, each a class with `update`."""

from __future__ import annotations

import math
from collections import deque

import numpy as np


class WindowedGaussian:
    """The tail of a normal distribution over the last samples, as the benchmark's own baseline has it."""

    def __init__(self, window: int = 6400, refresh: int = 20) -> None:
        self._past: deque[float] = deque(maxlen=window)
        self._refresh, self._since = refresh, 0
        self._mean, self._deviation = 0.0, 1.0

    def update(self, timestamp: float, value: float) -> float:
        """Return how anomalous a sample is, in [0, 1], and learn it; NaN is a missing sample."""
        del timestamp
        if math.isnan(value):
            return 0.0
        away = abs(value - self._mean) / self._deviation if len(self._past) > 30 else 0.0
        self._past.append(value)
        self._since += 1
        if self._since >= self._refresh or len(self._past) < 100:
            self._since, known = 0, np.array(self._past)
            self._mean, self._deviation = float(known.mean()), max(float(known.std()), 1e-9)
        return away / (1.0 + away)  # as good as the tail's probability, which is 1 in floating point beyond eight


class OfRiver:
    """A detector of river over the newest samples; scores against its last thousand, as they have no common scale."""

    def __init__(self, model: object, features: int) -> None:
        self._model, self._recent = model, deque[float](maxlen=features)
        self._past: deque[float] = deque(maxlen=1000)
        self._low, self._high = math.inf, -math.inf

    def update(self, timestamp: float, value: float) -> float:
        """Return how anomalous a sample is, in [0, 1], and learn it; NaN is a missing sample."""
        del timestamp
        if math.isnan(value):
            return 0.0
        self._low, self._high = min(self._low, value), max(self._high, value)
        self._recent.append((value - self._low) / max(self._high - self._low, 1e-12))
        if len(self._recent) < (self._recent.maxlen or 1):
            return 0.0
        seen = {str(place): one for place, one in enumerate(self._recent)}
        raw = float(self._model.score_one(seen))  # type: ignore[attr-defined]
        self._model.learn_one(seen)  # type: ignore[attr-defined]
        known = np.array(self._past)
        self._past.append(raw)
        if len(known) < 30:
            return 0.0
        away = max((raw - float(known.mean())) / max(float(known.std()), 1e-12), 0.0)
        return away / (1.0 + away)


class RiverGaussian:
    """river's GaussianScorer over a window."""

    def __init__(self) -> None:
        from river.anomaly import GaussianScorer

        self._model = GaussianScorer(window_size=2000, grace_period=50)

    def update(self, timestamp: float, value: float) -> float:
        """Return how anomalous a sample is, in [0, 1], and learn it; NaN is a missing sample."""
        del timestamp
        if math.isnan(value):
            return 0.0
        score = self._model.score_one(None, value)
        self._model.learn_one(None, value)
        return float(np.nan_to_num(score))


def river_trees() -> OfRiver:
    from river.anomaly import HalfSpaceTrees

    return OfRiver(HalfSpaceTrees(n_trees=25, height=8, window_size=250, seed=1), 4)


def river_svm() -> OfRiver:
    from river.anomaly import OneClassSVM
    from river.compose import Pipeline
    from river.preprocessing import StandardScaler

    return OfRiver(Pipeline(StandardScaler(), OneClassSVM(nu=0.1)), 4)
