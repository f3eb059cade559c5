"""`robust-seasonal`: level plus season plus robust scale, with a tail that is calibrated to a budget of false alarms.

expected = level + what the profile of the season has moved since. Level and scale follow clipped residuals (Huber's
psi), an excursion beyond the limit teaches neither, and one that stays on its side becomes the new level.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from aiops.core.detect.rules import RowRules
from aiops.core.detect.season import Known, SeasonProfile
from aiops.core.detect.tail import Tail
from aiops.core.model import F64, Bools, Instant, Rows
from aiops.core.protocols import Arrays, Scores

LEVEL_TAU_S = 3600.0
SCALE_TAU_S = 4 * 3600.0
LEVEL_GAIN_MOST, SCALE_GAIN_MOST = 0.1, 0.03
CLIP = 3.0
LEARNED_S = 3600.0
"""A row is trusted after this much time, and at least 60 samples."""

LEARNED_SAMPLES = 60.0
SHIFT_S = 3600.0
SHIFT_SAMPLES = 8.0
"""A deviation that stays on one side this long, and for so many samples, is the new level."""

YOUNG_MARGIN = 0.5
"""How much wider the band is at first; by the end of a season it is as calibrated."""

REFRESH_S = 120.0
FIRST_SCALE_RATIO = 0.05
LEAST_SCALE_RATIO = 1e-3
"""The scale is never below this share of the level: a row that was constant may move so little unnoticed."""

_TINY = 1e-9
_FIRST_STEP_S = 60.0
_GAP_STEPS = 3.0
_LEVEL, _SCALE, _SAMPLES, _SEEN_S = range(4)
_RUNS = ("_run_s", "_run_samples", "_run_sum", "_run_peak", "_run_sign", "_run_alarm", "_refreshed")
_CLOCK = ("_last_at", "_since", "_step_s", "_refreshed_at")


class RobustSeasonal:
    """State of n rows as arrays, owned by the bank and changed in place.

    state: float64[4, n], level, scale, samples and seconds seen. run_*: float64[n], the excursion that a row is on.
    """

    name = "robust-seasonal"
    version = 1
    open_hits = 2

    def __init__(self, rules: RowRules) -> None:
        rows = len(rules)
        self.rules = rules
        self._season = SeasonProfile(rows, rules.season_s)
        self._tail = Tail(rows)
        self._state = np.zeros((4, rows))
        self._state[_SCALE] = 1.0
        self._run_s, self._run_samples, self._run_sum = np.zeros(rows), np.zeros(rows), np.zeros(rows)
        self._run_peak, self._run_sign, self._run_alarm = np.zeros(rows), np.zeros(rows), np.zeros(rows)
        self._refreshed = np.zeros(rows)
        # made by `_see`: the news of a tick, what is moved by it, and how much each row takes
        self._news: F64
        self._moves: F64
        self._gains: F64
        self._cached: F64
        self._last_at, self._since, self._step_s, self._refreshed_at = math.nan, math.nan, _FIRST_STEP_S, -math.inf
        self._see()

    @property
    def step_s(self) -> float:
        """Return the seconds between samples, as they came lately."""
        return self._step_s

    # -- the tick ------------------------------------------------------------------------------------

    def score(self, at: Instant, values: F64) -> Scores:
        """Score `values` (float64[n], NaN is missing) without learning from them."""
        rules = self.rules
        expected = self._expected(at)
        residual = values - expected
        band = self._tail.limit * self._state[_SCALE]
        if self._floors:
            least = np.maximum(rules.min_deviation, rules.min_deviation_ratio * np.abs(expected))
            band = np.maximum(band, least)
        if self._sides:
            strayed = np.where(residual > 0, residual * rules.above, -residual * rules.below)
            lower = np.where(rules.below, expected - band, -np.inf)
            upper = np.where(rules.above, expected + band, np.inf)
        else:
            strayed, lower, upper = np.abs(residual), expected - band, expected + band
        return Scores(score=strayed / band, expected=expected, lower=lower, upper=upper, learned=self._learned)

    def p_values(self, scores: Scores, values: F64, rows: Rows) -> F64:
        """Return P(a sample of the row deviates at least so far) for some rows; NaN where the value is missing."""
        away = np.abs(values[rows] - scores.expected[rows]) / self._state[_SCALE, rows]
        return self._tail.p_values(away, rows)

    def evidence(self, row: int) -> Mapping[str, float]:
        """Return level and scale of a row, and by how many scales a sample may deviate."""
        level, scale = self._state[:2, row].tolist()
        return {"level": level, "scale": scale, "allowed": float(self._tail.limit[row])}

    def learn(self, at: Instant, values: F64, learn: Bools) -> None:
        """Learn from the rows where `learn` is True and the value is finite."""
        dt = self._pass_time(at)
        taken = np.isfinite(values)
        np.logical_and(taken, learn, out=taken)
        count = int(np.count_nonzero(taken))
        if count == 0:
            return
        if self._unborn:
            self._begin(values, taken)
        state, news = self._state, self._news
        self._season.look(at, self._step_s)
        if self._season.passed(at):
            self._close_bin(at)
        expected = self._expected(at)
        residual = values - expected
        if count < len(values):
            residual = np.where(taken, residual, 0.0)
        scale = state[_SCALE]
        clipped = residual / scale
        away = np.abs(clipped)
        np.minimum(clipped, CLIP, out=clipped)
        np.maximum(clipped, -CLIP, out=clipped)
        np.multiply(clipped, scale, out=news[_LEVEL])
        np.abs(news[_LEVEL], out=news[_SCALE])
        news[_SCALE] -= scale
        strays = away > self._tail.u
        if self._running or np.count_nonzero(strays):
            self._follow_runs(np.flatnonzero(taken & (strays | (self._run_s > 0))), residual, away, dt)
        weights = self._weights(taken, count, dt)
        cleaned = expected + news[_LEVEL]
        self._season.note(cleaned if count == len(values) else cleaned * taken, weights[_SAMPLES])
        np.multiply(news, weights, out=self._moves)
        state += self._moves
        self._cached_at = math.nan
        if not 0.0 <= at - self._refreshed_at < REFRESH_S:
            self._refresh(at)

    def follow(self, rules: RowRules) -> None:
        """Follow other rules from now on; as many rows, and the same season."""
        self.rules = rules
        self._see()

    def take(self, rows: Rows) -> None:
        """Become the detector of other rows: row i continues old row `rows[i]`, or starts afresh where that is -1."""
        fresh = RobustSeasonal(self.rules.take(rows))
        old = rows >= 0
        fresh._state[:, old] = self._state[:, rows[old]]
        for name in _RUNS:
            getattr(fresh, name)[old] = getattr(self, name)[rows[old]]
        self._season.take(rows)
        self._tail.take(rows)
        fresh._season, fresh._tail = self._season, self._tail
        for name in _CLOCK:
            setattr(fresh, name, getattr(self, name))
        fresh._see()
        self.__dict__.update(fresh.__dict__)

    def arrays(self) -> Arrays:
        """Return the state for a checkpoint."""
        return {
            "state": self._state,
            "clock": np.array([getattr(self, name) for name in _CLOCK]),
            **{name[1:]: getattr(self, name) for name in _RUNS},
            **{f"season_{name}": array for name, array in self._season.arrays().items()},
            **{f"tail_{name}": array for name, array in self._tail.arrays().items()},
        }

    def restore(self, arrays: Arrays) -> None:
        """Take the state of a checkpoint of the same version; raise ValueError when it does not fit."""
        for name, array in self.arrays().items():
            if name not in arrays or arrays[name].shape != array.shape:
                raise ValueError(f"{self.name}: the checkpoint's {name} does not fit {array.shape}")
        self._state = np.array(arrays["state"], np.float64)
        for name in _RUNS:
            setattr(self, name, np.array(arrays[name[1:]], np.float64))
        for name, number in zip(_CLOCK, arrays["clock"].tolist(), strict=True):
            setattr(self, name, number)
        self._season.restore({k.removeprefix("season_"): v for k, v in arrays.items() if k.startswith("season_")})
        self._tail.restore({k.removeprefix("tail_"): v for k, v in arrays.items() if k.startswith("tail_")})
        self._see()

    # -- inner ---------------------------------------------------------------------------------------

    def _see(self) -> None:
        """Make what follows from the state and the rules: flags that spare work, and buffers."""
        rules, (samples, seen_s) = self.rules, (self._state[_SAMPLES], self._state[_SEEN_S])
        self._learned = (seen_s >= LEARNED_S) & (samples >= LEARNED_SAMPLES)
        self._unborn = bool((samples == 0).any())
        self._running = bool(self._run_s.any())
        self._sides = not bool((rules.above & rules.below).all())
        self._floors = bool(rules.min_deviation.any() or rules.min_deviation_ratio.any())
        self._cached_at, self._cached = math.nan, self._state[_LEVEL]
        self._gains_dt, self._young = math.nan, True
        self._news, self._moves, self._gains = (np.ones(self._state.shape) for _ in range(3))

    def _pass_time(self, at: Instant) -> float:
        """Return the seconds that a sample stands for; a gap counts as one step, a step that repeats is the step."""
        since = at - self._last_at
        if since > 0 and (since <= _GAP_STEPS * self._step_s or abs(since - self._since) < 0.01 * since):
            self._step_s = since
        self._since, self._last_at = since, at
        return self._step_s

    def _expected(self, at: Instant) -> F64:
        if at != self._cached_at:
            self._cached = self._state[_LEVEL] + self._season.move(at, self._step_s)
            self._cached_at = at
        return self._cached

    def _begin(self, values: F64, taken: Bools) -> None:
        first = np.flatnonzero(taken & (self._state[_SAMPLES] == 0))
        if len(first):
            self._state[_LEVEL, first] = values[first]
            self._state[_SCALE, first] = np.maximum(FIRST_SCALE_RATIO * np.abs(values[first]), _TINY)
            self._season.begin(first, values[first])
            self._cached_at = math.nan

    def _close_bin(self, at: Instant) -> None:
        seasons = self._state[_SEEN_S] / self.rules.season_s
        known = Known(seasons=seasons, scale=self._state[_SCALE])
        self._state[_LEVEL] += self._season.close(at, self._step_s, known)
        self._cached_at = math.nan

    def _weights(self, taken: Bools, count: int, dt: float) -> F64:
        """Return float64[4, n]: how much of the news each part of the state takes; nothing where a row is not taken."""
        gains = self._gains
        if self._young or dt != self._gains_dt:
            self._gains_dt = dt
            young = 1.0 / (1.0 + self._state[_SAMPLES])
            level = min(1.0 - math.exp(-dt / LEVEL_TAU_S), LEVEL_GAIN_MOST)
            scale = min(1.0 - math.exp(-dt / SCALE_TAU_S), SCALE_GAIN_MOST)
            np.maximum(young, level, out=gains[_LEVEL])
            np.maximum(young, scale, out=gains[_SCALE])
            gains[_SAMPLES], gains[_SEEN_S] = 1.0, dt
            self._young = bool(young.max() > scale)
        return gains if count == len(taken) else gains * taken

    def _follow_runs(self, rows: Rows, residual: F64, away: F64, dt: float) -> None:
        """Follow excursions beyond u of `rows`: their ends teach the tail, their length makes a new level."""
        moved, far, u = residual[rows], away[rows], self._tail.u[rows]
        sign = np.sign(moved)
        running = self._run_s[rows] > 0
        same = running & (sign == self._run_sign[rows]) & (far > 0.5 * u)
        begins = (far > u) & ~same
        self._end_runs(rows[running & ~same])
        self._tail.begun(rows[begins])
        self._run_sign[rows[begins]] = sign[begins]
        on = same | begins
        going = rows[on]
        self._run_s[going] += dt
        self._run_samples[going] += 1.0
        self._run_sum[going] += moved[on]
        self._run_peak[going] = np.maximum(self._run_peak[going], far[on])
        self._spare(rows, moved, far)
        shifted = going[(self._run_s[going] >= SHIFT_S) & (self._run_samples[going] >= SHIFT_SAMPLES)]
        if len(shifted):
            self._state[_LEVEL, shifted] += self._run_sum[shifted] / self._run_samples[shifted]
            self._news[_LEVEL, shifted] = self._news[_SCALE, shifted] = 0.0
            self._end_runs(shifted)
        self._running = bool(self._run_s.any())

    def _spare(self, rows: Rows, moved: F64, far: F64) -> None:
        """Let what is beyond the band teach nothing, and note which excursions have raised an alarm."""
        beyond = far > self._tail.limit[rows]
        if self._floors:
            least = self.rules.min_deviation_ratio[rows] * np.abs(self._state[_LEVEL, rows])
            beyond &= np.abs(moved) > np.maximum(least, self.rules.min_deviation[rows])
        spared = rows[beyond]
        if not len(spared):
            return
        self._news[_LEVEL, spared] = self._news[_SCALE, spared] = 0.0
        self._season.cut(spared, moved[beyond])
        counts = np.where(moved[beyond] > 0, self.rules.above[spared], self.rules.below[spared])
        self._run_alarm[spared[counts]] = 1.0

    def _end_runs(self, rows: Rows) -> None:
        if len(rows):
            self._tail.ended(rows, self._run_peak[rows])
            self._tail.alarmed(rows[self._run_alarm[rows] > 0])
            for run in (self._run_s, self._run_samples, self._run_sum, self._run_peak, self._run_sign, self._run_alarm):
                run[rows] = 0.0

    def _refresh(self, at: Instant) -> None:
        """Every other minute: limits, floors of the scale, and who has been learnt."""
        level, scale, samples, seen_s = self._state
        np.maximum(scale, LEAST_SCALE_RATIO * np.abs(level), out=scale)
        np.maximum(scale, _TINY, out=scale)
        self._learned = (seen_s >= LEARNED_S) & (samples >= LEARNED_SAMPLES)
        self._unborn = bool((samples == 0).any())
        youth = np.maximum(1.0 - seen_s / self.rules.season_s, 0.0)
        margin = np.where(self._learned, 1.0 + YOUNG_MARGIN * youth, math.nan)
        self._tail.refresh(self.rules.false_alarms_per_week, self._step_s, margin, samples - self._refreshed)
        self._refreshed = samples.copy()
        self._refreshed_at = at
