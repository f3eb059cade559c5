"""Changes of how a row goes on, which no single sample shows: its trend, and how much it moves.

Both are judged once a 48th of a season (half an hour of a day), of means of that time without what the season explains:

- trend: the last twelve hours of a daily season as two lines that meet (least squares); the change of slope four hours
  ago. A step explains as much where the level has shifted: then it is none.
- variance: how much a row has moved from sample to sample in the last four hours, against what it moves at these times.

How much of a change is odd is what its own past says (`own_past`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from aiops.core.detect.blocks import BINS, Block, Blocks, Profile
from aiops.core.detect.own_past import OwnPast
from aiops.core.detect.standing import Standing
from aiops.core.detect.wall_clock import UTC
from aiops.core.model import F64, Bools, Instant, Rows
from aiops.core.protocols import Arrays

WINDOW, LATELY = 24, 8
"""Blocks that are looked at, and those of them that are the change: a third: what was before is known better."""

LEAST_BLOCKS = 18
MEMORY = 42.0
"""Independent values that are remembered: those of a week, where a season is a day."""

SHARE_MOVES = 0.5
"""Of a row that moves in less than this share of its blocks means are not nearly normal: it is left out."""

FACTOR = 1.5
"""A row that moves less than this many times as much, or as little, has not changed in a way that matters."""

MOST_TIMES = 15.0
BETTER = 0.8
"""Two lines must leave this share of what a step leaves unexplained, as they have a choice more."""

TESTS = BINS / LATELY * 3.5
"""Independent looks in a season; measured on noise: two to three neighbouring ones are alarmed by the same samples."""

NEWER = frozenset({"last"})
"""What checkpoints did not keep once: what was said when the last block ended."""

_RINGS = ("residuals", "moves", "moving")
_STEPS = range(3, WINDOW)
_FLAT_SHARE = 1.0 / BINS


def _bases() -> tuple[F64, F64, F64]:
    """Return what gives the hinge, and what takes away two lines that meet, and a line with each step."""
    places = np.arange(WINDOW, dtype=np.float64)
    hinge = np.maximum(places - (WINDOW - LATELY - 0.5), 0.0)
    two = np.stack([np.ones(WINDOW), places, hinge], axis=1)
    solve = np.linalg.pinv(two)
    eye = np.eye(WINDOW)
    steps = [np.stack([np.ones(WINDOW), places >= place], axis=1).astype(np.float64) for place in _STEPS]
    left = np.stack([eye - one @ np.linalg.pinv(one) for one in steps])
    return solve[2], eye - two @ solve, left


_HINGE, _TWO_LINES, _STEPPED = _bases()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Change:
    """What a look says of all rows. surprise: float64[n], NaN where nothing is known. much: the change itself.

    deviation: by how much `much` changes usually. usual: what it was, or is usually: a level, or a movement.
    """

    surprise: F64
    much: F64
    deviation: F64
    usual: F64

    def of(self, rows: Rows) -> Change:
        """Return it of other rows; nothing is known of -1."""
        fresh, old = np.full((4, len(rows)), np.nan), rows >= 0
        fresh[:, old] = self.numbers()[:, rows[old]]
        return Change.told(fresh)

    @classmethod
    def unknown(cls, rows: int) -> Change:
        """Return what is said of rows that were not looked at yet."""
        return cls.told(np.full((4, rows), np.nan))

    @classmethod
    def told(cls, numbers: F64) -> Change:
        """Return it out of what `numbers` made of it."""
        surprise, much, deviation, usual = numbers
        return cls(surprise=surprise, much=much, deviation=deviation, usual=usual)

    def numbers(self) -> F64:
        """Return it as one array, float64[4, n]."""
        return np.stack([self.surprise, self.much, self.deviation, self.usual])


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Changes:
    """Of trend (a slope, in units a second) and of movement (the logarithm of how many times as much)."""

    trend: Change
    variance: Change


class ChangeWatch:
    """What n rows were in the last blocks. residuals, moves: float32[n, 24], off the usual, and shares of it."""

    def __init__(self, rows: int, season_s: float, zone: str = UTC) -> None:
        self.blocks = Blocks(rows, season_s / BINS, zone)
        self.level, self.movement = Profile(rows), Profile(rows)
        self.slopes, self.ratios = OwnPast(rows, LATELY, MEMORY), OwnPast(rows, LATELY, MEMORY)
        self.residuals = np.full((rows, WINDOW), np.nan, np.float32)
        self.moves = np.full((rows, LATELY), np.nan, np.float32)
        self.moving = np.full(rows, np.nan, np.float32)
        self.standing = {name: Standing(rows) for name in ("trend", "variance")}
        self.last = Changes(trend=Change.unknown(rows), variance=Change.unknown(rows))

    def look(self, at: Instant, values: F64, taken: Bools) -> Changes | None:
        """Take values in; return what is said of the rows when a block has ended, None in between."""
        ended = self.blocks.note(at, values, taken)
        if ended is None:
            return None
        first = ended.number + 1
        for missed in range(first, min(int(self.blocks.number) - self.blocks.skipped, first + WINDOW)):
            self._judge(ended)
            nothing = np.full(len(values), np.nan)
            ended = Block(number=missed, mean=nothing, move=nothing)
        self.last = self._judge(ended)
        return self.last

    # -- inner ---------------------------------------------------------------------------------------

    def _judge(self, block: Block) -> Changes:
        usual, moving = self.level.at(block.number), self.movement.at(block.number)
        self._push(self.residuals, block.mean - usual)
        with np.errstate(divide="ignore", invalid="ignore"):
            shares = np.where((moving == 0) & (block.move == 0), np.nan, block.move / moving)
            self._push(self.moves, shares)
        self._note_moving(block)
        variance = self._variance(moving)
        trend = self._trend(usual, variance.much)
        every = np.arange(len(usual))
        self.slopes.learn(trend.much, every)
        self.ratios.learn(variance.much, every)
        self.level.learn(block.number, block.mean)
        self.movement.learn(block.number, block.move)
        return Changes(trend=trend, variance=variance)

    def _push(self, ring: np.ndarray[tuple[int, int], np.dtype[np.float32]], values: F64) -> None:
        ring[:, :-1] = ring[:, 1:]
        ring[:, -1] = np.clip(values, -1e37, 1e37)

    def _note_moving(self, block: Block) -> None:
        moved = np.where(np.isfinite(block.move), block.move > 0, np.nan)
        grown = np.where(np.isfinite(self.moving), self.moving + _FLAT_SHARE * (moved - self.moving), moved)
        np.copyto(self.moving, grown.astype(np.float32), where=np.isfinite(moved))

    def _trend(self, usual: F64, busier: F64) -> Change:
        window = _filled(self.residuals.astype(np.float64))
        known = np.isfinite(self.residuals).sum(axis=1) >= LEAST_BLOCKS
        known &= np.isfinite(self.residuals[:, -1]) & np.isfinite(window).all(axis=1) & (self.moving >= SHARE_MOVES)
        smooth = np.where(known[:, None], np.median(_threes(window), axis=0), 0.0)
        slope = np.where(known, smooth @ _HINGE, np.nan) / self.blocks.block_s
        # means of what moves more vary more, too
        odd = self.slopes.surprises(slope / np.exp(np.fmax(busier, 0.0)))
        rows = np.flatnonzero(odd > 1.5)
        if len(rows):
            odd[rows[_stepped(smooth[rows])]] = 0.0
        return Change(surprise=odd, much=slope, deviation=self.slopes.deviation, usual=usual)

    def _variance(self, moving: F64) -> Change:
        shares = self.moves.astype(np.float64)
        there = np.isfinite(shares)
        counted = (there.sum(axis=1) >= LATELY - 2) & (self.moving >= SHARE_MOVES)
        # one block of many moves, or of none, is no other way to move: the greatest and the least are left out
        clipped = np.where(there, np.clip(shares, 0.0, MOST_TIMES), 0.0)
        total = clipped.sum(axis=1) - clipped.max(axis=1) - np.where(there, clipped, np.inf).min(axis=1)
        mean = total / np.maximum(there.sum(axis=1) - 2, 1)
        ratio = np.where(counted, np.log(np.maximum(mean, 1.0 / MOST_TIMES)), np.nan)
        odd = self.ratios.surprises(ratio)
        odd = np.where(np.abs(ratio) < np.log(FACTOR), np.where(np.isfinite(odd), 0.0, odd), odd)
        return Change(surprise=odd, much=ratio, deviation=self.ratios.deviation, usual=moving)

    # -- following rows ------------------------------------------------------------------------------

    def _parts(self) -> dict[str, Blocks | Profile | OwnPast | Standing]:
        named: dict[str, Blocks | Profile | OwnPast | Standing] = {"blocks": self.blocks, "level": self.level}
        named |= {"movement": self.movement, "slopes": self.slopes, "ratios": self.ratios}
        return named | {f"standing/{name}": one for name, one in self.standing.items()}

    def take(self, rows: Rows) -> None:
        """Become other rows; -1 starts afresh."""
        for part in self._parts().values():
            part.take(rows)
        old = rows >= 0
        # what was found goes on when other series come and go
        self.last = Changes(trend=self.last.trend.of(rows), variance=self.last.variance.of(rows))
        for name in _RINGS:
            array = getattr(self, name)
            fresh = np.full((len(rows), *array.shape[1:]), np.nan, np.float32)
            fresh[old] = array[rows[old]]
            setattr(self, name, fresh)

    def arrays(self) -> Arrays:
        """Return the state for a checkpoint."""
        nested = {f"{name}/{key}": one for name, part in self._parts().items() for key, one in part.arrays().items()}
        last = np.concatenate([self.last.trend.numbers(), self.last.variance.numbers()])
        return nested | {name: getattr(self, name) for name in _RINGS} | {"last": last}

    def restore(self, arrays: Arrays) -> None:
        """Take the state of a checkpoint whose shapes were checked."""
        for name, part in self._parts().items():
            part.restore({key: arrays[f"{name}/{key}"] for key in part.arrays()})
        for name in _RINGS:
            setattr(self, name, np.array(arrays[name], np.float32))
        last = np.array(arrays["last"], np.float64)
        self.last = Changes(trend=Change.told(last[:4]), variance=Change.told(last[4:]))


def _filled(window: F64) -> F64:
    """Return rows in which what is missing is as it was before."""
    there = np.isfinite(window)
    places = np.maximum.accumulate(np.where(there, np.arange(window.shape[1]), 0), axis=1)
    return np.asarray(np.take_along_axis(window, places, 1))


def _threes(window: F64) -> F64:
    """Return each block with its neighbours: their median leaves out what was odd in one alone."""
    before = np.concatenate([window[:, :1], window[:, :-1]], axis=1)
    after = np.concatenate([window[:, 1:], window[:, -1:]], axis=1)
    return np.stack([before, window, after])


def _stepped(window: F64) -> Bools:
    """Return which rows a step explains as well as two lines that meet, or better."""
    lines = ((window @ _TWO_LINES) ** 2).sum(axis=1)
    steps = np.min([((window @ one) ** 2).sum(axis=1) for one in _STEPPED], axis=0)
    return np.asarray(BETTER * steps < lines, np.bool_)
