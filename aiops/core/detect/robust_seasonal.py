"""`robust-seasonal`: level plus season plus robust scale, with a tail that is calibrated to a budget of false alarms.

expected = season(time of the season) + level. Both learn from the clipped residual (Huber's psi), so that an anomaly
moves them little. The threshold follows the tail of z = |residual| / scale above its 98th percentile, taken as
exponential (peaks over threshold; Siffer et al., "Anomaly detection in streams with extreme value theory", KDD 2017,
with shape 0), at the probability that spends the row's budget of false alarms.
"""

from __future__ import annotations

import math

import numpy as np

from aiops.core.detect.rules import WEEK_S, RowRules
from aiops.core.model import F64, Bools, Instant, Rows
from aiops.core.protocols import Arrays, Scores

BINS = 96
LEVEL_TAU_S = 3600.0
SCALE_TAU_S = 4 * 3600.0
CLIP = 3.0
LEARNED_S = 3600.0
"""A row is trusted after this much time, and at least 60 samples."""

LEARNED_SAMPLES = 60
SHIFT_S = 1800.0
"""A deviation that stays on one side this long is the new level."""

TAIL_SHARE = 0.02
SEASON_GAIN_LEAST = 0.2
MAX_STEP_S = 300.0
_TINY = 1e-12
_U0, _BETA0 = 3.0, 0.7
_U_LEAST, _U_MOST = 1.5, 10.0
_BETA_LEAST, _BETA_MOST = 0.15, 3.0
_TAIL_GAIN = 0.05
_FAR = 4.0


