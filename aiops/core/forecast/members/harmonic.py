"""Dynamic harmonic regression: waves of the day and the week, and errors that fade as an autoregression of order one.

Hyndman and Athanasopoulos, "Forecasting: Principles and Practice", 3rd ed., section 10.5; fitted by least squares in
place of likelihood, so that one design serves all series at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from aiops.core.forecast.members.member import Coefficients
from aiops.core.forecast.past import Past
from aiops.core.model import F64, Bools, Rows

DAILY, WEEKLY = 8, 3
_ROWS = 4032
_PENALTY = 1e-3
_BARRED = 1e3
_WEEKS_LEAST = 2
"""Waves of a week are let in after two of them: fitted to less, they run away."""

_EPS = 1e-9


class Harmonic:
    """`y = waves + e`, `e(t + k) = fade**k * e(t)`."""

    name = "harmonic"
    voices = ("harmonic",)

    def fit(self, past: Past, ends: Sequence[int]) -> tuple[Coefficients, ...]:
        """Return {waves: float64[n, 2 * waves + 1], fade: float64[n, 1]} for each end; NaN before two seasons."""
        step = max(1, ends[-1] // _ROWS)
        columns = np.arange(0, past.length, step)
        design = _waves(past.first_step + columns, past.grid.season)
        there, values = past.real[:, ::step], past.values[:, ::step]
        if not there.all():
            values = np.where(there, values, 0.0)
        sums = _Sums(len(values), design.shape[1])
        out, done = [], 0
        for end in ends:
            stop = int(np.searchsorted(columns, end))
            first = there[:, :stop].argmax(axis=1) * step if stop else np.full(len(values), end)
            enough = end - first >= 2 * past.grid.season
            punished = np.full(design.shape[1], _PENALTY)
            punished[0] = 0.0
            if end < _WEEKS_LEAST * 7 * past.grid.season:
                punished[_weekly(past.grid.season)] = _BARRED
            sums.add(design[done:stop], values[:, done:stop], there[:, done:stop])
            done = stop
            waves = sums.solve(punished)
            left = waves @ design[:stop].T
            np.subtract(values[:, :stop], left, out=left)
            left *= there[:, :stop]
            before = left[:, :-1]
            same = np.vecdot(left[:, 1:], before) / np.maximum(np.vecdot(before, before), _EPS)
            fade = np.clip(same, 0.0, 0.9999) ** (1.0 / step)
            waves = np.where(enough[:, None], waves, np.nan)
            out.append({"waves": waves, "fade": fade[:, None]})
        return tuple(out)

    def foretell(self, past: Past, coefficients: Coefficients, origins: slice) -> F64:
        """Return float64[n, 1, knots, o]."""
        knots = past.grid.knots
        left, fade = self.left(past, coefficients, origins), coefficients["fade"]
        fading = fade[:, :, None] ** knots[:, None] * left[:, None, :]
        return np.asarray(self.ahead(past, coefficients, origins) + fading)[:, None]

    def ahead(self, past: Past, coefficients: Coefficients, origins: slice) -> F64:
        """Return the waves at all knots after each origin: [n, knots, o]."""
        columns = past.first_step + np.arange(origins.start, origins.stop, origins.step)
        wanted = past.grid.knots[:, None] + columns
        waves = _each(coefficients["waves"], _waves(wanted.ravel(), past.grid.season))
        return np.asarray(waves.reshape(len(waves), *wanted.shape))

    def left(self, past: Past, coefficients: Coefficients, origins: slice) -> F64:
        """Return what the waves leave of the values at the origins: [n, o]."""
        columns = past.first_step + np.arange(origins.start, origins.stop, origins.step)
        here = _each(coefficients["waves"], _waves(columns, past.grid.season))
        return np.asarray(past.at(past.values, origins, 0) - here)


def _each(waves: F64, design: F64) -> F64:
    """Return float64[n, steps], a product for each series by itself: its last bit is no matter of who else is asked."""
    return np.asarray(np.matmul(waves[:, None, :], design.T)[:, 0])


class _Sums:
    """Running sums of ridge regressions of each series on one design, gaps left out."""

    def __init__(self, series: int, features: int) -> None:
        self._inner = np.zeros((series, features, features))
        self._outer = np.zeros((series, features))
        self._count = np.zeros(series)

    def add(self, design: F64, values: F64, there: Bools) -> None:
        """Add steps: design [t, features], values [n, t], nought where there is none."""
        if there.all():
            self._inner += design.T @ design
        else:
            pairs = (design[:, :, None] * design[:, None, :]).reshape(len(design), -1)
            self._inner += (there @ pairs).reshape(self._inner.shape)
        self._outer += values @ design
        self._count += there.sum(axis=1)

    def solve(self, penalty: F64) -> F64:
        """Return float64[n, features]."""
        # a series without values must not make the others' equations singular
        punished = self._inner + np.diag(penalty) * self._count[:, None, None] + np.eye(len(penalty)) * _EPS
        return np.asarray(np.linalg.solve(punished, self._outer[:, :, None])[:, :, 0])


def _weekly(season: int) -> list[int]:
    """Return the columns of the waves of seven seasons."""
    daily = min(DAILY, season // 2)
    first = [1 + daily + number for number in range(WEEKLY)]
    return [*first, *(column + daily + WEEKLY for column in first)]


def _waves(steps: Rows, season: int) -> F64:
    """Return float64[steps, features]: a constant, waves of the season and of seven seasons."""
    return np.asarray(_week(season)[steps % (7 * season)])


@lru_cache(maxsize=4)
def _week(season: int) -> F64:
    """Return the waves of seven seasons, after which they come again; not to be changed."""
    turn = 2.0 * np.pi * np.arange(7 * season) / season
    rates = [*range(1, min(DAILY, season // 2) + 1), *(number / 7.0 for number in range(1, WEEKLY + 1))]
    angles = turn[:, None] * np.array(rates)
    waves: F64 = np.concatenate([np.ones((len(turn), 1)), np.cos(angles), np.sin(angles)], axis=1)
    waves.flags.writeable = False
    return waves
