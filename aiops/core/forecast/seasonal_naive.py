"""`seasonal-naive`: what came in past seasons, at today's level, with intervals from the model's own past errors.

The point forecast is a weighted mean of the same time one, two, three, seven and fourteen seasons ago, moved to today's
level: half by ratio and half by difference, both fading over twelve hours. Weights, windows and fades were chosen on
request-rate traces over 1 to 60 minutes. Before a season is known, it follows a damped trend.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from aiops.core.forecast.clock import Backwards
from aiops.core.forecast.holidays import REST_DAYS, Resting
from aiops.core.forecast.track_record import HORIZONS, KEPT, MOST_AHEAD, QUANTILES, TrackRecord
from aiops.core.model import F64, Bools, Instant, Rows
from aiops.core.policies import ForecastSpec
from aiops.core.protocols import Arrays

STEP_S = 60.0
SEASONS = ((1, 1.0), (2, 0.5), (3, 0.25), (7, 1.0), (14, 0.5))
"""How many seasons ago, and what that weighs; seven days ago is the same day of the week."""

_REST_SEASONS = tuple((days, 1.0) for days in range(1, REST_DAYS + 1))
FADE_STEPS = 720.0
RATIO_LIMITS = (0.25, 4.0)
REFIT_STEPS = 20
_WINDOW, _SLOW_WINDOW = 1.5, 40.0
_KEEP, _KEEP_SLOW = math.exp(-1.0 / _WINDOW), math.exp(-1.0 / _SLOW_WINDOW)
_DAMPING = 0.95
_OPEN_WEIGHT = 0.5
"""The minute that is not over yet counts half: it is younger, and noisier."""

_NORM_RATIO = 0.1
_LONG_GAP = 60
_SLACK = 2 * MOST_AHEAD + REFIT_STEPS
_AHEAD = np.arange(MOST_AHEAD + 1, dtype=np.float64)
_FADE = np.exp(-np.maximum(_AHEAD - 1.0, 0.0) / FADE_STEPS)
_TREND = _DAMPING * (1.0 - _DAMPING**_AHEAD) / (1.0 - _DAMPING)
_BLOCK = MOST_AHEAD + REFIT_STEPS + 2
_EPS = 1e-9

_CLOCK = ("_first", "_minute", "_sum", "_count", "_now", "_then", "_slow", "_weight", "_weight_slow", "_age", "_floor")


class SeasonalNaive:
    """State: a ring of one value a minute, today's level, and the record of past errors. Changed in place.

    values: float64[minutes], NaN is a gap; column m % minutes is minute m since the epoch.
    """

    name = "seasonal-naive"
    version = 1

    def __init__(self, spec: ForecastSpec) -> None:
        self._season = max(1, round(spec.season_s / STEP_S))
        self._size = max(round(spec.history_s / STEP_S), self._season * 2) + _SLACK
        self._resting = None if spec.calendar is None else Resting(spec.calendar)
        self._backwards = Backwards()
        self._begin_anew()

    def _begin_anew(self) -> None:
        """Know nothing."""
        self._values = np.full(self._size, np.nan)
        self._record = TrackRecord()
        self._block, self._block_from = np.full(_BLOCK, np.nan), -1
        self._seasonal = False
        self._first = self._minute = -1
        self._sum = self._count = 0.0
        # sums of what came and of what the seasons had then, with exponentially fading weights
        self._now = self._then = self._weight = 0.0
        self._slow = self._weight_slow = 0.0
        self._age = self._floor = 0.0

    # -- learning ------------------------------------------------------------------------------------

    def learn(self, at: Instant, value: float) -> None:
        """Learn one sample; NaN says that the step is missing or must not be learnt from."""
        minute = int(at // STEP_S)
        if self._backwards.says(minute, self._minute):
            self._set_back(minute)
        if minute > self._minute:
            if self._minute >= 0:
                self._close_until(minute)
            else:
                self._first = self._minute = minute
        if minute == self._minute and not math.isnan(value):
            self._sum += value
            self._count += 1.0

    def _set_back(self, minute: int) -> None:
        """Go on at a minute long before the one that is open: the clock was ahead, and what it dated later is void."""
        known = np.arange(max(self._first, self._minute - self._size + 1), minute)
        values = self._at(known)
        self._begin_anew()
        self.backfill(np.asarray(known * STEP_S, np.float64), values)

    def backfill(self, times: F64, values: F64) -> None:
        """Learn a history in order; times are increasing seconds since the epoch. What is known already stays."""
        minutes = (np.asarray(times) // STEP_S).astype(np.int64)
        there = np.isfinite(values)
        minutes, values = minutes[there], np.asarray(values, np.float64)[there]
        if len(minutes) == 0:
            return
        opened = max(self._minute, int(minutes[-1]))
        kept = minutes > opened - self._size
        minutes, values = minutes[kept], values[kept]
        sums = np.bincount(minutes % self._size, values, self._size)
        counts = np.bincount(minutes % self._size, minlength=self._size).astype(np.float64)
        if opened == self._minute:
            # the minute that is open has been counted sample by sample
            sums[opened % self._size] = counts[opened % self._size] = 0.0
        else:
            self._sum, self._count = float(sums[opened % self._size]), float(counts[opened % self._size])
        known = self._known_until(opened)
        history = np.where(counts > 0, sums / np.maximum(counts, 1.0), np.nan)
        self._values = np.where(np.isfinite(known), known, history)
        self._values[opened % self._size] = np.nan
        oldest = int(minutes[0]) if len(minutes) else opened
        self._first = max(oldest if self._first < 0 else min(oldest, self._first), opened - self._size + 1)
        self._retrace(opened)

    def paths(self, at: Instant, steps: int) -> F64:
        """Return float64[quantiles, steps]: quantiles of the value at `at + (h + 1) * step_s`, non-decreasing in q."""
        minute = int(at // STEP_S)
        ahead = np.minimum(np.arange(1, steps + 1), MOST_AHEAD - 1)
        age = self._age + max(0, minute - self._minute)
        season = self._profile(minute + 1, steps) if self._seasonal else None
        point = self._point(season, ahead, age)
        # measured errors are those of whole minutes after whole minutes: one step more than it seems from now
        spread = self._record.spread[:, ahead + 1]
        out = point + spread * np.maximum(point, max(self._floor, _EPS))
        np.maximum(out, 0.0, out=out)
        return np.asarray(np.maximum.accumulate(out, axis=0), np.float64)

    @property
    def quantiles(self) -> tuple[float, ...]:
        """Return the levels of `paths`, increasing."""
        return QUANTILES

    @property
    def history_s(self) -> float:
        """Return how much history has been seen."""
        return (self._minute - self._first) * STEP_S

    @property
    def peak(self) -> float | None:
        """Return the greatest value that is remembered, None of nothing."""
        known = self._values[np.isfinite(self._values)]
        return float(known.max()) if len(known) else None

    @property
    def learned(self) -> bool:
        """Return whether a season is known, and how wrong the model is."""
        return self._seasonal and self._record.known

    @property
    def skill(self) -> float | None:
        """Return 1 - pinball(model) / pinball(last season's value), five minutes ahead over the last day.

        Both get conformal quantiles from their own errors, so that what is compared is the point forecasts' worth.
        """
        return self._record.skill

    def arrays(self) -> Arrays:
        """Return the state for a checkpoint."""
        clock = [float(getattr(self, name)) for name in _CLOCK]
        return {
            "values": self._values,
            "block": self._block,
            "clock": np.array([*clock, self._block_from, float(self._seasonal)]),
            **self._record.arrays(),
            **({} if self._resting is None else self._resting.arrays()),
        }

    def restore(self, arrays: Arrays) -> None:
        """Take the state of a checkpoint of the same version; raise ValueError when it does not fit."""
        for name, array in self.arrays().items():
            if name == "holidays":
                continue  # a checkpoint of before there was a calendar has none
            if name not in arrays or arrays[name].shape != array.shape:
                raise ValueError(f"{self.name}: the checkpoint's {name} does not fit {array.shape}")
        self._values, self._block = np.array(arrays["values"]), np.array(arrays["block"])
        clock = [float(x) for x in arrays["clock"]]
        for name, number in zip(_CLOCK, clock, strict=False):
            setattr(self, name, number)
        self._first, self._minute, self._block_from = int(clock[0]), int(clock[1]), int(clock[-2])
        self._seasonal = bool(clock[-1])
        self._record.restore(arrays)
        if self._resting is not None:
            self._resting.restore(arrays)

    # -- inner ---------------------------------------------------------------------------------------

    def _known_until(self, opened: int) -> F64:
        """Return the ring as it is once `opened` is the open minute: what falls out of it is NaN."""
        known = self._values.copy()
        passed = opened - self._minute
        if self._minute < 0 or passed >= self._size:
            known.fill(np.nan)
        elif passed > 0:
            known[np.arange(self._minute, opened + 1) % self._size] = np.nan
            if self._count:
                known[self._minute % self._size] = self._sum / self._count
        return known

    def _retrace(self, opened: int) -> None:
        """Walk the last day again, so that level and errors are what they would be, had it been lived through."""
        self._record.forget()
        self._seasonal, self._block_from = False, -1
        self._now = self._then = self._weight = self._slow = self._weight_slow = self._age = 0.0
        finite = self._values[np.isfinite(self._values)]
        self._floor = _NORM_RATIO * float(np.abs(finite).mean()) if len(finite) else 0.0
        self._minute = opened
        self._weigh()
        start = max(self._first, opened - KEPT - 2 * MOST_AHEAD)
        for minute in range(start, opened):
            self._minute = minute
            self._close(minute, float(self._values[minute % self._size]), refit=False)
        self._minute = opened
        self._refit()

    def _close_until(self, minute: int) -> None:
        """End the minute that was open, and the silent ones up to `minute`."""
        closed = self._minute
        value = self._sum / self._count if self._count else math.nan
        self._sum = self._count = 0.0
        self._values[closed % self._size] = value
        self._close(closed, value, refit=True)
        silent = minute - closed - 1
        if silent > _LONG_GAP:
            gone = np.arange(closed + 1, closed + 1 + min(silent, self._size))
            self._values[gone % self._size] = np.nan
            self._age += silent
            self._record.forget_promises()
        else:
            for empty in range(closed + 1, minute):
                self._minute = empty
                self._values[empty % self._size] = np.nan
                self._close(empty, math.nan, refit=True)
        self._minute = minute

    def _close(self, minute: int, value: float, *, refit: bool) -> None:
        """Note how wrong the forecasts for a minute were, learn it, and foretell from its end."""
        if self._resting is not None and self._resting.due(minute) and self._weigh():
            self._block_from = -1
        season = float(self._profile(minute, 1)[0])
        if not self._seasonal and not math.isnan(season):
            self._record.forget()
            self._seasonal, self._weight = True, 0.0
            self._now = self._then = 0.0
        if math.isnan(value):
            self._age += 1.0
        else:
            season_ago = float(self._values[(minute - self._season) % self._size]) if self._seasonal else math.nan
            self._record.settle(minute, value, season_ago, self._floor)
            self._follow(value, season)
        ahead = self._profile(minute + 1, MOST_AHEAD)[HORIZONS - 1] if self._seasonal else None
        self._record.promise(minute, self._point(ahead, HORIZONS, self._age, closed=True))
        if refit and minute % REFIT_STEPS == 0:
            self._refit()

    def _follow(self, value: float, season: float) -> None:
        usual = season if self._seasonal else 0.0
        if not math.isnan(usual):
            self._now = self._now * _KEEP + value
            self._then = self._then * _KEEP + usual
            self._weight = self._weight * _KEEP + 1.0
        self._slow = self._slow * _KEEP_SLOW + value
        self._weight_slow = self._weight_slow * _KEEP_SLOW + 1.0
        self._age = 0.0

    def _refit(self) -> None:
        finite = self._values[np.isfinite(self._values)]
        self._floor = _NORM_RATIO * float(np.abs(finite).mean()) if len(finite) else 0.0
        self._record.refit()

    def _point(self, season: F64 | None, ahead: Rows, age: float, *, closed: bool = False) -> F64:
        """Return point forecasts `ahead` minutes from now; season: what the seasons had then, None while unknown."""
        now, then, weight = self._now, self._then, self._weight
        if not closed and self._count:
            sample, usual = self._sum / self._count, 0.0
            if season is not None:
                usual = float(self._profile(self._minute, 1)[0])
            if not math.isnan(usual):
                now, then, weight = now + _OPEN_WEIGHT * sample, then + _OPEN_WEIGHT * usual, weight + _OPEN_WEIGHT
        if season is None:
            return self._trend(now / weight if weight else math.nan, ahead)
        if not weight:
            return season
        ratio = min(max(now / then, RATIO_LIMITS[0]), RATIO_LIMITS[1]) if then > _EPS else 1.0
        fade = _FADE[ahead] * (0.5 * math.exp(-age / FADE_STEPS))
        return np.asarray(season + fade * (season * (ratio - 1.0) + (now - then) / weight), np.float64)

    def _trend(self, level: float, ahead: Rows) -> F64:
        slow = self._slow / self._weight_slow if self._weight_slow else level
        slope = (level - slow) / (_SLOW_WINDOW - _WINDOW)
        return np.asarray(np.maximum(level + slope * _TREND[ahead], 0.0), np.float64)

    def _profile(self, minute: int, steps: int) -> F64:
        """Return what the seasons had in `steps` minutes from `minute` on; NaN throughout while none is known."""
        if self._first < 0 or minute - self._season < self._first:
            return np.full(steps, np.nan)
        if steps > MOST_AHEAD:
            return self._of_seasons(minute, steps)
        start = minute - self._block_from
        if self._block_from < 0 or start < 0 or start + steps > _BLOCK:
            self._block, self._block_from = self._of_seasons(minute, _BLOCK), minute
            start = 0
        return self._block[start : start + steps]

    def _of_seasons(self, minute: int, steps: int) -> F64:
        """Return the weighted mean of the same time in past seasons, smoothed over three minutes; gaps are bridged."""
        around = np.arange(minute - 1, minute + steps + 1)
        rest = (
            None if self._resting is None else self._resting.mask(int(around[0]) - self._back, self._back + len(around))
        )
        total, weights = self._summed(around, SEASONS, rest)
        if rest is not None and rest[-steps - 1 : -1].any():
            # days of rest are as others of their kind were; where none is known, as any day
            other, others = self._summed(around, _REST_SEASONS, rest)
            special = rest[-steps - 1 : -1] & (others > 0)
            total, weights = np.where(special, other, total), np.where(special, others, weights)
        known = weights > 0
        if not known.any():
            return np.full(steps, np.nan)
        out = np.where(known, total / np.maximum(weights, _EPS), np.nan)
        if not known.all():
            places = np.arange(steps)
            out = np.interp(places, places[known], out[known])
        return np.asarray(out, np.float64)

    @property
    def _back(self) -> int:
        """Return how many minutes back days of rest are looked for."""
        return REST_DAYS * self._season

    def _summed(self, around: Rows, lags: Sequence[tuple[int, float]], rest: Bools | None) -> tuple[F64, F64]:
        """Return weighted sums over past seasons and over three minutes, and the weights; kinds of days do not mix.

        rest: bool[back + len(around)], up to the last of the minutes.
        """
        steps = len(around) - 2
        total, weights = np.zeros(steps), np.zeros(steps)
        for seasons, weight in lags:
            cells = self._at(around - seasons * self._season)
            if rest is not None:
                place = self._back - seasons * self._season
                cells = np.where(rest[place : place + len(around)] == rest[self._back :], cells, np.nan)
            for shift in range(3):
                part = cells[shift : shift + steps]
                there = np.isfinite(part)
                total += np.where(there, weight * part, 0.0)
                weights += weight * there
        return total, weights

    def _weigh(self) -> bool:
        """Take the evidence of holidays; return whether they are like another weekday now."""
        if self._resting is None or self._first < 0:
            return False
        return self._resting.weigh(self._at(np.arange(self._first, self._minute)), self._first)

    def _at(self, minutes: Rows) -> F64:
        """Return the values of minutes that are over; NaN outside of what is kept."""
        kept = (minutes < self._minute) & (minutes >= max(self._first, self._minute - self._size + 1))
        return np.asarray(np.where(kept, self._values[minutes % self._size], np.nan))
