"""How safe to be, from two prices: the newsvendor's critical ratio.

One replica more costs `c` an hour, whatever comes. While there is one too few, it would have kept `k * s` requests a
second from breaking the SLO, each at a price of `v`: k is what one replica carries within the SLO, s how many requests
suffer for each that is too much (below). So the next replica pays as long as

    P(too few) * 3600 * k * s * v > c,    that is until    P(too few) = c / (3600 * k * s * v),

and the quantile of demand that is to be carried is one minus that. It is the critical ratio u / (u + o) of a newsvendor
whose overage costs o = c and whose underage costs u = 3600 * k * s * v - c (K. J. Arrow, T. Harris, J. Marschak,
"Optimal Inventory Policy", Econometrica 19, 1951). Both sides are per hour of the same time, from when a replica that
is asked for now serves until the next decision can take it back, so that the length of the lead time cancels.

s is 1 where a policy says what a replica carries: what is beyond it is late, and nothing else. Where the capacity was
learnt, it is known how full replicas may be, rho. Between that and 1 the share of requests that are late goes from none
to all: of the demand, which is rho / (1 - rho) of the load between. A queue makes everybody wait for what is too much.
"""

from __future__ import annotations

from dataclasses import dataclass

SECONDS_PER_HOUR = 3600.0
LEAST_SHORT_RATIO = 0.0005
"""However dear a violated request: one in two thousand is what errors of some weeks can still tell."""

MOST_SHORT_RATIO = 0.5
"""However cheap: half of the time, which is the median of demand, where no SLO asks for more."""

MOST_STEEPNESS = 20.0


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


def steepness(full_ratio: float) -> float:
    """Return how many requests are late for each that is too much, where replicas may be used by `full_ratio`.

    >>> steepness(0.8), steepness(0.3), steepness(1.0)
    (4.000000000000001, 1.0, 20.0)
    """
    if full_ratio >= 1.0:
        return MOST_STEEPNESS
    return min(max(1.0, full_ratio / (1.0 - full_ratio)), MOST_STEEPNESS)


def within(short_ratio: float, least: float, most: float) -> float:
    """Return the share within limits; `most` is what the SLO allows, and wins."""
    return min(max(short_ratio, least), most)
