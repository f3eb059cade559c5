"""Which demand is served of what is foreseen at two horizons: before anything can be added, and when it would serve."""

from __future__ import annotations

from aiops.core.decide.scaling.carrying import Carrying
from aiops.core.model import Nowcast


def served(followed: Nowcast, carried: Carrying | None, before: int, rate: float) -> float:
    """Return the demand that is to be carried: the lead's, and of what comes sooner as much as is carried now.

    What is asked for now serves at the lead: for what comes before it, replicas can be kept, and none can be had.
    before: how many there are. rate: at which a backlog is drained beside it.
    """
    near, lead = followed.upper
    return max(near, lead) if carried is None else max(lead, min(near, carried.by(before) - rate))
