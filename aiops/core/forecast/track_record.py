"""How wrong a forecaster was lately, by horizon, and the intervals and the skill that follow from it.

Intervals are split conformal: quantiles of the errors that the same horizon made (Vovk, Gammerman and Shafer,
"Algorithmic Learning in a Random World", 2005), over a rolling day, as time series are not exchangeable.
"""

from __future__ import annotations

import math

import numpy as np

from aiops.core.model import F64
from aiops.core.protocols import Arrays

QUANTILES = (0.05, 0.5, 0.9, 0.95, 0.99)
HORIZONS = np.array([1, 2, 5, 15, 30, 60])
"""Minutes ahead at which errors are kept; between them intervals are interpolated."""

KEPT = 1440
"""Errors that are kept of each horizon: a day's."""

LEAST_ERRORS = 60
"""With fewer, intervals are the prior's."""

MOST_AHEAD = int(HORIZONS[-1])
_SKILL_ROW = 2
_SKILL_LEAST = 360
_PRIOR_RATIO = 0.05
_LEVELS = np.array(QUANTILES)
_NORMAL = np.array([-1.645, 0.0, 1.282, 1.645, 2.326])
_PRIOR = _PRIOR_RATIO * np.sqrt(HORIZONS)[:, None] * _NORMAL
_STEPS = np.arange(MOST_AHEAD + 1, dtype=np.float64)
_EPS = 1e-12


class TrackRecord:
    """Rings of relative errors. Changed in place.

    made: points foretold, errors and norm: float64[horizons, 1440], rival: float64[1440]; column m % 1440 is minute m.
    spread: float64[quantiles, 61], what to add to a point h minutes ahead, relative to its norm.
    """

    def __init__(self) -> None:
        self._made = np.full((len(HORIZONS), KEPT), np.nan)
        self._errors = np.full((len(HORIZONS), KEPT), np.nan)
        self._rival = np.full(KEPT, np.nan)
        self._rows = np.arange(len(HORIZONS))
        self.known = False
        self.skill: float | None = None
        self.refit()

    def promise(self, minute: int, points: F64) -> None:
        """Note what was foretold at the end of `minute`; points: float64[horizons]."""
        self._made[self._rows, (minute + HORIZONS) % KEPT] = points

    def settle(self, minute: int, actual: float, season_ago: float, floor: float) -> None:
        """Note what came; errors are relative to what was foretold, or to `floor` where that is smaller."""
        slot = minute % KEPT
        made = self._made[:, slot]
        norm = np.maximum(made, max(floor, _EPS))
        np.divide(actual - made, norm, out=self._errors[:, slot])
        self._rival[slot] = (actual - season_ago) / norm[_SKILL_ROW]

    def forget_promises(self) -> None:
        """Forget what was foretold for minutes that nobody will see."""
        self._made.fill(np.nan)

    def forget(self) -> None:
        """Forget everything: the model has become another one."""
        self._made.fill(np.nan)
        self._errors.fill(np.nan)
        self._rival.fill(np.nan)
        self.refit()

    def refit(self) -> None:
        """Take quantiles of each horizon's errors; a further horizon is never surer than a nearer one."""
        ordered = np.sort(self._errors, axis=1)
        counts = np.count_nonzero(np.isfinite(ordered), axis=1)  # NaN is sorted to the end
        self.known = bool(counts.min() >= LEAST_ERRORS)
        spread = _PRIOR.copy()
        for row in range(len(HORIZONS)):
            if counts[row] >= LEAST_ERRORS:
                spread[row] = _conformal(ordered[row, : counts[row]])
        upper, lower = _LEVELS > 0.5, _LEVELS < 0.5
        spread[:, upper] = np.maximum.accumulate(np.maximum(spread[:, upper], 0.0), axis=0)
        spread[:, lower] = np.minimum.accumulate(np.minimum(spread[:, lower], 0.0), axis=0)
        self.spread = np.array([np.interp(_STEPS, HORIZONS, spread[:, q]) for q in range(len(QUANTILES))])
        self.skill = self._skill()

    def arrays(self) -> Arrays:
        """Return the state for a checkpoint."""
        skill = math.nan if self.skill is None else self.skill
        return {
            "made": self._made,
            "errors": self._errors,
            "rival": self._rival,
            "spread": self.spread,
            "record": np.array([float(self.known), skill]),
        }

    def restore(self, arrays: Arrays) -> None:
        """Take the state of a checkpoint whose shapes were checked."""
        self._made, self._errors = np.array(arrays["made"]), np.array(arrays["errors"])
        self._rival, self.spread = np.array(arrays["rival"]), np.array(arrays["spread"])
        known, skill = (float(x) for x in arrays["record"])
        self.known, self.skill = bool(known), None if math.isnan(skill) else skill

    def _skill(self) -> float | None:
        """Return 1 - pinball(model) / pinball(seasonal naive), five minutes ahead, both with conformal quantiles."""
        mine, rival = self._errors[_SKILL_ROW], self._rival
        both = np.isfinite(mine) & np.isfinite(rival)
        if np.count_nonzero(both) < _SKILL_LEAST:
            return None
        loss = _pinball(rival[both])
        return None if loss <= _EPS else 1.0 - _pinball(mine[both]) / loss


def _conformal(ordered: F64) -> F64:
    """Return the quantiles of ordered errors with the finite-sample correction (n + 1) / n of split conformal."""
    count = len(ordered)
    place = np.minimum(_LEVELS * (count + 1) - 1.0, count - 1.0)
    low = np.maximum(np.floor(place), 0).astype(np.intp)
    high = np.minimum(low + 1, count - 1)
    return np.asarray(ordered[low] + (ordered[high] - ordered[low]) * np.maximum(place - low, 0.0))


def _pinball(errors: F64) -> float:
    """Return the mean pinball loss of errors against their own quantiles."""
    over = errors - _conformal(np.sort(errors))[:, None]
    return float(np.maximum(_LEVELS[:, None] * over, (_LEVELS[:, None] - 1.0) * over).mean())
