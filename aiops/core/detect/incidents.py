"""Findings that belong together: open at the same time, and saying something of the same thing."""

from __future__ import annotations

from collections.abc import Sequence

from aiops.core.ids import ulid
from aiops.core.model import Finding, Incident

NOT_IDENTIFYING = frozenset({"__name__", "job", "instance", "le", "quantile", "code", "cluster", "namespace"})
"""Labels that many unrelated things share."""


def incidents(findings: Sequence[Finding], before: Sequence[Incident] = ()) -> tuple[Incident, ...]:
    """Return the open findings in groups that share an identifying label, oldest first.

    An incident goes on under its id while one of its series is still in the group; of several, the oldest goes on.
    """
    standing = {name: incident for incident in reversed(before) for name in incident.series}
    taken: set[str] = set()
    out = []
    for group in _groups(sorted(findings, key=lambda one: (one.since, one.series))):
        old = [standing[one.series] for one in group if one.series in standing]
        old = sorted((one for one in old if one.id not in taken), key=lambda one: (one.since, one.id))
        out.append(_incident(group, old[0] if old else None))
        taken.add(out[-1].id)
    return tuple(out)


def _groups(findings: Sequence[Finding]) -> list[list[Finding]]:
    """Return findings joined by labels, by union over (label, value); order of first appearance."""
    parent = list(range(len(findings)))

    def root(place: int) -> int:
        while parent[place] != place:
            parent[place] = place = parent[parent[place]]
        return place

    first: dict[tuple[str, str], int] = {}
    for place, finding in enumerate(findings):
        for label in finding.labels.items():
            if label[0] not in NOT_IDENTIFYING:
                one, other = root(first.setdefault(label, place)), root(place)
                parent[max(one, other)] = min(one, other)
    groups: dict[int, list[Finding]] = {}
    for place, finding in enumerate(findings):
        groups.setdefault(root(place), []).append(finding)
    return list(groups.values())


def _incident(group: Sequence[Finding], old: Incident | None) -> Incident:
    oldest = group[0]
    worst = max(group, key=lambda one: (one.score, one.series))
    return Incident(
        id=old.id if old else ulid(oldest.since, "incident", oldest.series),
        kind=worst.kind.value,
        since=old.since if old else oldest.since,
        labels={k: v for k, v in oldest.labels.items() if all(one.labels.get(k) == v for one in group)},
        series=tuple(sorted(one.series for one in group)),
        peak_score=max(worst.score, old.peak_score if old else 0.0),
    )
