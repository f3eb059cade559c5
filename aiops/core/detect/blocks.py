"""Samples by forty-eighths of a season: what a row was and how it moved in each, against earlier seasons."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from aiops.core.detect.wall_clock import UTC, WallClock
from aiops.core.model import F64, Bools, Instant, Rows
from aiops.core.protocols import Arrays

BINS = 48
SEASONS = 4.0
"""What is usual at a time of the season is a mean over about so many of them."""

CLIPS = 3.0
"""A block that is farther from the usual than so many mean deviations teaches no more than that."""

LEAST_SAMPLES = 2.0
_FORGETS = 1.0 / BINS


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Block:
    """One that has ended: its number, and by row the mean and the mean move, float64[n]; NaN where too little was seen.

    A move is how far a sample lies from where the two before it lead: it knows no level and no slope
    (von Neumann, 1941, took the distance of neighbours, which knows no level).
    """

    number: int
    mean: F64
    move: F64


class Blocks:
    """Sums over the block that goes on, by n rows. sums: float64[4, n], of values and moves, and how many of each.

    last: float64[2, n], the newest sample, and how far it lay from the one before.
    skipped: how many blocks the wall clock skipped when the block that goes on began; negative where it went back.
    """

    def __init__(self, rows: int, block_s: float, zone: str = UTC) -> None:
        self.block_s, self._clock = block_s, WallClock(zone)
        self.sums, self.last = np.zeros((4, rows)), np.full((2, rows), np.nan)
        self.number = math.nan
        # of the last block; not in checkpoints: an hour that is skipped during a restart is a gap anyway
        self._ahead_s, self.skipped = math.nan, 0

    def place(self, at: Instant) -> float:
        """Return which block an instant lies in, and how far into it, by the wall clock."""
        return (at + self._clock.ahead_s(at)) / self.block_s

    def note(self, at: Instant, values: F64, taken: Bools) -> Block | None:
        """Take values into the block of `at`; return the one before, when this is the first look at a new one."""
        ahead_s, ended = self._clock.ahead_s(at), None
        number = (at + ahead_s) // self.block_s
        if number != self.number:
            ended = self._ended()
            self.sums[:] = 0.0
            self.number = number
            jump = (ahead_s - self._ahead_s) / self.block_s
            self._ahead_s, self.skipped = ahead_s, round(jump) if math.isfinite(jump) else 0
        clean = np.where(taken & (np.abs(values) < 1e150), values, np.nan)
        step = clean - self.last[0]
        moved = np.abs(step - self.last[1])
        here, there = np.isfinite(clean), np.isfinite(moved)
        self.sums[0] += np.where(here, clean, 0.0)
        self.sums[1] += np.where(there, moved, 0.0)
        self.sums[2] += here
        self.sums[3] += there
        np.copyto(self.last[0], clean, where=here)
        np.copyto(self.last[1], step, where=here)
        return ended

    def _ended(self) -> Block | None:
        if not math.isfinite(self.number):
            return None
        total, moves, count, between = self.sums
        with np.errstate(invalid="ignore", divide="ignore"):
            mean = np.where(count >= LEAST_SAMPLES, total / count, np.nan)
            move = np.where(between >= LEAST_SAMPLES, moves / between, np.nan)
        return Block(number=int(self.number), mean=mean, move=move)

    def take(self, rows: Rows) -> None:
        """Become the blocks of other rows; -1 starts afresh."""
        fresh, old = Blocks(len(rows), self.block_s, self._clock.name), rows >= 0
        fresh.sums[:, old], fresh.last[:, old] = self.sums[:, rows[old]], self.last[:, rows[old]]
        fresh.number, fresh._ahead_s, fresh.skipped = self.number, self._ahead_s, self.skipped
        self.__dict__.update(fresh.__dict__)

    def arrays(self) -> Arrays:
        """Return the state for a checkpoint."""
        return {"sums": self.sums, "last": self.last, "number": np.array([self.number])}

    def restore(self, arrays: Arrays) -> None:
        """Take the state of a checkpoint whose shapes were checked."""
        self.sums, self.last = np.array(arrays["sums"], np.float64), np.array(arrays["last"], np.float64)
        self.number = float(arrays["number"][0])


class Profile:
    """What is usual of n rows by time of the season. usual: float32[n, 48], NaN of what was never seen.

    seen: uint8[n, 48], seasons. off: float32[n], the mean deviation from it.
    """

    def __init__(self, rows: int) -> None:
        self.usual = np.full((rows, BINS), np.nan, np.float32)
        self.seen, self.off = np.zeros((rows, BINS), np.uint8), np.zeros(rows, np.float32)

    def at(self, number: int) -> F64:
        """Return what is usual in a block, float64[n]."""
        return self.usual[:, number % BINS].astype(np.float64)

    def learn(self, number: int, values: F64) -> None:
        """Take the values of a block, float64[n]; NaN is nothing."""
        place = number % BINS
        usual, seen = self.usual[:, place].astype(np.float64), self.seen[:, place]
        new = np.isfinite(values) & np.isnan(usual)
        known = np.isfinite(values) & ~new
        off = np.where(known, values - usual, 0.0)
        most = CLIPS * self.off.astype(np.float64)
        clipped = np.where(most > 0, np.clip(off, -most, most), off)
        weight = np.maximum(1.0 / (seen + 1.0), 1.0 / SEASONS)
        usual = np.where(new, values, usual + weight * clipped)
        grown = np.where(self.off > 0, self.off + _FORGETS * (np.abs(clipped) - self.off), np.abs(clipped))
        np.copyto(self.off, np.minimum(grown, 1e37).astype(np.float32), where=known)
        self.usual[:, place] = np.clip(usual, -1e37, 1e37)
        self.seen[:, place] = np.minimum(seen + (new | known), 250)

    def take(self, rows: Rows) -> None:
        """Become the profile of other rows; -1 starts afresh."""
        fresh, old = Profile(len(rows)), rows >= 0
        for name in ("usual", "seen", "off"):
            getattr(fresh, name)[old] = getattr(self, name)[rows[old]]
        self.__dict__.update(fresh.__dict__)

    def arrays(self) -> Arrays:
        """Return the state for a checkpoint."""
        return {"usual": self.usual, "seen": self.seen, "off": self.off}

    def restore(self, arrays: Arrays) -> None:
        """Take the state of a checkpoint whose shapes were checked."""
        for name in ("usual", "seen", "off"):
            setattr(self, name, np.array(arrays[name], getattr(self, name).dtype))
