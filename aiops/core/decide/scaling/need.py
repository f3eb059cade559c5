"""How many pods carry a demand, for one workload or ten thousand: arrays in, arrays out."""

from __future__ import annotations

import numpy as np

from aiops.core.model import F64, Rows

_FUZZ = 1e-9


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
    return np.asarray(np.ceil(np.maximum(exact, 0.0) - _FUZZ).astype(np.int64))
