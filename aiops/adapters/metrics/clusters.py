"""What our own rate limit for each API server costs: how long requests waited for it, how many were not sent."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector


@dataclass(frozen=True, slots=True, kw_only=True)
class RateNumbers:
    """Of one cluster. per_s: how often it may be asked. waited_s, refused: since the daemon began."""

    per_s: float
    waited_s: float
    refused: int


class RateCollector(Collector):
    """Tells the numbers of the moment, by cluster; of none where none is limited."""

    def __init__(self, numbers: Callable[[], Mapping[str, RateNumbers]]) -> None:
        self._numbers = numbers

    def collect(self) -> Iterator[Metric]:
        """Return the metrics of one scrape."""
        limit = GaugeMetricFamily(
            "aiops_cluster_rate_limit", "Requests a second that a cluster's API may be asked.", labels=["cluster"]
        )
        waited = CounterMetricFamily(
            "aiops_cluster_rate_waited_seconds", "How long requests waited for their turn by it.", labels=["cluster"]
        )
        refused = CounterMetricFamily(
            "aiops_cluster_rate_refused", "Requests that were not sent: no turn came in time.", labels=["cluster"]
        )
        for cluster, now in self._numbers().items():
            limit.add_metric([cluster], now.per_s)
            waited.add_metric([cluster], now.waited_s)
            refused.add_metric([cluster], now.refused)
        yield from (limit, waited, refused)

    def describe(self) -> list[Metric]:
        """Return nothing: names are known when there is something to tell."""
        return []
