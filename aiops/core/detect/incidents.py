"""Findings that belong together: open at the same time, and saying something of the same thing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from aiops.core.ids import ulid
from aiops.core.model import Finding, Incident

NOT_IDENTIFYING = frozenset({"__name__", "job", "instance", "le", "quantile", "code", "cluster", "namespace"})
"""Labels that many unrelated things share."""


def incidents(findings: Sequence[Finding]) -> tuple[Incident, ...]:
    """Return the open findings in groups that share an identifying label; the oldest finding names its group."""
    groups: list[list[Finding]] = []
    for finding in sorted(findings, key=lambda one: (one.since, one.series)):
        mine = [group for group in groups if any(_related(finding.labels, other.labels) for other in group)]
        merged = [one for group in mine for one in group] + [finding]
        groups = [group for group in groups if group not in mine] + [merged]
    return tuple(_incident(group) for group in groups)


def _related(one: Mapping[str, str], other: Mapping[str, str]) -> bool:
    return any(other.get(key) == value for key, value in one.items() if key not in NOT_IDENTIFYING)


def _incident(group: list[Finding]) -> Incident:
    oldest = min(group, key=lambda one: (one.since, one.series))
    worst = max(group, key=lambda one: (one.score, one.series))
    shared = {k: v for k, v in oldest.labels.items() if all(one.labels.get(k) == v for one in group)}
    return Incident(
        id=ulid(oldest.since, "incident", oldest.series),
        kind=worst.kind.value,
        since=oldest.since,
        labels=shared,
        series=tuple(sorted(one.series for one in group)),
        peak_score=worst.score,
    )
