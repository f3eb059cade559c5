"""Many signals, one array pass: rows of fleets that are shared by those who ask for forecasts of the same kind.

A signal takes a seat in a block: a fleet of up to 64 rows that close their minutes together. All that is heard within a
minute is heard first; the minute is closed for all rows at once, by the first one that hears of a newer minute. Whoever
is gone leaves an empty seat, and nobody else moves. A row computes what it would compute alone, to the last bit.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from heapq import heappop, heappush
from typing import Protocol
from weakref import ReferenceType, ref

import numpy as np

from aiops.core.forecast.fleet import Calendar, Fleet
from aiops.core.forecast.grid import Grid
from aiops.core.forecast.members import Member
from aiops.core.forecast.standing import QUANTILES
from aiops.core.model import F64, Bools

MOST_ROWS = 64
"""More rows in a pass save nothing any more: what they need leaves the processor's cache."""

SPARSE = 4
"""Blocks are gathered when one of so many rows is taken."""

OPEN_WEIGHT = 0.5
"""The minute that is not over yet counts half: it is younger, and noisier."""

LONG_GAP = 60
_MEDIAN = QUANTILES.index(0.5)


class Seated(Protocol):
    """Who sits in a block."""

    def reseat(self) -> None:
        """Take a seat anew, with everything that is known."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """What signals must have in common to share a block."""

    grid: Grid
    history_steps: int
    members: tuple[Member, ...]


class Block:
    """A fleet on a clock: `minute` is the one that is open, and `sums`, `counts` are what was heard in it.

    Seats are kept for as long as their owners live: no owner has to say goodbye.
    """

    def __init__(self, kind: Kind, minute: int) -> None:
        self.fleet = Fleet(kind.grid, 1, history_steps=kind.history_steps, members=kind.members)
        self.fleet.step = minute
        self.sums, self.counts = np.zeros(1), np.zeros(1)
        self._owners: list[ReferenceType[Seated] | None] = [None]
        self._empty = [0]
        self._left: deque[int] = deque()
        self._fresh: Bools = np.zeros(1, np.bool_)
        self._said = np.zeros((1, len(QUANTILES), 0))

    @property
    def minute(self) -> int:
        """Return the minute that is open."""
        return self.fleet.step

    @property
    def taken(self) -> int:
        """Return how many seats are taken."""
        return len(self._owners) - len(self._empty) - len(self._left)

    @property
    def owners(self) -> tuple[Seated, ...]:
        """Return who sits here, by row."""
        found = (one() for one in self._owners if one is not None)
        return tuple(owner for owner in found if owner is not None)

    # -- seats -------------------------------------------------------------------------------------------

    def seat(self, owner: Seated, calendar: Calendar | None) -> int | None:
        """Give an owner an empty row, None where there is none left."""
        while self._left:
            heappush(self._empty, self._left.popleft())
        if not self._empty and len(self._owners) >= MOST_ROWS:
            return None
        if not self._empty:
            self._grow()
        row = heappop(self._empty)
        # whichever thread lets go of the owner: the loop's takes notice when it gives the seat away
        self._owners[row] = ref(owner, lambda _, left=self._left: left.append(row))  # type: ignore[misc]
        self._clear(row, calendar)
        return row

    def leave(self, row: int) -> None:
        """Give a seat back."""
        self._owners[row] = None
        self._clear(row, None)
        heappush(self._empty, row)

    def _clear(self, row: int, calendar: Calendar | None) -> None:
        self.fleet.clear(row, calendar)
        self.sums[row] = self.counts[row] = 0.0
        self._fresh[row] = False

    def _grow(self) -> None:
        more = len(self._owners)
        self.fleet.resize(2 * more)
        self.sums, self.counts = (np.concatenate([array, np.zeros(more)]) for array in (self.sums, self.counts))
        self._fresh = np.zeros(2 * more, np.bool_)
        self._owners += [None] * more
        self._empty = list(range(more, 2 * more))

    # -- time --------------------------------------------------------------------------------------------

    def note(self, row: int, value: float) -> None:
        """Hear a value in the minute that is open."""
        self.sums[row] += value
        self.counts[row] += 1.0
        self._fresh[row] = False

    def touched(self, row: int) -> None:
        """Foretell a row anew: something else than time has changed it."""
        self._fresh[row] = False

    def close_until(self, minute: int) -> None:
        """End the minute that was open, and the silent ones up to `minute`, for all rows."""
        silent = minute - self.minute - 1
        if silent < 0:
            return
        there = self.counts > 0
        self.fleet.update(np.where(there, self.sums / np.maximum(self.counts, 1.0), math.nan))
        self.sums.fill(0.0)
        self.counts.fill(0.0)
        self._fresh.fill(False)
        if silent > LONG_GAP:
            self.fleet.skip(silent)
        else:
            for _ in range(silent):
                self.fleet.update(np.full(self.fleet.series, math.nan))

    # -- foretelling -------------------------------------------------------------------------------------

    def foretell(self, minute: int, steps: int) -> None:
        """Foretell all rows at once from `minute` on; what is asked next is at hand."""
        if not self._fresh.all() and minute == self.minute:
            self._said = self._paths(slice(None), minute, steps)
            self._fresh.fill(True)

    def paths(self, row: int, minute: int, steps: int) -> F64:
        """Return float64[quantiles, steps] of one row: `steps` minutes after `minute`."""
        if self._fresh[row] and minute == self.minute and self._said.shape[2] == steps:
            return np.array(self._said[row])
        return np.asarray(self._paths(slice(row, row + 1), minute, steps)[0])

    def _paths(self, rows: slice, minute: int, steps: int) -> F64:
        sums, counts = self.sums[rows], self.counts[rows]
        silent = max(0, minute - self.minute)
        if silent >= self.fleet.size:
            return np.full((len(sums), len(QUANTILES), steps), np.nan)
        believed = np.full((len(sums), silent + 1), np.nan)
        if counts.any():
            samples = np.where(counts > 0, sums / np.maximum(counts, 1.0), math.nan)
            foretold = self.fleet.predict(1, rows=rows)[:, _MEDIAN, 0]
            halfway = foretold + OPEN_WEIGHT * (samples - foretold)
            believed[:, 0] = np.where(np.isnan(foretold), samples, halfway)
        return np.asarray(self.fleet.predict(steps, believed, rows))


class Pool:
    """Blocks of every kind that somebody sits in. Changed in place."""

    def __init__(self) -> None:
        self._blocks: list[tuple[Kind, Block]] = []

    def seat(self, kind: Kind, minute: int, owner: Seated, calendar: Calendar | None) -> tuple[Block, int]:
        """Give an owner a row whose open minute is `minute`: a block has one clock, so another clock is another one."""
        for known, block in self._blocks:
            if block.minute == minute and known == kind:
                row = block.seat(owner, calendar)
                if row is not None:
                    return block, row
        made = Block(kind, minute)
        self._blocks.append((kind, made))
        row = made.seat(owner, calendar)
        if row is None:
            raise RuntimeError("a new block has a seat")
        return made, row

    def foretell(self, minute: int, steps: int) -> None:
        """Foretell everything at once; blocks that nobody sits in any more are let go."""
        self.tidy()
        for _, block in self._blocks:
            block.foretell(minute, steps)

    def tidy(self) -> None:
        """Let go of blocks that nobody sits in any more."""
        self._blocks = [(kind, block) for kind, block in self._blocks if block.taken]

    def gather(self) -> None:
        """Let those who are left of many sit together: empty rows are computed like others.

        It is worth it where at most a quarter of the rows of a kind are taken.
        """
        for kind in dict.fromkeys(kind for kind, _ in self._blocks):
            alike = [block for known, block in self._blocks if known == kind]
            taken, rows = sum(block.taken for block in alike), sum(block.fleet.series for block in alike)
            if 0 < taken * SPARSE <= rows:
                self._blocks = [(known, block) for known, block in self._blocks if known != kind]
                for owner in [owner for block in alike for owner in block.owners]:
                    owner.reseat()

    @property
    def blocks(self) -> Sequence[Block]:
        """Return the blocks that there are."""
        return tuple(block for _, block in self._blocks)
