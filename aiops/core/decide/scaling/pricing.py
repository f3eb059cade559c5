"""How safe a ScalingPolicy is by its prices: within what its SLO allows, and never less safe than that.

Where money is not known, not in one currency, or no mistake can be ruled out, it sways nothing: what is served is what
would have been served without prices.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from aiops.core.decide.scaling.carrying import Carrying
from aiops.core.model import Forecast, Instant, Nowcast, PriceBook, Priced, Quote, Weighed
from aiops.core.money.currency import USD, usd_per
from aiops.core.money.newsvendor import LEAST_SHORT_RATIO, MOST_SHORT_RATIO, TAIL_SCALES, Stakes, steepness, within
from aiops.core.policies import ObjectivePrice, ScalingPolicy


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """Both prices in one currency. replica_hour: None while it is not known, and `gap` says why."""

    violated_request: float
    currency: str
    replica_hour: float | None = None
    source: str = ""
    gap: str = ""

    @property
    def worth_requests(self) -> float:
        """Return how many violated requests cost as much as a replica-hour; NaN while that is not known."""
        return math.nan if self.replica_hour is None else self.replica_hour / self.violated_request


def terms(price: ObjectivePrice, quote: Quote | None, rates: Mapping[str, float]) -> Terms:
    """Return the prices to weigh. quote: of a replica by the feed, in USD. rates: USD for one, by currency."""
    if price.replica_hour is not None:
        return Terms(
            violated_request=price.violated_request,
            currency=price.currency,
            replica_hour=price.replica_hour,
            source="the policy",
        )
    rate = usd_per(price.currency, rates)
    if rate is None:
        gap = f"prices.rates has no rate of {price.currency} to USD, in which replicas are priced"
        return Terms(violated_request=price.violated_request, currency=price.currency, gap=gap)
    violated = price.violated_request * rate
    if not isinstance(quote, Priced):
        gap = "no price is known of it" if quote is None else f"{quote.gap.value}: {quote.detail}"
        return Terms(violated_request=violated, currency=USD, gap=gap)
    source = quote.source + (f", {quote.note}" if quote.note else "")
    return Terms(violated_request=violated, currency=USD, replica_hour=quote.usd_per_hour, source=source)


def terms_of(policy: ScalingPolicy, prices: PriceBook) -> Terms | None:
    """Return the prices of a policy as they are now, None where it has none."""
    price = policy.objective.price
    return None if price is None else terms(price, prices.replicas.get(policy.target.key), prices.rates)


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Between which shares of the time one may be short, and what sets the upper of them."""

    least: float
    most: float
    set_by: str


def span(policy: ScalingPolicy, forecast: Forecast | None, *, followed: bool) -> Span:
    """Return the limits of money. followed: whether the margin of the SLO's error budget is served, not a quantile.

    With an SLO, its error budget, or the quantile that is written, is the least that is served: money buys safety and
    sells none (safety before SLO before cost). Without one, money alone decides, from the median on. What is rarer than
    errors can tell, or than the forecast issues, is not told apart.
    """
    slo, ahead = policy.objective.slo, policy.forecast
    if followed and slo is not None:
        return Span(least=LEAST_SHORT_RATIO, most=1.0 - slo.target_ratio, set_by="slo")
    issued = 0.0 if forecast is None else 1.0 - forecast.quantiles[-1]
    least = max(LEAST_SHORT_RATIO, issued)
    if slo is not None and ahead is not None:
        return Span(least=least, most=1.0 - ahead.quantile, set_by="slo")
    return Span(least=least, most=MOST_SHORT_RATIO, set_by="median")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ahead:
    """What is foreseen of demand when a replica that is asked for now serves. tail: see `steepness`."""

    demand: float
    tail: float


def ahead_of(forecast: Forecast | None, nowcast: Nowcast | None, until: Instant) -> Ahead | None:
    """Return what is foreseen up to `until`, by the nowcast where it is followed; None while nothing is."""
    if nowcast is not None:
        demand, scale = nowcast.demand[1], nowcast.error_ratio[1]
        return Ahead(demand=demand, tail=TAIL_SCALES * scale * demand)
    if forecast is None or not forecast.learned:
        return None
    low, high = forecast.quantiles[-2:]
    falls = math.log((1.0 - low) / (1.0 - high))
    spread = forecast.quantile_max(high, until) - forecast.quantile_max(low, until)
    found = Ahead(demand=demand_at(forecast, 0.5, until), tail=spread / falls)
    return found if math.isfinite(found.demand + found.tail) else None


def weighed(priced: Terms, carried: Carrying | None, ahead: Ahead | None, limits: Span) -> Weighed:
    """Return how safe to be; without a price, or while nothing is foreseen, nothing is served by it."""
    said = Weighed(
        violated_request=priced.violated_request,
        currency=priced.currency,
        replica_hour=priced.replica_hour,
        source=priced.source,
        gap=priced.gap,
    )
    if priced.replica_hour is None:
        return said
    if carried is None:
        return _but(said, "what a replica carries is not learnt yet")
    if ahead is None:
        return _but(said, "nothing is foreseen yet")
    each = carried.each(max(1, carried.replicas_for(ahead.demand)))
    steep = steepness(ahead.demand, each, ahead.tail)
    stakes = Stakes(
        replica_usd_per_hour=priced.replica_hour, violated_usd=priced.violated_request, carried=each, steepness=steep
    )
    short = within(stakes.short_ratio, limits.least, limits.most)
    bound = "" if short == stakes.short_ratio else limits.set_by if short == limits.most else "evidence"
    return Weighed(
        violated_request=said.violated_request,
        currency=said.currency,
        replica_hour=said.replica_hour,
        source=said.source,
        carried=each,
        steepness=steep,
        short_ratio=stakes.short_ratio,
        served_ratio=1.0 - short,
        limit=bound,
    )


def _but(said: Weighed, gap: str) -> Weighed:
    return Weighed(
        violated_request=said.violated_request,
        currency=said.currency,
        replica_hour=said.replica_hour,
        source=said.source,
        gap=gap,
    )


def demand_at(forecast: Forecast, quantile: float, until: Instant) -> float:
    """Return the greatest demand up to `until` at any quantile: linear between those that are issued, none beyond."""
    below_q, below_v = math.nan, math.nan
    for issued in forecast.quantiles:
        value = forecast.quantile_max(issued, until)
        if quantile <= issued:
            if quantile == issued or math.isnan(below_q):
                return value
            return below_v + (value - below_v) * (quantile - below_q) / (issued - below_q)
        below_q, below_v = issued, value
    return below_v
