"""The grid that forecasts live on: steps, season, how far ahead, and the distances at which models are fitted.

Models are fitted at a ladder of distances (knots), dense nearby and sparse far off, and their deviation from the
seasonal profile is interpolated between: a day ahead in steps of a minute costs two dozen fits in place of 1,440.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from aiops.core.model import F64, Rows

DAY_S = 86_400.0
_NEAR_STEPS = (1, 2, 3, 4, 6, 8, 12)
_LADDER_MIN = (1, 2, 3, 5, 8, 12, 20, 30, 45, 60, 90, 130, 190, 270, 380, 540, 760, 1070, 1440)
_BETWEEN_KEPT = 16
_EDGES = (0, 1, 2, 3, 4, 6, 8, 12, 18, 24, 36, 48, 72, 96, 144, 192, 288)
_BAND_ENDS_S = (3600.0, 6 * 3600.0, DAY_S)
_BAND_LEAST_STEPS = (12, 24, 1)
_SMOOTH_S, _COARSE_S = 300.0, 3600.0
_PROMISES_KEPT = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Band:
    """Distances that share one design of features: knots `first` to `last` (exclusive), the furthest is `reach`."""

    first: int
    last: int
    reach: int


@dataclass(frozen=True, kw_only=True)
class Grid:
    """Steps of `step_s` seconds, a season of `season` steps (at least two)."""

    step_s: float
    season: int

    def __post_init__(self) -> None:
        if not (math.isfinite(self.step_s) and self.step_s > 0):
            raise ValueError(f"a step must be a positive number of seconds, not {self.step_s}")
        if self.season < 2:
            raise ValueError(f"a season must have two steps at least, not {self.season}")

    @classmethod
    def of(cls, step_s: float, season_s: float = DAY_S) -> Grid:
        """Return the grid of a step and a season in seconds."""
        return cls(step_s=step_s, season=max(2, round(season_s / step_s)))

    @cached_property
    def ahead(self) -> int:
        """Return how many steps ahead models are fitted: a day, but never so far that the last season is not known."""
        return max(1, min(self.season - max(self.smooth, self.coarse), round(DAY_S / self.step_s)))

    @cached_property
    def smooth(self) -> int:
        """Return how many steps on either side seasons are smoothed over: five minutes in all, none in longer steps."""
        return min(round(_SMOOTH_S / self.step_s) // 2, self.season // 24)

    @cached_property
    def coarse(self) -> int:
        """Return how many steps on either side make the coarse profile: an hour in all."""
        return min(round(_COARSE_S / self.step_s) // 2, self.season // 24)

    @cached_property
    def knots(self) -> Rows:
        """Return the distances at which models are fitted, in steps, increasing."""
        ladder = {round(minutes * 60.0 / self.step_s) for minutes in _LADDER_MIN} | {*_NEAR_STEPS, self.ahead}
        return np.array(sorted(knot for knot in ladder if 1 <= knot <= self.ahead), np.intp)

    @cached_property
    def bands(self) -> tuple[Band, ...]:
        """Return the bands near, middle and far; those that hold no knot are left out."""
        out, first = [], 0
        for end_s, least in zip(_BAND_ENDS_S, _BAND_LEAST_STEPS, strict=True):
            last = int(np.searchsorted(self.knots, max(end_s / self.step_s, least), side="right"))
            if last > first:
                out.append(Band(first=first, last=last, reach=int(self.knots[last - 1])))
                first = last
        return tuple(out)

    @cached_property
    def edges(self) -> tuple[int, ...]:
        """Return the ages, in steps, that bound the averages of recent deviations: fine lately, coarse before."""
        return tuple(edge for edge in _EDGES if edge <= max(4, self.season))

    @cached_property
    def stirred(self) -> int:
        """Return over how many steps it is measured how restless a series is: two hours, or eight steps."""
        return max(8, min(self.season // 12, max(*self.edges, 12)))

    @cached_property
    def tail(self) -> int:
        """Return how many steps before an origin members look at (seasons before it not counted)."""
        return max(*self.edges, 12) + 4 + self.coarse

    @cached_property
    def strides(self) -> Rows:
        """Return how often a promise is made at each knot: neighbours of a far promise say little that is new."""
        return np.maximum(1, -(-self.knots // _PROMISES_KEPT))

    @cached_property
    def slots(self) -> int:
        """Return how many promises are open at once at a knot, at most."""
        return int((self.knots // self.strides).max()) + 1

    def between(self, steps: int) -> F64:
        """Return float64[knots, steps]: what each knot weighs at each step ahead; linear, the last one holds on.

        Of the few numbers of steps that are asked for each is made once; it is not to be changed.
        """
        known = self._between.get(steps)
        if known is None:
            wanted = np.clip(np.arange(1, steps + 1), 1, self.ahead)
            known = np.asarray([np.interp(wanted, self.knots, row) for row in np.eye(len(self.knots))], np.float64)
            known.flags.writeable = False
            if len(self._between) < _BETWEEN_KEPT:
                self._between[steps] = known
        return known

    @cached_property
    def _between(self) -> dict[int, F64]:
        return {}
