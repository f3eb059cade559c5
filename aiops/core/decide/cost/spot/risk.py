"""How much of a workload is worth running on nodes that may be taken away: rates with their bounds, losses, the best.

Nodes of one pool (a type of machine in a zone) are taken away together: a wave. Waves of a pool come at a rate of which
is known how many were seen in how many hours. With a Gamma prior of shape 1 whose mean is the rate that is assumed, the
posterior is Gamma(1 + waves, 1 / assumed + hours) (Gelman et al., Bayesian Data Analysis, 3rd ed., section 2.6); its
upper quantile is what is reckoned with, so that little knowledge counts as much risk.

A wave takes all replicas of a workload that are in its pool. The i-th replica that is missing at once costs the share
of the headroom that is used up with it: nothing where all of it is left, the whole price where the floor is reached.
So n at once cost n (n + 1) / 2 H of that price for H of headroom: two pools lose half of what one would.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

HOUR_S = 3600.0


def rate_bound(waves: float, hours: float, assumed: float, confidence: float) -> float:
    """Return the upper bound of waves per hour. hours: in which so many were seen; assumed: per hour, before that.

    >>> round(rate_bound(0.0, 0.0, 0.05, 0.95), 3), round(rate_bound(0.0, 100.0, 0.05, 0.95), 3)
    (0.15, 0.025)
    """
    # what fades changes a little at every look: hundredths, rounded up, are enough
    shape = 1.0 + math.ceil(max(0.0, waves) * 100.0 - 1e-9) / 100.0
    return gamma_quantile(confidence, shape) / (1.0 / assumed + max(0.0, hours))


@lru_cache(maxsize=4096)
def gamma_quantile(p: float, shape: float) -> float:
    """Return x with P(Gamma(shape, 1) <= x) = p.

    >>> round(gamma_quantile(0.95, 1.0), 4), round(gamma_quantile(0.95, 4.0), 4)
    (2.9957, 7.7537)
    """
    low, high = 0.0, shape + 10.0 * math.sqrt(shape) + 40.0
    for _ in range(60):
        middle = (low + high) / 2.0
        low, high = (middle, high) if gamma_cdf(middle, shape) < p else (low, middle)
    return (low + high) / 2.0


def gamma_cdf(x: float, shape: float) -> float:
    """Return P(Gamma(shape, 1) <= x) by the series of Abramowitz and Stegun 6.5.29, to 1e-12 of itself.

    >>> round(gamma_cdf(1.0, 1.0), 6), gamma_cdf(0.0, 2.0)
    (0.632121, 0.0)
    """
    if x <= 0.0:
        return 0.0
    term = total = 1.0 / shape
    n = shape
    while term > total * 1e-13:
        n += 1.0
        term *= x / n
        total += term
    return min(1.0, total * math.exp(shape * math.log(x) - x - math.lgamma(shape)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Stakes:
    """What is at stake for one workload. total: its replicas, on demand and on spot nodes. floor: what must be left.

    saves_usd: what a replica costs less an hour on spot nodes. lost_usd: an hour without one at the floor. rates: upper
    bounds of waves an hour, by pool; shares: of the companion's replicas in each pool, they add up to 1. risky: other
    replicas that would go with them: those of the base on spot nodes. most: on spot nodes at most.
    """

    total: int
    floor: int
    saves_usd: float
    lost_usd: float
    replace_s: float
    rates: Mapping[str, float]
    shares: Mapping[str, float]
    survive: float = 1.0
    risky: int = 0
    most: int = 0


def in_pools(stakes: Stakes, spot: int) -> dict[str, int]:
    """Return how many of so many replicas are in each pool, rounded up: a pool is never thought emptier than it is."""
    return {pool: min(spot, math.ceil(share * spot - 1e-9)) for pool, share in stakes.shares.items()}


def lost_at_once(stakes: Stakes, spot: int) -> int:
    """Return how many replicas may be lost before what was lost is replaced, in the share `survive` of cases.

    1 is everything on spot nodes. Less: pools are taken away whole, each by itself, while a replacement takes its time.
    """
    every = spot + stakes.risky
    if stakes.survive >= 1.0 or spot <= 0:
        return every
    chances = [(stakes.risky, 1.0)] if stakes.risky else []
    for pool, count in in_pools(stakes, spot).items():
        taken = -math.expm1(-stakes.rates.get(pool, math.inf) * stakes.replace_s / HOUR_S)
        chances.append((count, taken))
    odds = {0: 1.0}
    for count, taken in chances:
        after: dict[int, float] = {}
        for lost, chance in odds.items():
            for more, part in ((0, 1.0 - taken), (count, taken)):
                after[lost + more] = after.get(lost + more, 0.0) + chance * part
        odds = after
    reached, beyond = every, 0.0
    for lost in sorted(odds, reverse=True):
        beyond += odds[lost]
        if beyond > 1.0 - stakes.survive:
            reached = lost
            break
    return min(every, reached)


def limit(stakes: Stakes) -> int:
    """Return how many replicas may run on spot nodes at most, so that the floor is left."""
    spot = min(stakes.most, stakes.total)
    while spot > 0 and stakes.total - lost_at_once(stakes, spot) < stakes.floor:
        spot -= 1
    return spot


def expected_loss(stakes: Stakes, spot: int) -> float:
    """Return the USD an hour that reclaims are expected to cost, by the upper bounds of their rates."""
    room = max(1, stakes.total - stakes.floor)
    hours = stakes.replace_s / HOUR_S
    loss = 0.0
    for pool, count in in_pools(stakes, spot).items():
        within = min(count, room)
        missing = within * (within + 1) / (2.0 * room) + (count - within)
        loss += stakes.rates.get(pool, math.inf) * missing if count else 0.0
    return loss * hours * stakes.lost_usd


def worth(stakes: Stakes, spot: int) -> float:
    """Return the USD an hour that so many on spot nodes are worth: saved, less what is expected to be lost."""
    return stakes.saves_usd * spot - expected_loss(stakes, spot)


def best(stakes: Stakes) -> int:
    """Return how many replicas on spot nodes are worth most, the fewest of equals."""
    if stakes.saves_usd <= 0.0:
        return 0
    return max(range(limit(stakes) + 1), key=lambda spot: (worth(stakes, spot), -spot))
