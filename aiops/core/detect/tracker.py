"""From scores to findings that open, stand and close: with hysteresis, so that one odd sample is not an alarm."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from aiops.core.model import F64, Bools, Finding, FindingKind, Instant, Rows
from aiops.core.protocols import Arrays, Scores

OPEN_HITS = 2
"""Of the last three samples so many must be anomalous, unless one of them is extreme or the detector asks for less."""

EXTREME = 2.0
CLOSE_RUN = 4.0
ABSENT_RUN = 5.0
GONE_S = 6 * 3600.0
"""What has been absent for this long is taken as gone, not as absent."""

SHIFT_S = 900.0
"""A deviation that has stood for this long is called a level shift."""

FLAT_S, FLAT_SAMPLES, FLAT_FACTOR = 600.0, 20.0, 2.0
"""A row is flat when it stays the same for more than twice its longest known stretch and ten minutes (20 samples)."""

FLAT_TURNS, FLAT_EVIDENCE = 20.0, 10.0
"""How often a row must have moved, and for how many times the stretch it must be known, to be called flat."""

_ENDLESS = 1e6
"""The score of what is infinitely unlikely."""

_LOOK_S = 120.0
_NEVER = -1e18
_ROWS = ("hits", "calm", "missing", "last", "moved_at", "stretch", "longest", "turns", "born_at", "since", "first_hit")


class Tracker:
    """What each of n rows has done lately, as arrays. Changed in place.

    hits: the last three samples as bits. calm, missing: runs of samples. stretch, longest: seconds without a move.
    """

    def __init__(self, rows: int, open_hits: int = OPEN_HITS) -> None:
        self.open_hits = open_hits
        self.hits, self.calm, self.missing = np.zeros(rows), np.zeros(rows), np.zeros(rows)
        self.last, self.moved_at = np.full(rows, np.nan), np.full(rows, _NEVER)
        self.stretch, self.longest, self.turns = np.zeros(rows), np.zeros(rows), np.zeros(rows)
        self.born_at = np.full(rows, np.inf)
        self.since, self.first_hit = np.full(rows, _NEVER), np.full(rows, _NEVER)
        self.open, self.flat = np.zeros(rows, np.bool_), np.zeros(rows, np.bool_)
        self._looked_at, self._noted_at, self._step_s = _NEVER, _NEVER, _LOOK_S
        self._busy = False

    def track(self, at: Instant, values: F64, learn: Bools, scores: Scores) -> Rows:
        """Note one frame and return the rows that have an open finding now."""
        there = np.isfinite(values)
        whole = int(np.count_nonzero(there)) == len(values)
        self.note(at, values, there, whole=whole)
        over = scores.score > 1.0
        if whole and not self._busy and not np.count_nonzero(over):
            return _NONE
        rows = np.flatnonzero(over | ~there | (self.hits > 0) | (self.missing > 0) | self.flat | self.open)
        self._judge(at, rows, there[rows], learn[rows], scores)
        self._busy = bool(len(rows))
        return np.flatnonzero(self.open)

    def note(self, at: Instant, values: F64, there: Bools, *, whole: bool) -> None:
        """Note which values moved, as one does in history too; whole: whether all of them are there."""
        if 0.0 < at - self._noted_at < FLAT_S:
            self._step_s = at - self._noted_at
        self._noted_at = at
        moved = values != self.last
        if not whole:
            moved &= there
        # a copy with a mask is dear, and mostly all have moved
        where: Bools | bool = True if moved.all() else moved
        np.copyto(self.moved_at, at, where=where)
        np.copyto(self.last, values, where=where)
        if not 0.0 <= at - self._looked_at < _LOOK_S:
            self._look(at, there)

    def finding(self, row: int, at: Instant, scores: Scores) -> tuple[FindingKind, Instant, float]:
        """Return kind, beginning and score of an open row's finding."""
        since = float(self.since[row])
        if self.missing[row] >= ABSENT_RUN:
            return FindingKind.ABSENCE, since, float(self.missing[row] / ABSENT_RUN)
        if self.flat[row]:
            return FindingKind.FLATLINE, since, float((at - self.moved_at[row]) / self._flat_after()[row])
        raw = float(scores.score[row])  # a storm asks thousands of rows: numpy's own for one number is dear
        score = 0.0 if math.isnan(raw) else _ENDLESS if math.isinf(raw) else raw
        return FindingKind.LEVEL_SHIFT if at - since >= SHIFT_S else FindingKind.POINT, since, score

    def stand(self, known: Mapping[int, Finding]) -> None:
        """Let the findings of some rows be open, and no others."""
        self.open[:], self._busy = False, True
        for row, one in known.items():
            self.open[row], self.since[row], self.calm[row] = True, one.since, 0.0
            if one.kind is FindingKind.ABSENCE:
                self.missing[row] = one.score * ABSENT_RUN

    def close(self, rows: Rows) -> None:
        """Let nothing be open of some rows, and nothing that they did count."""
        self.open[rows], self.hits[rows], self.calm[rows] = False, 0.0, 0.0

    def take(self, rows: Rows) -> None:
        """Become the tracker of other rows; -1 starts afresh."""
        fresh = Tracker(len(rows), self.open_hits)
        old = rows >= 0
        for name in (*_ROWS, "open", "flat"):
            getattr(fresh, name)[old] = getattr(self, name)[rows[old]]
        fresh._looked_at, fresh._noted_at, fresh._step_s = self._looked_at, self._noted_at, self._step_s
        fresh._busy = True
        self.__dict__.update(fresh.__dict__)

    def arrays(self) -> Arrays:
        """Return the state for a checkpoint."""
        rows = {name: getattr(self, name) for name in (*_ROWS, "open", "flat")}
        return {**rows, "clock": np.array([self._looked_at, self._noted_at, self._step_s])}

    def restore(self, arrays: Arrays) -> None:
        """Take the state of a checkpoint; raise ValueError when it does not fit."""
        for name, array in self.arrays().items():
            if name not in arrays or arrays[name].shape != array.shape:
                raise ValueError(f"tracker: the checkpoint's {name} does not fit")
        for name in (*_ROWS, "open", "flat"):
            setattr(self, name, np.array(arrays[name], getattr(self, name).dtype))
        self._looked_at, self._noted_at, self._step_s = (float(x) for x in arrays["clock"])
        self._busy = True

    # -- inner ---------------------------------------------------------------------------------------

    def _judge(self, at: Instant, rows: Rows, there: Bools, learn: Bools, scores: Scores) -> None:
        """Move hits, calm and missing of some rows on, and open or close their findings.

        A row that could not be read (missing, and not to be learnt from) neither opens nor closes anything (S1).
        """
        self.flat[rows] &= self.moved_at[rows] < at
        score = scores.score[rows]
        over = there & (score > 1.0)
        hits = np.where(there, np.mod(2.0 * self.hits[rows], 8.0) + over, self.hits[rows])
        self.first_hit[rows] = np.where(over & (self.hits[rows] == 0), at, self.first_hit[rows])
        self.hits[rows] = hits
        counted = ~there & learn & np.isfinite(self.born_at[rows]) & scores.learned[rows]
        missing = np.where(there, 0.0, self.missing[rows] + counted)
        gone = ~there & (missing >= ABSENT_RUN) & (at - self.moved_at[rows] > GONE_S) & (at - self.since[rows] > GONE_S)
        self.missing[rows] = missing
        absent = (missing >= ABSENT_RUN) & ~gone
        bad = over | absent | self.flat[rows]
        calm = np.where(bad, 0.0, self.calm[rows] + there)
        self.calm[rows] = calm
        opens = _opens(hits, score, over, self.open_hits) | absent | self.flat[rows]
        was = self.open[rows]
        begun = np.where(absent | self.flat[rows], at, self.first_hit[rows])
        self.since[rows] = np.where(opens & ~was, begun, self.since[rows])
        self.open[rows] = (was | opens) & (calm < CLOSE_RUN) & ~gone

    def _look(self, at: Instant, there: Bools) -> None:
        """Every other minute: how long rows have stood still, against how long they ever did."""
        new = there & ~np.isfinite(self.born_at)
        np.copyto(self.born_at, at, where=new)
        self._looked_at = at
        stretch = at - self.moved_at
        turned = there & (stretch < self.stretch)
        # a stretch that was called flat is no example of how the row usually is
        usual = turned & ~self.flat
        self.longest = np.where(usual, np.maximum(self.longest, self.stretch), self.longest)
        self.turns += there & ((stretch < _LOOK_S) | turned)
        self.stretch = np.where(there, stretch, self.stretch)
        after = self._flat_after()
        known = (self.turns >= FLAT_TURNS) & (at - self.born_at >= FLAT_EVIDENCE * after)
        self.flat = there & known & (stretch >= after)
        self._busy = self._busy or bool(self.flat.any())

    def _flat_after(self) -> F64:
        return np.asarray(FLAT_FACTOR * self.longest + max(FLAT_S, FLAT_SAMPLES * self._step_s))


_NONE = np.zeros(0, np.intp)


def _opens(hits: F64, score: F64, over: Bools, open_hits: int) -> Bools:
    bits = (hits >= 4).astype(np.float64) + (np.mod(hits, 4) >= 2) + (np.mod(hits, 2) >= 1)
    return np.asarray(((bits >= open_hits) & over) | (over & (score > EXTREME)), np.bool_)
