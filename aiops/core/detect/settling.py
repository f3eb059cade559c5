"""What is changed on purpose changes what is usual: findings of it are excused until it has settled, with the reason.

A rollout, and what the loop itself has done, are such changes. A finding that was open before is none of them: it may
be why something is changed. Learning goes on all the while. What is still odd when it should have settled was not
excused for good: people are called for it then.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from aiops.core.detect.together import THINGS, WIDE, namespace
from aiops.core.detect.wording import span
from aiops.core.model import Finding, Instant, PolicyKey

Thing: TypeAlias = tuple[str, str]
"""A namespace, and the name of a workload in it."""

TWICE = 2.0
"""A finding is excused for at most so many times what its policy waits, however often its workload is changed."""

MOST_S = 86_400.0
"""No change is remembered for longer than a policy may wait for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Change:
    """One on purpose. began: when it was seen first, seen_at: when last."""

    began: Instant
    seen_at: Instant
    why: str


class Settling:
    """Which workloads were changed lately, which findings are excused, and of which of them people were not told."""

    def __init__(self) -> None:
        self._changes: dict[Thing, _Change] = {}
        self._held: dict[tuple[str, Instant], bool] = {}

    def note(self, at: Instant, changed: Mapping[Thing, str], longest_s: float) -> None:
        """Take what is being changed now, by namespace and name, with the reason.

        longest_s: for how long a policy waits: what is changed again within that has not settled in between.
        """
        for thing, why in changed.items():
            known = self._changes.get(thing)
            began = at if known is None or at - known.seen_at > longest_s else known.began
            self._changes[thing] = _Change(began=began, seen_at=at, why=why)
        for thing, known in [*self._changes.items()]:
            if at - known.seen_at > MOST_S:
                del self._changes[thing]

    def parted(
        self, findings: Sequence[Finding], settle_s: Mapping[PolicyKey, float], at: Instant
    ) -> tuple[list[Finding], list[Finding]]:
        """Return the findings that count, and those that are excused. settle_s: by policy that waits for changes."""
        count: list[Finding] = []
        excused: list[Finding] = []
        held: dict[tuple[str, Instant], bool] = {}
        for one in findings:
            why = self._excuse(one, settle_s.get(one.policy), at)
            # one series may have several: of different kinds, which began at other times
            name = one.series, one.since
            untold = self._held.get(name, False) or one.alarm
            if not why and name in self._held and one.score < 1.0:
                why = "it has settled, and is about to close"
            if why:
                excused.append(replace(one, alarm=False, reason=f"{one.reason}; {why}"))
                held[name] = held.get(name, False) or untold
            else:
                count.append(replace(one, alarm=True) if untold else one)
        self._held = held
        return count, excused

    def _excuse(self, one: Finding, settle_s: float | None, at: Instant) -> str:
        """Return why a finding does not count, '' when it does."""
        if settle_s is None or not self._changes:
            return ""
        for thing in things(one.policy, one.labels):
            known = self._changes.get(thing)
            # one change after another excuses nothing for ever
            stands = at - one.since > TWICE * settle_s
            if known is not None and not stands and one.since >= known.began and at - known.seen_at <= settle_s:
                left = max(0.0, settle_s - (at - known.seen_at))
                return f"expected for {span(left)} yet: {known.why}"
        return ""

    def about(self) -> dict[str, Any]:
        """Return what a checkpoint keeps, as JSON can hold it."""
        changes = [[*thing, one.began, one.seen_at, one.why] for thing, one in self._changes.items()]
        return {"changes": changes, "held": [[*name, untold] for name, untold in self._held.items()]}

    def restore(self, about: Mapping[str, Any]) -> None:
        """Take what a checkpoint kept; raise ValueError, KeyError or TypeError when it is none."""
        changes = {
            (str(where), str(name)): _Change(began=float(began), seen_at=float(seen_at), why=str(why))
            for where, name, began, seen_at, why in about["changes"]
        }
        self._changes = changes
        self._held = {(str(series), float(since)): bool(untold) for series, since, untold in about["held"]}


def things(policy: PolicyKey, labels: Mapping[str, str]) -> Iterator[Thing]:
    """Yield the workloads that a series may be of: what its labels name, and the owners by a pod's name."""
    where = namespace(policy, labels)
    for label in THINGS:
        value = labels.get(label)
        if not value or label in WIDE:
            continue
        yield where, value
        if label == "pod":  # web-6c9f-x2x4z of a Deployment, web-0 of a StatefulSet
            for parts in (1, 2):
                owner = value.rsplit("-", parts)[0]
                if owner != value:
                    yield where, owner
