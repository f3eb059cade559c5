"""What a policy that lets workloads rest remembers: by the clock, or by what they do."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from aiops.core.model.names import Instant
from aiops.core.model.saved.base import Remembered


@dataclass(frozen=True, slots=True, kw_only=True)
class Sleeper:
    """One workload. Which one sleeps, and what it was, stands in plans and on the objects; this is the rest.

    uid: of the object that is written. since: when it was first seen. interrupted_at: since when somebody has it awake
    though it should rest, infinite while nobody does. not_before: when it may be put to rest again. backed: the plan
    that we ourselves took back. counted_at: plans that ended until then are in here. woke_at: when it was woken and is
    not ready yet, infinite otherwise. startups_s: how long that took lately, oldest first. naps: when it was put to
    rest within a day.
    """

    uid: str = ""
    since: Instant = math.inf
    interrupted_at: Instant = math.inf
    not_before: Instant = -math.inf
    backed: str = ""
    counted_at: Instant = -math.inf
    woke_at: Instant = math.inf
    startups_s: tuple[float, ...] = ()
    naps: tuple[Instant, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SleepState(Remembered):
    """sleepers: by the key of the workload. since: when the policy was first judged."""

    sleepers: Mapping[str, Sleeper] = field(default_factory=dict)
    since: Instant = math.inf


@dataclass(frozen=True, slots=True, kw_only=True)
class IdleState(Remembered):
    """As SleepState. idle_since: since when all signals say idle, infinite while one does not, or is not known.

    blind_since: since when it is not known whether there is demand, infinite while it is. resting: whether workloads
    should rest now. seen_at: when the signals were looked at last.
    """

    sleepers: Mapping[str, Sleeper] = field(default_factory=dict)
    since: Instant = math.inf
    idle_since: Instant = math.inf
    blind_since: Instant = math.inf
    resting: bool = False
    seen_at: Instant = -math.inf
