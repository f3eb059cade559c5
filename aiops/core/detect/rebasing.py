"""By how much what was usual of a row moves when an announced change brought another level: measured once it settled.

A change may add to a level (a cache of two GiB more) or multiply it (a release that asks three times as often), and one
settled hour seldom tells which: both are taken as usual at the hours that were not seen yet. How much more a row moves
around its new level is measured, and by the ratio at most.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from aiops.core.model import F64, Bools, Rows

SLOTS = 16
"""What settles is kept as the means of so many equal parts of it."""

LATE = SLOTS // 2
"""Only the second half counts: caches fill and queues drain in the first."""

LEAST_SLOTS = 3
"""Of fewer parts of the second half nothing is concluded."""

MOST_ACROSS = 1
"""A level that moved to one side shows no more samples out of what was usual on the other one."""

ODD_SHARE = 0.5
"""A level is another one when so much of the second half was odd."""

MOST_RATIO = 100.0
"""A level that is so many times another (or a so manieth) was added or taken away: nothing is multiplied by that."""

REACH_OF_FEW = 1.6
"""The farthest of eight samples lies 1.8 deviations out, the farthest of those that made what is usual three."""

COUNT, VALUE, AWAY, ODD, LAST, LAST_AWAY, LAST_AT, WIDTH = range(8)
FIELDS = 8


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Usual:
    """What is usual of m rows at one instant, each float64[m], NaN where that is not known.

    low, high: between what values. middle: of this time of the season. level: where the row has been lately, as far as
    its detector tells that apart from the middle. one_sided: whether no value ever lay on the other side of zero.
    """

    low: F64
    middle: F64
    high: F64
    level: F64
    one_sided: Bools


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Shifts:
    """What of m rows moves. by: float64[m], in units of the row. ratio: float64[m], NaN where nothing was multiplied.

    noise: float64[m], by what factor they move more than before; anew: rows that never moved before, and do now.
    level: float64[m], the old one. began: when the change began. values, at: float64[m, 8], samples of the new level
    and their times; NaN is none.
    """

    rows: Rows
    by: F64
    ratio: F64
    noise: F64
    anew: Bools
    level: F64
    began: F64
    values: F64
    at: F64

    def only(self, these: Bools) -> Shifts:
        """Return the shifts of some of the rows."""
        return Shifts(**{name: getattr(self, name)[these] for name in self.__slots__})

    def moved(self, values: F64, places: Rows) -> tuple[F64, F64]:
        """Return values as they are when something was added, and when it was multiplied: the same where it was not.

        values: of the rows at `places`, which is the shape of `values` or is broadcast to it.
        """
        with np.errstate(over="ignore", invalid="ignore"):
            added = values + self.by[places]
            ratio = self.ratio[places]
            return added, np.where(np.isnan(ratio), added, values * ratio)


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What slots say of one row: see `Settled`."""

    seen: int
    by: float
    level: float
    spread: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Settled:
    """What slots say of m rows. seen: parts of the second half with a sample. odd: share of these that were odd.

    spread: how far from the new level the farthest last sample of a part lay. width: of what was usual.
    """

    seen: Rows
    odd: F64
    by: F64
    level: F64
    spread: F64
    width: F64

    def of(self, row: int) -> Found:
        """Return what they say of one row."""
        by, level, spread = (float(each[row]) for each in (self.by, self.level, self.spread))
        return Found(seen=int(self.seen[row]), by=by, level=level, spread=spread)


def settled(slots: F64) -> Settled:
    """Return what float64[m, 8, 16] slots say; rows with too few parts are NaN."""
    count = slots[:, COUNT]
    late = (count > 0) & (np.arange(SLOTS) >= LATE)
    seen = late.sum(axis=1)
    per = np.maximum(count, 1.0)
    by = _median(slots[:, AWAY] / per, late)
    with np.errstate(over="ignore", invalid="ignore"):
        level = _median((slots[:, VALUE] - slots[:, AWAY]) / per, late)
        there = late & np.isfinite(slots[:, LAST_AWAY])
        around = np.where(there, np.abs(slots[:, LAST_AWAY] - by[:, None]), 0.0)
    return Settled(
        seen=seen,
        odd=(late & (slots[:, ODD] >= ODD_SHARE * per)).sum(axis=1) / np.maximum(seen, 1),
        by=by,
        level=level,
        spread=around.max(axis=1, initial=0.0),
        width=_median(slots[:, WIDTH], late),
    )


def across(slots: F64, by: F64) -> Bools:
    """Return bool[m, 16]: the late parts whose last sample was unusual on the other side than `by`."""
    late = (slots[:, COUNT] > 0) & (np.arange(SLOTS) >= LATE)
    away = slots[:, LAST_AWAY]
    return np.asarray(late & (away * np.sign(by)[:, None] < 0.0) & (np.abs(away) > 0.5 * slots[:, WIDTH]), np.bool_)


def without(slots: F64, samples: Bools) -> F64:
    """Return slots without the last samples, bool[m, 16], of some parts: they are no examples of the new level."""
    out = slots.copy()
    out[:, LAST][samples] = np.nan
    out[:, LAST_AWAY][samples] = np.nan
    return out


def shifts(rows: Rows, slots: F64, began: F64, one_sided: Bools) -> Shifts:
    """Return by what rows move whose slots, float64[m, 8, 16], were judged to show another level."""
    found = settled(slots)
    late = (slots[:, COUNT] > 0) & (np.arange(SLOTS) >= LATE)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        ratio = (found.level + found.by) / found.level
        whole = one_sided & (ratio >= 1.0 / MOST_RATIO) & (ratio <= MOST_RATIO)
        ratio = np.where(whole, ratio, np.nan)
        noise = REACH_OF_FEW * found.spread / found.width
        noise = np.clip(np.nan_to_num(noise, nan=1.0), 1.0, np.where(whole, np.maximum(ratio, 1.0), MOST_RATIO))
    return Shifts(
        rows=rows,
        by=found.by,
        ratio=ratio,
        noise=np.where(found.width > 0, noise, 1.0),
        anew=(found.width == 0) & (found.spread > 0),
        level=found.level,
        began=began,
        values=np.where(late, slots[:, LAST], np.nan)[:, LATE:],
        at=np.where(late, slots[:, LAST_AT], np.nan)[:, LATE:],
    )


def _median(numbers: F64, there: Bools) -> F64:
    """Return the median of those that are there, by row; NaN of fewer than are enough."""
    out = np.full(len(numbers), np.nan)
    enough = there.sum(axis=1) >= LEAST_SLOTS
    if enough.any():
        with np.errstate(over="ignore", invalid="ignore"):  # the greatest numbers have no mean
            out[enough] = np.nanmedian(np.where(there, numbers, np.nan)[enough], axis=1)
    return out
