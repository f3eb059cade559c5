"""Direct ridge regression: the deviation from the profile at each distance, from recent deviations and seasonal shapes.

Direct multi-step regression (Ben Taieb, Bontempi, Atiya and Sorjamaa, "A review and comparison of strategies for
multi-step ahead time series forecasting", 2012) with one design for a band of distances. Rows in which much happens
weigh less: the first step of an iteratively reweighted absolute regression, for a third of its cost and the same
accuracy on development traces.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from aiops.core.forecast.grid import Band, Grid
from aiops.core.forecast.members.member import Coefficients
from aiops.core.forecast.past import Past
from aiops.core.model import F64, Bools

ROWS = 1008
"""Training rows of a band at most: seven days of ten minutes. More made nothing better on development traces."""

PENALTY = (0.01, 0.1, 1.0)
"""Of the bands near, middle and far, in shares of the rows: rows that are neighbours of far targets are one row."""

PRIOR_ROWS = 20.0
_LEAST_ROWS = 24.0
_SLICE = 256
"""Rows that are laid out at once: what they need stays in the processor's cache."""

_STEP_S = 600.0
_SPACING = (1, 2, 4)
_EPS = 1e-9


class Ridges:
    """Three regressions that share one design: the smaller ones see its first features only.

    `level` sees recent deviations, `shape` the profile's bends as well, `yesterday` also how last season strayed from
    the profile: what helps one series is noise for another.
    """

    name = "ridge"
    voices = ("ridge-level", "ridge-shape", "ridge-yesterday")

    def fit(self, past: Past, ends: Sequence[int]) -> tuple[Coefficients, ...]:
        """Return {band: float64[n, voices, features, knots]} for each end; NaN where there were too few rows."""
        out: list[dict[str, F64]] = [{} for _ in ends]
        for number, band in enumerate(past.grid.bands):
            sizes = _sizes(past.grid, band)
            moments = _Moments(len(past.values), sizes[-1], band.last - band.first)
            step = _row_step(past.grid, number)
            done = max(past.grid.tail, ends[-1] - band.reach - ROWS * step)
            for place, end in enumerate(ends):
                stop = end - band.reach
                while done < stop:
                    rows = slice(done, min(done + _SLICE * step, stop), step)
                    moments.add(*_rows(past, band, rows))
                    done += len(range(rows.start, rows.stop, step)) * step
                out[place][str(number)] = moments.solve(past.norms.size, sizes, PENALTY[min(number, 2)])
        return tuple(out)

    def foretell(self, past: Past, coefficients: Coefficients, origins: slice) -> F64:
        """Return float64[n, voices, knots, o]; NaN while there is no season."""
        grid, parts = past.grid, []
        for number, band in enumerate(grid.bands):
            weights = coefficients[str(number)]
            series, voices, features, knots = weights.shape
            flat = weights.transpose(0, 1, 3, 2).reshape(series, voices * knots, features)
            parts.append(np.matmul(flat, _design(past, band, origins)).reshape(series, voices, knots, -1))
        out = np.concatenate(parts, axis=2)
        now = past.at(past.dev, origins, 0)
        for place, (knot, fade) in enumerate(zip(grid.knots.tolist(), _fades(grid).tolist(), strict=True)):
            out[:, :, place] += (past.at(past.profile, origins, knot) + fade * now)[:, None]
        out.transpose(0, 3, 1, 2)[~past.seasonal(origins)] = np.nan
        return out


def _rows(past: Past, band: Band, rows: slice) -> tuple[F64, F64, F64]:
    """Return (design, targets, weights) of training rows; a row without a target or a season weighs nothing."""
    knots = past.grid.knots[band.first : band.last].tolist()
    now = past.at(past.dev, rows, 0)
    targets = np.stack([past.at(past.dev, rows, knot) for knot in knots], axis=1)
    targets -= now[:, None] * _fades(past.grid)[band.first : band.last, None]
    there = past.seasonal(rows) & past.at(past.known, rows, -3)
    for knot in knots:
        there &= past.at(past.real, rows, knot)
    return _design(past, band, rows), targets, _calm(targets, there)


