"""Rows of the nowcast that nobody acts on: other versions of some policies' rows, living through the same samples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from aiops.core.model import F64, Bools, Instant, PolicyKey, Rows
from aiops.core.nowcast.nowcasts import STEP_S, Nowcasts
from aiops.core.protocols import Arrays

KEPT = 0.1
"""Of what the mixes of a new version were learnt from, this share stays: what is new soon outweighs it."""


class Seat(NamedTuple):
    """One row: whose it is, and which version."""

    policy: PolicyKey
    number: int


class Shadows:
    """Changed in place; there are few rows, and often none.

    season_s: of each policy. history_s: as that of the rows that act.
    """

    def __init__(self, season_s: Mapping[PolicyKey, float], history_s: float) -> None:
        self._season_s, self._history_s = season_s, history_s
        self.seats: tuple[Seat, ...] = ()
        self.rows = self._made(())

    def _made(self, seats: Sequence[Seat]) -> Nowcasts:
        return Nowcasts(np.array([self._season_s[seat.policy] for seat in seats], np.float64), self._history_s)

    def add(self, seat: Seat, acting: Nowcasts, place: int) -> None:
        """Let a version begin as what acts in row `place`, but for its mixes: these are learnt nearly anew."""
        if self.seats:
            self._together(acting)
        self._reseat((*self.seats, seat))
        row = np.array([len(self.seats) - 1])
        self.rows.take(acting.arrays(), row, np.array([place]))
        for mix, spread in zip(self.rows.mixes, self.rows.spreads, strict=True):
            mix.gram[row] *= KEPT
            mix.moment[row] *= KEPT
            spread.day[row] = spread.hour[row]

    def drop(self, gone: Sequence[Seat]) -> None:
        """Let versions go."""
        kept = tuple(seat for seat in self.seats if seat not in gone)
        if len(kept) < len(self.seats):
            self._reseat(kept)

    def swap(self, seat: Seat, acting: Nowcasts, place: int, before: int) -> None:
        """Let a version act in row `place`, and what acted there, version `before`, take its seat."""
        number = self.seats.index(seat)
        self._together(acting)
        mine, theirs = np.array([number]), np.array([place])
        old = {name: np.array(array) for name, array in acting.arrays().items()}
        acting.take(self.rows.arrays(), theirs, mine)
        self.rows.take(old, mine, theirs)
        seats = list(self.seats)
        seats[number] = Seat(seat.policy, before)
        self.seats = tuple(seats)

    def learn(self, at: Instant, places: Rows, seen: tuple[F64, Bools, F64]) -> None:
        """Take one sample: demand, whether it is all of it, and lead times, of every row that acts (`Nowcasts.learn`).

        places: int64[seats], the rows that act for the same policies.
        """
        if self.seats:
            demand, whole, lead_s = seen
            self.rows.learn(at, demand[places], whole[places], lead_s[places])

    def _together(self, acting: Nowcasts) -> None:
        """Bring both to one time: history that was lived through beside the loop may have moved what acts."""
        now = max(acting.slot, self.rows.slot)
        for one in (acting, self.rows):
            if 0 <= one.slot < now:
                nothing = np.full(len(one.last), np.nan)
                one.learn(now * STEP_S, nothing, np.isfinite(nothing), nothing)

    def _reseat(self, seats: tuple[Seat, ...]) -> None:
        before, arrays = self.seats, self.rows.arrays()
        self.seats, self.rows = seats, self._made(seats)
        pairs = [(mine, before.index(seat)) for mine, seat in enumerate(seats) if seat in before]
        if pairs:
            mine, theirs = np.array(pairs).T
            self.rows.take(arrays, mine, theirs)

    # -- checkpoints -------------------------------------------------------------------------------------

    def arrays(self) -> Arrays:
        """Return the state for a checkpoint, but for whose the rows are."""
        return self.rows.arrays() if self.seats else {}

    def restore(self, seats: Sequence[Seat], arrays: Arrays) -> None:
        """Take rows of a checkpoint that belong to these seats; raise ValueError when they do not fit.

        Seats of policies that are gone are left out.
        """
        kept = [(place, seat) for place, seat in enumerate(seats) if seat.policy in self._season_s]
        self.seats = tuple(seat for _, seat in kept)
        self.rows = self._made(self.seats)
        if kept:
            self.rows.take(arrays, np.arange(len(kept)), np.array([place for place, _ in kept]))
