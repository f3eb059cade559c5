"""Which findings belong together: they say something of the same thing, or opened together where that is no chance.

A label that names one thing (a service, a node) joins whatever has it. A label that many things share (a zone, a
namespace, the selector of a policy) joins findings that opened within a few minutes, and more of them than the budgets
of false alarms of everything with that label explain. Near-linear: sorted once, then a pass over (label, value).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TypeAlias

from aiops.core.detect.rules import WEEK_S
from aiops.core.model import Finding, Incident, Instant, PolicyKey, SeriesIndex

THINGS = (
    "service",
    "app",
    "app_kubernetes_io_name",
    "deployment",
    "statefulset",
    "daemonset",
    "workload",
    "pod",
    "node",
    "host",
)
"""Labels that name one thing, the widest first; each within its namespace, but for nodes and hosts."""

WIDE = frozenset({"node", "host"})

ASPECTS = frozenset(
    {"__name__", "job", "instance", "le", "quantile", "code", "status", "method", "verb", "reason", "container"}
)
"""Labels that say which side of a thing was measured, and how; nothing is joined by them."""

WINDOW_S = 300.0
"""What opens within five minutes opened together."""

BY_CHANCE = 1e-3
"""So unlikely must it be that chance alone opened as many findings with a label within the window."""

LATE_BY_CHANCE, LATE_S = 0.05, 3600.0
"""Within an hour a latecomer joins an incident whose label it has, when chance would hardly have opened one since."""

Pair: TypeAlias = tuple[str, str, str]
"""A label, its value, and the namespace for labels that name things in one."""


@dataclass(frozen=True, slots=True)
class Population:
    """How often findings open by chance alone. per_s: by label, of everything watched that has it; by budget."""

    per_s: Mapping[Pair, float] = field(default_factory=dict)

    @classmethod
    def of(cls, index: SeriesIndex, per_week: Mapping[PolicyKey, float]) -> Population:
        """Return the rates of the series that are watched. per_week: false alarms of one series, by policy."""
        counts: dict[Pair, float] = {}
        for key, labels in zip(index.keys, index.labels, strict=True):
            policy = key.split("#", 1)[0]
            rate = per_week.get(policy, 0.0) / WEEK_S
            for pair in shared(policy, labels):
                counts[pair] = counts.get(pair, 0.0) + rate
        return cls(counts)

    def and_also(self, per_s: Mapping[Pair, float]) -> Population:
        """Return this and what else is watched, elsewhere."""
        if not per_s:
            return self
        every = dict(self.per_s)
        for pair, rate in per_s.items():
            every[pair] = every.get(pair, 0.0) + rate
        return Population(every)


def things(policy: PolicyKey, labels: Mapping[str, str]) -> Iterator[Pair]:
    """Yield what labels name: (label, value, namespace)."""
    for label in THINGS:
        value = labels.get(label)
        if value:
            yield label, value, "" if label in WIDE else namespace(policy, labels)


def shared(policy: PolicyKey, labels: Mapping[str, str]) -> Iterator[Pair]:
    """Yield what a series has in common with others that are not the same thing: its selector, a zone, a namespace."""
    yield "", policy, ""
    for label, value in labels.items():
        if label not in ASPECTS and label not in THINGS:
            yield label, value, ""


def namespace(policy: PolicyKey, labels: Mapping[str, str]) -> str:
    """Return the namespace of a series: its label, else that of the policy that watches it."""
    return labels.get("namespace") or policy.split("/")[1]


def groups(
    findings: Sequence[Finding], before: Sequence[Incident], population: Population, window_s: float = WINDOW_S
) -> list[tuple[list[Finding], list[Incident]]]:
    """Return the findings, which are in order of `since`, in groups, with the open incidents that each goes on.

    A finding stays with the incident that its series was in. Incidents of which nothing is open are in no group unless
    something joins them.
    """
    joined = _Joined(len(findings) + len(before))
    _by_incident(findings, before, joined)
    by_thing: dict[Pair, int] = {}
    by_share: dict[Pair, list[int]] = {}
    for place, one in enumerate(findings):
        for pair in things(one.policy, one.labels):
            joined.join(by_thing.setdefault(pair, place), place)
        for pair in shared(one.policy, one.labels):
            by_share.setdefault(pair, []).append(place)
    for place, incident in enumerate(before, len(findings)):
        for pair in things(_policy(incident), incident.labels):
            if pair in by_thing:
                joined.join(by_thing[pair], place)
    opened = [one.since for one in findings]
    for pair, places in by_share.items():
        if len(places) > 1:
            _by_time(places, opened, least(population.per_s.get(pair, 0.0) * window_s), joined, window_s)
    _latecomers(findings, before, population, joined)
    return _gathered(findings, before, joined)


@lru_cache(maxsize=4096)
def least(expected: float) -> int:
    """Return how many findings, two at least, are more than chance opens where it opens `expected` of them.

    By Chernoff's bound of a Poisson tail, P(X >= k) <= exp(k - m - k ln(k / m)).

    >>> least(0.0), least(0.001), least(10.0)
    (2, 2, 24)
    """
    low, high = max(2, math.floor(expected) + 1), max(2, math.ceil(4.0 * expected) + 16)
    while low < high:  # the bound falls with k beyond what is expected
        middle = (low + high) // 2
        unlikely = expected <= 0.0 or _tail(middle, expected) <= math.log(BY_CHANCE)
        low, high = (low, middle) if unlikely else (middle + 1, high)
    return low


def _tail(count: int, expected: float) -> float:
    return count - expected - count * math.log(count / expected)


class _Joined:
    """Disjoint sets of places."""

    def __init__(self, size: int) -> None:
        self._parent = list(range(size))

    def root(self, place: int) -> int:
        parent = self._parent
        while parent[place] != place:
            parent[place] = place = parent[parent[place]]
        return place

    def join(self, one: int, other: int) -> None:
        one, other = self.root(one), self.root(other)
        self._parent[max(one, other)] = min(one, other)


def _by_incident(findings: Sequence[Finding], before: Sequence[Incident], joined: _Joined) -> None:
    home = {name: place for place, one in enumerate(before, len(findings)) for name in one.series}
    for place, one in enumerate(findings):
        if one.series in home:
            joined.join(place, home[one.series])


def _by_time(places: Sequence[int], opened: Sequence[Instant], wanted: int, joined: _Joined, window_s: float) -> None:
    """Join runs of `wanted` findings that opened within the window; places are in order of time."""
    end = done = 0
    for start, place in enumerate(places):
        while end < len(places) and opened[places[end]] - opened[place] <= window_s:
            end += 1
        if end - start >= wanted:
            for other in range(max(start + 1, done), end):
                joined.join(places[other - 1], places[other])
            done = end


def _latecomers(
    findings: Sequence[Finding], before: Sequence[Incident], population: Population, joined: _Joined
) -> None:
    """Join findings to incidents that share a label which everything in them shares; time must speak for it."""
    where: dict[Pair, list[int]] = {}
    for place, incident in enumerate(before):
        if incident.standing > 1:
            for pair in shared("", incident.labels):
                where.setdefault(pair, []).append(place)
    if not where:
        return
    for number, one in enumerate(findings):
        for pair in shared(one.policy, one.labels):
            for place in where.get(pair, ()):
                late_s = one.since - before[place].grew_at
                chance = population.per_s.get(pair, 0.0) * late_s
                if 0.0 <= late_s <= LATE_S and chance <= LATE_BY_CHANCE:
                    joined.join(number, len(findings) + place)


def _gathered(
    findings: Sequence[Finding], before: Sequence[Incident], joined: _Joined
) -> list[tuple[list[Finding], list[Incident]]]:
    found: dict[int, tuple[list[Finding], list[Incident]]] = {}
    for place, one in enumerate(findings):
        found.setdefault(joined.root(place), ([], []))[0].append(one)
    for place, incident in enumerate(before, len(findings)):
        group = found.get(joined.root(place))
        if group is not None:
            group[1].append(incident)
    return list(found.values())


def _policy(incident: Incident) -> PolicyKey:
    return incident.series[0].split("#", 1)[0]
