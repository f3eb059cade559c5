"""A compiled WatchPolicy."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

from aiops.core.model import PolicyKey
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


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchPolicy:
    """A compiled WatchPolicy: every series of `query` is watched for anomalies.

    budget_per_week: of false alarms over all series together, None for none. ignore_below: neither seen nor expected
    beyond it is no anomaly. maintenance: when nothing is learnt and nothing is found.
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
