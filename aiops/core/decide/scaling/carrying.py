"""What numbers of replicas carry: given as one number for each, or a learnt table; less where partitions are uneven."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from aiops.core.decide.scaling.backlog import shared, sharing
from aiops.core.decide.scaling.need import MOST, carried_by, pods_of
from aiops.core.model import Capacity, Signal
from aiops.core.model.swift import making, swift
from aiops.core.policies import Objective

_FUZZ = 1e-9


@swift
@dataclass(frozen=True, slots=True)
class Carrying:
    """per_replica: demand units that one carries, table: what was learnt instead. partitions: that consumers share."""

    per_replica: float
    table: Capacity | None = None
    partitions: int | None = None

    def replicas_for(self, demand: float) -> int:
        """Return the least number of replicas that carry `demand`."""
        if self.table is None:
            evenly = replicas_for(demand, self.per_replica)
        else:
            evenly = pods_of(demand, self.table.pods, self.table.carried)
        if self.partitions is None or evenly <= 0:
            return evenly
        return sharing(evenly, demand, self._evenly(evenly) / evenly, self.partitions)

    def useful(self, replicas: int) -> int:
        """Return so many, or as many as there are partitions: more would be idle."""
        return replicas if self.partitions is None else min(replicas, self.partitions)

    def by(self, replicas: float) -> float:
        """Return what so many replicas carry."""
        return self._evenly(replicas if self.partitions is None else shared(replicas, self.partitions))

    def each(self, replicas: int) -> float:
        """Return what one of so many carries, if it has its part."""
        return self._evenly(replicas) / replicas

    def used_ratio(self, demand: float | None, ready: int) -> float:
        """Return demand over what the ready ones carry; infinite when nobody is ready, 0 when demand is unknown."""
        if demand is None:
            return 0.0
        carried = self.by(ready) if ready else 0.0
        return demand / carried if carried > 0.0 else math.inf

    def _evenly(self, replicas: float) -> float:
        if self.table is None:
            return replicas * self.per_replica
        return carried_by(replicas, self.table.pods, self.table.carried)


_carrying = making(Carrying)


def carrying(
    objective: Objective, capacity: Capacity | None, signals: Mapping[str, Signal], running: int
) -> Carrying | None:
    """Return what replicas carry, None while that is to be learnt and is not known. running: replicas that run now."""
    partitions = _partitions(objective, signals, running)
    if objective.per_replica is not None:
        return _carrying(objective.per_replica, None, partitions)
    return None if capacity is None or not capacity.learned else _carrying(capacity.busy, capacity, partitions)


def replicas_for(demand: float, per_replica: float) -> int:
    """Return the least number of replicas that carry `demand`.

    >>> replicas_for(400.0, 50.0), replicas_for(401.0, 50.0), replicas_for(-1.0, 50.0)
    (8, 9, 0)
    """
    return math.ceil(min(max(0.0, demand / per_replica), MOST) - _FUZZ)


def _partitions(objective: Objective, signals: Mapping[str, Signal], running: int) -> int | None:
    """Return how many consumers can share the work, None where nothing or nobody says so: unknown is no limit (S1).

    A queue's partitions only ever grow. So a signal that says fewer than what runs stops growth, as a lowered maximum
    does, and cuts nothing (S5): it is more likely to be wrong, of another topic or of a part of it, than to be true.
    """
    given = None if objective.backlog is None else objective.backlog.partitions
    if not isinstance(given, str):
        return given
    signal = signals[given]
    return max(round(signal.value), running) if signal.usable and signal.value >= 1.0 else None