class RobustSeasonal:
    """State of n rows as arrays. Owned by the bank and changed in place.

    level, scale, tail_from, tail_mean, seen_s, samples, strayed_s: float64[n]; season: float32[96, n].
    """

    name = "robust-seasonal"
    version = 1

    def __init__(self, rules: RowRules) -> None:
        rows = len(rules)
        self.rules = rules
        self._level = np.zeros(rows)
        self._scale = np.zeros(rows)
        self._season = np.zeros((BINS, rows), np.float32)
        self._tail_from = np.full(rows, _U0)
        self._tail_mean = np.full(rows, _BETA0)
        self._seen_s = np.zeros(rows)
        self._samples = np.zeros(rows)
        self._strayed_s = np.zeros(rows)
        self._last_at = math.nan
        self._step_s = 60.0
        self._columns = np.arange(rows)

    def score(self, at: Instant, values: F64) -> Scores:
        """Score `values` (float64[n], NaN is missing) without learning from them."""
        rules = self.rules
        expected = self._expected(at)
        residual = values - expected
        wanted = rules.false_alarms_per_week * (self._dt(at) / WEEK_S)
        z_limit = self._tail_from + self._tail_mean * np.log(TAIL_SHARE / np.minimum(wanted, TAIL_SHARE))
        floor = np.maximum(rules.min_deviation, rules.min_deviation_ratio * np.abs(expected))
        band = np.maximum(np.maximum(z_limit * self._scale, floor), _TINY)
        learned = (self._seen_s >= LEARNED_S) & (self._samples >= LEARNED_SAMPLES)
        counts = np.where(residual > 0, rules.above, rules.below)
        score = np.where(learned, np.where(counts, np.abs(residual) / band, 0.0), np.nan)
        score[np.isnan(values)] = np.nan
        return Scores(
            score=score,
            p_value=self._p_value(residual),
            expected=expected,
            lower=np.where(rules.below, expected - band, -np.inf),
            upper=np.where(rules.above, expected + band, np.inf),
            learned=learned,
        )

    def learn(self, at: Instant, values: F64, learn: Bools) -> None:
        """Learn from the rows where `learn` is True and the value is finite."""
        dt = self._dt(at)
        self._last_at, self._step_s = at, dt
        taken = learn & np.isfinite(values)
        if not taken.any():
            return
        self._begin(values, taken)
        residual = np.where(taken, values - self._expected(at), 0.0)
        scale = np.maximum(self._scale, _TINY)
        z = np.abs(residual) / scale
        clipped = np.clip(residual, -CLIP * scale, CLIP * scale)
        self._learn_tail(z, taken & (self._samples >= LEARNED_SAMPLES))
        self._rebase(residual, z, taken, dt)
        young = 1.0 / (1.0 + self._samples)
        gain = np.where(taken, np.maximum(young, 1.0 - math.exp(-dt / LEVEL_TAU_S)), 0.0)
        self._level += gain * clipped
        spread = np.where(taken, np.maximum(young, 1.0 - math.exp(-dt / SCALE_TAU_S)), 0.0)
        self._scale += spread * (np.abs(clipped) - self._scale)
        self._learn_season(at, clipped, taken, dt)
        self._seen_s += np.where(taken, dt, 0.0)
        self._samples += taken

    def take(self, rows: Rows) -> None:
        """Become the detector of other rows: row i continues old row `rows[i]`, or starts afresh where that is -1."""
        fresh = RobustSeasonal(self.rules.take(rows))
        old = rows >= 0
        source = rows[old]
        for name in ("_level", "_scale", "_tail_from", "_tail_mean", "_seen_s", "_samples", "_strayed_s"):
            getattr(fresh, name)[old] = getattr(self, name)[source]
        fresh._season[:, old] = self._season[:, source]
        fresh._last_at, fresh._step_s = self._last_at, self._step_s
        self.__dict__.update(fresh.__dict__)

    def arrays(self) -> Arrays:
        """Return the state for a checkpoint."""
        return {
            "level": self._level,
            "scale": self._scale,
            "season": self._season,
            "tail_from": self._tail_from,
            "tail_mean": self._tail_mean,
            "seen_s": self._seen_s,
            "samples": self._samples,
            "strayed_s": self._strayed_s,
            "clock": np.array([self._last_at, self._step_s]),
        }

    def restore(self, arrays: Arrays) -> None:
        """Take the state of a checkpoint of the same version; raise ValueError when it does not fit."""
        mine = self.arrays()
        for name, array in mine.items():
            if name not in arrays or arrays[name].shape != array.shape:
                raise ValueError(f"{self.name}: the checkpoint's {name} does not fit {array.shape}")
        for name in mine:
            if name != "clock":
                setattr(self, f"_{name}", np.array(arrays[name], mine[name].dtype))
        self._last_at, self._step_s = (float(x) for x in arrays["clock"])

    # -- inner ---------------------------------------------------------------------------------------

    def _dt(self, at: Instant) -> float:
        """Return the seconds since the last sample, within reason; at first the usual step."""
        since = at - self._last_at
        return min(max(since, 1.0), MAX_STEP_S) if since > 0 else self._step_s

    def _expected(self, at: Instant) -> F64:
        """Return level plus season, the season interpolated between the middles of its bins."""
        low, high, share = self._bins(at)
        columns = self._columns
        seasonal = self._season[low, columns] * (1.0 - share) + self._season[high, columns] * share
        return np.asarray(self._level + seasonal, np.float64)

    def _bins(self, at: Instant) -> tuple[Rows, Rows, F64]:
        place = np.mod(at, self.rules.season_s) * (BINS / self.rules.season_s) - 0.5
        low = np.floor(place).astype(np.intp)
        return low % BINS, (low + 1) % BINS, place - low

    def _p_value(self, residual: F64) -> F64:
        """Return P(|residual| at least this), by the exponential tail above `tail_from`, and matching it below."""
        z = np.abs(residual) / np.maximum(self._scale, _TINY)
        log_share = math.log(TAIL_SHARE)
        below = log_share * z / self._tail_from
        above = log_share - (z - self._tail_from) / self._tail_mean
        return np.asarray(np.exp(np.maximum(np.where(z > self._tail_from, above, below), -700.0)), np.float64)

    def _begin(self, values: F64, taken: Bools) -> None:
        first = taken & (self._samples == 0)
        if first.any():
            self._level[first] = values[first]
            self._scale[first] = 0.05 * np.abs(values[first]) + _TINY

    def _learn_tail(self, z: F64, taken: Bools) -> None:
        """Follow the 98th percentile of z by stochastic approximation, and the mean of what exceeds it.

        What is far beyond the tail is an anomaly rather than news of the tail, and moves it a tenth as much.
        """
        over = z > self._tail_from
        gain = np.where(z > self._tail_from + _FAR * self._tail_mean, 0.1 * _TAIL_GAIN, _TAIL_GAIN)
        excess = np.minimum(z - self._tail_from, _FAR * self._tail_mean)
        mean = self._tail_mean + np.where(taken & over, gain * (excess - self._tail_mean), 0.0)
        moved = self._tail_from * np.exp(np.where(taken, gain * (over - TAIL_SHARE), 0.0))
        self._tail_mean = np.clip(mean, _BETA_LEAST, _BETA_MOST)
        self._tail_from = np.clip(moved, _U_LEAST, _U_MOST)

    def _rebase(self, residual: F64, z: F64, taken: Bools, dt: float) -> None:
        """Take a deviation that stays on one side for `SHIFT_S` as the new level."""
        sign = np.sign(residual)
        far = taken & (z > self._tail_from)
        same = far & (sign == np.sign(self._strayed_s))
        self._strayed_s = np.where(same, self._strayed_s + sign * dt, np.where(far, sign * dt, 0.0))
        shifted = np.abs(self._strayed_s) >= SHIFT_S
        if shifted.any():
            self._level += np.where(shifted, residual, 0.0)
            self._strayed_s[shifted] = 0.0

    def _learn_season(self, at: Instant, clipped: F64, taken: Bools, dt: float) -> None:
        low, high, share = self._bins(at)
        seasons = self._seen_s / self.rules.season_s
        gain = np.maximum(1.0 / (1.0 + seasons), SEASON_GAIN_LEAST) * np.minimum(dt * BINS / self.rules.season_s, 1.0)
        move = np.where(taken, gain * clipped, 0.0)
        self._season[low, self._columns] += (move * (1.0 - share)).astype(np.float32)
        self._season[high, self._columns] += (move * share).astype(np.float32)
