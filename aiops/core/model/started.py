"""How long pods take to start: of one pod, and of the newest pods of a target."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from aiops.core.model.names import Instant
from aiops.core.model.swift import swift

LEAD_QUANTILE = 0.95
"""Capacity must be there for nearly every start-up, not for the average one."""


@swift
@dataclass(frozen=True, slots=True, kw_only=True)
class Startup:
    """One pod from its creation until it was ready for the first time, at `ready_at`, in seconds.

    The parts of `total_s`, NaN where the pod does not say: pending_s until it was scheduled; pull_s of what a node
    prepares (sandbox, volumes, images) before containers run; init_s of init containers; ready_s from when the last
    container ran until Ready. pod: tells it from the others of its target.
    """

    pod: str
    ready_at: Instant
    total_s: float
    pending_s: float = math.nan
    pull_s: float = math.nan
    init_s: float = math.nan
    ready_s: float = math.nan


@swift
@dataclass(frozen=True, slots=True, kw_only=True)
class StartupTime:
    """How long the newest `count` pods of a target took to start, and the median of each phase, None while unknown."""

    count: int
    p50_s: float
    p95_s: float
    pending_s: float | None = None
    pull_s: float | None = None
    init_s: float | None = None
    ready_s: float | None = None

    @classmethod
    def of(cls, startups: Sequence[Startup]) -> StartupTime:
        """Return the time of one start-up or more."""
        total_s = sorted(one.total_s for one in startups)
        return cls(
            count=len(startups),
            p50_s=ranked(total_s, 0.5),
            p95_s=ranked(total_s, LEAD_QUANTILE),
            pending_s=_median(one.pending_s for one in startups),
            pull_s=_median(one.pull_s for one in startups),
            init_s=_median(one.init_s for one in startups),
            ready_s=_median(one.ready_s for one in startups),
        )


def ranked(ordered: Sequence[float], quantile: float) -> float:
    """Return a quantile of ascending values by nearest rank: the least one that so many do not exceed.

    >>> ranked((30.0, 40.0, 90.0), 0.5), ranked((30.0, 40.0, 90.0), 0.95)
    (40.0, 90.0)
    """
    return ordered[max(0, math.ceil(quantile * len(ordered)) - 1)]


def _median(values: Iterable[float]) -> float | None:
    known = sorted(value for value in values if math.isfinite(value))
    return ranked(known, 0.5) if known else None
