"""`seasonal-naive`: what came a season ago, at today's level, with intervals from its own past errors.

The point forecast of horizon h is the mean of the same time in the last seasons, times today's level against theirs, a
ratio that fades over two hours. Intervals are split conformal: quantiles of the relative errors that the same horizon
made lately (Vovk, Gammerman and Shafer, "Algorithmic Learning in a Random World", 2005; rolling, as time series are not
exchangeable). Quantiles are so never narrower than the model's own record.
"""

from __future__ import annotations

import math

import numpy as np

from aiops.core.model import F64, Bools, Instant
from aiops.core.policies import ForecastSpec
from aiops.core.protocols import Arrays

STEP_S = 60.0
QUANTILES = (0.05, 0.5, 0.9, 0.95, 0.99)
SEASONS = 3
"""How many past seasons are averaged."""

LEVEL_STEPS = 10
LEVEL_FADE_STEPS = 120.0
LEVEL_LIMITS = (0.25, 4.0)
SMOOTH_STEPS = 5
HORIZONS = (1, 5, 15, 30, 60)
ERRORS = 1440
"""How many errors of each horizon are kept: a day's."""

LEAST_ERRORS = 60
_REFIT_STEPS = 10
_SKILL_LEAST = 360
_EPS = 1e-9
_LEVELS = np.array(QUANTILES)


