"""What was seen of policies' demand, and what of it teaches how much replicas carry."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from aiops.core.capacity.learner import Capacities, Load
from aiops.core.capacity.queue import PODS
from aiops.core.model import F64, Capacity, PolicyKey

_PODS = tuple(float(pods) for pods in PODS)


class Demand(NamedTuple):
    """What was seen of one policy now; NaN is missing. whole: whether demand may be learnt from (S1).

    latency: the SLO's signal. use_ratio: of the ready replicas. calm: no rollout, and as many ready as should be.
    worth_requests: how many late requests cost as much as a replica-hour.
    """

    value: float
    whole: bool
    latency: float = math.nan
    use_ratio: float = math.nan
    ready: int = 0
    lead_s: float = math.nan
    calm: bool = True
    worth_requests: float = math.nan


NOTHING = Demand(math.nan, whole=False)


def load_of(seen: Sequence[Demand], ready_before: F64) -> Load:
    """Return one step of rows; what is not calm, or served by another number than the step before, teaches nothing.

    ready_before: float64[n], the ready replicas of the step before.
    """
    ready = np.array([float(one.ready) for one in seen])
    return Load(
        rate=np.array([one.value for one in seen]),
        util=np.nan_to_num(np.array([one.use_ratio for one in seen])),
        p95_s=np.array([one.latency for one in seen]),
        ready=ready,
        learn=np.array([one.calm for one in seen]) & (ready == ready_before),
    )


def told(keys: Sequence[PolicyKey], learnt: Capacities) -> Mapping[PolicyKey, Capacity]:
    """Return what was learnt, by policy; keys: of the rows."""
    known = zip(
        learnt.carried().tolist(),
        learnt.busy.tolist(),
        np.sqrt(learnt.busy_var).tolist(),
        learnt.learned.tolist(),
        strict=True,
    )
    return {
        key: Capacity(pods=_PODS, carried=tuple(carried), busy=busy, doubt_ratio=doubt, learned=learned)
        for key, (carried, busy, doubt, learned) in zip(keys, known, strict=True)
    }
