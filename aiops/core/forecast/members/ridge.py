"""Direct ridge regression: the deviation from the profile at each distance, from recent deviations and seasonal shapes.

Direct multi-step regression (Ben Taieb, Bontempi, Atiya and Sorjamaa, "A review and comparison of strategies for
multi-step ahead time series forecasting", 2012) with one design for a band of distances. Rows in which much happens
weigh less: the first step of an iteratively reweighted absolute regression, for a third of its cost and the same
accuracy on development traces.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from aiops.core.forecast.grid import Band, Grid
from aiops.core.forecast.members.member import Coefficients
from aiops.core.forecast.past import Past
from aiops.core.model import F64, Bools

ROWS = 2016
"""Training rows of a band at most: seven days of five minutes. More made nothing better on development traces."""

PENALTY = 0.01
PRIOR_ROWS = 20.0
_LEAST_ROWS = 24.0
_EPS = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class Ridge:
    """One regression for each band.

    With `shape` it sees the profile's bends, with `yesterday` also how last season strayed from the profile.
    """

    name: str
    shape: bool
    yesterday: bool

    def fit(self, past: Past, ends: Sequence[int]) -> tuple[Coefficients, ...]:
        """Return {band: float64[n, features, knots]} for each end; NaN where there were too few rows."""
        out: list[dict[str, F64]] = [{} for _ in ends]
        for number, band in enumerate(past.grid.bands):
            features = self._design(past, band, slice(past.grid.tail, past.grid.tail, 1)).shape[1]
            moments = _Moments(len(past.values), features, band.last - band.first)
            done = self._first_row(past, ends[-1], band)
            for place, end in enumerate(ends):
                rows = slice(done, max(done, end - band.reach), _row_step(past.grid, number))
                if rows.stop > rows.start:
                    moments.add(*self._rows(past, band, rows))
                    done = rows.start + len(range(rows.start, rows.stop, rows.step)) * rows.step
                out[place][f"{self.name}/{number}"] = moments.solve(past.norms.size)
        return tuple(out)

    def foretell(self, past: Past, coefficients: Coefficients, origins: slice) -> F64:
        """Return float64[n, knots, o]; NaN while there is no season."""
        grid, parts = past.grid, []
        for number, band in enumerate(grid.bands):
            design = self._design(past, band, origins)
            moved = np.matmul(coefficients[f"{self.name}/{number}"].transpose(0, 2, 1), design)
            parts.append(moved + past.at(past.dev, origins, 0)[:, None, :])
        out = np.concatenate(parts, axis=1)
        for place, knot in enumerate(grid.knots.tolist()):
            out[:, place] += past.at(past.profile, origins, knot)
        unknown = ~past.seasonal(origins)
        if unknown.any():
            out.transpose(0, 2, 1)[unknown] = np.nan
        return out

    def _first_row(self, past: Past, end: int, band: Band) -> int:
        step = _row_step(past.grid, past.grid.bands.index(band))
        return max(past.grid.tail, end - band.reach - ROWS * step)

    def _rows(self, past: Past, band: Band, rows: slice) -> tuple[F64, F64, F64]:
        """Return (design, targets, weights) of training rows; a row without a target or a season weighs nothing."""
        design = self._design(past, band, rows)
        knots = past.grid.knots[band.first : band.last].tolist()
        now = past.at(past.dev, rows, 0)
        targets = np.stack([past.at(past.dev, rows, knot) - now for knot in knots], axis=1)
        there = self._usable(past, rows)
        for knot in knots:
            there &= past.at(past.real, rows, knot)
        return design, targets, _calm(targets, there)

    def _usable(self, past: Past, rows: slice) -> Bools:
        there = past.seasonal(rows) & past.at(past.known, rows, -3)
        if self.yesterday:
            there = there & np.isfinite(past.at(past.season_ago, rows, -3))
        return there

    def _design(self, past: Past, band: Band, rows: slice) -> F64:
        """Return float64[n, features, rows]; the first feature is one."""
        grid, now = past.grid, past.at(past.dev, rows, 0)
        out = [np.ones_like(now), now]
        out += [
            past.mean_dev(rows, young, old) - now for young, old in zip(grid.edges[1:-1], grid.edges[2:], strict=True)
        ]
        knots = [-3, *grid.knots[: min(band.last + 1, len(grid.knots))].tolist()]
        knots = [knot for knot in knots if knot < 0 or knot >= grid.knots[max(0, band.first - 2)]]
        if self.shape:
            here = past.at(past.profile, rows, 0)
            out += [here, *(past.at(past.profile, rows, knot) - here for knot in knots)]
        if self.yesterday:
            there = past.at(past.yesterday, rows, 0)
            out += [there, *(past.at(past.yesterday, rows, knot) - there for knot in knots)]
        return np.stack(out, axis=1)


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

    def solve(self, size: F64) -> F64:
        """Return the ridge solution [n, features, knots]; the constant is not punished. NaN with too few rows."""
        total = self._inner[:, 0, 0]
        weight = np.maximum(total, _EPS)
        mean = self._inner[:, 0, :] / weight[:, None]
        spread = np.diagonal(self._inner, axis1=1, axis2=2) / weight[:, None] - mean**2
        least = (1e-6 * size[:, None]) ** 2
        punished = np.maximum(spread, least) * (PENALTY * weight + PRIOR_ROWS)[:, None]
        punished[:, 0] = _EPS
        inner = self._inner + punished[:, :, None] * np.eye(self._inner.shape[1])
        solved = np.linalg.solve(inner, self._outer)
        solved[total < _LEAST_ROWS] = np.nan
        return np.asarray(solved)


def _calm(targets: F64, there: Bools) -> F64:
    """Return weights [n, rows]: less the more happens in a row, against what is usual of the series; none of gaps."""
    some = np.where(there[:, None, ::4], np.abs(targets[:, :, ::4]), np.nan)
    counted = np.maximum(there[:, ::4].sum(axis=1), 1)[:, None]
    usual = (np.sqrt(np.nan_to_num(some)).sum(axis=2) / counted) ** 2
    stray = np.sqrt(np.mean((targets / np.maximum(usual, _EPS)[:, :, None]) ** 2, axis=1))
    return np.asarray(np.where(there, 1.0 / np.maximum(stray, 1.0), 0.0))


def _row_step(grid: Grid, band: int) -> int:
    """Return the distance of training rows: denser than five minutes says little that is new, less so far ahead."""
    return int(max(1, round(300.0 / grid.step_s)) * (1, 2, 4)[min(band, 2)])
