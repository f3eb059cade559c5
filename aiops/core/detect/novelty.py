"""`novelty`: how far a sample lies from everything that its row has been through; for the few signals policies name.

Three distances to what is nearest (of the value, of the shape of the last four samples, of the value among what came at
this time of other seasons), each as a surprise (-log10 of its p-value in the row's own record), joined by their root
mean square. A surprise of s comes 10^-s times the samples of a week by chance, less what belongs together; the score is
2^(decades that this is rarer than the budget of false alarms), so that 1 is the budget and 2 is ten times rarer.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from aiops.core.detect.allowance import EXTREME_DECADES, Allowance, bare_limits
from aiops.core.detect.neighbours import Near, Neighbours, Pace
from aiops.core.detect.rebasing import Shifts, Usual
from aiops.core.detect.rules import WEEK_S, RowRules
from aiops.core.detect.surprise import Record, Surprise
from aiops.core.detect.wall_clock import WallClock
from aiops.core.model import F64, Bools, Instant, Rows
from aiops.core.protocols import Arrays, Scores

VIEWS = ("value", "shape", "context")
KINDS = len(VIEWS)
LEARNED_S, LEARNED_SAMPLES = 3600.0, 60.0
"""A row is trusted after this much time, and so many samples."""

_FIRST_STEP_S = 60.0
_GAP_STEPS = 3.0
_SAMPLES, _SEEN_S = range(2)
_CLOCK = ("_last_at", "_since", "_step_s")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    """What was found out of one row's sample."""

    value: float
    near: Near
    record: Record
    surprises: F64
    surprise: float


