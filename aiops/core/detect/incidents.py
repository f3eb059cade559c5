"""Incidents: findings that belong together, from the first of them to a moment after the last has closed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from aiops.core.detect.suspects import Dependencies, suspects
from aiops.core.detect.together import WINDOW_S, Population, groups
from aiops.core.ids import ulid
from aiops.core.model import Finding, Incident, IncidentState, Instant

QUIET_S = 120.0
"""An incident has ended when nothing of it has been open for so long; its end is when the last finding was open."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Around:
    """What is known beside the findings: who depends on whom, and how often chance alone opens a finding.

    window_s: what opens within it opened together; quiet_s: see `QUIET_S`.
    """

    dependencies: Dependencies = field(default_factory=Dependencies)
    population: Population = field(default_factory=Population)
    window_s: float = WINDOW_S
    quiet_s: float = QUIET_S


_NOTHING = Around()


def incidents(
    findings: Sequence[Finding], before: Sequence[Incident], at: Instant, around: Around = _NOTHING
) -> tuple[Incident, ...]:
    """Return the incidents at `at`, oldest first: those that are open, and those of `before` that end or merge now.

    before: what was open at the last look. An incident goes on under its id while anything of it is open; of several
    that turn out to be one the oldest goes on.
    """
    ordered = sorted(findings, key=lambda one: (one.since, one.series))
    out: list[Incident] = []
    seen: set[str] = set()
    for group, known in groups(ordered, before, around.population, around.window_s):
        old = sorted(known, key=lambda one: (one.since, one.id))
        made = _going_on(group, old, at, around)
        out.append(made)
        out += (replace(one, state=IncidentState.MERGED, standing=0, merged_into=made.id) for one in old[1:])
        seen |= {one.id for one in old}
    out += (_quiet(one, at, around.quiet_s) for one in before if one.id not in seen)
    return tuple(sorted(out, key=lambda one: (one.since, one.id)))


def still_open(every: Sequence[Incident]) -> tuple[Incident, ...]:
    """Return those that are open."""
    return tuple(one for one in every if one.state is IncidentState.OPEN)


def _quiet(incident: Incident, at: Instant, quiet_s: float) -> Incident:
    ended = at - incident.seen_at >= quiet_s
    return replace(incident, standing=0, state=IncidentState.ENDED if ended else IncidentState.OPEN)


def _going_on(group: Sequence[Finding], old: Sequence[Incident], at: Instant, around: Around) -> Incident:
    oldest, worst = group[0], max(group, key=lambda one: (one.score, one.series))
    peak, peak_at = max([(worst.score, -at), *((one.peak_score, -one.peak_at) for one in old)])
    suspected = tuple(suspect for one in old for suspect in one.suspects)
    labels = dict((old[0] if old else oldest).labels)
    for others in (*(one.labels for one in old), *(one.labels for one in group)):
        labels = {name: value for name, value in labels.items() if others.get(name) == value}
    return Incident(
        id=old[0].id if old else ulid(oldest.since, "incident", oldest.series),
        kind=worst.kind.value,
        since=min(oldest.since, *(one.since for one in old), math.inf),
        labels=labels,
        series=tuple(sorted({*(one.series for one in group), *(name for one in old for name in one.series)})),
        peak_score=peak,
        peak_at=-peak_at,
        grew_at=max(group[-1].since, *(one.grew_at for one in old), -math.inf),
        seen_at=at,
        standing=len(group),
        suspects=suspects(group, suspected, around.dependencies),
    )
