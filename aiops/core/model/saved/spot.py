"""What a policy that lets part of workloads run on spot nodes remembers: how often nodes are taken away, and shares."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from aiops.core.model.names import Instant
from aiops.core.model.saved.base import Remembered


@dataclass(frozen=True, slots=True, kw_only=True)
class SpotNode:
    """A spot node as it was seen last. pool: its type and zone.

    taken_at: when a notice said that it will be taken away, infinite without one. given: why its end would be no
    reclaim, '' for no reason: an autoscaler or a person is at work on it.
    """

    pool: str
    seen_at: Instant
    taken_at: Instant = math.inf
    given: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reclaims:
    """How often nodes of one pool were taken away, both with a half-life. hours: in which it had any node.

    waves: nodes that were taken away together count once; wave_at: the newest one. nodes: how many it took.
    """

    hours: float = 0.0
    waves: float = 0.0
    wave_at: Instant = -math.inf
    nodes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SpotShare:
    """One workload. moved_at: when its share was last changed.

    short_since: since when its companion lacks pods. strange_since: since when it has another number of replicas than
    was written; both infinite while it is not so. falls: how often in a row its share was taken back, the last time at
    `fell_at`; not_before: when it may grow again.
    counted_at: plans that ended until then are in here. since: when it was first seen. totals: replicas in all, each
    from when on, of a quarter of an hour: those that may still be the fewest.
    """

    moved_at: Instant = -math.inf
    short_since: Instant = math.inf
    strange_since: Instant = math.inf
    falls: int = 0
    fell_at: Instant = -math.inf
    not_before: Instant = -math.inf
    counted_at: Instant = -math.inf
    since: Instant = math.inf
    totals: tuple[tuple[Instant, int], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SpotState(Remembered):
    """nodes: spot nodes by uid. pools: by type and zone. waves: of the last hours, when, where, how many of how many.

    shares: by the key of the workload. learnt_at: when nodes were last taken in.
    units: when spot nodes last had a price, and USD an hour of a core and of a GiB on them.
    """

    nodes: Mapping[str, SpotNode] = field(default_factory=dict)
    pools: Mapping[str, Reclaims] = field(default_factory=dict)
    waves: tuple[tuple[Instant, str, int, int], ...] = ()
    shares: Mapping[str, SpotShare] = field(default_factory=dict)
    learnt_at: Instant = -math.inf
    units: tuple[Instant, float, float] = (-math.inf, 0.0, 0.0)
