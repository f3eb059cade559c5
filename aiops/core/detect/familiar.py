"""`familiar`: how far samples lie from what their rows have been through, for rows by the hundred thousand.

The thought is that of `novelty`: distances to the nearest of the past, each as a surprise in the row's own record,
joined by their root mean square. Here the past is kept as 48 values that stand for all (`cover`) and as what a row
stayed within at each time of its season (`envelopes`); how often a surprise may come is read from the row's own
(`habits`). A sample that both know is calm, and costs a few comparisons; only the others are looked at. The score is
2^(decades that a surprise is rarer than the budget of false alarms).
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from aiops.core.detect.bounds import Banded, Bounds, Sources
from aiops.core.detect.cover import RESOLUTION, Cover
from aiops.core.detect.envelopes import Envelopes
from aiops.core.detect.episodes import Episodes
from aiops.core.detect.habits import Habits, Surprised, brought_up
from aiops.core.detect.looked import Looked, delay_s, joined
from aiops.core.detect.rebasing import Shifts, Usual
from aiops.core.detect.records import Records
from aiops.core.detect.rules import WEEK_S, RowRules
from aiops.core.detect.running import LEVEL as _LEVEL
from aiops.core.detect.running import SAMPLES as _SAMPLES
from aiops.core.detect.running import SEEN_S as _SEEN_S
from aiops.core.detect.running import phases, run
from aiops.core.model import F64, Bools, Instant, Rows
from aiops.core.protocols import Arrays, Scores

EXTREME_DECADES = 1.0
"""What is so much rarer than the budget (a score of 2) is extreme, and guarded against as an example of the usual."""

LEARNED_S, LEARNED_SAMPLES = 3600.0, 60.0
"""A row is trusted after this much time, and so many samples."""

LEVEL_TAU_S, LEVEL_GAIN_MOST = 3600.0, 0.1
PHASES = 256
"""Limits of all rows are found anew once a stretch of the season (twice an hour of a day): those of each row at a time
of its own, so that no tick has to do it for all."""

AT_ONCE = 3000
"""What is not calm is looked at so many rows at a time: twenty bins of all of them stay near the processor. That is no
power of two: bins that lie one apart push each other out."""

FIRST_SAMPLES = 8.0
"""Distances to fewer values say nothing."""

_MOST = 1e36
_FIRST_STEP_S, _GAP_STEPS = 60.0, 3.0
_VALUE, _CONTEXT = range(2)
_CLOCK = ("_last_at", "_since", "_step_s")
_PARTS = ("cover", "envelopes", "records", "habits", "episodes")


class Familiar:
    """State of n rows, owned by the bank and changed in place. state: float64[3, n], samples, seconds seen and level.

    reach: float32[2, n], how far beyond what is known a value, or one of its context, alone spends the budget.
    phase: uint8[n], when in a stretch of the season its limits are found anew.
    """

    name = "familiar"
    version = 1
    open_hits = 1
    """One sample is enough: what a single one is worth is in its score already."""

    def __init__(self, rules: RowRules) -> None:
        rows = len(rules)
        self.rules = rules
        self._cover, self._envelopes = Cover(rows), Envelopes(rows, rules.season_s, rules.zone)
        self._records, self._habits, self._episodes = Records(rows, 2), Habits(rows), Episodes(rows)
        self._state, self._reach = np.zeros((3, rows)), np.zeros((2, rows), np.float32)
        self._phase = np.zeros(rows, np.uint8)
        self._last_at, self._since, self._step_s = math.nan, math.nan, _FIRST_STEP_S
        self._bounds = Bounds()
        self._looked: Looked | None = None
        self._told: Looked | None = None
        self._see()

    @property
    def step_s(self) -> float:
        """Return the seconds between samples, as they came lately."""
        return self._step_s

    # -- the tick ------------------------------------------------------------------------------------

    def score(self, at: Instant, values: F64) -> Scores:
        """Score `values` (float64[n], NaN is missing) without learning from them."""
        looked = self._told = self._look(at, values)
        calm, rows = self._bounds.banded(values, self._state[_LEVEL]), looked.rows
        score, expected = calm.score, calm.expected
        if not self._all_learned:
            score[~self._learned] = math.nan
        score[rows] = np.where(self._learned[rows], 2.0 ** self._habits.decades(rows, looked.surprises), math.nan)
        score = self._ruled(values, expected, score)
        self._reconcile(values, score, calm, np.concatenate([rows, calm.outside]))
        return Scores(score=score, expected=expected, lower=calm.lower, upper=calm.upper, learned=self._learned)

    def p_values(self, scores: Scores, values: F64, rows: Rows) -> F64:
        """Return P(a sample deviates at least so far) for some rows: exponential, through the edge of the band."""
        away = values[rows] - scores.expected[rows]
        edge = np.where(
            away > 0, scores.upper[rows] - scores.expected[rows], scores.expected[rows] - scores.lower[rows]
        )
        edge = np.where(np.isfinite(edge), np.maximum(edge, 1e-300), math.inf)
        budget = np.minimum(self.rules.false_alarms_per_week[rows] * self._step_s / WEEK_S, 0.5)
        with np.errstate(over="ignore"):
            return np.asarray(np.exp(np.maximum(np.log(budget) * np.abs(away) / edge, -700.0)), np.float64)

    def evidence(self, row: int) -> Mapping[str, float]:
        """Return level and limit of a row; distances and surprises at the last score where its sample was not calm."""
        found = {"level": float(self._state[_LEVEL, row]), "allowed": self._habits.limit(row)}
        if self._told is not None:
            found |= self._told.evidence(row)
        return {name: number for name, number in found.items() if math.isfinite(number)}

    def learn(self, at: Instant, values: F64, learn: Bools) -> None:
        """Learn from the rows where `learn` is True and the value is finite."""
        looked = self._looked
        if looked is None or not looked.is_of(at, values):
            looked = self._look(at, values)
        taken, before, state = np.isfinite(values) & learn, self._last_at, self._state
        clean = np.clip(values, -_MOST, _MOST)
        if not taken.all():
            clean[~taken] = math.nan
        self._pass_time(at, taken)
        mine = taken[looked.rows]
        settled = looked.rows[mine]
        due = self._due(before, at, settled)
        for first in range(0, len(settled), AT_ONCE):
            few, due = (due, due[:0]) if len(settled) + len(due) <= AT_ONCE else (due[:0], due)  # calls cost more
            self._learn_news(at, looked.only(np.flatnonzero(mine)[first : first + AT_ONCE]), clean, few)
        if self._envelopes.turns(at):
            self._envelopes.turn(at)
        for first in range(0, len(due), AT_ONCE):
            self._settle(due[first : first + AT_ONCE])
        self._envelopes.note(clean)
        if not state[_SAMPLES].all():
            begun = taken & (state[_SAMPLES] == 0)
            state[_LEVEL, begun], self._phase[begun] = clean[begun], phases(clean[begun])
        level = min(1.0 - math.exp(-self._step_s / LEVEL_TAU_S), LEVEL_GAIN_MOST)
        run(state, clean, taken, (level, self._step_s))
        self._trust()
        self._looked = None

    def usual(self, at: Instant, rows: Rows) -> Usual:
        """Return what is usual of some rows at an instant; a row that is not trusted yet has no level."""
        (low, high), (was_low, was_high) = (self._envelopes.at(one, rows) for one in (at, at - LEVEL_TAU_S))
        home, values = self._cover.home[:, rows], self._cover.values[rows]
        known, moved = low <= high, (low <= high) & (was_low <= was_high)
        with np.errstate(invalid="ignore"):
            middle = np.where(known, 0.5 * low + 0.5 * high, math.nan)
            # the level is behind the season by as long as it takes to follow
            ahead = np.where(moved, middle - (0.5 * was_low + 0.5 * was_high), 0.0)
        low, high = np.where(known, low, home[0]), np.where(known, high, home[1])
        level = np.where(self._learned[rows], self._state[_LEVEL, rows] + ahead, math.nan)
        one_sided = np.asarray((values >= 0).all(axis=1) | ((values <= 0) | np.isinf(values)).all(axis=1))
        return Usual(low=low, middle=middle, high=high, level=level, one_sided=one_sided)

    def rebase(self, at: Instant, shifts: Shifts) -> None:
        """Let what was usual of some rows move, and the samples of their new level be examples of it."""
        rows = shifts.rows
        self._records.stretch(rows, shifts.noise, shifts.anew)
        self._envelopes.move(shifts)
        self._cover.move(shifts)
        self._episodes.end(rows)
        self._state[_LEVEL, rows] = np.clip(shifts.level + shifts.by, -_MOST, _MOST)
        self._settle(rows)
        self._looked = self._told = None

    def follow(self, rules: RowRules) -> None:
        """Follow other rules from now on; as many rows, and the same season."""
        self.rules = rules
        self._habits.forget_pace()
        self._see()

    def take(self, rows: Rows) -> None:
        """Become the detector of other rows: row i continues old row `rows[i]`, or starts afresh where that is -1."""
        self.rules = self.rules.take(rows)
        for name in _PARTS:
            getattr(self, f"_{name}").take(rows)
        old, state, reach = rows >= 0, np.zeros((3, len(rows))), np.zeros((2, len(rows)), np.float32)
        phase = np.zeros(len(rows), np.uint8)
        state[:, old], reach[:, old] = self._state[:, rows[old]], self._reach[:, rows[old]]
        phase[old] = self._phase[rows[old]]
        self._state, self._reach, self._phase, self._looked, self._told = state, reach, phase, None, None
        self._see()

    def arrays(self) -> Arrays:
        """Return the state for a checkpoint."""
        own: dict[str, NDArray[np.generic]] = {
            "state": self._state,
            "reach": self._reach,
            "phase": self._phase,
            "clock": np.array([getattr(self, name) for name in _CLOCK], np.float64),
        }
        parts = {name: getattr(self, f"_{name}").arrays() for name in _PARTS}
        return own | {f"{name}_{key}": array for name, arrays in parts.items() for key, array in arrays.items()}

    def restore(self, arrays: Arrays) -> None:
        """Take the state of a checkpoint of the same version; raise ValueError when it does not fit."""
        if "phase" not in arrays and "state" in arrays:  # from before each row had a time of its own
            arrays = {**arrays, "phase": phases(np.asarray(arrays["state"][_LEVEL], np.float64))}
        habits = {key.removeprefix("habits_"): one for key, one in arrays.items() if key.startswith("habits_")}
        arrays = {**arrays, **{f"habits_{key}": one for key, one in brought_up(habits).items()}}
        for name, array in self.arrays().items():
            if name not in arrays or arrays[name].shape != array.shape:
                raise ValueError(f"{self.name}: the checkpoint's {name} does not fit {array.shape}")
        if not self._envelopes.fits(float(arrays["clock"][0]), int(arrays["envelopes_turns"][-1])):
            raise ValueError(f"{self.name}: the checkpoint was made in a season of another length")
        for name in _PARTS:
            own = {key.removeprefix(f"{name}_"): array for key, array in arrays.items() if key.startswith(f"{name}_")}
            getattr(self, f"_{name}").restore(own)
        self._state, self._reach = np.array(arrays["state"], np.float64), np.array(arrays["reach"], np.float32)
        self._phase = np.array(arrays["phase"], np.uint8)
        for name, number in zip(_CLOCK, arrays["clock"].tolist(), strict=True):
            setattr(self, name, number)
        self._looked = self._told = None
        self._see()

    # -- inner ---------------------------------------------------------------------------------------

    def _see(self) -> None:
        """Make what follows from the state and the rules."""
        rules = self.rules
        self._sides = not bool((rules.above & rules.below).all())
        self._floors = bool(rules.min_deviation.any() or rules.min_deviation_ratio.any())
        self._bounds.forget()
        self._learned, self._all_learned = np.zeros(len(rules), np.bool_), False
        self._trust()

    def _trust(self) -> None:
        """Find out which rows have seen enough; one that has goes on having."""
        if not self._all_learned:
            self._learned = (self._state[_SEEN_S] >= LEARNED_S) & (self._state[_SAMPLES] >= LEARNED_SAMPLES)
            self._all_learned = bool(self._learned.all())

    def _step_at(self, at: Instant) -> float:
        """Return the seconds that a sample at `at` stands for: a gap is one step, one that repeats is the step."""
        since = at - self._last_at
        usual = since > 0 and (since <= _GAP_STEPS * self._step_s or abs(since - self._since) < 0.01 * since)
        return since if usual else self._step_s

    def _look(self, at: Instant, values: F64) -> Looked:
        """Find the rows whose sample is not calm, and how surprising those are."""
        self._habits.follow(self.rules.false_alarms_per_week, self._step_at(at))
        self._follow_bounds(at)
        rows = self._bounds.unusual(values)
        three = np.empty((3, len(rows), 2))
        for first in range(0, len(rows), AT_ONCE):
            here = slice(first, first + AT_ONCE)
            three[:, here] = self._surprises(at, rows[here], values[rows[here]])
        distances, each, news = three
        self._looked = Looked(
            at=at, values=values.copy(), rows=rows, distances=distances, each=each, news=news, surprises=joined(each)
        )
        return self._looked

    def _surprises(self, at: Instant, rows: Rows, values: F64) -> tuple[F64, F64, F64]:
        """Return float64[m, 2] each: distances of samples, how surprising they are, and as what they are learnt."""
        sample, (low, high) = np.clip(values, -_MOST, _MOST), self._envelopes.around(at)[:, rows]
        away = self._cover.distances(rows, at, sample, delay_s(self._step_at(at)))
        beyond = np.maximum(np.maximum(low - sample, sample - high), 0.0)
        beyond = np.where(beyond <= RESOLUTION * np.abs(sample), 0.0, beyond)
        young = self._state[_SAMPLES, rows] < FIRST_SAMPLES
        distances = np.stack([np.where(young, math.nan, away), np.where(low <= high, beyond, math.nan)], axis=1)
        tails = self._records.tails(rows)
        return distances, tails.surprises(distances), tails.capped(distances)

    def _follow_bounds(self, at: Instant) -> None:
        calm, around = self._records.calm[_CONTEXT], self._envelopes.around(at)
        self._bounds.follow(Sources(around=around, home=self._cover.home, calm=calm, reach=self._reach))

    def _pass_time(self, at: Instant, taken: Bools) -> None:
        step_s = self._step_at(at)
        self._since, self._last_at, self._step_s = at - self._last_at, at, step_s
        self._follow_bounds(at)
        self._records.pass_time(at)
        young = float(self._state[_SAMPLES].min(initial=math.inf)) < FIRST_SAMPLES
        self._records.total[_VALUE] += taken & (self._state[_SAMPLES] >= FIRST_SAMPLES) if young else taken
        self._records.total[_CONTEXT] += taken if self._bounds.all_known else taken & self._bounds.known
        self._habits.pass_time(at, taken if self._all_learned else taken & self._learned)

    def _learn_news(self, at: Instant, looked: Looked, clean: F64, due: Rows) -> None:
        """Learn from samples that are not calm; what is extreme is taken out of `clean`.

        due: other rows, whose limits are to be found anew with theirs.
        """
        rows, records, surprises = looked.rows, self._records, looked.surprises
        values, away, learned = clean[rows], looked.distances[:, _VALUE], self._learned[rows]
        decades, on = self._habits.beyond(rows, surprises), self._episodes.on(rows, at)
        extreme = learned & (decades >= EXTREME_DECADES)
        # what goes on is one piece of news, however long it lasts: it must not make itself usual
        news = ~learned | (decades < 0) | ~(on | self._habits.going_on(rows, at))
        habit = learned & ~extreme & ~on
        self._habits.note(at, Surprised(rows=rows[habit], surprises=surprises[habit]))
        self._habits.alarmed(at, rows[learned & (self._habits.decades(rows, surprises) > 0)])
        kept = ~extreme
        if extreme.any():
            kept[extreme] = self._episodes.excused(rows[extreme], at, values[extreme])
        records.learn(rows[news], looked.news[news])
        self._settle(np.concatenate([rows, due]))
        self._cover.grow(rows, at, delay_s(self._step_s))
        calm = records.calm[_VALUE, rows]
        new = kept & ~(away <= calm)
        self._cover.note(rows[new], at, values[new])
        self._cover.settle(rows, values, records.spacing(rows))
        clean[rows[~kept]] = math.nan

    def _settle(self, rows: Rows) -> None:
        """Find out anew what is calm in some rows, and their limits."""
        tails = self._records.tails(rows)
        self._habits.settle(rows)
        self._records.settle(rows, tails)
        for reach, found in zip(self._reach, tails.reach(self._habits.limits(rows)[:, None]).T, strict=True):
            reach[rows] = found
        self._bounds.moved(rows)

    def _due(self, before: Instant, at: Instant, settled: Rows) -> Rows:
        """Return the rows whose time for new limits came since `before`, but those that have theirs."""
        part_s = self._envelopes.width_s / PHASES
        passed = math.floor(at / part_s) - math.floor(before / part_s) if math.isfinite(before) else PHASES
        if passed <= 0:
            return settled[:0]
        newest = np.uint8(math.floor(at / part_s) % PHASES)
        due = np.flatnonzero(newest - self._phase < passed) if passed < PHASES else np.arange(len(self._phase))
        still = np.ones(len(self._phase), np.bool_)
        still[settled] = False
        return np.asarray(due[still[due]], np.intp)

    def _ruled(self, values: F64, expected: F64, score: F64) -> F64:
        """Apply what the rules ask: sides that count, and deviations too small to be worth an alarm."""
        rules = self.rules
        if self._floors:
            away = np.abs(values - expected)
            least = np.maximum(rules.min_deviation, rules.min_deviation_ratio * np.abs(expected))
            share = np.divide(away, least, out=np.full(len(away), math.inf), where=least > 0)
            score = np.where(np.isnan(score), score, np.minimum(score, share))
        if self._sides:
            counts = np.where(values - expected > 0, rules.above, rules.below)
            score = np.where(np.isnan(score) | counts, score, 0.0)
        return score

    def _reconcile(self, values: F64, score: F64, found: Banded, rows: Rows) -> None:
        """Let a value lie outside the band where it is anomalous, and inside where it is not: both distances count.

        rows: those of which any may be anomalous, or outside.
        """
        expected, lower, upper = found.expected, found.lower, found.upper
        with np.errstate(invalid="ignore"):
            over, inside = score[rows] > 1.0, (lower[rows] <= values[rows]) & (values[rows] <= upper[rows])
        wrong = (over & inside) | (~over & ~inside & np.isfinite(score[rows]))
        if wrong.any():
            rows, over = rows[wrong], over[wrong]
            away = values[rows] - expected[rows]
            edge = np.where(over, expected[rows] + away / np.maximum(score[rows], 1.0), values[rows])
            upper[rows], lower[rows] = (
                np.where(away > 0, edge, upper[rows]),
                np.where(away > 0, lower[rows], edge),
            )
        if self._sides:
            np.copyto(lower, -math.inf, where=~self.rules.below)
            np.copyto(upper, math.inf, where=~self.rules.above)
