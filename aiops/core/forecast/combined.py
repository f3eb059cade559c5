"""`combined`: several models weighed by what they lately lost, with intervals that stay calibrated.

It is one row of a `Fleet` on a grid of minutes: what is true of ten thousand series is true of one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from aiops.core.forecast.fitting import Fitted, fit
from aiops.core.forecast.fleet import Calendar, Fleet
from aiops.core.forecast.grid import Grid
from aiops.core.forecast.holidays import Resting
from aiops.core.forecast.members import MEMBERS, Member
from aiops.core.forecast.standing import QUANTILES
from aiops.core.model import F64, Instant
from aiops.core.policies import ForecastSpec
from aiops.core.protocols import Arrays

STEP_S = 60.0
_FIRST_FITS = (2, 10, 60, 240)
_GROWTH = 1.25
_GROWN_SEASONS = 4
_OPEN_WEIGHT = 0.5
"""The minute that is not over yet counts half: it is younger, and noisier."""

_LONG_GAP = 60
_CLOCK = ("_first", "_minute", "_sum", "_count", "_fit_at")


class Combined:
    """State: a fleet of one series, and the minute that is open. Changed in place.

    refits: fit again in place as history grows, by a quarter or a day. Without it somebody else fits `fleet.history()`
    once `due` says so, and gives the result to `adopt`.
    """

    name = "combined"
    version = 1

    def __init__(
        self,
        spec: ForecastSpec,
        *,
        members: Sequence[Member] = MEMBERS,
        refits: bool = True,
        calendar: Calendar | None = None,
    ) -> None:
        grid, steps = Grid.of(STEP_S, spec.season_s), round(spec.history_s / STEP_S)
        self._resting = None if spec.calendar is None else Resting(spec.calendar)
        if calendar is None and self._resting is not None:
            calendar = self._resting.mask
        self.fleet = Fleet(grid, 1, history_steps=steps, members=members, calendar=calendar)
        self._refits = refits
        self.due = False
        self._first = self._minute = -1
        self._sum = self._count = 0.0
        self._fit_at = -1

    # -- learning --------------------------------------------------------------------------------------

    def learn(self, at: Instant, value: float) -> None:
        """Learn one sample; NaN, or an infinite one, says that the step is missing or must not be learnt from."""
        minute = int(at // STEP_S)
        there = math.isfinite(value)
        if self._minute < 0:
            if not there:
                return
            self._begin(minute)
        if minute > self._minute:
            self._close_until(minute)
        if minute == self._minute and there:
            self._sum += value
            self._count += 1.0

    def backfill(self, times: F64, values: F64) -> None:
        """Learn a history in order; times are increasing seconds since the epoch. What is known already stays."""
        minutes = np.floor(np.asarray(times) / STEP_S).astype(np.int64)
        there = np.isfinite(values)
        minutes, values = minutes[there], np.asarray(values, np.float64)[there]
        if len(minutes) == 0:
            return
        newest = int(minutes[-1])
        if self._minute < 0:
            self._begin(newest)
        elif newest > self._minute:
            self._close_until(newest)
        self._merge(minutes, values)
        self._weigh()
        self.refit()

    def refit(self) -> None:
        """Fit what is known, here and now."""
        self.adopt(fit(self.fleet.history(), self.fleet.members))

    def adopt(self, fitted: Fitted) -> None:
        """Go on with what was fitted elsewhere on this signal's history."""
        self.fleet.adopt(fitted)
        self.tried()

    def tried(self) -> None:
        """Take it for fitted now, whatever came of it: it is not due again before history has grown."""
        self._fit_at, self.due = self._minute, False

    # -- foretelling -----------------------------------------------------------------------------------

    def paths(self, at: Instant, steps: int) -> F64:
        """Return float64[quantiles, steps]: quantiles of the value at `at + (h + 1) * step_s`, non-decreasing in q."""
        nothing = np.full((len(QUANTILES), steps), np.nan)
        if self._minute < 0 or (self._minute == self._first and not self._count):
            return nothing
        silent = max(0, int(at // STEP_S) - self._minute)
        if silent >= self.fleet.size:
            return nothing
        believed = np.full((1, silent + 1), np.nan)
        if self._count:
            sample = self._sum / self._count
            foretold = float(self.fleet.predict(1)[0, QUANTILES.index(0.5), 0])
            believed[0, 0] = sample if math.isnan(foretold) else foretold + _OPEN_WEIGHT * (sample - foretold)
        return np.asarray(self.fleet.predict(steps, believed)[0])

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
        known = self.fleet.values[np.isfinite(self.fleet.values)]
        return float(known.max()) if len(known) else None

    @property
    def learned(self) -> bool:
        """Return whether the model may act: a season is known and lately it was better than the last season's value."""
        return bool(self.fleet.acts[0])

    @property
    def why(self) -> str:
        """Say why the model acts, or why not."""
        return self.fleet.why(0)

    @property
    def skill(self) -> float | None:
        """Return 1 - pinball(model) / pinball(last season's value), up to an hour ahead, errors of days ago fading."""
        skill = float(self.fleet.skill()[0])
        return skill if math.isfinite(skill) else None

    # -- checkpoints -----------------------------------------------------------------------------------

    def arrays(self) -> Arrays:
        """Return the state for a checkpoint."""
        out: dict[str, NDArray[np.generic]] = dict(self.fleet.arrays())
        out["clock"] = np.array([float(getattr(self, name)) for name in _CLOCK])
        return out if self._resting is None else {**out, **self._resting.arrays()}

    def restore(self, arrays: Arrays) -> None:
        """Take the state of a checkpoint of the same version; raise ValueError when it does not fit."""
        if "clock" not in arrays or arrays["clock"].shape != (len(_CLOCK),):
            raise ValueError(f"{self.name}: the checkpoint's clock does not fit {(len(_CLOCK),)}")
        try:
            self.fleet.restore(arrays)
            if self._resting is not None:
                self._resting.restore(arrays)
        except ValueError as err:
            raise ValueError(f"{self.name}: {err}") from err
        first, minute, self._sum, self._count, fit_at = (float(number) for number in arrays["clock"])
        self._first, self._minute, self._fit_at = int(first), int(minute), int(fit_at)

    # -- inner -----------------------------------------------------------------------------------------

    def _begin(self, minute: int) -> None:
        self._first = self._minute = minute
        self.fleet.step = minute

    def _close_until(self, minute: int) -> None:
        """End the minute that was open, and the silent ones up to `minute`."""
        value = self._sum / self._count if self._count else math.nan
        self._sum = self._count = 0.0
        self.fleet.update(np.array([value]))
        silent = minute - self._minute - 1
        if silent > _LONG_GAP:
            self.fleet.skip(silent)
        else:
            for _ in range(silent):
                self.fleet.update(np.array([math.nan]))
        self._minute = minute
        another = self._resting is not None and self._resting.due(minute) and self._weigh()
        self.due = self.due or another or self._grown()
        if self._refits and self.due:
            self.refit()

    def _weigh(self) -> bool:
        """Take the evidence of holidays; return whether they are like another weekday now."""
        if self._resting is None:
            return False
        return self._resting.weigh(self.fleet.values[0], self.fleet.step - self.fleet.size)

    def _grown(self) -> bool:
        """Return whether history has grown enough since the last fit: by a quarter, later by a season.

        Once grown, each signal is fitted at a minute of its own: a thousand of them are not fitted in one tick.
        """
        known, season = self._minute - self._first, self.fleet.grid.season
        last = self._fit_at - self._first if self._fit_at >= 0 else 0
        if any(last < least <= known for least in _FIRST_FITS):
            return True
        if last < _GROWN_SEASONS * season:
            return known >= max(last, _FIRST_FITS[-1]) * _GROWTH
        fitted = self.fleet.fitted
        own = 0 if fitted is None else hash(float(fitted.norms.jitter[0])) % season
        return known >= last + season // 2 and (self._minute - own) % season == 0

    def _merge(self, minutes: NDArray[np.int64], values: F64) -> None:
        """Put a history before, and into the holes of, what is known."""
        opened, size = self._minute, self.fleet.size
        kept = minutes > opened - size - 1
        minutes, values = minutes[kept], values[kept]
        if len(minutes) == 0:
            return
        now = minutes == opened
        if now.any() and not self._count:
            self._sum, self._count = float(values[now].sum()), float(now.sum())
        columns = minutes[~now] - (opened - size)
        counts = np.bincount(columns, minlength=size)
        sums = np.bincount(columns, values[~now], size)
        told = np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)
        known = self.fleet.values[0]
        self.fleet.load(np.where(np.isfinite(known), known, told)[None, :], opened)
        self._first = min(self._first, int(minutes[0]))
