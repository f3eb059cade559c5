"""Stage forecast: quantile paths of the demand that policies name.

A new forecaster is one file with a class that fills `Forecaster` and is made from a `ForecastSpec`, and one line in
`FORECASTERS`.
"""

from collections.abc import Callable, Mapping

from aiops.core.forecast.combined import Combined, CombinedAll
from aiops.core.forecast.seasonal_naive import SeasonalNaive
from aiops.core.policies import ForecastSpec
from aiops.core.protocols import Forecaster

COMBINATIONS: Mapping[str, type[Combined]] = {one.name: one for one in (Combined, CombinedAll)}
"""Those that are fitted, share the work of a turn, and can be fitted beside the loop."""

FORECASTERS: Mapping[str, Callable[[ForecastSpec], Forecaster]] = {
    **COMBINATIONS,
    SeasonalNaive.name: SeasonalNaive,
}

__all__ = ["COMBINATIONS", "FORECASTERS"]
