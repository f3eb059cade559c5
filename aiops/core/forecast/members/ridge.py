"""Direct ridge regression: the deviation from the profile at each distance, from recent deviations and seasonal shapes.

Direct multi-step regression (Ben Taieb, Bontempi, Atiya and Sorjamaa, "A review and comparison of strategies for
multi-step ahead time series forecasting", 2012) with one design for a band of distances. Rows in which much happens
weigh less: the first step of an iteratively reweighted absolute regression, for a third of its cost and the same
accuracy on development traces.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from aiops.core.forecast.grid import Band, Grid
from aiops.core.forecast.members.member import Coefficients
from aiops.core.forecast.past import Past
from aiops.core.model import F64, Bools, Floats

ROWS = 1008
"""Training rows of a band at most: seven days of ten minutes. More made nothing better on development traces."""

PENALTY = (0.01, 0.1, 1.0)
"""Of the bands near, middle and far, in shares of the rows: rows that are neighbours of far targets are one row."""

PRIOR_ROWS = 20.0
_LEAST_ROWS = 24.0
_SLICE = 256
"""Rows that are laid out at once: what they need stays in the processor's cache."""

_EVEN = 8
_STEP_S = 600.0
_SPACING = (1, 2, 4)
_LEAST_SPREAD = 1e-12
"""Of a feature, in squared sizes of the series: what moves less is a rounding error."""

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
        seen = _Seen.scaled(past)
        for number, band in enumerate(past.grid.bands):
            sizes = _sizes(past.grid, band)
            moments = _Moments(len(past.values), sizes[-1], band.last - band.first)
            step = _row_step(past.grid, number)
            done = max(past.grid.tail, ends[-1] - band.reach - ROWS * step)
            for place, end in enumerate(ends):
                stop = end - band.reach
                while done < stop:
                    rows = slice(done, min(done + _SLICE * step, stop), step)
                    moments.add(_rows(past, seen, band, rows))
                    done += len(range(rows.start, rows.stop, step)) * step
                found = moments.solve(sizes, PENALTY[min(number, 2)])
                out[place][str(number)] = _unscaled(found, seen, past, band)
        return tuple(out)

    def foretell(self, past: Past, coefficients: Coefficients, origins: slice) -> F64:
        """Return float64[n, voices, knots, o]; NaN while there is no season."""
        grid, parts = past.grid, []
        # what bands look at overlaps: it is laid out once for all of them
        every = Band(first=0, last=len(grid.knots), reach=grid.ahead)
        design = _design(past, _Seen.plain(past), every, origins)
        for number, band in enumerate(grid.bands):
            weights = coefficients[str(number)]
            series, voices, features, knots = weights.shape
            flat = weights.transpose(0, 1, 3, 2).reshape(series, voices * knots, features)
            parts.append(np.matmul(flat, design[:, _own(grid, band)]).reshape(series, voices, knots, -1))
        out = np.concatenate(parts, axis=2)
        now = past.at(past.dev, origins, 0)
        for place, (knot, fade) in enumerate(zip(grid.knots.tolist(), _fades(grid).tolist(), strict=True)):
            out[:, :, place] += (past.at(past.profile, origins, knot) + fade * now)[:, None]
        out.transpose(0, 3, 1, 2)[~past.seasonal(origins)] = np.nan
        return out


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Seen:
    """What regressions look at: a past as it is, or around centres in sizes of the series, in single precision.

    means: by width, of so many deviations from each column on; none while it is as it is. centres: float64[3, n], what
    was taken off the deviations, the profile and yesterday.
    """

    dev: Floats
    profile: Floats
    yesterday: Floats
    means: Mapping[int, Floats]
    centres: F64

    @classmethod
    def plain(cls, past: Past) -> _Seen:
        nothing = np.zeros((3, len(past.dev)))
        return cls(dev=past.dev, profile=past.profile, yesterday=past.yesterday, means={}, centres=nothing)

    @classmethod
    def scaled(cls, past: Past) -> _Seen:
        """Around a centre even tiny moves of a high level are numbers of seven digits."""
        shapes, unit = (past.dev, past.profile, past.yesterday), 1.0 / past.norms.size[:, None]
        centres = _centres(past, shapes)
        room = np.empty_like(past.profile)

        def scale(late: F64, early: F64, width: int = 1) -> Floats:
            own = np.subtract(late, early, out=room[:, : late.shape[1]])
            if width > 1:
                own -= width * centres[0]
            own *= unit / width
            return own.astype(np.float32)

        dev, profile, yesterday = (scale(shape, centre) for shape, centre in zip(shapes, centres, strict=True))
        means = {1: dev}
        for width in {old - young for young, old in pairwise(past.grid.edges[1:])} - {1}:
            means[width] = scale(past.lately[:, width:], past.lately[:, :-width], width)
        return cls(dev=dev, profile=profile, yesterday=yesterday, means=means, centres=centres[..., 0])


