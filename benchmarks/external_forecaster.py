"""A thin adapter over the shipped forecaster, so that others can judge it on series of their own."""

from __future__ import annotations

import numpy as np

from aiops.core.forecast.fitting import fit
from aiops.core.forecast.fleet import Fleet
from aiops.core.forecast.grid import DAY_S, Grid
from aiops.core.forecast.standing import QUANTILES
from aiops.core.model import F64

KEPT_SEASONS = 28
LEVELS = (0.1, 0.5, 0.9)


class Forecaster:
    """One series, the configuration of every other. Call `fit` with history, then `update` and `predict` in turn.

    It fits itself anew after each season of updates, as the daemon's trainer does.
    """

    def __init__(self, *, season_s: float = DAY_S) -> None:
        self._season_s = season_s

    def fit(self, values: F64, step_s: float) -> None:
        """Learn a history in steps of `step_s` seconds; NaN is a gap."""
        values = np.asarray(values, np.float64)
        grid = Grid.of(step_s, self._season_s)
        kept = min(max(len(values), 2 * grid.season), KEPT_SEASONS * grid.season)
        self._fleet = Fleet(grid, 1, history_steps=kept)
        self._fleet.load(values[None, :], len(values))
        self._refit()

    def update(self, value: float) -> None:
        """Learn the value of the next step; NaN when nothing came."""
        self._fleet.update(np.array([value], np.float64))
        self._since += 1
        if self._since >= self._fleet.grid.season:
            self._refit()

    def predict(self, horizon: int) -> dict[float, F64]:
        """Return quantiles of the next `horizon` steps, float64[horizon] each."""
        path = self._fleet.predict(horizon)[0]
        return {level: path[QUANTILES.index(level)] for level in LEVELS}

    def _refit(self) -> None:
        self._fleet.adopt(fit(self._fleet.history(), self._fleet.members))
        self._since = 0
