"""What is spent, against a fleet that is sized for its peak and against budgets."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from aiops.core.model import BudgetStanding, PolicyKey


@dataclass(frozen=True, slots=True, kw_only=True)
class MoneyNumbers:
    """Since the start, in USD; and how budgets stand. static_usd: 0 before there is anything to compare with."""

    actual_usd: float = 0.0
    static_usd: float = 0.0
    budgets: Mapping[PolicyKey, BudgetStanding] = field(default_factory=dict)


class MoneyCollector(Collector):
    """Tells the numbers of the moment."""

    def __init__(self, numbers: Callable[[], MoneyNumbers]) -> None:
        self._numbers = numbers

    def collect(self) -> Iterator[Metric]:
        """Return the metrics of one scrape; what is not known is absent, never zero (S1)."""
        numbers = self._numbers()
        if numbers.static_usd > 0.0:
            actual, static = numbers.actual_usd, numbers.static_usd
            yield CounterMetricFamily("aiops_cost_usd", "What is scaled has cost since the start.", value=actual)
            yield CounterMetricFamily(
                "aiops_cost_static_usd", "What a fleet for the peak would have cost since then.", value=static
            )
        if numbers.budgets:
            yield from _budgets(numbers.budgets)

    def describe(self) -> list[Metric]:
        """Return nothing: names are known when there is something to tell."""
        return []


def _budgets(budgets: Mapping[PolicyKey, BudgetStanding]) -> Iterator[Metric]:
    def family(name: str, text: str) -> GaugeMetricFamily:
        return GaugeMetricFamily(f"aiops_budget_{name}", text, labels=["policy"])

    amount = family("amount_usd", "What may be spent in the period.")
    spent = family("spent_usd", "What was spent of it.")
    projected = family("projected_usd", "What the period will have cost.")
    chance = family("overrun_chance_ratio", "How likely the period costs more than the amount.")
    unpriced = family("unpriced_ratio", "The share of what ran in the period that has no price.")
    start = family("period_start_timestamp_seconds", "When the period began.")
    end = family("period_end_timestamp_seconds", "When the period ends.")
    for key, one in sorted(budgets.items()):
        known = (
            (amount, one.amount),
            (spent, one.spent),
            (projected, one.projected),
            (chance, one.chance_over),
            (unpriced, one.unpriced_ratio),
            (start, one.start),
            (end, one.until),
        )
        for each, value in known:
            if value is not None:
                each.add_metric([key], value)
    yield from (each for each in (amount, spent, projected, chance, unpriced, start, end) if each.samples)
