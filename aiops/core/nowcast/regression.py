"""Direct regression of demand a few steps ahead, for many rows at once: what to trust is learnt by each row itself.

In logarithms, demand at t + h is the level of now plus a linear mix of: how the last sample strays from it, the trends
over half a minute to half an hour, what the season will do until then, how far the level is from the season, and a
constant. The mix is least squares with exponentially fading weights (half-life two days) and a ridge towards a plain
prior: trust the season's move, follow a trend by half. Where a season means nothing its weight goes to nothing, so a
row without one ends at a damped trend. The direct strategy is the one of S. Ben Taieb, G. Bontempi, A. F. Atiya and
A. Sorjamaa, "A review and comparison of strategies for multi-step ahead time series forecasting", Expert Systems with
Applications 39, 2012.
"""

from __future__ import annotations

import numpy as np

from aiops.core.model import F64

TAUS_STEPS = (2.0, 8.0, 30.0, 120.0)
"""Time constants of the levels, in steps of 15 s: half a minute, two minutes, eight minutes, half an hour."""

NAMES = ("last", "trend-2m", "trend-8m", "trend-30m", "season-move", "season-offset", "constant")
PRIOR = np.array([0.6, 1.0, 0.0, 0.0, 0.5, 0.0, 0.0])
RIDGE = 0.2
HALF_LIFE_STEPS = 11_520.0
REFIT_STEPS = 60
KEEP = 0.5 ** (REFIT_STEPS / HALF_LIFE_STEPS)
CLIP = 0.3
"""A single error beyond 30 % teaches as if it were 30 %: outliers do not turn the mix."""

_ALPHAS = np.array([1.0 - np.exp(-1.0 / tau) for tau in TAUS_STEPS])


class Levels:
    """Exponentially weighted levels of log demand: float64[n, 4]. Changed in place."""

    def __init__(self, rows: int) -> None:
        self.values = np.full((rows, len(TAUS_STEPS)), np.nan)

    def follow(self, log_demand: F64) -> None:
        """Take one step; NaN leaves a row as it is."""
        new = log_demand[:, None]
        moved = np.where(np.isfinite(self.values), self.values + _ALPHAS * (new - self.values), new)
        self.values = np.where(np.isfinite(new), moved, self.values)


def features(last: F64, levels: F64, season_now: F64, season_then: F64) -> F64:
    """Return float64[h, n, 7] for h horizons. last, season_now: float64[n], season_then: float64[h, n], logarithms.

    An unknown season counts as none.
    """
    beside = np.empty((2, *season_then.shape))
    beside[0], beside[1] = season_then - season_now, season_then - levels[:, 2]
    out = np.empty((*season_then.shape, len(NAMES)))
    out[..., 0] = last - levels[:, 0]
    out[..., 1:4] = levels[:, :3] - levels[:, 1:]
    out[..., 4], out[..., 5] = np.where(np.isfinite(beside), beside, 0.0)
    out[..., 6] = 1.0
    return out


class Mix:
    """The linear mixes of one horizon for all rows, and what they were learnt from. Changed in place.

    gram: float64[n, 7, 7], moment: float64[n, 7]: sums since the last refit are folded in with fading weights.
    """

    def __init__(self, rows: int) -> None:
        size = len(NAMES)
        self.weights = np.tile(PRIOR, (rows, 1))
        self.gram = np.zeros((rows, size, size))
        self.moment = np.zeros((rows, size))

    def part(self, rows: slice) -> Mix:
        """Return some of the rows: what is changed in either is changed in both."""
        part = Mix(0)
        part.weights, part.gram, part.moment = self.weights[rows], self.gram[rows], self.moment[rows]
        return part

    def learn(self, x: F64, target: F64) -> None:
        """Learn what came: x: float64[n, 7] of when it was foretold, target: float64[n], NaN teaches nothing."""
        known = np.isfinite(target) & np.isfinite(x).all(axis=1)
        seen = np.where(known[:, None], x, 0.0)
        guess = np.einsum("np,np->n", seen, self.weights)
        error = np.minimum(np.maximum(np.where(known, target, 0.0) - guess, -CLIP), CLIP)
        self.gram += seen[:, :, None] * seen[:, None, :]
        self.moment += seen * (guess + error)[:, None]

    def refit(self) -> None:
        """Solve for the mixes, and let what was learnt fade."""
        ridge = RIDGE * np.eye(len(NAMES))
        self.weights[:] = np.linalg.solve(self.gram + ridge, (self.moment + RIDGE * PRIOR)[:, :, None])[:, :, 0]
        self.gram *= KEEP
        self.moment *= KEEP

    def ahead(self, x: F64) -> F64:
        """Return float64[n], the move of log demand from the level of two minutes to the horizon."""
        return np.asarray(np.einsum("np,np->n", x, self.weights))
