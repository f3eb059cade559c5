"""Drift of a distribution that is known by the buckets of histograms: inputs and predictions of a model, sizes, ages.

It has drifted when the population stability index exceeds what the policy allows (and what chance explains), and
Kolmogorov and Smirnov's test says that it is none by chance: how much, and how surely. The reference is another
histogram of the same query, or what was usual in the last weeks.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from aiops.core.detect.distances import counts, ks, ks_p_value, psi, psi_by_chance, shares
from aiops.core.detect.named_rows import bound, labels_of, shared_name
from aiops.core.detect.rules import WEEK_S
from aiops.core.detect.standing import Standing
from aiops.core.model import F64, Bools, Instant, Rows
from aiops.core.policies import Distribution
from aiops.core.protocols import Arrays

MEMORY_S = 14 * 86_400.0
"""What is usual is a mean over about two weeks: a drift that stays is the usual after that."""

LEARNS_S = 86_400.0
"""After a day the usual is known."""

HOURLY = WEEK_S / 3600.0
"""Independent looks in a week, as counts are usually those of an hour."""

_LEAST_BUCKETS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Histogram:
    """The rows of one distribution, by rising bounds: now, and of the reference, which is empty where it is learnt."""

    name: str
    rows: Rows
    reference: Rows
    bounds: tuple[float, ...]
    asks: Distribution
    allowed: float

    @property
    def row(self) -> int:
        """Return the row that stands for it: that of all observations."""
        return int(self.rows[-1])


@dataclass(frozen=True, slots=True, kw_only=True)
class Apart:
    """How far a distribution is from its reference. most: the bucket that has changed most, as an interval."""

    one: Histogram
    psi: float
    by_chance: float
    ks: float
    p_value: float
    seen: float
    reference: float
    most: tuple[float, float]
    share: tuple[float, float]

    @property
    def drifted(self) -> bool:
        """Return whether that is more than allowed, and no chance."""
        return self.psi > self.one.asks.psi + self.by_chance and self.p_value <= self.one.allowed

    def sentence(self, name: str) -> str:
        """Return it for people."""
        low, high = self.most
        now, before = self.share
        return (
            f"the distribution of {name} is not what it was: PSI {self.psi:.2g} ({self.one.asks.psi:.2g} is allowed), "
            f"Kolmogorov-Smirnov {self.ks:.2g} (p {self.p_value:.1g}) of {self.seen:.0f} observations; "
            f"{now:.0%} lie between {low:g} and {high:g}, {before:.0%} did"
        )


def histograms(keys: Sequence[str], rows: Rows, asks: Distribution, budget: tuple[float, float]) -> list[Histogram]:
    """Return the distributions that some rows of one policy are buckets of; budget: false alarms of each, of all."""
    policy = keys[rows[0]].partition("#")[0] if len(rows) else ""
    found: dict[str, tuple[dict[float, int], dict[float, int]]] = {}
    for row in rows.tolist():
        labels = labels_of(keys[row])
        at = bound(labels)
        if math.isnan(at):
            continue
        reference = bool(asks.reference) and all(labels.get(name) == value for name, value in asks.reference.items())
        names = sorted(set(labels) - {"le", "__name__", *asks.reference})
        found.setdefault(shared_name(labels, names), ({}, {}))[reference][at] = row
    made = []
    for name, (now, before) in sorted(found.items()):
        bounds = tuple(sorted(set(now) & set(before) if asks.reference else now))
        if len(bounds) >= _LEAST_BUCKETS:
            made.append(
                Histogram(
                    name=f"{policy}#{name}",
                    rows=np.array([now[one] for one in bounds], np.intp),
                    reference=np.array([before[one] for one in bounds] if asks.reference else [], np.intp),
                    bounds=bounds,
                    asks=asks,
                    allowed=0.0,
                )
            )
    each, together = budget
    allowed = min(each, together / max(len(made), 1)) / HOURLY
    return [replace(one, allowed=allowed) for one in made]


class DistributionWatch:
    """What is usual of n rows, which are buckets. usual: float64[n], mean counts. known_s: float64[n], of how long."""

    def __init__(self, rows: int) -> None:
        self.usual, self.known_s = np.zeros(rows), np.zeros(rows)
        self.standing = Standing(rows)
        self._last_at = math.nan

    def look(self, at: Instant, values: F64, every: Sequence[Histogram]) -> list[Apart]:
        """Return how far distributions are from their references; nothing of those of which not everything is there."""
        found = (self._apart(one, values) for one in every)
        return [one for one in found if one is not None]

    def learn(self, at: Instant, values: F64, taken: Bools) -> None:
        """Take counts into what is usual."""
        dt = min(at - self._last_at, 3600.0) if at > self._last_at else 0.0
        self._last_at = at
        known = taken & np.isfinite(values) & (values >= 0)
        self.known_s += np.where(known, dt, 0.0)
        weight = np.where(self.known_s > 0, dt / np.clip(self.known_s, max(dt, 1e-9), MEMORY_S), 1.0)
        np.copyto(self.usual, self.usual + weight * (values - self.usual), where=known)

    def _apart(self, one: Histogram, values: F64) -> Apart | None:
        now = values[one.rows]
        if len(one.reference):
            before = values[one.reference]
        elif self.known_s[one.rows].min() < LEARNS_S:
            return None
        else:
            # a mean of hours has as many observations as all of them
            before = self.usual[one.rows] * min(float(self.known_s[one.row]), MEMORY_S) / 3600.0
        if not (np.isfinite(now).all() and np.isfinite(before).all() and now[-1] > 0 and before[-1] > 0):
            return None
        seen, reference = counts(now), counts(before)
        first, second = float(seen.sum()), float(reference.sum())
        distance = ks(seen, reference)
        moved = shares(seen) - shares(reference)
        most = int(np.argmax(np.abs(moved)))
        return Apart(
            one=one,
            psi=psi(seen, reference),
            by_chance=psi_by_chance(first, second, len(seen)),
            ks=distance,
            p_value=ks_p_value(distance, first, second),
            seen=first,
            reference=second,
            most=(one.bounds[most - 1] if most else -math.inf, one.bounds[most]),
            share=(float(seen[most] / first), float(reference[most] / second)),
        )

    # -- following rows ------------------------------------------------------------------------------

    def take(self, rows: Rows) -> None:
        """Become other rows; -1 starts afresh."""
        fresh, old = DistributionWatch(len(rows)), rows >= 0
        fresh.usual[old], fresh.known_s[old] = self.usual[rows[old]], self.known_s[rows[old]]
        self.standing.take(rows)
        fresh.standing, fresh._last_at = self.standing, self._last_at
        self.__dict__.update(fresh.__dict__)

    def arrays(self) -> Arrays:
        """Return the state for a checkpoint."""
        standing = {f"standing/{name}": array for name, array in self.standing.arrays().items()}
        return {"usual": self.usual, "known_s": self.known_s, "clock": np.array([self._last_at])} | standing

    def restore(self, arrays: Arrays) -> None:
        """Take the state of a checkpoint whose shapes were checked."""
        self.usual, self.known_s = np.array(arrays["usual"], np.float64), np.array(arrays["known_s"], np.float64)
        self.standing.restore({name: arrays[f"standing/{name}"] for name in self.standing.arrays()})
        self._last_at = float(arrays["clock"][0])


def evidence(one: Apart) -> Mapping[str, float]:
    """Return the numbers of a distribution for its finding."""
    found = {
        "psi": one.psi,
        "ks": one.ks,
        "ks_p_value": one.p_value,
        "observations": one.seen,
        "reference": one.reference,
        "psi_allowed": one.one.asks.psi,
    }
    return {name: number for name, number in found.items() if math.isfinite(number)}
