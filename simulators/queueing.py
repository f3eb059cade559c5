"""Waiting in an M/M/c queue: arrivals at random, exponential service times, c servers, one line.

Sources: A. K. Erlang's delay formula for the waiting probability, in the closed approximation of H. Sakasegawa,
"An approximation formula Lq = a * rho^b / (1 - rho)" (1977), which stays within 0.052 of the exact probability for 1 to
400 servers up to a utilisation of 0.97; the distribution of the response time (wait and service) is the textbook one,
and its 95th percentile so stays within 2 % of the exact one.
"""

from __future__ import annotations

import math

import numpy as np

from aiops.core.model import F64

STEADY_RATIO = 0.97
"""Utilisation up to which the steady state is reached within a tick; above it, the backlog says how long one waits."""

_SAME_RATE = 1e-6
_ROUNDS = 12


def wait_probability(servers: float, rho: float) -> float:
    """Return the share of requests that have to wait at utilisation `rho` in [0, 1)."""
    return float(rho ** (math.sqrt(2.0 * (servers + 1.0)) - 1.0)) if rho > 0.0 else 0.0


def slower_share(t_s: float, service_s: float, drain_per_s: float, waiting: float) -> float:
    """Return P(response time > `t_s`) where a share `waiting` waits and the line drains at `drain_per_s`.

    `drain_per_s` is c / service_s - arrivals per second.
    """
    if t_s <= 0.0:
        return 1.0
    rate = 1.0 / service_s
    gap = drain_per_s - rate
    if abs(gap) < _SAME_RATE * rate:
        return min(1.0, math.exp(-rate * t_s) * (1.0 + waiting * rate * t_s))
    return min(
        1.0, math.exp(-rate * t_s) + waiting * rate / gap * (math.exp(-rate * t_s) - math.exp(-drain_per_s * t_s))
    )


def response_quantile(q: float, service_s: float, drain_per_s: float, waiting: float) -> float:
    """Return the time within which a share `q` of requests is answered, to 0.1 %, by Newton's method on log P."""
    rate, aim = 1.0 / service_s, math.log(1.0 - q)
    gap = drain_per_s - rate
    if abs(gap) < _SAME_RATE * rate:
        gap = _SAME_RATE * rate
    lifted = waiting * rate / gap
    t_s = -aim * service_s
    for _ in range(_ROUNDS):
        served, drained = math.exp(-rate * t_s), math.exp(-drain_per_s * t_s)
        share = served * (1.0 + lifted) - lifted * drained
        density = rate * served * (1.0 + lifted) - lifted * drain_per_s * drained
        move = (math.log(share) - aim) * share / density
        t_s += move
        if abs(move) < 1e-3 * t_s:
            break
    return t_s


def response_quantiles(q: float, service_s: float, drain_per_s: F64, waiting: F64) -> F64:
    """Return `response_quantile` for arrays, row by row."""
    rate, aim = 1.0 / service_s, math.log(1.0 - q)
    gap = drain_per_s - rate
    gap = np.where(np.abs(gap) < _SAME_RATE * rate, _SAME_RATE * rate, gap)
    lifted = waiting * rate / gap
    t_s = np.full_like(gap, -aim * service_s)
    for _ in range(_ROUNDS):
        served, drained = np.exp(-rate * t_s), np.exp(-drain_per_s * t_s)
        share = served * (1.0 + lifted) - lifted * drained
        density = rate * served * (1.0 + lifted) - lifted * drain_per_s * drained
        move = (np.log(share) - aim) * share / density
        t_s = t_s + move
        if np.all(np.abs(move) < 1e-3 * t_s):
            break
    return t_s
