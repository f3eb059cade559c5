"""A compiled WatchPolicy."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from aiops.core.model import PolicyKey, TargetRef
from aiops.core.policies.asked import WatchQuery
from aiops.core.policies.scaling import CalendarFreeze


class Side(StrEnum):
    """Which deviations count."""

    BOTH = "both"
    ABOVE = "above"
    BELOW = "below"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """A value that series must not reach, and how long before people want to know."""

    bound: float
    within_s: float


class Beside(StrEnum):
    """Kinds of findings that are looked for beside the score of each sample, where a policy asks for them."""

    TREND = "trend"
    VARIANCE = "variance"
    DRIFT = "drift"


@dataclass(frozen=True, slots=True, kw_only=True)
class Distribution:
    """The series are buckets of histograms, and their distributions are watched. psi: the index that is allowed.

    reference: labels of the buckets that the others are held against; none: what was usual in the last weeks.
    """

    psi: float
    reference: Mapping[str, str] = field(default_factory=dict)


class NewLevel(StrEnum):
    """On which side a level that came with an announced change is what is usual, once it has settled."""

    NONE = "none"
    UP = "up"
    DOWN = "down"
    BOTH = "both"

    def takes(self, by: float) -> bool:
        """Return whether a level that moved by so much may be the new usual."""
        return by != 0 and self in (NewLevel.BOTH, NewLevel.UP if by > 0 else NewLevel.DOWN)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollouts:
    """What is changed on purpose is not found. settle_s: for so long after a change has ended.

    of: the workloads whose rollouts are looked at, besides those of other policies. new_level: which levels that are
    seen while it settles become what is usual.
    """

    settle_s: float
    of: tuple[TargetRef, ...] = ()
    new_level: NewLevel = NewLevel.NONE


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchPolicy:
    """A compiled WatchPolicy: every series of `query` is watched for anomalies.

    budget_per_week: of false alarms over all series together, None for none. ignore_below: neither seen nor expected
    beyond it is no anomaly. maintenance: when nothing is learnt and nothing is found. beside: what else is looked for.
    joint: labels by which series are looked at together, None for not at all. rollouts: whether changes on purpose
    are waited for. time_zone: whose wall clocks the season follows.
    """

    key: PolicyKey
    digest: str
    document: str
    origin: str
    query: WatchQuery
    detector: str
    side: Side
    false_alarms_per_week: float
    min_deviation: float
    min_deviation_ratio: float
    history_s: float
    season_s: float
    budget_per_week: float | None = None
    ignore_below: float = -math.inf
    maintenance: tuple[CalendarFreeze, ...] = ()
    exhaustion: Bound | None = None
    beside: tuple[Beside, ...] = ()
    joint: tuple[str, ...] | None = None
    distribution: Distribution | None = None
    rollouts: Rollouts | None = None
    time_zone: str = "UTC"

    @property
    def ways(self) -> int:
        """Return in how many ways a series may be found odd: they share its budget of false alarms."""
        return 1 + len(self.beside) + (self.joint is not None)
