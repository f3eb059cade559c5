"""What an incident may come from: the things in it, ranked by which began first, deviates most, and lies upstream."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from aiops.core.detect.together import things
from aiops.core.detect.wording import named
from aiops.core.model import Finding, Instant, PolicyKey, Suspect

KEPT = 20
"""Suspects that an incident remembers, so that one whose findings have closed can still lead."""


class Dependencies:
    """Who depends on whom: a user's map from a thing to those that it calls, as `namespace/name` or bare names."""

    def __init__(self, calls: Mapping[str, Sequence[str]] | None = None) -> None:
        self._calls = {name: tuple(others) for name, others in (calls or {}).items()}
        self._upstream: dict[str, frozenset[str]] = {}

    def __bool__(self) -> bool:
        return bool(self._calls)

    def upstream(self, name: str) -> frozenset[str]:
        """Return everything that a thing depends on, through others too, itself left out; circles are no harm."""
        known = self._upstream.get(name)
        if known is None:
            seen: set[str] = set()
            ahead = list(self._calls.get(name, ()))
            while ahead:
                one = ahead.pop()
                if one not in seen:
                    seen.add(one)
                    ahead += self._calls.get(one, ())
            known = self._upstream[name] = frozenset(seen - {name})
        return known

    def dependants(self, names: Sequence[str]) -> dict[str, int]:
        """Return how many of the names depend on each of them."""
        counts = dict.fromkeys(names, 0)
        if not self:
            return counts
        spelled = {spelling: name for name in reversed(names) for spelling in (name.rpartition("/")[2], name)}
        for name in names:
            above = {u for spelling in _spellings(name) for u in self.upstream(spelling)}
            for one in {spelled[u] for u in above if u in spelled} - {name}:
                counts[one] += 1
        return counts


def suspects(group: Iterable[Finding], known: Sequence[Suspect], dependencies: Dependencies) -> tuple[Suspect, ...]:
    """Return the likeliest first. known: those of the incident so far, whose beginnings and peaks are remembered.

    Points are the sum of three shares: of the others, those that began later, those that deviate less, and those that
    depend on it (Borda's count).
    """
    by_name = {one.name: one for one in known}
    for finding in group:
        one = suspect(finding)
        old = by_name.get(one.name)
        by_name[one.name] = one if old is None else _both(old, one)
    every = list(by_name.values())
    field = _Field(
        began=sorted(one.since for one in every),
        scores=sorted(one.score for one in every),
        below=dependencies.dependants([one.name for one in every]),
    )
    ranked = sorted((field.ranked(one) for one in every), key=lambda one: (-one.points, one.since, one.name))
    return tuple(ranked[:KEPT])


def suspect(finding: Finding) -> Suspect:
    """Return the thing that a finding is about."""
    return Suspect(
        name=thing(finding.policy, finding.labels),
        series=finding.series,
        kind=finding.kind.value,
        since=finding.since,
        score=finding.score,
    )


def thing(policy: PolicyKey, labels: Mapping[str, str]) -> str:
    """Return what a series belongs to: `namespace/name` of the widest thing that its labels name, else the series.

    >>> thing("WatchPolicy/shop/errors", {"service": "checkout", "pod": "checkout-1"})
    'shop/checkout'
    >>> thing("WatchPolicy/shop/errors", {"node": "n1"})
    'n1'
    """
    for label, value, within in things(policy, labels):
        return f"{within}/{value}" if within and label else value
    return named(labels)


@dataclass(frozen=True, slots=True)
class _Field:
    """All suspects of an incident, to rank each among. began, scores: sorted. below: how many depend on each."""

    began: Sequence[Instant]
    scores: Sequence[float]
    below: Mapping[str, int]

    def ranked(self, one: Suspect) -> Suspect:
        others, depend = len(self.began) - 1, self.below[one.name]
        later = len(self.began) - bisect_right(self.began, one.since)
        weaker = bisect_left(self.scores, one.score)
        why = []
        if one.since == self.began[0] and later:
            why.append("began first")
        if weaker == others and others:
            why.append("deviates most")
        if depend:
            why.append(f"{depend} of {others} others depend on it")
        return replace(one, points=round((later + weaker + depend) / max(others, 1), 6), why=tuple(why))


def _both(old: Suspect, new: Suspect) -> Suspect:
    worst = new if new.score > old.score else old
    return replace(worst, since=min(old.since, new.since))


def _spellings(name: str) -> tuple[str, ...]:
    """Return how a map may write a thing: with its namespace, and without."""
    bare = name.rpartition("/")[2]
    return (name,) if bare == name else (name, bare)
