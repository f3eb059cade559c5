"""Rules over money: prices that set nothing, and prices that the SLO leaves nothing to."""

from __future__ import annotations

from collections.abc import Iterator

from aiops.core.money.newsvendor import LEAST_SHORT_RATIO
from aiops.core.policies import ScalingPolicy
from aiops.policy.lint.rule import Remark, Terms

_PATH = ("spec", "objective", "price")


def idle_price(policy: ScalingPolicy, terms: Terms) -> Iterator[Remark]:
    """Find prices without a forecast, of which they would set the quantile, and those below an SLO at its limit."""
    slo, forecast = policy.objective.slo, policy.forecast
    if policy.objective.price is None:
        return
    if forecast is None:
        message = "prices set which quantile of the forecast is served, and there is no forecast"
        yield Remark(path=_PATH, message=message, hint="forecast: {quantile: slo}")
    elif slo is not None and forecast.by_slo and 1.0 - slo.target_ratio <= LEAST_SHORT_RATIO:
        message = (
            f"the SLO asks for {slo.target_ratio:.4%} already, and prices are heard up to {1 - LEAST_SHORT_RATIO:.2%}"
        )
        yield Remark(path=_PATH, message=message, hint="a target that money may make safer, such as 99%")
