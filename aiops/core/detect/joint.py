"""Signals that do not go with each other, though none of them is odd alone: much traffic and an idle processor.

What each signal is off its time of the season, in its own deviations, is smoothed over about four samples (a
multivariate exponentially weighted mean: Lowry, Woodall, Champ and Rigdon, 1992). How far all of it together lies from
the usual is Mahalanobis' distance by a covariance that is learnt online: clipped and guarded, so that a fault does not
become the usual, and drawn to none while little is known. How rare such a distance is, is said by its own record
(`records`): conformal within, Pareto beyond.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from aiops.core.detect.blocks import BINS, Blocks, Profile
from aiops.core.detect.records import Records
from aiops.core.detect.rules import WEEK_S
from aiops.core.detect.standing import Standing
from aiops.core.detect.wall_clock import UTC
from aiops.core.model import F64, Bools, Instant, Rows
from aiops.core.protocols import Arrays

MOST_SIGNALS = 16
SMOOTHS = 0.25
CLIPS = 4.0
"""Deviations of one signal beyond this are the business of its own detector."""

LEAST_SAMPLES = 200.0
PRIOR_SAMPLES = 8.0
"""So many samples for each signal speak as loud for a covariance as the belief that there is none."""

LEAST_WEIGHT = 0.1
"""What is extreme teaches so much less, so that a new way to go together is learnt in ten times the time."""

SETTLES_S = 3600.0

_ROWS = ("square", "smooth", "count", "cross")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Together:
    """What a look says of all groups. surprise: float64[g], NaN where nothing is known.

    pull: float64[g, 16], how far the signals of each lie from where the others would have them, in deviations.
    """

    surprise: F64
    pull: F64


class JointWatch:
    """n rows in groups of two to sixteen. square: float32[n], mean square off the season. smooth: float32[n].

    count: float32[n], samples. cross: float32[n, 16], the row's line of its group's covariance, in the group's order.
    members: intp[g, 16], the rows of each group, -1 where it has fewer. step_s: between samples, as they came lately.
    """

    def __init__(self, rows: int, season_s: float, zone: str = UTC) -> None:
        self.blocks, self.level = Blocks(rows, season_s / BINS, zone), Profile(rows)
        self.square, self.smooth = np.zeros(rows, np.float32), np.zeros(rows, np.float32)
        self.count, self.cross = np.zeros(rows, np.float32), np.zeros((rows, MOST_SIGNALS), np.float32)
        self.members = np.zeros((0, MOST_SIGNALS), np.intp)
        self.records, self.standing = Records(rows, 1), Standing(rows)
        self._last_at = self._settled_at = math.nan
        self.step_s = 60.0

    def group(self, members: Sequence[Rows]) -> None:
        """Look at these rows together from now on; each group of two to sixteen, in an order that stays."""
        self.members = np.full((len(members), MOST_SIGNALS), -1, np.intp)
        for number, rows in enumerate(members):
            self.members[number, : len(rows)] = rows

    def look(self, at: Instant, values: F64, taken: Bools) -> Together:
        """Take values in and return what is said of the groups."""
        dt = at - self._last_at if at > self._last_at else 0.0
        self._last_at = at
        off = self._off(at, values, taken)
        smooth, known = self.smooth.astype(np.float64), np.isfinite(off)
        smooth = np.where(known, smooth + SMOOTHS * (off - smooth), smooth)
        self.smooth[:] = smooth
        self.count += known
        there = self.members >= 0
        rows = np.maximum(self.members, 0)
        now = np.where(there & known[rows], smooth[rows], 0.0)
        inverse = np.linalg.inv(self._covariance(rows, there))
        solved = (inverse @ now[..., None])[..., 0]
        distance = np.sqrt(np.maximum((now * solved).sum(axis=1) / np.maximum(there.sum(axis=1), 1), 0.0))
        least = np.where(there, self.count[rows], np.inf).min(axis=1) if len(rows) else np.zeros(0)
        whole = (~there | known[rows]).all(axis=1) & (least >= LEAST_SAMPLES)
        # the record of a group is kept with its first row
        first = rows[:, 0]
        tails = self.records.tails(first)
        surprise = np.where(whole, tails.surprises(distance[:, None])[:, 0], np.nan)
        self._learn(at, dt, (rows, there, now), np.where(whole, distance, np.nan))
        pull = solved / np.einsum("gii->gi", inverse)
        return Together(surprise=surprise, pull=np.where(there, pull, 0.0))

    def expected(self, row: int, pull: float, value: float) -> tuple[float, float]:
        """Return what the others of its group would have a row be, and its deviation, in its own units."""
        scale = math.sqrt(max(float(self.square[row]), 0.0))
        return value - pull * scale, scale

    # -- inner ---------------------------------------------------------------------------------------

    def _off(self, at: Instant, values: F64, taken: Bools) -> F64:
        """Return by how many of its deviations each row is off its season, clipped; NaN where that is not known."""
        clean = np.where(taken & (np.abs(values) < 1e150), values, np.nan)
        ended = self.blocks.note(at, values, taken)
        if ended is not None:
            self.level.learn(ended.number, ended.mean)
        place = self.blocks.place(at) - 0.5
        number = math.floor(place)
        before, after = self.level.at(number), self.level.at(number + 1)
        with np.errstate(invalid="ignore", over="ignore"):
            raw = clean - (before + (place - number) * (after - before))
            known = np.isfinite(raw)
            square = self.square.astype(np.float64)
            most = CLIPS * CLIPS * square
            new = np.where(most > 0, np.minimum(raw * raw, most), raw * raw)
        weight = 1.0 / np.minimum(self.count + 1.0, self._remembered)
        square = np.where(known, square + weight * (new - square), square)
        np.copyto(self.square, np.minimum(square, 1e37).astype(np.float32), where=known)
        with np.errstate(invalid="ignore", divide="ignore"):
            off = np.where(square > 0, raw / np.sqrt(square), 0.0)
        return np.where(known, np.clip(off, -CLIPS, CLIPS), np.nan)

    @property
    def _remembered(self) -> float:
        """Return how many samples are remembered: a week's."""
        return WEEK_S / max(self.step_s, 1.0)

    def _covariance(self, rows: Rows, there: Bools) -> F64:
        """Return float64[g, 16, 16], one on the diagonal where there is no signal."""
        cross = np.where(there[..., None] & there[:, None, :], self.cross[rows].astype(np.float64), 0.0)
        own = np.einsum("gii->gi", cross)
        signals = there.sum(axis=1)
        seen = np.where(there, self.count[rows], np.inf).min(axis=1) if len(rows) else np.zeros(0)
        drawn = PRIOR_SAMPLES * signals / (PRIOR_SAMPLES * signals + np.minimum(seen, 1e9))
        out = cross * (1.0 - drawn)[:, None, None]
        floor = 1e-4 + np.where(own > 0, own, 1.0) * np.where(there, 1e-3, 1.0)
        places = np.arange(MOST_SIGNALS)
        out[:, places, places] = np.where(there, own + floor, 1.0)
        return np.asarray(out)

    def _learn(self, at: Instant, dt: float, seen: tuple[Rows, Bools, F64], distance: F64) -> None:
        rows, there, now = seen
        self.step_s = dt if 0.0 < dt < SETTLES_S else self.step_s
        if not len(rows):
            return
        usual = 1.0 + 3.0 * np.sqrt(2.0 / np.maximum(there.sum(axis=1), 1))
        guard = np.clip(usual / np.maximum(np.nan_to_num(distance) ** 2, 1e-9), LEAST_WEIGHT, 1.0)
        least = np.where(there, self.count[rows], np.inf).min(axis=1)
        weight = guard / np.minimum(least + 1.0, self._remembered)
        cross = self.cross[rows].astype(np.float64)
        moved = cross + weight[:, None, None] * (now[..., None] * now[:, None, :] - cross)
        live = there & (least >= 1.0)[:, None]
        self.cross[rows[live]] = moved[live]
        first, known = rows[:, 0], np.isfinite(distance)
        self.records.pass_time(at)
        capped = self.records.tails(first).capped(distance[:, None])
        self.records.learn(first[known], capped[known])
        self.records.total[0, first[known]] += 1.0
        if not at - self._settled_at < SETTLES_S:
            self.records.settle(first, self.records.tails(first))
            self._settled_at = at

    # -- following rows --------------------------------------------------------------------------------

    def take(self, rows: Rows) -> None:
        """Become other rows; -1 starts afresh. The groups are to be said anew."""
        old = rows >= 0
        for name in _ROWS:
            array = getattr(self, name)
            fresh = np.zeros((len(rows), *array.shape[1:]), np.float32)
            fresh[old] = array[rows[old]]
            setattr(self, name, fresh)
        self.blocks.take(rows)
        self.level.take(rows)
        self.records.take(rows)
        self.standing.take(rows)
        self.members = np.zeros((0, MOST_SIGNALS), np.intp)

    def _parts(self) -> dict[str, Blocks | Profile | Records | Standing]:
        return {"blocks": self.blocks, "level": self.level, "records": self.records, "standing": self.standing}

    def arrays(self) -> Arrays:
        """Return the state for a checkpoint."""
        nested = {f"{name}/{key}": one for name, part in self._parts().items() for key, one in part.arrays().items()}
        own = {name: getattr(self, name) for name in _ROWS}
        return own | nested | {"clock": np.array([self._last_at, self._settled_at, self.step_s])}

    def restore(self, arrays: Arrays) -> None:
        """Take the state of a checkpoint whose shapes were checked."""
        for name, part in self._parts().items():
            part.restore({key: arrays[f"{name}/{key}"] for key in part.arrays()})
        for name in _ROWS:
            setattr(self, name, np.array(arrays[name], np.float32))
        self._last_at, self._settled_at, self.step_s = (float(one) for one in arrays["clock"])
