"""Waiting in an M/M/c queue: arrivals at random, exponential service times, c servers, one line.

The share that waits is Erlang's C for any real number of servers, by N. M. Temme's uniform expansion of the incomplete
gamma function ("The asymptotic expansion of the incomplete gamma functions", SIAM J. Math. Anal. 10, 1979) to its first
correction, the form in which A. J. E. M. Janssen, J. S. H. van Leeuwaarden and B. Zwart put it ("Refining square-root
safety staffing by expanding Erlang C", Oper. Res. 59, 2011). Against the exact value, and so on the mean wait: within
0.2 % from one server up and 0.02 % from three up, at any utilisation (tests/unit/test_queueing.py). The distribution of
the response time (wait and service) is the textbook one.

The names in the plural take float64 arrays of lanes, or anything that broadcasts with them; those in the singular are
the same formulas for one number, where an array would cost more than it computes.
"""

from __future__ import annotations

import math

import numpy as np

from aiops.core.model import F64

STEADY_RATIO = 0.97
"""Utilisation up to which the steady state is reached within a tick; above it, the backlog says how long one waits."""

_SAME_RATE = 1e-6
_ROUNDS = 12
_ROOT_2PI = math.sqrt(2.0 * math.pi)
_NEAR_FULL = 1e-3
"""Idle share below which the two poles of Temme's first term are cancelled by their series."""

_LEAST_RHO = 1e-12
_LEAST_SERVERS = 0.25
"""Fewer than this count as this: the expansion is for servers, and is 2 % off here and 0.5 % off at a half."""

_TAIL = (0.319381530, -0.356563782, 1.781477937, -1.821255978, 1.330274429)
"""The upper tail of the normal distribution to 7.5e-8: Abramowitz and Stegun, 26.2.17, with step 0.2316419."""


def wait_probability(servers: float, rho: float) -> float:
    """Return the share of requests that have to wait at utilisation `rho`; 0 at none, 1 from 1 on."""
    if rho <= _LEAST_RHO:
        return 0.0
    if rho >= 1.0:
        return 1.0
    c, idle = max(servers, _LEAST_SERVERS), 1.0 - rho
    bent = max(0.0, -idle - math.log1p(-idle))
    root = math.sqrt(2.0 * bent)
    first = 1.0 / root - 1.0 / idle if idle > _NEAR_FULL else -1.0 / 3.0 - root / 12.0
    falls = math.exp(-c * bent)
    below = 0.5 * (1.0 + math.erf(math.sqrt(c * bent)))
    lifted = 1.0 + (1.0 / 12.0 + 1.0 / (288.0 * c)) / c
    inverse = falls + lifted * (_ROOT_2PI * math.sqrt(c) * below + falls * first)
    return falls / (rho * falls + idle * inverse)


def wait_probabilities(servers: F64 | float, rho: F64 | float) -> F64:
    """Return `wait_probability` for arrays that broadcast with each other, row by row."""
    used = np.clip(rho, _LEAST_RHO, 1.0)
    c, idle = np.maximum(servers, _LEAST_SERVERS), 1.0 - used
    bent = np.maximum(-idle - np.log(used), 0.0)
    root = np.sqrt(2.0 * bent)
    apart = idle > _NEAR_FULL
    first = np.where(
        apart, 1.0 / np.where(apart, root, 1.0) - 1.0 / np.where(apart, idle, 1.0), -1.0 / 3.0 - root / 12.0
    )
    falls = np.exp(-c * bent)
    below = _normal_below(np.sqrt(c) * root, falls)
    lifted = 1.0 + (1.0 / 12.0 + 1.0 / (288.0 * c)) / c
    inverse = falls + lifted * (_ROOT_2PI * np.sqrt(c) * below + falls * first)
    share = falls / (used * falls + idle * inverse)
    return np.asarray(np.where(np.asarray(rho) > _LEAST_RHO, share, 0.0), dtype=np.float64)


def _normal_below(x: F64, falls: F64) -> F64:
    """Return the normal distribution's lower tail at x >= 0, where exp(-x * x / 2) is known already as `falls`."""
    step = 1.0 / (1.0 + 0.2316419 * x)
    a, b, c, d, e = _TAIL
    above = falls / _ROOT_2PI * step * (a + step * (b + step * (c + step * (d + step * e))))
    return np.asarray(1.0 - above, dtype=np.float64)


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


