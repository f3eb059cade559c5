"""Batch work as its Jobs show it: what waits, by when it must be done, and how long such work takes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from aiops.core.decide.cost.defer.lengths import Length, unseen
from aiops.core.decide.cost.defer.lengths import seen as length_of
from aiops.core.model import Instant, Reason, SeenObject
from aiops.core.objects.bodies import at, instant, listed, strings
from aiops.core.planning.cost_defer import DeferPolicy

DEFERRABLE = "policy.aiops/deferrable"
"""The label by which a Job says that it may wait."""

DEADLINE = "policy.aiops/deadline"
"""On a Job: the time by which it is done, with its zone."""

WITHIN = "policy.aiops/within"
"""On a Job: how long after it was made it is done, such as 8h."""

SORT = "policy.aiops/batch"
"""On a Job: which sort of work it is; by its CronJob where it does not say."""

RUNS = 20

Runs = Mapping[str, tuple[tuple[Instant, float], ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """A Job that waits. length: how long such work takes."""

    seen: SeenObject
    deadline: Instant
    length: Length

    @property
    def latest(self) -> Instant:
        """Return when it must begin: as long before its deadline as such work takes at most, 19 times of 20."""
        return self.deadline - self.length.most_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Wrong:
    """A Job of which it cannot be said by when it must be done."""

    seen: SeenObject
    reason: Reason
    why: str


def waits(seen: SeenObject) -> bool:
    """Return whether a Job was made suspended, may wait, and was not begun."""
    labels = strings(at(seen.body, "metadata", "labels"))
    suspended = at(seen.body, "spec", "suspend") is True and not at(seen.body, "metadata", "deletionTimestamp")
    return suspended and labels.get(DEFERRABLE) == "true"


def runs(seen: SeenObject) -> bool:
    """Return whether a Job runs."""
    return (at(seen.body, "spec", "suspend") is not True) and not ended(seen)


def ended(seen: SeenObject) -> bool:
    """Return whether a Job is over."""
    conditions = listed(at(seen.body, "status", "conditions"))
    return any(one.get("type") in ("Complete", "Failed") and one.get("status") == "True" for one in conditions)


def waiting(policy: DeferPolicy, seen: SeenObject, known: Runs) -> Waiting | Wrong:
    """Return a Job that waits with its deadline, or why that is not known."""
    notes = strings(at(seen.body, "metadata", "annotations"))
    took = [seconds for _, seconds in known.get(sort_of(seen), ())]
    length = length_of(took) if took else unseen(policy.duration_s)
    made = _instant(at(seen.body, "metadata", "creationTimestamp"))
    if made is None:
        return Wrong(seen=seen, reason=Reason.INCONCLUSIVE, why="when it was made cannot be read")
    deadline: Instant | None = made + policy.within_s
    if DEADLINE in notes:
        deadline = _instant(notes[DEADLINE])
        if deadline is None:
            why = f"{DEADLINE}: {notes[DEADLINE][:60]!r} is no time with a zone"
            return Wrong(seen=seen, reason=Reason.INCONCLUSIVE, why=why)
    elif WITHIN in notes:
        within_s = seconds(notes[WITHIN])
        if within_s is None:
            why = f"{WITHIN}: {notes[WITHIN][:60]!r} is no duration such as 8h"
            return Wrong(seen=seen, reason=Reason.INCONCLUSIVE, why=why)
        deadline = made + within_s
    return Waiting(seen=seen, deadline=deadline or made, length=length)


def learnt(before: Runs, jobs: Iterable[SeenObject]) -> Runs:
    """Return how long each sort of work took, with the Jobs that are done now: each end is counted once."""
    after = {sort: list(some) for sort, some in before.items()}
    for seen in jobs:
        start = _instant(at(seen.body, "status", "startTime"))
        end = _instant(at(seen.body, "status", "completionTime"))
        if start is None or end is None or end < start:
            continue
        known = after.setdefault(sort_of(seen), [])
        if all((when, took) != (end, end - start) for when, took in known) and _new(known, end):
            known.append((end, end - start))
    return {sort: tuple(sorted(some)[-RUNS:]) for sort, some in after.items()}


def _new(known: list[tuple[Instant, float]], end: Instant) -> bool:
    """Return whether an end is not older than what was forgotten already."""
    return len(known) < RUNS or end >= known[0][0]


def sort_of(seen: SeenObject) -> str:
    """Return which sort of work a Job is: what it says, else its CronJob, else how its name was made."""
    labels = strings(at(seen.body, "metadata", "labels"))
    if labels.get(SORT):
        return labels[SORT]
    owners = listed(at(seen.body, "metadata", "ownerReferences"))
    owner = next((one.get("name") for one in owners if one.get("kind") == "CronJob"), None)
    if isinstance(owner, str):
        return owner
    generated = at(seen.body, "metadata", "generateName")
    return generated.rstrip("-") if isinstance(generated, str) and generated else seen.ref.name


def _instant(text: object) -> Instant | None:
    return instant(text) if isinstance(text, str) else None


def seconds(text: str) -> float | None:
    """Return the seconds of a duration, None for anything else."""
    from aiops.core.decide.quantities import duration_s

    try:
        return duration_s(text)
    except ValueError:
        return None