class SeasonalNaive:
    """State: a ring of one value a minute, and rings of relative errors by horizon. Changed in place.

    values: float64[minutes], NaN is a gap; errors: float64[horizons, 1440].
    """

    name = "seasonal-naive"
    version = 1

    def __init__(self, spec: ForecastSpec) -> None:
        self._season = max(1, round(spec.season_s / STEP_S))
        self._size = max(round(spec.history_s / STEP_S), self._season * 2) + max(HORIZONS) + 1
        self._values = np.full(self._size, np.nan)
        self._errors = np.full((len(HORIZONS), ERRORS), np.nan)
        self._rival = np.full(ERRORS, np.nan)
        self._made = np.zeros(len(HORIZONS))
        self._first = self._minute = -1
        self._sum, self._count = 0.0, 0
        self._spread = np.zeros((len(HORIZONS), len(QUANTILES)))
        self._known = False

    # -- learning ------------------------------------------------------------------------------------

    def learn(self, at: Instant, value: float) -> None:
        """Learn one sample; NaN says that the step is missing or must not be learnt from."""
        minute = int(at // STEP_S)
        if minute != self._minute:
            if self._minute >= 0:
                self._close(minute)
            else:
                self._first = self._minute = minute
        if not math.isnan(value):
            self._sum += value
            self._count += 1

    def backfill(self, times: F64, values: F64) -> None:
        """Learn a history in order; times are increasing seconds since the epoch."""
        if len(times) == 0:
            return
        minutes = (times // STEP_S).astype(np.int64)
        last = int(minutes[-1])
        kept = (minutes > last - self._size) & np.isfinite(values)
        minutes, values = minutes[kept], values[kept]
        if len(minutes) == 0 or (self._minute > last):
            return
        sums, counts = np.zeros(self._size), np.zeros(self._size)
        np.add.at(sums, minutes % self._size, values)
        np.add.at(counts, minutes % self._size, 1.0)
        self._values = np.where(counts > 0, sums / np.maximum(counts, 1.0), np.nan)
        self._first, self._minute = int(minutes[0]), last + 1
        self._sum, self._count = 0.0, 0
        self._learn_errors(np.arange(max(self._first, last - ERRORS + 1), last + 1))
        self._refit()

    def paths(self, at: Instant, steps: int) -> F64:
        """Return float64[quantiles, steps]: quantiles of the value at `at + (h + 1) * step_s`, non-decreasing in q."""
        origin = np.array([int(at // STEP_S) - 1])
        ahead = np.arange(1, steps + 1)
        point = self._point(origin, ahead + 1)
        spread = np.empty((len(QUANTILES), steps))
        for row in range(len(QUANTILES)):
            spread[row] = np.interp(ahead, HORIZONS, self._spread[:, row])
        return np.maximum.accumulate(np.maximum(point * (1.0 + spread), 0.0), axis=0)

    @property
    def quantiles(self) -> tuple[float, ...]:
        """Return the levels of `paths`, increasing."""
        return QUANTILES

    @property
    def history_s(self) -> float:
        """Return how much history has been seen."""
        return max(0, self._minute - self._first) * STEP_S if self._first >= 0 else 0.0

    @property
    def learned(self) -> bool:
        """Return whether a season is known, and how wrong the model is."""
        return self._known and self.history_s >= (self._season + LEAST_ERRORS) * STEP_S

    @property
    def skill(self) -> float | None:
        """Return 1 - mean |error| / mean |error of last season's value|, at the fifth horizon step, over a day.

        The mean absolute error is twice the pinball loss of the median.
        """
        mine, rival = self._errors[1], self._rival
        both = np.isfinite(mine) & np.isfinite(rival)
        if both.sum() < _SKILL_LEAST:
            return None
        loss = float(np.abs(rival[both]).mean())
        return None if loss <= _EPS else 1.0 - float(np.abs(mine[both]).mean()) / loss

    def arrays(self) -> Arrays:
        """Return the state for a checkpoint."""
        return {
            "values": self._values,
            "errors": self._errors,
            "rival": self._rival,
            "clock": np.array([self._first, self._minute, self._sum, self._count]),
        }

    def restore(self, arrays: Arrays) -> None:
        """Take the state of a checkpoint of the same version; raise ValueError when it does not fit."""
        for name, array in self.arrays().items():
            if name not in arrays or arrays[name].shape != array.shape:
                raise ValueError(f"{self.name}: the checkpoint's {name} does not fit {array.shape}")
        self._values, self._errors = np.array(arrays["values"]), np.array(arrays["errors"])
        self._rival = np.array(arrays["rival"])
        first, minute, total, count = (float(x) for x in arrays["clock"])
        self._first, self._minute, self._sum, self._count = int(first), int(minute), total, int(count)
        self._refit()

    # -- inner ---------------------------------------------------------------------------------------

    def _close(self, minute: int) -> None:
        """End the minute that was open, and the silent ones up to `minute`; every ten minutes, look at the errors."""
        closed = self._minute
        self._values[closed % self._size] = self._sum / self._count if self._count else np.nan
        self._sum, self._count = 0.0, 0
        for silent in range(closed + 1, min(minute, closed + self._size)):
            self._values[silent % self._size] = np.nan
        self._minute = minute
        if closed // _REFIT_STEPS != minute // _REFIT_STEPS:
            start = closed - closed % _REFIT_STEPS
            self._learn_errors(np.arange(max(start, minute - ERRORS), minute))
            self._refit()

    def _learn_errors(self, minutes: np.ndarray[tuple[int], np.dtype[np.int64]]) -> None:
        """Note how wrong the forecasts for these minutes were that each horizon would have made."""
        actual = self._at(minutes)
        slots = minutes % ERRORS
        for row, horizon in enumerate(HORIZONS):
            point = self._point(minutes - horizon, np.array([horizon]))
            self._errors[row, slots] = (actual - point) / np.maximum(np.abs(point), _EPS)
            if horizon == HORIZONS[1]:
                last = self._at(minutes - self._season)
                self._rival[slots] = (actual - last) / np.maximum(np.abs(point), _EPS)

    def _refit(self) -> None:
        """Take the conformal quantiles of each horizon's errors; a wider horizon is never surer than a nearer one."""
        spread = np.zeros_like(self._spread)
        known = True
        for row in range(len(HORIZONS)):
            errors = self._errors[row]
            errors = errors[np.isfinite(errors)]
            if len(errors) < LEAST_ERRORS:
                known = False
                continue
            # the finite-sample correction of split conformal prediction: (n + 1) / n
            level = np.minimum(_LEVELS * (len(errors) + 1) / len(errors), 1.0)
            spread[row] = np.quantile(errors, level)
        upper, lower = _LEVELS > 0.5, _LEVELS < 0.5
        spread[:, upper] = np.maximum.accumulate(np.maximum(spread[:, upper], 0.0), axis=0)
        spread[:, lower] = np.minimum.accumulate(np.minimum(spread[:, lower], 0.0), axis=0)
        self._spread, self._known = spread, known

    def _point(self, origins: np.ndarray[tuple[int], np.dtype[np.int64]], horizons: F64 | np.ndarray) -> F64:
        """Return point forecasts made at the ends of minutes `origins` for `horizons` (one of the two has length 1)."""
        base = self._seasonal(origins + horizons)
        window = np.arange(LEVEL_STEPS)
        recent = origins[:, None] - window
        then = self._seasonal(recent.ravel()).reshape(recent.shape)
        now = self._at(recent)
        both: Bools = np.isfinite(then) & np.isfinite(now)
        now_sum, then_sum = np.where(both, now, 0.0).sum(axis=1), np.where(both, then, 0.0).sum(axis=1)
        ratio = np.where(then_sum > _EPS, now_sum / np.maximum(then_sum, _EPS), 1.0)
        ratio = np.clip(ratio, *LEVEL_LIMITS)
        fade = np.exp(-(np.asarray(horizons) - 1.0) / LEVEL_FADE_STEPS)
        return np.asarray(base * (1.0 + (ratio - 1.0) * fade), np.float64)

    def _seasonal(self, minutes: np.ndarray) -> F64:
        """Return the mean of the same time in the last seasons, smoothed over five minutes; NaN where none is known."""
        around = np.arange(-(SMOOTH_STEPS // 2), SMOOTH_STEPS // 2 + 1)
        lags = (np.arange(1, SEASONS + 1) * self._season)[:, None] - around
        cells = self._at(minutes[None, None, :] - lags[:, :, None])
        there = np.isfinite(cells)
        count = there.sum(axis=(0, 1))
        total = np.where(there, cells, 0.0).sum(axis=(0, 1))
        return np.asarray(np.where(count > 0, total / np.maximum(count, 1), np.nan), np.float64)

    def _at(self, minutes: np.ndarray) -> F64:
        """Return the values of minutes that are over; NaN outside of what is kept."""
        kept = (minutes < self._minute) & (minutes >= max(self._first, self._minute - self._size))
        return np.asarray(np.where(kept, self._values[minutes % self._size], np.nan))
