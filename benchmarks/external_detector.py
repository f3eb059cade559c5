"""A thin adapter over the shipped detectors, so that others can judge them on series of their own."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from aiops.core.detect import DETECTORS, TIERS, Tier
from aiops.core.detect.rest import Rest
from aiops.core.detect.rules import DAY_S, usual

_ROW = np.zeros(1, np.intp)


class Detector:
    """One series, watched as a WatchPolicy of its tier watches it that says nothing else.

    `update` says score / (1 + score) of the policy's score: 0.5 is the budget of false alarms. What is anomalous is
    said once and then rests, as alarms do: 0 until it has become much worse or the rest is over.
    """

    def __init__(self, tier: str = "signal", season_s: float = DAY_S) -> None:
        defaults = TIERS[Tier(tier)]
        rules = replace(usual(1, season_s), false_alarms_per_week=np.array([defaults.false_alarms_per_week]))
        self._detector = DETECTORS[defaults.detector](rules)
        self._rest = Rest(1)

    def update(self, timestamp: float, value: float) -> float:
        """Return how anomalous a sample is, in [0, 1], and learn it; NaN is a missing sample."""
        values = np.array([value], np.float64)
        score = float(self._detector.score(timestamp, values).score[0])
        alarm = self._rest.alarms(timestamp, _ROW, np.array([score]), self._detector.step_s)[0]
        self._detector.learn(timestamp, values, np.ones(1, np.bool_))
        if math.isnan(score) or (score > 1.0 and not alarm):
            return 0.0
        return 1.0 if math.isinf(score) else max(score, 0.0) / (1.0 + max(score, 0.0))
