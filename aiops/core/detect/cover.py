"""Which values rows have taken, as few that stand for all: and how far a sample lies from the nearest of them.

A value becomes one of them when it lies farther from all others than is calm in its row. Of too many, the one is
dropped whose neighbours are closest to each other. While a row stays on the stretch whose gaps are calm (its home),
nothing has to be looked at.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from aiops.core.detect.rebasing import Shifts
from aiops.core.model import F64, Bools, Instant, Rows
from aiops.core.protocols import Arrays

KEPT = 48
YOUNG = 7
"""How many values wait until they are old enough to be examples."""

APART_S = 300.0
"""New examples of a row come no closer together than this."""

GAP_CALMS = 4.0
"""Examples at most so many times what is calm apart leave no gap that is worth a look."""

RESOLUTION = 1e-4
"""Distances below this share of the value are none."""

EPOCH = 1_767_225_600.0
"""Waiting values count whole seconds from here, the same in every process, as rows move between them."""

_MOST = 1e36
_FARTHEST_S = float(2**31 - 1)
_PLACES = np.arange(KEPT)
_SMALL_PLACES, _ONE = _PLACES.astype(np.uint8), np.uint8(1)
_ROWS = ("values", "young", "young_at", "home")


class Cover:
    """Arrays over n rows, changed in place. values: float32[n, 48], sorted, +inf where there is none yet.

    young, young_at: float32, int32[n, 7], values that are no examples yet, and when they came (seconds since 2026).
    home: float64[2, n], from where to where a row's values are calm.
    """

    def __init__(self, rows: int) -> None:
        self.values = np.full((rows, KEPT), np.inf, np.float32)
        self.young, self.young_at = np.full((rows, YOUNG), np.nan, np.float32), np.zeros((rows, YOUNG), np.int32)
        self.home = np.stack([np.full(rows, np.inf), np.full(rows, -np.inf)])

    def distances(self, rows: Rows, at: Instant, values: F64, delay_s: float) -> F64:
        """Return float64[m]: how far values of some rows lie from the nearest example, NaN where there is none."""
        sample = values.astype(np.float32)[:, None]
        with np.errstate(over="ignore", invalid="ignore"):
            nearest = np.abs(self.values[rows] - sample).min(axis=1)
            old = _since(at) - self.young_at[rows] >= delay_s
            young = np.where(old, np.abs(self.young[rows] - sample), np.inf)
        out = np.fmin(nearest, np.fmin.reduce(young, axis=1)).astype(np.float64)
        out[out <= RESOLUTION * np.abs(values)] = 0.0
        return np.where(np.isfinite(out), out, np.nan)

    def grow(self, rows: Rows, at: Instant, delay_s: float) -> None:
        """Let what is old enough in some rows become an example."""
        old = (_since(at) - self.young_at[rows] >= delay_s) & np.isfinite(self.young[rows])
        for place in np.flatnonzero(old.any(axis=0)).tolist():
            mine = rows[old[:, place]]
            self._insert(mine, self.young[mine, place])
            self.young[mine, place] = np.nan

    def note(self, rows: Rows, at: Instant, values: F64) -> None:
        """Let values of some rows wait until they are examples; one in five minutes is enough."""
        since = np.int32(_since(at))
        newest = np.where(np.isfinite(self.young[rows]), self.young_at[rows], -np.inf)
        free = since - newest.max(axis=1) >= APART_S * 0.99
        rows, newest = rows[free], newest[free]
        place = newest.argmin(axis=1)
        self.young[rows, place] = values[free].astype(np.float32)
        self.young_at[rows, place] = since

    def settle(self, rows: Rows, values: F64, calm: F64) -> None:
        """Find the homes of some rows around their values; those whose value is far from all stay where they were."""
        known = self.values[rows].astype(np.float64)
        near = known - values[:, None]
        np.abs(near, out=near)
        nearest = near.argmin(axis=1)
        there = near[np.arange(len(rows)), nearest] <= np.maximum(calm, RESOLUTION * np.abs(values))
        if not there.all():
            rows, known, nearest, calm = rows[there], known[there], nearest[there], calm[there]
        first, last = _stretch(known, nearest, GAP_CALMS * calm)
        every = np.arange(len(rows))
        self.home[0, rows] = known[every, first] - calm
        self.home[1, rows] = known[every, last] + calm

    def move(self, shifts: Shifts) -> None:
        """Let the values of some rows move; where something may have been added or multiplied, one half each."""
        rows, places = shifts.rows, np.arange(len(shifts.rows))[:, None]
        added, multiplied = shifts.moved(self.values[rows].astype(np.float64), places)
        there, half = np.isfinite(self.values[rows]), (_PLACES % 2 == 1)
        moved = np.where(there, np.where(half, multiplied, added), np.inf)
        self.values[rows] = np.sort(np.clip(moved, -_MOST, np.where(there, _MOST, np.inf)), axis=1).astype(np.float32)
        self.young[rows] = np.nan
        self.home[0, rows], self.home[1, rows] = np.inf, -np.inf
        for values in shifts.values.T:
            mine = np.isfinite(values)
            self._insert(rows[mine], np.clip(values[mine], -_MOST, _MOST).astype(np.float32))

    def take(self, rows: Rows) -> None:
        """Become the cover of other rows; -1 starts afresh."""
        fresh, old = Cover(len(rows)), rows >= 0
        for name in _ROWS[:3]:
            getattr(fresh, name)[old] = getattr(self, name)[rows[old]]
        fresh.home[:, old] = self.home[:, rows[old]]
        self.__dict__.update(fresh.__dict__)

    def arrays(self) -> Arrays:
        """Return the state for a checkpoint."""
        return {name: getattr(self, name) for name in _ROWS}

    def restore(self, arrays: Arrays) -> None:
        """Take the state of a checkpoint whose shapes were checked."""
        for name in _ROWS:
            setattr(self, name, np.array(arrays[name], getattr(self, name).dtype))
        if "epoch" in arrays:  # they were counted from each process's first sample once
            began = np.float64(arrays["epoch"][0])
            self.young_at = np.asarray(_since(began + arrays["young_at"].astype(np.float64)), np.int32)

    # -- inner ---------------------------------------------------------------------------------------

    def _insert(self, rows: Rows, values: F64) -> None:
        """Add one value to each of some rows; where there is no room, drop one from the tightest place."""
        with np.errstate(invalid="ignore"):
            grown = np.sort(np.concatenate([self.values[rows], values[:, None]], axis=1), axis=1)
            room = np.isinf(grown[:, -1])
            tight = np.where(room, KEPT, 1 + np.argmin(grown[:, 2:] - grown[:, :-2], axis=1))
        kept: Bools = np.arange(KEPT + 1)[None, :] != tight[:, None]
        self.values[rows] = grown[kept].reshape(len(rows), KEPT)


def _stretch(known: F64, nearest: Rows, most: F64) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return the first and last places of the stretches around the nearest that have no gap wider than `most`.

    known: float64[m, 48], sorted. nearest, most: one for each row.
    """
    begins, ends = np.ones(known.shape, np.bool_), np.ones(known.shape, np.bool_)
    with np.errstate(invalid="ignore"):
        whole = known[:, 1:] - known[:, :-1] <= most[:, None]
    np.logical_not(whole, out=begins[:, 1:])
    ends[:, :-1] = begins[:, 1:]
    here = nearest.astype(np.uint8)[:, None]
    begins &= here >= _SMALL_PLACES
    ends &= here <= _SMALL_PLACES
    # in small numbers, without a choice: the greatest place that is True, and the least, where others are 255
    first = (begins.view(np.uint8) * _SMALL_PLACES).max(axis=1)
    last = (ends.view(np.uint8) - _ONE | _SMALL_PLACES).min(axis=1)
    return first, last


def _since(at: F64 | Instant) -> F64:
    return np.asarray(np.floor(np.clip(np.subtract(at, EPOCH), -_FARTHEST_S, _FARTHEST_S)), np.float64)
