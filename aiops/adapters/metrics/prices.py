"""What is known of prices as metrics: how many of each kind, how old the oldest is, and why others are not known."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from aiops.core.model import Instant, PriceBook, Priced, Quote


class PriceCollector(Collector):
    """Tells the price book of the last tick. present: the loop's time."""

    def __init__(self, book: Callable[[], PriceBook], present: Callable[[], Instant]) -> None:
        self._book = book
        self._present = present

    def collect(self) -> Iterator[Metric]:
        """Return the metrics of one scrape."""
        book = self._book()
        known = GaugeMetricFamily("aiops_prices_known", "Things of which the price is known.", labels=["kind"])
        gaps = GaugeMetricFamily(
            "aiops_prices_unknown", "Things of which it is not, by why.", labels=["kind", "reason"]
        )
        age = GaugeMetricFamily("aiops_prices_age_seconds", "Age of the oldest price that is used.", labels=["kind"])
        kinds: dict[str, Mapping[str, Quote]] = {"replica": book.replicas, "node": book.nodes}
        for kind, quotes in kinds.items():
            priced = [one for one in quotes.values() if isinstance(one, Priced)]
            known.add_metric([kind], len(priced))
            missing = Counter(one.gap.value for one in quotes.values() if not isinstance(one, Priced))
            for reason, count in sorted(missing.items()):
                gaps.add_metric([kind, reason], count)
            if priced:
                age.add_metric([kind], max(0.0, self._present() - min(one.as_of for one in priced)))
        yield from (family for family in (known, gaps, age) if family.samples)

    def describe(self) -> list[Metric]:
        """Return nothing: names are known when there is something to tell."""
        return []
