"""How the 95th percentile of the response time grows with utilisation, for pods that serve so many requests at a time.

The family is M/M/c in units of the mean service time: one line in front of c = pods * slots servers. What a pod really
is (processor sharing, several threads, a pool behind it) is matched by whichever of these curves fits best.
"""

from __future__ import annotations

import numpy as np

from aiops.core.model import F64, Rows
from aiops.core.queueing import response_quantiles, wait_probabilities

SLOTS = np.array([1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0])
"""Requests that one pod serves at a time: the candidates."""

PODS = np.array([1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512])
"""Numbers of pods for which what is carried is stated; linear in between."""

FULLEST = 0.985
_GRID = 160
RHO = 1.0 - np.geomspace(1.0, 1.0 - FULLEST, _GRID)
"""Utilisations of the table, denser towards the knee."""

_LOG_IDLE = np.log(1.0 - RHO)


def _curves() -> F64:
    """Return float64[slots, pods, rho]: log p95 of the response time in units of the mean service time."""
    servers = (SLOTS[:, None] * PODS[None, :])[:, :, None]
    waiting = wait_probabilities(servers, RHO)
    return np.log(response_quantiles(0.95, 1.0, servers * (1.0 - RHO), waiting))


CURVES = _curves()
_PAIRS = CURVES.shape[0] * CURVES.shape[1]
_APART = 32.0
_BEGINS = np.arange(_PAIRS).reshape(CURVES.shape[:2])
_LADDER = (np.maximum.accumulate(CURVES, axis=2) + _APART * _BEGINS[:, :, None]).ravel()
"""Every curve above the one before, so that one search finds the places in all of them."""

_REACH = np.concatenate([[0.0], RHO])


def log_p95(pods: F64, util: F64) -> F64:
    """Return float64[n, slots], log p95 by the number of ready pods and their utilisation (float64[n] each)."""
    place = np.interp(np.log(np.maximum(pods, 1.0)), np.log(PODS), np.arange(len(PODS)))
    low = np.minimum(place.astype(np.int64), len(PODS) - 2)
    right = (place - low)[:, None]
    idle = np.log(np.clip(1.0 - util, 1.0 - FULLEST, 1.0))
    across = idle / _LOG_IDLE[-1] * (_GRID - 1)
    left = np.minimum(across.astype(np.int64), _GRID - 2)
    up = (across - left)[:, None]

    def at(pods_at: Rows, rho_at: Rows) -> F64:
        return np.asarray(CURVES[:, pods_at, rho_at].T)

    near = at(low, left) * (1.0 - up) + at(low, left + 1) * up
    far = at(low + 1, left) * (1.0 - up) + at(low + 1, left + 1) * up
    return np.asarray(near * (1.0 - right) + far * right)


def fullest(log_limit: F64) -> F64:
    """Return float64[n, slots, pods]: the greatest utilisation at which p95 stays within a limit.

    log_limit: float64[n, slots], log of the limit in units of the mean service time.
    """
    wanted = np.clip(log_limit, -0.25 * _APART, 0.5 * _APART)[:, :, None] + _APART * _BEGINS
    return np.asarray(_REACH[np.searchsorted(_LADDER, wanted, side="right") - _GRID * _BEGINS])
