"""What a policy that defers batch work remembers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from aiops.core.model.names import Instant
from aiops.core.model.saved.base import Remembered


@dataclass(frozen=True, slots=True, kw_only=True)
class DeferState(Remembered):
    """runs: by sort of work, how long its last runs took with the ends that were counted, oldest first.

    hours: by hour of the day (UTC), the mean cost and how many days have gone into it. hour: of the newest sample, with
    the sum and the number of those of the same hour. blind_since: since when what it costs now is not known.
    """

    runs: Mapping[str, tuple[tuple[Instant, float], ...]] = field(default_factory=dict)
    hours: Mapping[str, tuple[float, int]] = field(default_factory=dict)
    hour: tuple[Instant, float, int] = (-math.inf, 0.0, 0)
    blind_since: Instant = math.inf
