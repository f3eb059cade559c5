"""What a policy that sets requests and limits by use remembers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from aiops.core.model.names import Instant
from aiops.core.model.saved.base import Remembered
from aiops.core.model.used import ContainerUse


@dataclass(frozen=True, slots=True, kw_only=True)
class SizedState:
    """What became of resizing one workload: how often in a row it did harm, and before when nothing is tried again.

    counted_at: plans that ended until then are in here. throttled: the share of periods while no plan was at work.
    """

    harms: int = 0
    not_before: Instant = -math.inf
    counted_at: Instant = -math.inf
    throttled: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RightsizeState(Remembered):
    """uses: by `KIND/WORKLOAD/CONTAINER`. sized: by the workload's key. learnt_at: when uses were last taken in.

    read: of which containers it is known from history what was before the first look, and since when that was asked.
    unread: why that of the others is not known, '' where nobody asked for it.
    """

    uses: Mapping[str, ContainerUse] = field(default_factory=dict)
    sized: Mapping[str, SizedState] = field(default_factory=dict)
    learnt_at: Instant = -math.inf
    read: Mapping[str, Instant] = field(default_factory=dict)
    unread: str = ""
