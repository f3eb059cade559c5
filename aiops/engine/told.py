"""What goes between the loop and a shard: few questions, and answers of few columns; never a sample.

Findings travel by column: one array of numbers, and words. Their size is that of what is odd, not of what is watched.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from aiops.core.detect.elsewhere import NOTHING_CHANGED, Announced
from aiops.core.detect.rules import group_name
from aiops.core.detect.together import Pair
from aiops.core.model import Finding, FindingKind, Instant, PolicyKey
from aiops.core.policies import WatchPolicy

_NUMBERS = ("at", "since", "score", "p_value", "value", "expected", "lower", "upper")
_AFTER = {
    FindingKind.EXHAUSTION: 1,
    FindingKind.SATURATION: 1,
    FindingKind.TREND: 2,
    FindingKind.VARIANCE: 3,
    FindingKind.DRIFT: 4,
    FindingKind.JOINT: 5,
}
"""What is looked for beside the score comes after what the score says, in this order."""

Order: TypeAlias = tuple[str, int, int, str]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Columns:
    """Findings by column. numbers: float64[n, 8]; the others have n entries."""

    numbers: NDArray[np.float64]
    policies: tuple[PolicyKey, ...] = ()
    series: tuple[str, ...] = ()
    labels: tuple[Mapping[str, str], ...] = ()
    kinds: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()
    alarms: tuple[bool, ...] = ()
    evidence: tuple[Mapping[str, float], ...] = ()

    @classmethod
    def of(cls, findings: Iterable[Finding]) -> Columns:
        """Return findings by column."""
        every = tuple(findings)
        return cls(
            numbers=np.array([[getattr(one, name) for name in _NUMBERS] for one in every]).reshape(-1, len(_NUMBERS)),
            policies=tuple(one.policy for one in every),
            series=tuple(one.series for one in every),
            labels=tuple(dict(one.labels) for one in every),
            kinds=tuple(one.kind.value for one in every),
            reasons=tuple(one.reason for one in every),
            alarms=tuple(one.alarm for one in every),
            evidence=tuple(dict(one.evidence) for one in every),
        )

    def findings(self) -> tuple[Finding, ...]:
        """Return them one by one, as they were."""
        return tuple(
            Finding(
                policy=self.policies[place],
                series=self.series[place],
                labels=self.labels[place],
                kind=FindingKind(self.kinds[place]),
                reason=self.reasons[place],
                alarm=self.alarms[place],
                evidence=self.evidence[place],
                **dict(zip(_NUMBERS, numbers, strict=True)),
            )
            for place, numbers in enumerate(self.numbers.tolist())
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Driver:
    """Who asks. epoch: of its lease; name: of its process, its own. elected: the epoch is one of a lease."""

    epoch: int
    name: str
    elected: bool = False


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Ask:
    """What a shard is to look at. watches: None when those that it knows by `digest` are meant.

    label: by which queries are parted first. standing: the findings that are known of it, for one that begins anew from
    what was learnt until some time ago: it goes on with them, and with no others. changed: what was being changed on
    purpose, at the turn before.
    """

    at: Instant
    driver: Driver
    digest: str
    label: str = ""
    watches: tuple[WatchPolicy, ...] | None = None
    standing: Columns | None = None
    changed: Announced = NOTHING_CHANGED


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Told:
    """What a shard has to say of one instant. born: which process it is; rows: that of it which is watched, by version.

    live: series with a value now, by policy. errors: policies whose query failed, with the reason. refused: why the
    question was not answered at all. unknown: the watches are not known, and are to be asked with.
    """

    at: Instant
    born: str
    findings: Columns = field(default_factory=lambda: Columns.of(()))
    live: Mapping[PolicyKey, int] = field(default_factory=dict)
    errors: Mapping[PolicyKey, str] = field(default_factory=dict)
    series: int = 0
    version: int = 0
    took_s: float = 0.0
    read_s: float = 0.0
    refused: str = ""
    unknown: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Chances:
    """How often chance opens findings in a shard, of the labels that were asked for. version: of its rows."""

    version: int
    per_s: Mapping[Pair, float]


def in_order(findings: Iterable[Finding], watches: Iterable[WatchPolicy]) -> tuple[Finding, ...]:
    """Return findings of many shards in the order in which one process would have them."""
    places = {one.key: (group_name(one), place) for place, one in enumerate(watches)}

    def order(one: Finding) -> Order:
        group, place = places.get(one.policy, ("", 0))
        return group, _AFTER.get(one.kind, 0), place, one.series

    return tuple(sorted(findings, key=order))
