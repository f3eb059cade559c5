"""The past of many series, laid out for forecasters: gaps filled causally, a seasonal profile, deviations from it.

The profile of a step is the weighted mean of the same time one, two, three, seven and fourteen seasons ago. On a
holiday it is that of other holidays and of the last rest days. What of its finer shape does not come again is smoothed
away. The profile of column j uses nothing after column j - grid.ahead: all models may look at it `ahead` steps before
its time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from aiops.core.forecast.grid import Grid
from aiops.core.model import F64, Bools, Floats

SEASONS = ((1, 1.0), (2, 0.5), (3, 0.25), (7, 1.0), (14, 0.5))
"""How many seasons ago, and what that weighs; seven days ago is the same day of the week."""

HOLIDAY_SEASONS = tuple(range(1, 29))
DETAIL_SEASONS = 7
SPIKE = 6.0
STIR_LIMITS = (0.25, 8.0)
_EPS = 1e-12
_Cell = TypeVar("_Cell", bound=np.generic)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class History:
    """What came: values float64[n, t], NaN is a gap; column j is the step number `first_step + j` since the epoch.

    rest: bool[t + grid.ahead], or bool[n, t + grid.ahead] of each series its own: whether a step lies in a holiday or a
    day like it (Sundays, for those who rest then), or None when nobody keeps a calendar.
    """

    grid: Grid
    values: F64
    first_step: int = 0
    rest: Bools | None = None

    def __post_init__(self) -> None:
        if self.values.ndim != 2:
            raise ValueError(f"values must be [series, time], not of shape {self.values.shape}")
        if self.rest is not None and self.rest.shape[-1] != self.values.shape[1] + self.grid.ahead:
            raise ValueError(f"rest must cover {self.values.shape[1]} steps and {self.grid.ahead} more")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Norms:
    """What is usual of each series, float64[n]: the size of its values, and how far it moves in one step.

    grain, detail: how much of the profile's shape within minutes, and within an hour, comes again, in [0, 1]; the rest
    is the noise of the few days it is made of, and is smoothed away.
    """

    size: F64
    jitter: F64
    grain: F64
    detail: F64

    @classmethod
    def of(cls, values: F64) -> Norms:
        """Measure them; a series without two values has the norms 1 and 1."""
        size = _mean(np.abs(values))
        moves = np.diff(values, axis=1)
        # a root's mean is hardly moved by the few greatest steps, and needs no sorting
        root = _mean(np.sqrt(np.abs(moves, out=moves), out=moves))
        size = np.where(size > _EPS, size, 1.0)
        return cls(
            size=size, jitter=np.where(root > 0, root**2, 0.0), grain=np.ones(len(values)), detail=np.ones(len(values))
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Past:
    """What members see. Columns are steps; column 0 is the step number `first_step` since the epoch.

    raw: float64[n, t], NaN is a gap; real: bool[n, t]. values, dev (from the profile): float64[n, t], gaps filled from
    before. profile: float64[n, t + ahead]; known: whether it stands on anything. season_ago: the value of one season
    ago, NaN where there is none; yesterday: its deviation from the profile. lately, moves: running sums of dev and of
    its absolute changes, float64[n, t + 1].
    """

    grid: Grid
    first_step: int
    norms: Norms
    raw: F64
    values: F64
    real: Bools
    profile: F64
    known: Bools
    season_ago: F64
    yesterday: F64
    dev: F64
    lately: F64
    moves: F64

    @property
    def length(self) -> int:
        """Return the number of columns that are past."""
        return int(self.values.shape[1])

    def mean_dev(self, origins: slice, young: int, old: int) -> F64:
        """Return the mean deviation from `young` (inclusive) to `old` (exclusive) steps before each origin: [n, o]."""
        late = self.lately[:, origins.start + 1 - young : origins.stop + 1 - young : origins.step]
        early = self.lately[:, origins.start + 1 - old : origins.stop + 1 - old : origins.step]
        return np.asarray((late - early) / (old - young))

    def mean_devs(self, origins: slice, edges: Sequence[int], out: Floats) -> None:
        """Put the mean deviations between neighbouring ages into `out`, [n, edges - 1, o]."""
        sums = np.stack([self.at(self.lately, origins, 1 - edge) for edge in edges], axis=1)
        np.subtract(sums[:, :-1], sums[:, 1:], out=out)
        out /= np.diff(edges)[:, None]

    def mean_value(self, origins: slice, young: int, old: int) -> F64:
        """Return the mean value from `young` (inclusive) to `old` (exclusive) steps before each origin: [n, o]."""
        total = self.at(self.values, origins, -young).copy()
        for age in range(young + 1, old):
            total += self.at(self.values, origins, -age)
        return np.asarray(total / (old - young))

    def seasonal(self, origins: slice) -> Bools:
        """Return whether the season is known at each origin and at all knots after it: [n, o]."""
        return np.asarray(self.at(self.known, origins, 0) & self.at(self.known, origins, 1))

    def stir(self, origins: slice) -> F64:
        """Return how much deviations move lately, against what is usual of the series: [n, o], one is as usual."""
        wide = self.grid.stirred
        late = self.moves[:, origins.start + 1 : origins.stop + 1 : origins.step]
        early = self.moves[:, origins.start + 1 - wide : origins.stop + 1 - wide : origins.step]
        usual = np.maximum(self.norms.jitter, 1e-6 * self.norms.size)[:, None]
        return np.asarray(np.clip((late - early) / wide / usual, *STIR_LIMITS))

    def at(self, array: NDArray[_Cell], origins: slice, shift: int) -> NDArray[_Cell]:
        """Return `array` at `shift` steps from each origin: [n, o]."""
        return array[:, origins.start + shift : origins.stop + shift : origins.step]


def past_of(history: History, norms: Norms | None = None, tail: int | None = None) -> Past:
    """Lay out a history; with `tail`, only its last columns (seasons before them are still used)."""
    grid, raw = history.grid, history.values
    total = raw.shape[1]
    start = 0 if tail is None else max(0, total - tail)
    part = raw[:, start:]
    real = np.isfinite(part)
    profile, known = _profile(history, start)
    scales = _scales(profile, known, grid)
    if norms is None:
        # older profiles stood on fewer days
        recent = slice(max(0, total - start - DETAIL_SEASONS * grid.season), total - start)
        there = real[:, recent] & known[:, recent]
        shares = [_found(part[:, recent], fine[:, recent], wide[:, recent], there) for fine, wide in pairwise(scales)]
        norms = replace(Norms.of(raw), grain=shares[0], detail=shares[1])
    profile = scales[2]
    for fine, wide, share in ((scales[1], scales[2], norms.detail), (scales[0], scales[1], norms.grain)):
        if fine is not wide:
            profile = profile + share[:, None] * (fine - wide)
    here = profile[:, : total - start]
    whole = bool(real.all())
    dev = part - here if whole else _carried(np.where(real, part - here, np.nan), first=True)
    dev = _despiked(dev, norms.jitter[:, None], known[:, : total - start])
    values = part if whole else np.where(real, part, here + dev)
    season_ago = _season_ago(history, start)
    lately, moves = (np.zeros((len(raw), total - start + 1)) for _ in range(2))
    np.cumsum(dev, axis=1, out=lately[:, 1:])
    steps = np.diff(dev, axis=1)
    np.cumsum(np.abs(steps, out=steps), axis=1, out=moves[:, 2:])
    return Past(
        grid=grid,
        first_step=history.first_step + start,
        norms=norms,
        raw=part,
        values=values,
        real=real,
        profile=profile,
        known=known,
        season_ago=season_ago,
        yesterday=_numbers(season_ago - profile),
        dev=dev,
        lately=lately,
        moves=moves,
    )


def _profile(history: History, start: int) -> tuple[F64, Bools]:
    """Return what the seasons had in columns `start` to the end and a season on, and whether that is known."""
    grid, raw = history.grid, history.values
    stop = raw.shape[1] + grid.ahead
    alike = history.rest is None and bool(np.isfinite(raw[:, max(0, start - SEASONS[-1][0] * grid.season) :]).all())
    total, weights = np.zeros((len(raw), stop - start)), np.zeros((1 if alike else len(raw), stop - start))
    for seasons, weight in SEASONS:
        _add(history, (start, stop), (seasons, weight), (total, weights))
    known = weights > 0
    if alike:
        # nothing is missing: once the season is known, it stays so
        total /= np.maximum(weights, _EPS)
        return total, np.broadcast_to(known, total.shape)
    profile = np.where(known, total / np.maximum(weights, _EPS), np.nan)
    if history.rest is not None and history.rest[..., start:stop].any():
        other_total, other_weights = np.zeros_like(total), np.zeros_like(weights)
        for seasons in HOLIDAY_SEASONS:
            _add(history, (start, stop), (seasons, 1.0), (other_total, other_weights))
        special = history.rest[..., start:stop] & (other_weights > 0)
        profile = np.where(special, other_total / np.maximum(other_weights, _EPS), profile)
        known |= special
    # a hole that no season fills takes what was known before it; before anything is known, the profile is nought
    return np.nan_to_num(_carried(profile)), known


def _add(history: History, columns: tuple[int, int], lag: tuple[int, float], sums: tuple[F64, F64]) -> None:
    """Add the values of some seasons ago to the sums; days of rest and others do not mix."""
    (start, stop), (seasons, weight), (total, weights) = columns, lag, sums
    back = seasons * history.grid.season
    first = max(start, back)
    if first >= stop:
        return
    part = history.values[:, first - back : stop - back]
    width = part.shape[1]
    place = slice(first - start, first - start + width)
    there = np.isfinite(part) if len(weights) == len(part) else np.ones(1, np.bool_)
    if history.rest is not None:
        then = slice(first - back, first - back + width)
        there &= history.rest[..., first : first + width] == history.rest[..., then]
    if there.all():
        total[:, place] += part if weight == 1.0 else weight * part
        weights[:, place] += weight
        return
    total[:, place] += np.where(there, weight * part, 0.0)
    weights[:, place] += weight * there


def _scales(profile: F64, known: Bools, grid: Grid) -> tuple[F64, F64, F64]:
    """Return the profile as it is, smoothed over minutes, and smoothed over an hour."""
    halves = [half for half in (grid.smooth, grid.coarse) if half]
    if not halves:
        return profile, profile, profile
    first = int(known[0].argmax()) if len(known) else 0
    if known[:, first:].all() and not known[:, :first].any():
        made = [profile.copy() for _ in halves]
        for out, smooth in zip(made, _smoothed(profile[:, first:], halves), strict=True):
            out[:, first:] = smooth
    else:
        seen = np.where(known, profile, np.nan)
        made = [np.where(known, smooth, profile) for smooth in _smoothed(seen, halves)]
    found = dict(zip(halves, made, strict=True))
    return profile, found.get(grid.smooth, profile), found.get(grid.coarse, profile)


def _found(values: F64, fine: F64, wide: F64, there: Bools) -> F64:
    """Return the share of a finer shape [n, t] that is found again in what the wider one leaves: least squares."""
    if fine is wide:
        return np.ones(len(values))
    shape, left = fine - wide, values - wide
    if not there.all():
        shape, left = np.where(there, shape, 0.0), np.where(there, left, 0.0)
    power, found = (shape**2).sum(axis=1), (shape * left).sum(axis=1)
    return np.where(power > _EPS, np.clip(found / np.maximum(power, _EPS), 0.0, 1.0), 1.0)


def _mean(values: F64) -> F64:
    """Return the mean of each row [n], over what is a number; nought where nothing is."""
    there = np.isfinite(values)
    if there.all():
        return np.asarray(values.sum(axis=1) / max(values.shape[1], 1))
    return np.asarray(np.where(there, values, 0.0).sum(axis=1) / np.maximum(there.sum(axis=1), 1))


def _numbers(values: F64) -> F64:
    """Return values in place, nought where there is none."""
    np.copyto(values, 0.0, where=~np.isfinite(values))
    return values


def _season_ago(history: History, start: int) -> F64:
    """Return the values of one season ago in columns `start` to the end and a season on; NaN where there are none."""
    grid, raw = history.grid, history.values
    out = np.full((len(raw), raw.shape[1] + grid.ahead - start), np.nan)
    first = max(start, grid.season)
    stop = raw.shape[1] + grid.ahead
    if stop > first:
        out[:, first - start :] = raw[:, first - grid.season : stop - grid.season]
    return out


def _smoothed(values: F64, halves: Sequence[int]) -> list[F64]:
    """Return the means of so many steps on either side, for each of `halves`.

    Gaps are left out, and closed when they are shorter than that.
    """
    there = np.isfinite(values)
    total = np.zeros((len(values), values.shape[1] + 1))
    if there.all():
        np.cumsum(values, axis=1, out=total[:, 1:])
        count: F64 = np.arange(values.shape[1] + 1, dtype=np.float64)[None]
    else:
        count = np.zeros_like(total)
        np.cumsum(np.where(there, values, 0.0), axis=1, out=total[:, 1:])
        np.cumsum(there, axis=1, out=count[:, 1:])
    out = []
    for half in halves:
        seen = _around(count, half)
        mean = _around(total, half)
        mean /= np.maximum(seen, 1.0)
        if len(seen) == len(mean):
            mean[seen == 0] = np.nan
        out.append(mean)
    return out


def _around(sums: F64, half: int) -> F64:
    """Return the sums of so many steps on either side, [n, t], of running sums [n, t + 1]."""
    width = sums.shape[1] - 1
    inner = max(0, width - half)
    out = np.empty((len(sums), width))
    out[:, :inner] = sums[:, half + 1 :]
    out[:, inner:] = sums[:, -1:]
    begun = max(0, inner - 1)
    out[:, half + 1 :] -= sums[:, 1 : 1 + begun]
    return out


def _carried(values: F64, *, first: bool = False) -> F64:
    """Return values with each gap filled by what came before it; before anything came, nought or the `first` one."""
    there = np.isfinite(values)
    if there.all():
        return values
    begin = there.argmax(axis=1)[:, None] if first and values.shape[1] else 0
    last = np.where(there, np.arange(values.shape[1]), begin)
    np.maximum.accumulate(last, axis=1, out=last)
    return np.nan_to_num(np.take_along_axis(values, last, axis=1))


def _despiked(dev: F64, jitter: F64, known: Bools) -> F64:
    """Return deviations whose lone spikes are cut to SPIKE usual moves outside of the two steps before.

    A spike of one step moves nothing for long; a new level is taken from its second step on. Where the profile begins,
    deviations jump, and are left alone.
    """
    if dev.shape[1] < 3:
        return dev
    before, earlier = dev[:, 1:-1], dev[:, :-2]
    out = dev.copy()
    kept, bound = out[:, 2:], np.minimum(before, earlier)
    bound -= SPIKE * jitter
    np.maximum(kept, bound, out=kept)
    np.maximum(before, earlier, out=bound)
    bound += SPIKE * jitter
    np.minimum(kept, bound, out=kept)
    same = known[:, 2:] == known[:, :-2]
    if not same.all():
        np.copyto(kept, dev[:, 2:], where=~same)
    return out