def _centres(past: Past, shapes: Sequence[F64]) -> F64:
    """Return the mean of each shape over the first season in which the season is known, [shapes, n, 1].

    Nought where it never is. It is what rounding errors are relative to, and nothing else hangs on it.
    """
    columns = past.known.argmax(axis=1)[:, None] + np.arange(past.grid.season)
    out = np.zeros((len(shapes), len(columns), 1))
    for place, shape in enumerate(shapes):
        if not shape.shape[1]:
            continue
        inside = np.minimum(columns, shape.shape[1] - 1)
        early = (columns < shape.shape[1]) & np.take_along_axis(past.known, inside, axis=1)
        total = np.where(early, np.take_along_axis(shape, inside, axis=1), 0.0).sum(axis=1, keepdims=True)
        out[place] = total / np.maximum(early.sum(axis=1, keepdims=True), 1)
    return out


def _unscaled(found: F64, seen: _Seen, past: Past, band: Band) -> F64:
    """Return regressions [n, voices, features, knots] on what was scaled as such on the past as it is."""
    dev, profile, yesterday = seen.centres
    place, shape = len(past.grid.edges), len(_bends(past.grid, band)) + 1
    found[:, :, 0] *= past.norms.size[:, None, None]
    for feature, centre in ((1, dev), (place, profile), (place + shape, yesterday)):
        found[:, :, 0] -= found[:, :, feature] * centre[:, None, None]
    return found


def _rows(past: Past, seen: _Seen, band: Band, rows: slice) -> Floats:
    """Return weighted training rows [n, features + knots + up to seven of noughts, rows].

    One without a target weighs nothing. Noughts make a multiple of eight: products of such matrices are faster.
    """
    knots, features = past.grid.knots[band.first : band.last].tolist(), _sizes(past.grid, band)[-1]
    out = _design(past, seen, band, rows, more=len(knots) + -(features + len(knots)) % _EVEN)
    now, targets = out[:, 1], out[:, features : features + len(knots)]
    out[:, features + len(knots) :] = 0.0
    # targets are measured from the profile, not from what is usual above it
    usual = seen.centres[0] / past.norms.size
    for place, (knot, fade) in enumerate(zip(knots, _fades(past.grid)[band.first : band.last].tolist(), strict=True)):
        fallen = fade * now - ((1.0 - fade) * usual).astype(now.dtype)[:, None]
        np.subtract(past.at(seen.dev, rows, knot), fallen, out=targets[:, place])
    there = past.seasonal(rows) & past.at(past.known, rows, -3)
    for knot in knots:
        there &= past.at(past.real, rows, knot)
    out *= np.sqrt(_calm(targets, there))[:, None]
    return out


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


def _own(grid: Grid, band: Band) -> list[int]:
    """Return the places of a band's features in a design of all distances."""
    level, seen = len(grid.edges), len(grid.knots) + 2
    bends = [0, 1, *range(2 + max(0, band.first - 2), 2 + min(band.last + 1, len(grid.knots)))]
    return [*range(level), *(level + bend for bend in bends), *(level + seen + bend for bend in bends)]


