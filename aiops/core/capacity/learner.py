"""Learning what pods carry: the rate of a busy pod from utilisation, and how full pods may be from latency.

For each candidate of `SLOTS` the log ratio of measured to theoretical p95 is followed; the candidate whose ratio is
steadiest explains the service best, and the ratio's mean is the service time. Requests that become dearer are seen
within minutes, whatever the use, and cheaper ones only where pods are used by half or more. What it then says of the
utilisation at which the SLO breaks is corrected by what happens: an SLO broken below it lowers it at once, an SLO kept
close to it raises it slowly (S5: capacity falls fast and rises only on evidence near saturation, bounded per day).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from aiops.core.capacity.queue import PODS, SLOTS, fullest, log_p95
from aiops.core.model import F64, Bools, Rows
from aiops.core.protocols import Arrays

FADE_STEPS = 2880.0
"""Half a day of steps: how long latency is remembered."""

LEAST_STEPS = 40.0
PRIOR_FULL_RATIO = 0.7
"""Until latency has told, a pod is believed to be full at this use, or earlier."""

REFRESH_STEPS = 20.0
DOUBT = 0.25
"""Of the candidates' answers, weighted by how well they explain, the one at this quantile counts: on the safe side."""

EVIDENCE = 200.0
LEAST_VARIANCE = 0.002**2
FALL_RATIO, RISE_RATIO = 0.015, 0.00004
"""A step that broke the SLO where it should have held lowers by 1.5 %; one near the limit that held raises by 0.004 %,
which is 12 % in half a day of nothing else, and never more than `MOST_FACTOR` in all."""

LEAST_FACTOR, MOST_FACTOR = 0.5, 1.15
HALF_USE, FULL_USE, MOST_USE = 0.5, 0.98, 1.05
LATELY_STEPS = 20.0
LEAST_FALL, FALL_SCALES = 0.05, 4.0
"""The busy rate falls at once where the mean error of some twenty steps is below both: a share, and so many of the
standard errors of such a mean."""

NEAR_RATIO = 0.92
_STATE = ("busy", "busy_var", "lately", "count", "mean", "square", "factor", "late", "stale")


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """One step of every row, float64[n]; NaN is unknown. rate: served per second; util: of the ready pods, 0 to 1."""

    rate: F64
    util: F64
    p95_s: F64
    ready: F64
    learn: Bools


