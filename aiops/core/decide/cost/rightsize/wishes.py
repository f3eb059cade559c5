"""What containers should request, of many at once: estimates with bounds, and whether it is time to change something.

CPU: a quantile of what was used, and what was used lately, whichever is more, and a margin. Memory: the greatest peak
that is remembered and a margin, which is smaller where the peaks of the windows agree; where they grow, what they grow
to within two windows. A kill for memory and throttling raise a floor (uses.py). The bounds are the
VerticalPodAutoscaler's: wide at first, closer with each day of history (multiplier 1 and exponent 1 above, 0.001 and -2
below), but that the upper one is closed once the history is whole.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import IntEnum

import numpy as np

from aiops.core.decide.cost.rightsize.buckets import quantile
from aiops.core.decide.cost.rightsize.uses import Uses, floors, history_days
from aiops.core.model import F64, Bools, Instant
from aiops.core.planning.cost_rightsize import DAY_S, CpuTerms, MemoryTerms, Sizing

LATELY_SHARE = 0.5
"""Of what was used lately this quantile must fit, too: a rise is followed within hours."""

AGREE_RATIO = 0.1
"""Peaks that lie so far apart, or farther, need the whole margin."""

LEAST_MARGIN = 1.0 / 3.0
AHEAD_WINDOWS = 2.0
MOST_GROWTH = 0.5
SLACK_LEFT = 0.5
"""A request with less than this share of its margin left is too small."""


class Why(IntEnum):
    """Why a request stays or changes."""

    FITS = 0
    NO_HISTORY = 1
    TOO_SMALL = 2
    TOO_LARGE = 3
    WAITS = 4
    LEFT_ALONE = 5
    KILLED = 6
    THROTTLED = 7


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Estimate:
    """float64[n] each, 0 where nothing is known: below `lower` it is too small, above `upper` too large."""

    target: F64
    lower: F64
    upper: F64


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Wish:
    """Of one resource: wished float64[n], what it should be, which is what it is where nothing changes. why: Why[n]."""

    wished: F64
    why: np.ndarray[tuple[int], np.dtype[np.int_]]
    estimate: Estimate

    @property
    def changes(self) -> Bools:
        """Return bool[n]: which are to be changed now."""
        return np.asarray((self.why == Why.TOO_SMALL) | (self.why == Why.TOO_LARGE) | (self.why >= Why.KILLED))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Wishes:
    """What is wished for n containers, and what is remembered of it. days: float64[n] of history."""

    cpu: Wish
    memory: Wish
    days: F64
    uses: Uses


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Held:
    """What n containers request now: float64[n], 0 for nothing. whole: bool[n], whose CPU request is the limit, too."""

    cores: F64
    bytes: F64
    whole: Bools


def wishes(uses: Uses, held: Held, sizing: Sizing, now: Instant) -> Wishes:
    """Return what should be requested."""
    days = history_days(uses, sizing.sample_s)
    floor_cores, floor_bytes = floors(uses, now, sizing.use)
    scene = _Scene(sizing=sizing, now=now, days=days)
    cpu_terms, memory_terms = sizing.cpu or CpuTerms(), sizing.memory or MemoryTerms()
    cpu_low, cpu = scene.wish(
        _Asked(
            _cpu(uses, cpu_terms, days, held.whole),
            held.cores,
            # a limit throttles, not a request
            np.where(held.whole, floor_cores, 0.0),
            uses.cpu_low_since,
            Why.THROTTLED,
        ),
        (cpu_terms.least, cpu_terms.most),
    )
    memory_low, memory = scene.wish(
        _Asked(_memory(uses, memory_terms, days), held.bytes, floor_bytes, uses.memory_low_since, Why.KILLED),
        (memory_terms.least, memory_terms.most),
    )
    after = replace(uses, cpu_low_since=cpu_low, memory_low_since=memory_low)
    return Wishes(
        cpu=cpu if sizing.cpu is not None else _left_alone(cpu, held.cores),
        memory=memory if sizing.memory is not None else _left_alone(memory, held.bytes),
        days=days,
        uses=after,
    )


def _left_alone(wish: Wish, held: F64) -> Wish:
    return replace(wish, wished=held, why=np.full(len(held), int(Why.LEFT_ALONE)))


# -- estimates ---------------------------------------------------------------------------------------


def _cpu(uses: Uses, terms: CpuTerms, days: F64, whole: Bools) -> Estimate:
    usual = np.where(whole, quantile(uses.cpu, terms.limit_percentile), quantile(uses.cpu, terms.percentile))
    need = np.maximum(usual, quantile(uses.lately, LATELY_SHARE))
    return _bounded(need, np.full(len(uses), terms.margin_ratio), days, uses.peaks.shape[1])


def _memory(uses: Uses, terms: MemoryTerms, days: F64) -> Estimate:
    peaks = uses.peaks
    most = peaks.max(axis=1, initial=0.0)
    seen = peaks > 0.0
    count = seen.sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        usual = np.where(count > 0, np.where(seen, peaks, 0.0).sum(axis=1) / np.maximum(count, 1), 0.0)
        apart = np.where(most > 0.0, 1.0 - usual / most, 0.0)
    # one window says nothing of how much they differ
    sure = np.where(count >= 3, np.clip(apart / AGREE_RATIO, LEAST_MARGIN, 1.0), 1.0)
    ahead = np.minimum(_growth(peaks) * AHEAD_WINDOWS, MOST_GROWTH * most)
    need = np.maximum(most, peaks[:, -1] + np.maximum(ahead, 0.0))
    return _bounded(need, terms.margin_ratio * sure, days, peaks.shape[1])


def _growth(peaks: F64) -> F64:
    """Return float64[n]: by how many bytes a window the peaks rise, the median of the newest whole steps.

    The newest window is not over yet, and left out; where fewer than four are known, it is 0.
    """
    whole = peaks[:, -8:-1]
    if whole.shape[1] < 4:
        return np.zeros(len(peaks))
    steps = np.where((whole[:, 1:] > 0.0) & (whole[:, :-1] > 0.0), np.diff(whole, axis=1), np.nan)
    known = np.isfinite(steps).sum(axis=1) >= 3
    filled = np.where(known[:, None], steps, 0.0)
    return np.asarray(np.where(known, np.nanmedian(filled, axis=1), 0.0), np.float64)


def _bounded(need: F64, margin: F64, days: F64, whole: float) -> Estimate:
    """Return the estimate with its bounds. whole: days after which a history is whole, and the upper bound closed."""
    target = need * (1.0 + margin)
    with np.errstate(divide="ignore", invalid="ignore"):
        wide = np.where(days > 0.0, 1.0 + np.maximum(0.0, 1.0 / days - 1.0 / whole), np.inf)
        close = np.where(days > 0.0, (1.0 + 0.001 / days) ** -2.0, 0.0)
        upper = np.where(target > 0.0, target * wide, np.inf)
    return Estimate(target=target, lower=need * (1.0 + SLACK_LEFT * margin) * close, upper=upper)


# -- whether it is time ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Asked:
    """One resource: what is estimated, requested now, at least needed, since when less would do, and what raised it."""

    estimate: Estimate
    now: F64
    floor: F64
    low_since: F64
    raised_by: Why


@dataclass(frozen=True, slots=True, kw_only=True)
class _Scene:
    sizing: Sizing
    now: Instant
    days: F64

    def wish(self, asked: _Asked, bounds: tuple[float, float]) -> tuple[F64, Wish]:
        """Return since when less would do, and what is wished: up at once, down slowly, little not at all."""
        sizing, found, held = self.sizing, asked.estimate, asked.now
        least, most = bounds
        needed = np.clip(np.maximum(found.target, asked.floor), least, most)
        low = np.clip(np.maximum(found.lower, asked.floor), 0.0, most)
        enough = np.clip(np.maximum(found.upper, asked.floor), least, most)
        small = held < low * (1.0 - 1e-9)
        large = enough < held * (1.0 - sizing.tolerance_ratio)
        low_since = np.where(large, np.minimum(asked.low_since, self.now), np.inf)
        old = self.days * DAY_S >= sizing.min_history_s
        patient = self.now - low_since >= sizing.lower_after_s
        known = found.target > 0.0
        raised = small & (asked.floor >= found.lower) & (asked.floor > 0.0)
        why = np.select(
            [raised, small & known, large & old & patient, large & ~old, large],
            [asked.raised_by, Why.TOO_SMALL, Why.TOO_LARGE, Why.NO_HISTORY, Why.WAITS],
            default=Why.FITS,
        )
        why = np.where(~known & ~raised, int(Why.NO_HISTORY), why)
        down = why == Why.TOO_LARGE
        up = (why == Why.TOO_SMALL) | (why == asked.raised_by)
        wished = np.where(up, np.maximum(needed, held), np.where(down, enough, held))
        return low_since, Wish(wished=wished, why=why, estimate=found)
