"""`combined` and `combined-all`: models weighed by what they lately lost, with intervals that stay calibrated.

It is one row of a `Fleet` on a grid of minutes: what is true of ten thousand series is true of one. Those who share a
`Pool` share the work.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from aiops.core.forecast.clock import Backwards
from aiops.core.forecast.fitted import Fitted
from aiops.core.forecast.fitting import fit
from aiops.core.forecast.grid import Grid
from aiops.core.forecast.holidays import Resting
from aiops.core.forecast.members import MEMBERS, SIGNAL_MEMBERS, Member, Outside
from aiops.core.forecast.past import History
from aiops.core.forecast.pool import Block, Kind, Pool
from aiops.core.forecast.standing import QUANTILES, Standing
from aiops.core.model import F64, Instant
from aiops.core.policies import ForecastSpec
from aiops.core.protocols import Arrays

STEP_S = 60.0
_FIRST_FITS = (2, 10, 60, 240)
_GROWTH = 1.25
_GROWN_SEASONS = 4
_CLOCK = 5
"""Numbers of a clock in a checkpoint: first minute, open minute, sum and count of what was heard in it, last fit."""


class Combined:
    """State: a row of a block, taken with the first thing that is known. Changed in place.

    refits: fit again in place as history grows, by a quarter or a day. Without it somebody else fits `history()` once
    `due` says so, and gives the result to `adopt`; until then members of other libraries are not heard. members: None
    is all of its kind. pool: of those it shares the work with.
    """

    name = "combined"
    version = 1
    all_members: tuple[Member, ...] = MEMBERS

    def __init__(
        self,
        spec: ForecastSpec,
        *,
        members: Sequence[Member] | None = None,
        refits: bool = True,
        pool: Pool | None = None,
    ) -> None:
        self.grid = Grid.of(STEP_S, spec.season_s)
        whom = self.all_members if members is None else tuple(members)
        self._kind = Kind(grid=self.grid, history_steps=round(spec.history_s / STEP_S), members=whom)
        self._resting = None if spec.calendar is None else Resting(spec.calendar)
        self._pool = Pool() if pool is None else pool
        self._at: tuple[Block, int] | None = None
        self._refits = refits
        self._backwards = Backwards()
        self.due = False
        self.fits = 0
        self._first = self._looked = self._fit_at = -1

    # -- learning --------------------------------------------------------------------------------------

    def learn(self, at: Instant, value: float) -> None:
        """Learn one sample; NaN, or an infinite one, says that the step is missing or must not be learnt from."""
        minute = int(at // STEP_S)
        there = math.isfinite(value)
        if self._at is None:
            if not there:
                return
            self._begin(minute)
        if self._backwards.says(minute, self._minute):
            self._set_back(minute)
        block, row = self._seat
        block.close_until(minute)
        if block.minute > self._looked:
            self._closed(block.minute)
        if minute == block.minute and there:
            block.note(row, value)

    def backfill(self, times: F64, values: F64) -> None:
        """Learn a history in order; times are increasing seconds since the epoch. What is known already stays."""
        minutes = np.floor(np.asarray(times) / STEP_S).astype(np.int64)
        there = np.isfinite(values)
        minutes, values = minutes[there], np.asarray(values, np.float64)[there]
        if len(minutes) == 0:
            return
        newest = int(minutes[-1])
        if self._at is None:
            self._begin(newest)
        elif newest > self._seat[0].minute:
            self._seat[0].close_until(newest)
            self._closed(newest)
        self._merge(minutes, values)
        self._weigh()
        if self._refits or not self._slow:
            self.refit()
        else:
            self._begin_quickly()

    def refit(self) -> None:
        """Fit what is known, here and now."""
        self.adopt(fit(self.history(), self.members))

    def _begin_quickly(self) -> None:
        """Go on with what was fitted of this history, or with the quick members alone until somebody fits them all."""
        fitted, known = self.fitted, min(self._minute - self._first, self.size)
        if fitted is None or known > _GROWTH * (fitted.last_step - fitted.first_step):
            self.adopt(fit(self.history(), self.members, later=self._slow))
        self.due = True

    def adopt(self, fitted: Fitted) -> None:
        """Go on with what was fitted elsewhere on this signal's history; raise ValueError when it is of another kind.

        A model that has heard nothing yet has no history that could have been fitted, and takes nothing.
        """
        if self._at is not None:
            block, row = self._at
            block.fleet.adopt(fitted, row)
            block.touched(row)
            self.fits += 1
        self.tried()

    def tried(self) -> None:
        """Take it for fitted now, whatever came of it: it is not due again before history has grown."""
        self._fit_at, self.due = self._minute, False

    # -- what is known -----------------------------------------------------------------------------------

    @property
    def members(self) -> tuple[Member, ...]:
        """Return who foretells."""
        return self._kind.members

    @property
    def unheard(self) -> tuple[str, ...]:
        """Return the members of other libraries that the last fit did not hear; none before anything was fitted."""
        fitted = self.fitted
        return () if fitted is None else tuple(name for name in self._slow if name not in fitted.coefficients)

    @property
    def _slow(self) -> tuple[str, ...]:
        return tuple(one.name for one in self.members if isinstance(one, Outside))

    @property
    def fitted(self) -> Fitted | None:
        """Return what was fitted last, None before anything was."""
        return None if self._at is None else self._at[0].fleet.learnt(self._at[1])

    @property
    def standing(self) -> Standing | None:
        """Return how members and intervals stand, None before anything was heard."""
        return None if self._at is None else self._at[0].fleet.standing.part(self._rows)

    @property
    def size(self) -> int:
        """Return how many minutes are remembered."""
        return max(self._kind.history_steps, 2 * self.grid.season) + self.grid.tail + self.grid.ahead

    def history(self) -> History:
        """Return what is remembered, to fit it."""
        if self._at is None:
            return History(grid=self.grid, values=np.zeros((1, 0)))
        return self._at[0].fleet.history(self._rows)

    # -- foretelling -----------------------------------------------------------------------------------

    def paths(self, at: Instant, steps: int) -> F64:
        """Return float64[quantiles, steps]: quantiles of the value at `at + (h + 1) * step_s`, non-decreasing in q."""
        if self._at is None:
            return np.full((len(QUANTILES), steps), np.nan)
        block, row = self._at
        if block.minute == self._first and not block.counts[row]:
            return np.full((len(QUANTILES), steps), np.nan)
        return block.paths(row, int(at // STEP_S), steps)

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
        if self._at is None:
            return None
        values = self._at[0].fleet.values[self._at[1]]
        greatest = float(np.fmax.reduce(values))
        return greatest if math.isfinite(greatest) else None

    @property
    def learned(self) -> bool:
        """Return whether the model may act: a season is known and lately it was better than the last season's value."""
        return self._at is not None and bool(self._at[0].fleet.acts[self._at[1]])

    @property
    def why(self) -> str:
        """Say why the model acts, or why not."""
        return "nothing was heard yet" if self._at is None else self._at[0].fleet.why(self._at[1])

    @property
    def skill(self) -> float | None:
        """Return 1 - pinball(model) / pinball(last season's value), up to an hour ahead, errors of days ago fading."""
        if self._at is None:
            return None
        skill = float(self._at[0].fleet.skill(self._rows)[0])
        return skill if math.isfinite(skill) else None

    # -- checkpoints -----------------------------------------------------------------------------------

    def arrays(self) -> Arrays:
        """Return the state for a checkpoint."""
        block, row = (Block(self._kind, 0), 0) if self._at is None else self._at
        out: dict[str, NDArray[np.generic]] = dict(block.fleet.arrays(row))
        clock = (self._first, self._minute, block.sums[row], block.counts[row], self._fit_at)
        out["clock"] = np.array([float(one) for one in clock])
        return out if self._resting is None else {**out, **self._resting.arrays()}

    def restore(self, arrays: Arrays) -> None:
        """Take the state of a checkpoint of the same version; raise ValueError when it does not fit."""
        if "clock" not in arrays or arrays["clock"].shape != (_CLOCK,):
            raise ValueError(f"{self.name}: the checkpoint's clock does not fit {(_CLOCK,)}")
        first, minute, heard, count, fit_at = (float(number) for number in arrays["clock"])
        resting, old = self._resting, self._at
        self._take(max(0, int(minute)))
        block, row = self._seat
        try:
            block.fleet.restore(arrays, row)
            if resting is not None:
                resting.restore(arrays)
        except ValueError as err:
            block.leave(row)
            self._at = old
            raise ValueError(f"{self.name}: {err}") from err
        if old is not None:
            old[0].leave(old[1])
        if minute < 0:  # of a model that had heard nothing
            self._leave()
            return
        block.sums[row], block.counts[row] = heard, count
        self._first, self._looked, self._fit_at = int(first), int(minute), int(fit_at)

    def reseat(self) -> None:
        """Take a seat anew, with everything that is known."""
        looked = self._looked
        self.restore({name: np.array(array) for name, array in self.arrays().items()})
        self._looked = looked

    # -- inner -----------------------------------------------------------------------------------------

    @property
    def _seat(self) -> tuple[Block, int]:
        if self._at is None:
            raise RuntimeError("a model that has heard nothing has no seat")
        return self._at

    @property
    def _rows(self) -> slice:
        row = self._seat[1]
        return slice(row, row + 1)

    @property
    def _minute(self) -> int:
        """Return the minute that is open, -1 before anything was heard."""
        return -1 if self._at is None else self._at[0].minute

    def _take(self, minute: int) -> None:
        """Take a seat whose clock is at a minute."""
        self._at = self._pool.seat(self._kind, minute, self, None if self._resting is None else self._resting.mask)

    def _leave(self) -> None:
        if self._at is not None:
            self._at[0].leave(self._at[1])
        self._at, self.due = None, False
        self._first = self._looked = self._fit_at = -1

    def _begin(self, minute: int) -> None:
        self._take(minute)
        self._first = self._looked = minute

    def _set_back(self, minute: int) -> None:
        """Go on at a minute long before the one that is open: the clock was ahead, and what it dated later is void."""
        back = self._minute - minute
        arrays = dict(self.arrays())
        values, kept = arrays["values"], np.full_like(arrays["values"], np.nan)
        kept[:, back:] = values[:, : max(0, values.shape[1] - back)]
        arrays["values"] = kept
        arrays["step"] = np.array([minute, *arrays["step"][1:]])
        for name in ("made", "points"):
            arrays[name] = np.full_like(arrays[name], np.nan)
        arrays["clock"] = np.array([min(self._first, minute), minute, 0.0, 0.0, min(self._fit_at, minute)])
        self.restore(arrays)

    def _closed(self, minute: int) -> None:
        """Look at what has become known up to a minute: whether it is time for a fit."""
        self._looked = minute
        another = self._resting is not None and self._resting.due(minute) and self._weigh()
        self.due = self.due or another or self._grown()
        if self._refits and self.due:
            self.refit()

    def _weigh(self) -> bool:
        """Take the evidence of holidays; return whether they are like another weekday now."""
        if self._resting is None:
            return False
        block, row = self._seat
        return self._resting.weigh(block.fleet.values[row], block.minute - self.size)

    def _grown(self) -> bool:
        """Return whether history has grown enough since the last fit: by a quarter, later by a season.

        Once grown, each signal is fitted at a minute of its own: a thousand of them are not fitted in one tick.
        """
        known, season = self._minute - self._first, self.grid.season
        last = self._fit_at - self._first if self._fit_at >= 0 else 0
        if any(last < least <= known for least in _FIRST_FITS):
            return True
        if last < _GROWN_SEASONS * season:
            return known >= max(last, _FIRST_FITS[-1]) * _GROWTH
        if known < last + season // 2:
            return False
        fitted = self.fitted
        own = 0 if fitted is None else hash(float(fitted.norms.jitter[0])) % season
        return (self._minute - own) % season == 0

    def _merge(self, minutes: NDArray[np.int64], values: F64) -> None:
        """Put a history before, and into the holes of, what is known."""
        block, row = self._seat
        opened, size = block.minute, self.size
        kept = minutes > opened - size - 1
        minutes, values = minutes[kept], values[kept]
        if len(minutes) == 0:
            return
        now = minutes == opened
        if now.any() and not block.counts[row]:
            block.sums[row], block.counts[row] = float(values[now].sum()), float(now.sum())
        columns = minutes[~now] - (opened - size)
        counts = np.bincount(columns, minlength=size)
        sums = np.bincount(columns, values[~now], size)
        told = np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)
        known = block.fleet.values[row]
        block.fleet.load(np.where(np.isfinite(known), known, told)[None, :], opened, self._rows)
        block.touched(row)
        self._first = min(self._first, int(minutes[0]))


class CombinedAll(Combined):
    """`combined` with the members of other libraries: its fits take seconds, so that a loop lets others make them."""

    name = "combined-all"
    version = 1
    all_members = SIGNAL_MEMBERS
