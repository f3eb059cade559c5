"""Stage forecast: quantile paths of the demand that policies name.

A new forecaster is one file with a class that fills `Forecaster` and is made from a `ForecastSpec`, and one line in
`FORECASTERS`.
"""

from collections.abc import Callable, Mapping

from aiops.core.forecast.combined import Combined
from aiops.core.forecast.seasonal_naive import SeasonalNaive
from aiops.core.policies import ForecastSpec
from aiops.core.protocols import Forecaster

FORECASTERS: Mapping[str, Callable[[ForecastSpec], Forecaster]] = {
    Combined.name: Combined,
    SeasonalNaive.name: SeasonalNaive,
}

__all__ = ["FORECASTERS"]
