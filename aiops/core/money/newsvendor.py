"""How safe to be, from two prices: the newsvendor's critical ratio.

One replica more costs `c` an hour, whatever comes. While there is one too few, it would have kept `k * s` requests a
second from breaking the SLO, each at a price of `v`: k is what one replica carries within the SLO, s how many requests
are late for each that is too much (below). So the next replica pays as long as

    P(too few) * 3600 * k * s * v > c,    that is until    P(too few) = c / (3600 * k * s * v),

and the quantile of demand that is to be carried is one minus that. It is the critical ratio u / (u + o) of a newsvendor
whose overage costs o = c and whose underage costs u = 3600 * k * s * v - c (K. J. Arrow, T. Harris, J. Marschak,
"Optimal Inventory Policy", Econometrica 19, 1951). Both sides are per hour of the same time, from when a replica that
is asked for now serves until the next decision can take it back, so that the length of the lead time cancels.

A newsvendor turns away whom the last paper does not reach. A queue makes everybody wait: while the SLO is broken, all n
replicas' requests are late, n * k a second, and one more replica helps where demand lies between what n and what n + 1
carry. Of the time in which there are too few, that is a share of r = 1 - exp(-k / t) where the tail of demand falls by
e each `t` (an exponential tail, which looks the same from wherever one stands). So s = n * r, and 1 at least: what is
beyond what is carried is late in any case.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

SECONDS_PER_HOUR = 3600.0
LEAST_SHORT_RATIO = 0.0005
"""However dear a violated request: one in two thousand is what errors of some weeks can still tell."""

MOST_SHORT_RATIO = 0.5
"""However cheap: half of the time, which is the median of demand, where no SLO asks for more."""

TAIL_SCALES = 0.5
"""The tail of demand above a forecast falls by e each half of its error's scale: a normal distribution's falls so at
two scales, where margins lie, and one of fatter tails a little later."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stakes:
    """carried: requests per second of one replica within the SLO. steepness: requests that are late for each too many.

    replica_usd_per_hour, violated_usd: the two prices; both are greater than 0.
    """

    replica_usd_per_hour: float
    violated_usd: float
    carried: float
    steepness: float = 1.0

    @property
    def saved_usd_per_hour(self) -> float:
        """Return what one replica more saves in an hour in which there is always one too few."""
        return SECONDS_PER_HOUR * self.carried * self.steepness * self.violated_usd

    @property
    def short_ratio(self) -> float:
        """Return the share of the time in which it pays to have one too few, from 0 to 1; 1 where nothing is carried.

        >>> stakes = Stakes(replica_usd_per_hour=0.09, violated_usd=0.0005, carried=50.0)
        >>> round(stakes.short_ratio, 12)
        0.001
        """
        saved = self.saved_usd_per_hour
        return min(1.0, self.replica_usd_per_hour / saved) if saved > 0.0 else 1.0


def steepness(demand: float, carried: float, tail: float) -> float:
    """Return how many requests are late for each that is too much, 1 at least.

    demand: of all. carried: of it, by one replica. tail: by how much more demand is e times rarer; all in one unit.

    >>> steepness(1000.0, 50.0, 1e-9), round(steepness(1000.0, 50.0, 50.0), 2), steepness(1000.0, 50.0, 1e9)
    (20.0, 12.64, 1.0)
    """
    if carried <= 0.0 or demand <= carried:
        return 1.0
    reached = 1.0 if tail <= 0.0 else -math.expm1(-carried / tail)
    return max(1.0, demand / carried * reached)


def within(short_ratio: float, least: float, most: float) -> float:
    """Return the share within limits; `most` is what the SLO allows, and wins."""
    return min(max(short_ratio, least), most)