def slower_shares(t_s: F64 | float, service_s: F64 | float, drain_per_s: F64, waiting: F64) -> F64:
    """Return `slower_share` for arrays that broadcast with each other, row by row."""
    rate, gap = _rates(service_s, drain_per_s)
    late = np.maximum(t_s, 0.0)
    served, drained = np.exp(-rate * late), np.exp(-(rate + gap) * late)
    return np.asarray(np.minimum(1.0, served + waiting * rate / gap * (served - drained)), dtype=np.float64)


def response_quantile(q: float, service_s: float, drain_per_s: float, waiting: float) -> float:
    """Return the time within which a share `q` of requests is answered, to 0.1 %, by Newton's method on log P."""
    rate, aim = 1.0 / service_s, math.log(1.0 - q)
    gap = drain_per_s - rate
    if abs(gap) < _SAME_RATE * rate:
        gap = _SAME_RATE * rate
    drain_per_s = rate + gap
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


def response_quantiles(q: float, service_s: F64 | float, drain_per_s: F64, waiting: F64) -> F64:
    """Return `response_quantile` for arrays that broadcast with each other, row by row."""
    aim = math.log(1.0 - q)
    rate, gap = _rates(service_s, drain_per_s)
    drain_per_s = rate + gap
    lifted = waiting * rate / gap
    t_s = np.broadcast_to(-aim / rate, np.shape(lifted)).astype(np.float64)
    for _ in range(_ROUNDS):
        served, drained = np.exp(-rate * t_s), np.exp(-drain_per_s * t_s)
        share = served * (1.0 + lifted) - lifted * drained
        density = rate * served * (1.0 + lifted) - lifted * drain_per_s * drained
        move = (np.log(share) - aim) * share / density
        t_s = t_s + move
        if np.all(np.abs(move) < 1e-3 * t_s):
            break
    return t_s


def line_at(servers: float, rho: float) -> float:
    """Return the mean number that waits at utilisation `rho` in (0, 1), by Erlang's C near full use; see `use_at`."""
    idle = 1.0 - rho
    return rho / (idle * (1.0 + _slope(servers) * idle))


def use_at(servers: float, line: float) -> float:
    """Return the utilisation at which `line` requests wait on average: the inverse of `line_at`, in closed form."""
    if line <= 0.0:
        return 0.0
    linear, square = line + 1.0, line * _slope(servers)
    return 1.0 - 2.0 / (linear + math.sqrt(linear * linear + 4.0 * square))


def line_after(servers: float, line: float, arrived: float, able: float) -> float:
    """Return the mean number that waits after a time in which `arrived` come and at most `able` are served.

    The servers are as busy as those of the steady queue with that many waiting at the end (an implicit Euler step of
    the pointwise stationary fluid approximation; it never overshoots, however long the step): the root in idle share y
    of (1 - y) / (y (1 + slope y)) = line + arrived - able (1 - y), by Newton's method kept between its bounds.
    """
    kept, slope = line + arrived - able, _slope(servers)
    low, high = 0.0, 1.0
    idle = 1.0 / (1.0 + kept) if kept > 0.0 else min(1.0, -kept / able + 1e-3)
    for _ in range(60):
        left, lifted = kept + able * idle, 1.0 + slope * idle
        value = 1.0 - idle - left * idle * lifted
        low, high = (idle, high) if value > 0.0 else (low, idle)
        steepness = -1.0 - able * idle * lifted - left * (lifted + slope * idle)
        moved = idle - value / steepness
        if not low < moved < high:
            moved = (low + high) / 2.0
        if able * abs(moved - idle) < 1e-6:
            return max(0.0, kept + able * moved)
        idle = moved
    return max(0.0, kept + able * idle)


def _slope(servers: float) -> float:
    """Return 1 / (Erlang's B) - 1 at full use, by which C falls as servers become idle: C = 1 / (1 + slope * idle)."""
    c = max(servers, _LEAST_SERVERS)
    return (1.0 + (1.0 / 12.0 + 1.0 / (288.0 * c)) / c) * (0.5 * _ROOT_2PI * math.sqrt(c) - 1.0 / 3.0)


def _rates(service_s: F64 | float, drain_per_s: F64) -> tuple[F64, F64]:
    """Return the rate of service and what the line drains faster by, kept apart from zero."""
    rate = np.asarray(1.0 / np.asarray(service_s, dtype=np.float64))
    gap = drain_per_s - rate
    return rate, np.where(np.abs(gap) < _SAME_RATE * rate, _SAME_RATE * rate, gap)
