"""What a policy that empties nodes remembers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from aiops.core.model.names import Instant, TargetRef
from aiops.core.model.saved.base import Remembered


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """What makes the pods again that leave a node, and how many of its pods were ready before."""

    controller: TargetRef
    ready: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PackState(Remembered):
    """moved: by the key of the node that is emptied. calm_since: infinite while pods wait or nodes are not ready.

    rests: before when a node of which it did not succeed is not tried again, by its key; rests_until: any node.
    counted_at: plans that ended until then are in here.
    """

    moved: Mapping[str, tuple[Moved, ...]] = field(default_factory=dict)
    calm_since: Instant = math.inf
    rests: Mapping[str, Instant] = field(default_factory=dict)
    rests_until: Instant = -math.inf
    counted_at: Instant = -math.inf
