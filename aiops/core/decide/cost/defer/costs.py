"""What an hour costs: by a tariff, or by a signal whose days are learnt; and when it is cheapest to begin."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from aiops.core.decide.cost.defer.lengths import Length
from aiops.core.model import F64, DeferState, Instant, Signal
from aiops.core.planning.cost_defer import SLOT_S, DeferPolicy

DAYS = 7
"""How many days weigh in the mean cost of an hour of the day."""

HOUR_S = 3_600.0

HORIZON_S = 7 * 86_400.0
"""So far ahead cheap hours are looked for: a deadline may lie years away."""

LONGEST_S = 86_400.0
"""So much of a run is looked at; what takes longer begins by its first day."""

SAME = 1e-9
"""Costs that differ by less than this share are the same: then what is sooner is better."""

Cost = Callable[[Instant], float | None]
"""What it costs to run at an instant, None while that is not known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Best:
    """When to begin, and what it costs then against now, each the mean over the run."""

    at: Instant
    cost: float
    now: float


def remembered(memory: DeferState, signal: Signal | None, now: Instant) -> DeferState:
    """Return what is known of the hours of a day with one more sample; an hour counts once it is over."""
    if signal is None or not signal.usable:
        return replace(memory, blind_since=min(memory.blind_since, now))
    memory = replace(memory, blind_since=math.inf)
    start, total, count = memory.hour
    hour = math.floor(now / HOUR_S) * HOUR_S
    if hour == start:
        return replace(memory, hour=(start, total + signal.value, count + 1))
    hours = dict(memory.hours)
    if count:
        key = _key(start)
        mean, days = hours.get(key, (0.0, 0))
        weight = 1.0 / min(DAYS, days + 1)
        hours[key] = (mean + weight * (total / count - mean), days + 1)
    return replace(memory, hours=hours, hour=(hour, signal.value, 1))


def cost_of(policy: DeferPolicy, memory: DeferState, signal: Signal | None, now: Instant) -> Cost:
    """Return what it costs at any instant from now on.

    A signal's days are taken as they were, moved by as much as now differs from this hour's mean: what is dear today is
    mostly dear in its next hours, too.
    """
    if policy.tariff is not None:
        return policy.tariff.at
    usable = signal is not None and signal.usable
    here = memory.hours.get(_key(now))
    value = signal.value if signal is not None and usable else None if here is None else here[0]
    shift = 0.0 if value is None or here is None else value - here[0]

    def cost(at: Instant) -> float | None:
        if at < now + SLOT_S:
            return value
        known = memory.hours.get(_key(at))
        ahead_s = at - now
        return None if known is None else known[0] + shift * math.exp(-ahead_s / (6 * HOUR_S))

    return cost


@dataclass(frozen=True, slots=True, kw_only=True)
class Late:
    """By when work is to be done, how long it takes, and how many runs' cost it is worth to be in time."""

    deadline: Instant
    length: Length
    runs: float = 20.0

    def chances(self, starts: F64) -> F64:
        """Return float64[n]: how probable it is that what begins then is done after the deadline."""
        return self.length.beyond(self.deadline - starts)


def cheapest(cost: Cost, now: Instant, latest: Instant, usual_s: float, late: Late | None = None) -> Best | None:
    """Return the best time to begin from now to `latest`, the first of several; None while nothing is known.

    Costs are looked at in slots; the whole of a run counts, so that one that is longer than a cheap hour does not begin
    at its end. late: being late costs as much as so many runs, so that what may take long begins sooner, the less
    there is to be saved by waiting.
    """
    slots = max(1, math.ceil(min(usual_s, LONGEST_S) / SLOT_S))
    starts = max(1, math.floor(min(max(0.0, latest - now), HORIZON_S) / SLOT_S) + 1)
    known = np.array([cost(now + number * SLOT_S) for number in range(starts + slots)], np.float64)
    if math.isnan(known[0]):
        return None
    means = _means(known, slots)[:starts]
    if math.isnan(means[0]):
        means[0] = known[0]
    whole = means
    if late is not None:
        price = late.runs * float(np.nanmean(np.abs(means)))
        begins = now + SLOT_S * np.arange(len(means), dtype=np.float64)
        whole = np.asarray(means + price * late.chances(begins), np.float64)
    # what is hardly cheaper is not waited for
    enough = float(np.nanmin(whole)) + SAME * max(1.0, abs(float(whole[0])))
    best = int(np.argmax(whole <= enough))
    return Best(at=now + best * SLOT_S, cost=float(means[best]), now=float(means[0]))


def _means(known: F64, slots: int) -> F64:
    """Return the mean over so many slots from each one on, NaN where one of them is not known."""
    blind = np.isnan(known)
    sums = np.concatenate(([0.0], np.cumsum(np.where(blind, 0.0, known))))
    blinds = np.concatenate(([0], np.cumsum(blind)))
    means = (sums[slots:] - sums[:-slots]) / slots
    return np.asarray(np.where(blinds[slots:] > blinds[:-slots], np.nan, means), np.float64)


def cached(cost: Cost) -> Cost:
    """Return the same cost, reckoned once for each instant: many Jobs ask for the same hours."""
    return lru_cache(maxsize=None)(cost)


def _key(at: Instant) -> str:
    return str(int(at // HOUR_S) % 24)
