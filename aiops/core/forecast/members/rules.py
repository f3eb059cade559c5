"""Members that fit nothing: the last season, the seasonal profile at today's level, and a local damped trend."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from aiops.core.forecast.members.member import Coefficients
from aiops.core.forecast.past import Past
from aiops.core.model import F64

_NOTHING: Coefficients = {}


class _Rule:
    """A member without coefficients, of one voice."""

    name: str

    @property
    def voices(self) -> tuple[str, ...]:
        """Return its name."""
        return (self.name,)

    def fit(self, past: Past, ends: Sequence[int]) -> tuple[Coefficients, ...]:
        """Return nothing for each end: there is nothing to fit."""
        del past
        return tuple(_NOTHING for _ in ends)


class LastSeason(_Rule):
    """The value of one season ago: what every other member is measured against."""

    name = "last-season"

    def foretell(self, past: Past, coefficients: Coefficients, origins: slice) -> F64:
        """Return float64[n, 1, knots, o]; NaN while there is no season."""
        del coefficients
        out = [past.at(past.season_ago, origins, int(knot)) for knot in past.grid.knots]
        return np.stack(out, axis=1)[:, None]


class Profile(_Rule):
    """The multi-seasonal profile, moved to today's level: half by ratio and half by difference, both fading.

    Fades over a share of the season: levels of a day wear off within it.
    """

    def __init__(self, name: str, *, steps: int, fade_seasons: float) -> None:
        self.name = name
        self._steps, self._fade_seasons = steps, fade_seasons

    def foretell(self, past: Past, coefficients: Coefficients, origins: slice) -> F64:
        """Return float64[n, 1, knots, o]; NaN while there is no season."""
        del coefficients
        grid = past.grid
        level = past.mean_dev(origins, 0, self._steps)
        usual = past.at(past.profile, origins, 0)
        growth = np.clip(level / np.maximum(np.abs(usual), 0.1 * past.norms.size[:, None]), -0.75, 3.0)
        fades = 0.5 * np.exp(-(grid.knots - 1) / (self._fade_seasons * grid.season))
        out = np.empty((len(usual), len(grid.knots), usual.shape[1]))
        for place, (knot, fade) in enumerate(zip(grid.knots.tolist(), fades.tolist(), strict=True)):
            season = past.at(past.profile, origins, knot)
            out[:, place] = season + fade * (level + growth * season)
        out.transpose(0, 2, 1)[~past.seasonal(origins)] = np.nan
        return out[:, None]


class LocalTrend(_Rule):
    """The level of the last steps and its damped trend, without any season: for the next minutes, and for the young.

    The level is a mean of short windows, an exponential smoothing cut off; the trend is the difference of a fast and a
    slow level over the distance of their middles, damped as in Gardner and McKenzie, "Forecasting Trends in Time
    Series", 1985.
    """

    name = "local-trend"
    _fast, _slow, _damping, _share = 3, 12, 0.9, 0.5

    def foretell(self, past: Past, coefficients: Coefficients, origins: slice) -> F64:
        """Return float64[n, 1, knots, o]."""
        del coefficients
        fast, slow = past.mean_value(origins, 0, self._fast), past.mean_value(origins, self._fast, self._slow)
        slope = (fast - slow) / (self._slow / 2.0)
        knots = past.grid.knots[:, None].astype(np.float64)
        run = self._damping * (1.0 - self._damping**knots) / (1.0 - self._damping)
        level = 0.5 * (past.at(past.values, origins, 0) + fast)
        return np.asarray(level[:, None, :] + self._share * slope[:, None, :] * run)[:, None]
