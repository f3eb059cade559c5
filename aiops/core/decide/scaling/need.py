"""How many pods carry a demand, for one workload or ten thousand: arrays in, arrays out."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence

import numpy as np

from aiops.core.model import F64, Rows

_FUZZ = 1e-9
MOST = 1e9
"""More pods than anybody has: what demand is beyond all bounds is as much as that."""


def pods_for(demand: F64, pods: F64, carried: F64) -> Rows:
    """Return int64[n], the least number of pods that carry a demand.

    demand: float64[n]. pods: float64[g], increasing. carried: float64[n, g], what so many pods carry, not decreasing
    and greater than 0; linear in between and, beyond the last, at the last one's rate.
    """
    pods = np.concatenate([[0.0], pods])
    carried = np.concatenate([np.zeros((len(demand), 1)), carried], axis=1)
    right = np.minimum((carried < demand[:, None]).sum(axis=1), len(pods) - 1)
    right = np.maximum(right, 1)
    rows = np.arange(len(demand))
    low, high = carried[rows, right - 1], carried[rows, right]
    beyond = demand > high
    slope = np.where(
        beyond, pods[-1] / np.maximum(high, _FUZZ), (pods[right] - pods[right - 1]) / np.maximum(high - low, _FUZZ)
    )
    exact = np.where(beyond, pods[-1], pods[right - 1]) + slope * (demand - np.where(beyond, high, low))
    return np.asarray(np.ceil(np.clip(exact, 0.0, MOST) - _FUZZ).astype(np.int64))


def pods_of(demand: float, pods: Sequence[float], carried: Sequence[float]) -> int:
    """Return `pods_for` of one demand, where an array would cost more than it computes.

    >>> pods_of(150.0, (1.0, 2.0, 4.0), (100.0, 200.0, 400.0)), pods_of(401.0, (1.0, 2.0, 4.0), (100.0, 200.0, 400.0))
    (2, 5)
    """
    right = bisect_left(carried, demand)
    if right == len(pods):
        exact = pods[-1] + pods[-1] / max(carried[-1], _FUZZ) * (demand - carried[-1])
    else:
        few, low = (pods[right - 1], carried[right - 1]) if right else (0.0, 0.0)
        exact = few + (pods[right] - few) / max(carried[right] - low, _FUZZ) * (demand - low)
    return math.ceil(min(max(exact, 0.0), MOST) - _FUZZ)


def carried_by(replicas: float, pods: Sequence[float], carried: Sequence[float]) -> float:
    """Return what so many replicas carry, by the same table: linear in between, and beyond it at the last one's rate.

    >>> carried_by(3, (1.0, 2.0, 4.0), (100.0, 200.0, 400.0)), carried_by(8, (1.0, 2.0, 4.0), (100.0, 200.0, 400.0))
    (300.0, 800.0)
    """
    right = bisect_left(pods, replicas)
    if right == len(pods):
        return replicas / pods[-1] * carried[-1]
    few, low = (pods[right - 1], carried[right - 1]) if right else (0.0, 0.0)
    return low + (carried[right] - low) * (replicas - few) / (pods[right] - few)