def _fades(grid: Grid) -> F64:
    """Return what a regression without evidence falls back to, [knots]: today's deviation, gone in a season."""
    return np.asarray(np.exp(-(grid.knots - 1) / (0.25 * grid.season)))


def _bends(grid: Grid, band: Band) -> list[int]:
    """Return the distances at which shapes are seen: those of the band, and its neighbours."""
    return [-3, *grid.knots[max(0, band.first - 2) : band.last + 1].tolist()]


def _sizes(grid: Grid, band: Band) -> tuple[int, int, int]:
    """Return how many features each of the three regressions sees."""
    level, shape = len(grid.edges), len(_bends(grid, band)) + 1
    return level, level + shape, level + 2 * shape


def _design(past: Past, band: Band, rows: slice) -> F64:
    """Return float64[n, features, rows]; the first feature is one."""
    grid, now = past.grid, past.at(past.dev, rows, 0)
    bends = _bends(grid, band)
    out = np.empty((len(now), _sizes(grid, band)[-1], now.shape[1]))
    out[:, 0], out[:, 1] = 1.0, now
    place = len(grid.edges)
    past.mean_devs(rows, grid.edges[1:], out[:, 2:place])
    out[:, 2:place] -= now[:, None]
    for shape in (past.profile, past.yesterday):
        here = past.at(shape, rows, 0)
        out[:, place] = here
        for number, knot in enumerate(bends, start=place + 1):
            np.subtract(past.at(shape, rows, knot), here, out=out[:, number])
        place += len(bends) + 1
    return out


class _Moments:
    """Running weighted moments of design and targets."""

    def __init__(self, series: int, features: int, knots: int) -> None:
        self._inner = np.zeros((series, features, features))
        self._outer = np.zeros((series, features, knots))

    def add(self, design: F64, targets: F64, weights: F64) -> None:
        """Add rows: design [n, features, rows], targets [n, knots, rows], weights [n, rows]."""
        weighted = design * weights[:, None, :]
        self._inner += np.matmul(weighted, design.transpose(0, 2, 1))
        self._outer += np.matmul(weighted, targets.transpose(0, 2, 1))

    def solve(self, size: F64, sizes: Sequence[int], penalty: float) -> F64:
        """Return ridge solutions [n, sizes, features, knots], nought beyond each size; NaN with too few rows."""
        total = self._inner[:, 0, 0]
        weight = np.maximum(total, _EPS)
        mean = self._inner[:, 0, :] / weight[:, None]
        spread = np.diagonal(self._inner, axis1=1, axis2=2) / weight[:, None] - mean**2
        least = (1e-6 * size[:, None]) ** 2
        punished = np.maximum(spread, least) * (penalty * weight + PRIOR_ROWS)[:, None]
        punished[:, 0] = _EPS  # the constant is free
        inner = self._inner + punished[:, :, None] * np.eye(self._inner.shape[1])
        out = np.zeros((len(inner), len(sizes), *self._outer.shape[1:]))
        for voice, features in enumerate(sizes):
            out[:, voice, :features] = np.linalg.solve(inner[:, :features, :features], self._outer[:, :features])
        out[total < _LEAST_ROWS] = np.nan
        return out


def _calm(targets: F64, there: Bools) -> F64:
    """Return weights [n, rows]: less the more happens in a row, against what is usual of the series; none of gaps."""
    some = np.where(there[:, None, ::4], np.abs(targets[:, :, ::4]), 0.0)
    counted = np.maximum(there[:, ::4].sum(axis=1), 1)[:, None]
    usual = (np.sqrt(some).sum(axis=2) / counted) ** 2  # a root's mean is hardly moved by the greatest
    stray = np.sqrt(np.mean((targets / np.maximum(usual, _EPS)[:, :, None]) ** 2, axis=1))
    return np.asarray(np.where(there, 1.0 / np.maximum(stray, 1.0), 0.0))


def _row_step(grid: Grid, band: int) -> int:
    """Return the distance of training rows: denser than ten minutes says little that is new, less so far ahead."""
    return max(1, round(_STEP_S / grid.step_s)) * _SPACING[min(band, 2)]
