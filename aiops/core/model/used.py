"""How much containers were seen to use, in bounded size, and what history told of it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from aiops.core.model.names import Instant


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """A decaying histogram: the weights of bucket `first` and of those after it, as far as they weigh anything."""

    first: int = 0
    weights: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerUse:
    """How much one container of a workload was seen to use, in bounded size.

    since, until: the first and the last sample; samples: how many instants had one. cpu: of cores; lately: the same
    with a shorter memory. peaks: the greatest bytes of each window, by its number (its start over its length).
    floor_bytes, floor_cores: what was too little, raised, since when; kills: out-of-memory kills that raised it.
    killed_at: the newest kill that was counted. *_low_since: since when less would do, infinite while it would not.
    """

    since: Instant = math.inf
    until: Instant = -math.inf
    samples: int = 0
    cpu: Weights = Weights()
    lately: Weights = Weights()
    peaks: tuple[tuple[int, float], ...] = ()
    floor_bytes: float = 0.0
    floor_bytes_at: Instant = -math.inf
    floor_cores: float = 0.0
    floor_cores_at: Instant = -math.inf
    kills: int = 0
    killed_at: Instant = -math.inf
    cpu_low_since: Instant = math.inf
    memory_low_since: Instant = math.inf


@dataclass(frozen=True, slots=True, kw_only=True)
class UsePast:
    """What history told of the use of a policy's containers before they were looked at first.

    asked: since when it was asked, by container; of those that are not in `uses` there was nothing. error: why it is
    not known, '' where it is.
    """

    asked: Mapping[str, Instant] = field(default_factory=dict)
    uses: Mapping[str, ContainerUse] = field(default_factory=dict)
    error: str = ""