class Novelty:
    """State of n rows, owned by the bank and changed in place.

    A row costs a quarter of a millisecond a tick, and up to 280 KiB. state: float64[2, n], samples and seconds seen.
    """

    name = "novelty"
    version = 1
    open_hits = 1
    """One sample is enough: what a single one is worth is in its score already."""

    def __init__(self, rules: RowRules) -> None:
        self.rules = rules
        self._clock = WallClock(rules.zone)
        rows = len(rules)
        self._neighbours = Neighbours(rows)
        self._surprise = Surprise(rows, KINDS)
        self._allowance = Allowance(rows)
        self._state = np.zeros((2, rows))
        self._last_at, self._since, self._step_s = math.nan, math.nan, _FIRST_STEP_S
        self._looked_at, self._looked = math.nan, dict[int, _Seen]()
        self._told = self._looked

    @property
    def step_s(self) -> float:
        """Return the seconds between samples, as they came lately."""
        return self._step_s

    # -- the tick ------------------------------------------------------------------------------------

    def score(self, at: Instant, values: F64) -> Scores:
        """Score `values` (float64[n], NaN is missing) without learning from them."""
        learned = self._learned()
        score, expected, lower, upper = (np.full(len(values), math.nan) for _ in range(4))
        pace = self._pace(at, self._step_at(at))
        self._looked_at, self._looked = at, {}
        self._told = self._looked
        limits = self._limits(pace.step_s)
        for row, value in enumerate(values.tolist()):
            near = self._neighbours.near(row, at, value if math.isfinite(value) else math.nan, pace)
            if not len(near.usual):
                continue
            record = self._surprise.record(row)
            expected[row], lower[row], upper[row] = _band(record, near, float(limits[row]))
            if not math.isfinite(value):
                continue
            seen = self._looked[row] = _seen(value, near, record)
            if learned[row]:
                score[row] = 2.0 ** (seen.surprise - float(limits[row]))
        with np.errstate(over="ignore", invalid="ignore"):  # the greatest numbers have no span
            score = self._ruled(values, expected, score)
            self._reconcile(values, score, expected, (lower, upper))
        return Scores(score=score, expected=expected, lower=lower, upper=upper, learned=learned)

    def p_values(self, scores: Scores, values: F64, rows: Rows) -> F64:
        """Return P(a sample deviates at least so far) for some rows: exponential, through the edge of the band."""
        # halves, since the span of the greatest numbers is itself none
        middle = scores.expected[rows] / 2
        away = values[rows] / 2 - middle
        edge = np.where(away > 0, scores.upper[rows] / 2 - middle, middle - scores.lower[rows] / 2)
        edge = np.where(np.isfinite(edge), np.maximum(edge, 1e-300), math.inf)
        budget = np.minimum(self.rules.false_alarms_per_week[rows] * self._step_s / WEEK_S, 0.5)
        with np.errstate(over="ignore"):
            return np.asarray(np.exp(np.maximum(np.log(budget) * np.abs(away) / edge, -700.0)), np.float64)

    def learn(self, at: Instant, values: F64, learn: Bools) -> None:
        """Learn from the rows where `learn` is True and the value is finite."""
        step_s = self._step_at(at)
        looked = self._looked if at == self._looked_at else {}
        self._pass_time(at)
        pace, learned, budgets = self._pace(at, step_s), self._learned(), self.rules.false_alarms_per_week
        # what is no example is settled by what is so of all rows: a limit that has moved moves nothing else
        limits = bare_limits(budgets, step_s)
        told, seen_of = (self._limits(step_s), budgets, step_s), dict[int, float]()
        for row in np.flatnonzero(np.isfinite(values) & learn).tolist():
            value = float(values[row])
            seen = looked.get(row)
            if seen is None or seen.value != value:
                seen = _seen(value, self._neighbours.near(row, at, value, pace), self._surprise.record(row))
            self._surprise.learn(row, seen.record.capped(seen.near.distances), step_s)
            if learned[row]:
                seen_of[row] = seen.surprise
            extreme = bool(learned[row]) and seen.surprise - limits[row] >= EXTREME_DECADES
            self._neighbours.note(row, at, value, pace, extreme=extreme)
            self._state[_SAMPLES, row] += 1.0
            self._state[_SEEN_S, row] += step_s
        if seen_of:
            rows = np.fromiter(seen_of, np.intp, len(seen_of))
            self._allowance.note(at, rows, np.fromiter(seen_of.values(), np.float64, len(seen_of)), told)
        self._looked = {}

    def evidence(self, row: int) -> Mapping[str, float]:
        """Return distances and surprises of a row at the last score, both joined, and what the budget allows."""
        seen = self._told.get(row)
        if seen is None:
            return {}
        found = {f"distance_{name}": far for name, far in zip(VIEWS, seen.near.distances.tolist(), strict=True)}
        found |= {f"surprise_{name}": much for name, much in zip(VIEWS, seen.surprises.tolist(), strict=True)}
        found |= {"surprise": seen.surprise, "allowed": float(self._limits(self._step_s)[row])}
        return {name: number for name, number in found.items() if math.isfinite(number)}

    def usual(self, at: Instant, rows: Rows) -> Usual:
        """Return what is usual of some rows at an instant; a row that is not trusted yet has no level."""
        pace, learned = self._pace(at, self._step_at(at)), self._learned()[rows]
        found = np.full((3, len(rows)), math.nan)
        one_sided = np.zeros(len(rows), np.bool_)
        for place, row in enumerate(rows.tolist()):
            values = self._neighbours.usual(row, at, pace)
            if len(values):
                found[:, place] = values.min(), 2.0 * np.median(values / 2.0), values.max()
                one_sided[place] = self._neighbours.one_sided(row)
        low, middle, high = found
        level = np.where(learned, middle, math.nan)
        return Usual(low=low, middle=middle, high=high, level=level, one_sided=one_sided)

    def rebase(self, at: Instant, shifts: Shifts) -> None:
        """Let what was usual of some rows move, and the samples of their new level be examples of it."""
        pace = self._pace(at, self._step_s)
        for place, row in enumerate(shifts.rows.tolist()):
            self._neighbours.move(row, shifts, place)
            for when, value in zip(shifts.at[place].tolist(), shifts.values[place].tolist(), strict=True):
                if math.isfinite(value):
                    self._neighbours.remember(row, when, value, pace)
            if shifts.anew[place]:
                self._surprise.forget(row)
            else:
                self._surprise.stretch(row, float(shifts.noise[place]))
        self._looked, self._told = {}, {}

    def follow(self, rules: RowRules) -> None:
        """Follow other rules from now on; as many rows, and the same season."""
        self.rules = rules

    def take(self, rows: Rows) -> None:
        """Become the detector of other rows: row i continues old row `rows[i]`, or starts afresh where that is -1."""
        self.rules = self.rules.take(rows)
        self._neighbours.take(rows)
        self._surprise.take(rows)
        self._allowance.take(rows)
        state = np.zeros((2, len(rows)))
        state[:, rows >= 0] = self._state[:, rows[rows >= 0]]
        self._state, self._looked, self._told = state, {}, {}

    def arrays(self) -> Arrays:
        """Return the state for a checkpoint."""
        return {
            "state": self._state,
            "clock": np.array([getattr(self, name) for name in _CLOCK]),
            **{f"near_{name}": array for name, array in self._neighbours.arrays().items()},
            **{f"surprise_{name}": array for name, array in self._surprise.arrays().items()},
            **{f"allowance_{name}": array for name, array in self._allowance.arrays().items()},
        }

    def restore(self, arrays: Arrays) -> None:
        """Take the state of a checkpoint of the same version; raise ValueError when it does not fit."""
        for name in ("state", "clock"):
            if name not in arrays or arrays[name].shape != self.arrays()[name].shape:
                raise ValueError(f"{self.name}: the checkpoint's {name} does not fit")
        for name, part in (("near", self._neighbours), ("surprise", self._surprise), ("allowance", self._allowance)):
            own = f"{name}_"
            part.restore({key.removeprefix(own): array for key, array in arrays.items() if key.startswith(own)})
        self._state = np.array(arrays["state"], np.float64)
        for name, number in zip(_CLOCK, arrays["clock"].tolist(), strict=True):
            setattr(self, name, number)
        self._looked = {}

    # -- inner ---------------------------------------------------------------------------------------

    def _pace(self, at: Instant, step_s: float) -> Pace:
        return Pace(step_s=step_s, season_s=self.rules.season_s, ahead_s=self._clock.ahead_s(at))

    def _step_at(self, at: Instant) -> float:
        """Return the seconds that a sample at `at` stands for: a gap is one step, one that repeats is the step."""
        since = at - self._last_at
        usual = since > 0 and (since <= _GAP_STEPS * self._step_s or abs(since - self._since) < 0.01 * since)
        return since if usual else self._step_s

    def _pass_time(self, at: Instant) -> None:
        self._step_s = self._step_at(at)
        self._since, self._last_at = at - self._last_at, at

    def _learned(self) -> Bools:
        return np.asarray((self._state[_SEEN_S] >= LEARNED_S) & (self._state[_SAMPLES] >= LEARNED_SAMPLES))

    def _limits(self, step_s: float) -> F64:
        """Return float64[n]: the surprise that spends the budget of false alarms."""
        return self._allowance.limits(self.rules.false_alarms_per_week, step_s)

    def _ruled(self, values: F64, expected: F64, score: F64) -> F64:
        """Apply what the rules ask: sides that count, and deviations too small to be worth an alarm."""
        rules, away = self.rules, values - expected
        counts = np.where(away > 0, rules.above, rules.below)
        least = np.maximum(rules.min_deviation, rules.min_deviation_ratio * np.abs(expected))
        share = np.divide(np.abs(away), least, out=np.full(len(away), math.inf), where=least > 0)
        return np.where(np.isnan(score), score, np.where(counts, np.minimum(score, share), 0.0))

    def _reconcile(self, values: F64, score: F64, expected: F64, band: tuple[F64, F64]) -> None:
        """Let a value lie outside the band where it is anomalous, and inside where it is not: shapes count too."""
        lower, upper = band
        away, over = values - expected, score > 1.0
        edge = np.where(over, expected + away / np.maximum(score, 1.0), values)
        inside = (lower <= values) & (values <= upper)
        moved = (over & inside) | (~over & ~inside & np.isfinite(score))
        np.copyto(upper, edge, where=moved & (away > 0))
        np.copyto(lower, edge, where=moved & (away <= 0))


def _seen(value: float, near: Near, record: Record) -> _Seen:
    surprises = record.surprises(near.distances)
    return _Seen(value=value, near=near, record=record, surprises=surprises, surprise=_joined(surprises))


def _joined(surprises: F64) -> float:
    """Return the root mean square of the surprises that are known."""
    known = surprises[~np.isnan(surprises)]
    return math.sqrt(float(known @ known) / max(len(known), 1))


def _band(record: Record, near: Near, limit: float) -> tuple[float, float, float]:
    """Return the median of what is usual, and how far beyond all of it a value alone would spend the budget."""
    reach, usual = float(record.reach(limit)[0]), near.usual
    middle = 2.0 * float(np.median(usual / 2.0))  # the greatest numbers have no sum
    return middle, float(usual.min()) - reach, float(usual.max()) + reach