class Capacities:
    """Changed in place. slo_s: float64[n]. busy: float64[n], the rate of one pod that is fully used."""

    version = 1

    def __init__(self, slo_s: F64) -> None:
        rows = len(slo_s)
        self.slo_s = slo_s
        self.busy, self.busy_var = np.full(rows, np.nan), np.zeros(rows)
        self.lately = np.zeros(rows)
        self.count = np.zeros(rows)
        self.mean = np.zeros((rows, len(SLOTS)))
        self.square = np.zeros((rows, len(SLOTS)))
        self.factor = np.ones(rows)
        self.late = np.zeros(rows, np.bool_)
        self.stale = np.zeros(rows)
        self._limit = np.full((rows, len(PODS)), PRIOR_FULL_RATIO)

    def learn(self, seen: Load) -> None:
        """Learn one step: the busy rate, the curve, and whether the limit held."""
        served = np.isfinite(seen.rate) & (seen.rate > 0.0) & (seen.ready > 0)
        usable = seen.learn & served & (seen.util > 0.05) & (seen.util < FULL_USE)
        self._learn_rate(seen, usable)
        self._fall(seen, usable | (seen.learn & served & (seen.util >= FULL_USE) & (seen.util <= MOST_USE)))
        timed = usable & np.isfinite(seen.p95_s) & (seen.p95_s > 0.0)
        self._correct(seen, timed)
        calm = timed & (seen.p95_s < 3.0 * self.slo_s) & (seen.util < 0.96)
        ratio = np.log(np.where(calm, seen.p95_s, 1.0))[:, None] - log_p95(seen.ready, np.where(calm, seen.util, 0.5))
        self.count += calm
        gain = (calm / np.minimum(np.maximum(self.count, 1.0), FADE_STEPS))[:, None]
        self.mean += gain * (ratio - self.mean)
        self.square += gain * ((ratio - self.mean) ** 2 - self.square)
        self.stale += 1.0
        young = calm & (self.count < 2 * LEAST_STEPS)
        due = np.flatnonzero((self.count > 0) & (young | (self.stale >= REFRESH_STEPS)))
        if len(due):
            self._limit[due] = self._limits(due)
            self.stale[due] = 0.0

    def _learn_rate(self, seen: Load, usable: Bools) -> None:
        used = np.where(usable, seen.ready * np.where(usable, seen.util, 1.0), 1.0)
        rate = np.where(usable, seen.rate, np.nan) / used
        first = usable & ~np.isfinite(self.busy)
        self.busy = np.where(first, rate, self.busy)
        gain = np.where(usable, 1.0 / np.minimum(self.count + 2.0, 480.0), 0.0)
        error = np.where(usable & np.isfinite(self.busy), np.clip(rate / self.busy - 1.0, -0.5, 0.5), 0.0)
        # below half use a pod says little of what it does when full: what stays better there raises nothing (S5)
        error -= np.where((seen.util < HALF_USE) & (self.count >= 2 * LEAST_STEPS), np.maximum(self.lately, 0.0), 0.0)
        self.busy = self.busy * (1.0 + gain * error)
        self.busy_var += gain * (error**2 - self.busy_var)

    def _fall(self, seen: Load, used: Bools) -> None:
        """Let the busy rate fall to what the last minutes show, where that is less and no chance.

        Pods in full use serve what they can: demand that they cannot serve makes them seem better, never worse.
        """
        known = used & np.isfinite(self.busy)
        full = np.where(known, self.busy, 1.0) * np.where(known, seen.ready, 1.0) * np.where(known, seen.util, 1.0)
        made = np.where(known, seen.rate, 1.0) / full
        error = np.clip(made - 1.0, -0.5, 0.5)
        self.lately += np.where(known, (error - self.lately) / LATELY_STEPS, 0.0)
        spread = np.sqrt(self.busy_var / (2.0 * LATELY_STEPS - 1.0))
        fell = known & (self.count >= LEAST_STEPS) & (self.lately < -np.maximum(LEAST_FALL, FALL_SCALES * spread))
        self.busy = np.where(fell, self.busy * (1.0 + self.lately), self.busy)
        self.lately = np.where(fell, 0.0, self.lately)

    def _correct(self, seen: Load, timed: Bools) -> None:
        limit = self.factor * self._at(seen.ready)
        late = np.where(np.isnan(seen.p95_s), self.late, seen.p95_s > self.slo_s)
        # only where it begins to be broken: what follows may be a line that drains, at less use than made it
        over = timed & (seen.p95_s > self.slo_s) & (seen.p95_s < 3.0 * self.slo_s)
        broke = over & ~self.late & (seen.util < 0.99 * limit)
        self.late = late
        near = timed & (seen.p95_s < 0.95 * self.slo_s) & (seen.util > NEAR_RATIO * limit)
        moved = self.factor * (1.0 - FALL_RATIO * broke + RISE_RATIO * near)
        self.factor = np.clip(moved, LEAST_FACTOR, MOST_FACTOR)

    def _limits(self, rows: Rows) -> F64:
        """Return float64[r, pods]: the utilisation at which the SLO breaks, on the safe side of what explains."""
        answers = fullest(np.log(self.slo_s[rows])[:, None] - self.mean[rows])
        variance = np.maximum(self.square[rows], LEAST_VARIANCE)
        best = variance.min(axis=1, keepdims=True)
        count = self.count[rows]
        seen = np.minimum(count, EVIDENCE)[:, None]
        weight = (best / variance) ** (seen / 2.0)
        weight /= weight.sum(axis=1, keepdims=True)
        order = np.argsort(answers, axis=1)
        ranked = np.take_along_axis(answers, order, axis=1)
        mass = np.cumsum(np.take_along_axis(np.broadcast_to(weight[:, :, None], answers.shape), order, axis=1), axis=1)
        chosen = (mass < DOUBT).sum(axis=1)[:, None, :]
        limits = np.take_along_axis(ranked, np.minimum(chosen, len(SLOTS) - 1), axis=1)[:, 0, :]
        return np.where((count >= LEAST_STEPS)[:, None], limits, np.minimum(limits, PRIOR_FULL_RATIO))

    def _at(self, pods: F64) -> F64:
        place = np.interp(np.maximum(pods, 1.0), PODS, np.arange(len(PODS)))
        low = np.minimum(place.astype(np.int64), len(PODS) - 2)
        rows = np.arange(len(pods))
        return np.asarray(
            self._limit[rows, low] + (self._limit[rows, low + 1] - self._limit[rows, low]) * (place - low)
        )

    @property
    def learned(self) -> Bools:
        """Return whether a row's busy rate and latency are known; an SLO that not even idle pods keep sizes nothing."""
        sizes = np.isfinite(self.busy) & (self.busy > 0.0) & (self._limit > 0.0).all(axis=1)
        return np.asarray((self.count >= LEAST_STEPS) & sizes)

    def carried(self) -> F64:
        """Return float64[n, len(PODS)]: the demand that so many pods carry within the SLO; NaN while unknown."""
        return np.asarray(self.busy[:, None] * PODS * self.factor[:, None] * self._limit)

    def full_ratio(self, pods: F64) -> F64:
        """Return float64[n]: how full so many pods of each row may be used within the SLO."""
        return np.asarray(self.factor * self._at(pods))

    def arrays(self) -> Arrays:
        """Return the state for a checkpoint."""
        return {name: getattr(self, name) for name in _STATE} | {"limit": self._limit}

    def take(self, arrays: Arrays, mine: Rows, theirs: Rows) -> None:
        """Let rows `mine` go on where rows `theirs` of a checkpoint stood."""
        for name in _STATE:
            # checkpoints of before knew nothing of what was lately
            getattr(self, name)[mine] = arrays[name][theirs] if name in arrays or name != "lately" else 0.0
        self._limit[mine] = arrays["limit"][theirs]