def _design(past: Past, seen: _Seen, band: Band, rows: slice, more: int = 0) -> Floats:
    """Return [n, features + more, rows]; the first feature is one, of `more` nothing is filled in."""
    grid, now = past.grid, past.at(seen.dev, rows, 0)
    bends = _bends(grid, band)
    out = np.empty((len(now), _sizes(grid, band)[-1] + more, now.shape[1]), now.dtype)
    out[:, 0], out[:, 1] = 1.0, now
    now, place = out[:, 1], len(grid.edges)  # what is laid out once is read faster than every so many columns
    if seen.means:
        for number, (young, old) in enumerate(pairwise(grid.edges[1:]), start=2):
            np.subtract(past.at(seen.means[old - young], rows, 1 - old), now, out=out[:, number])
    else:
        past.mean_devs(rows, grid.edges[1:], out[:, 2:place])
        out[:, 2:place] -= now[:, None]
    for shape in (seen.profile, seen.yesterday):
        here = out[:, place]
        here[:] = past.at(shape, rows, 0)
        for number, knot in enumerate(bends, start=place + 1):
            np.subtract(past.at(shape, rows, knot), here, out=out[:, number])
        place += len(bends) + 1
    return out


class _Moments:
    """Running sums of products of features with features, and with targets: [n, features, features + knots]."""

    def __init__(self, series: int, features: int, knots: int) -> None:
        self._sums = np.zeros((series, features, features + knots))

    def add(self, rows: Floats) -> None:
        """Add weighted rows [n, features + knots, rows]; what comes after them is left out."""
        # a matrix by its own transpose is half the work
        features, all_of_it = self._sums.shape[1:]
        self._sums += np.matmul(rows, rows.transpose(0, 2, 1))[:, :features, :all_of_it]

    def solve(self, sizes: Sequence[int], penalty: float) -> F64:
        """Return ridge solutions [n, sizes, features, knots], nought beyond each size; NaN with too few rows.

        Gauss-Jordan elimination by blocks: when the features of a size are gone, its solution is what stands there.
        """
        total, every = self._sums[:, 0, 0], np.arange(self._sums.shape[1])
        out = np.zeros((len(total), len(sizes), len(every), self._sums.shape[2] - len(every)))
        if (total < _LEAST_ROWS).all():
            out.fill(np.nan)
            return out
        rest = self._sums.copy()
        weight = np.maximum(total, _EPS)
        mean = self._sums[:, 0, : len(every)] / weight[:, None]
        spread = self._sums[:, every, every] / weight[:, None] - mean**2
        punished = np.maximum(spread, _LEAST_SPREAD) * (penalty * weight + PRIOR_ROWS)[:, None]
        punished[:, 0] = _EPS  # the constant is free
        rest[:, every, every] += punished
        begin = 0
        for voice, end in enumerate(sizes):
            own = slice(begin, end)
            solved = np.linalg.solve(rest[:, own, own], rest[:, own, end:])
            for others in (slice(0, begin), slice(end, None)):
                rest[:, others, end:] -= np.matmul(rest[:, others, own], solved)
            rest[:, own, end:] = solved
            out[:, voice, :end] = rest[:, :end, len(every) :]
            begin = end
        out[total < _LEAST_ROWS] = np.nan
        return out


def _calm(targets: Floats, there: Bools) -> Floats:
    """Return weights [n, rows]: less the more happens in a row, against what is usual of the series; none of gaps."""
    some, counted = np.abs(targets[:, :, ::4]), there[:, ::4].astype(targets.dtype)
    some *= counted[:, None]
    roots = np.sqrt(some, out=some).sum(axis=2)
    usual = (roots / np.maximum(counted.sum(axis=1), 1)[:, None]) ** 2  # a root's mean is hardly moved by the greatest
    stray = targets / np.maximum(usual, _EPS)[:, :, None]
    stray *= stray
    stray = np.sqrt(np.mean(stray, axis=1))
    return np.asarray(np.where(there, 1.0 / np.maximum(stray, 1.0), 0.0))


def _row_step(grid: Grid, band: int) -> int:
    """Return the distance of training rows: denser than ten minutes says little that is new, less so far ahead."""
    return max(1, round(_STEP_S / grid.step_s)) * _SPACING[min(band, 2)]
