"""How it goes with Alertmanager: what was sent, what failed, and how old the silences are."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertmanagerNumbers:
    """Counted since the start. sent, failed: alerts and tries by Alertmanager. silences_age_s: None where unused."""

    sent: Mapping[str, int] = field(default_factory=dict)
    failed: Mapping[str, int] = field(default_factory=dict)
    silences_failed: int = 0
    silences_age_s: float | None = None


class AlertmanagerCollector(Collector):
    """Tells the numbers of the moment."""

    def __init__(self, numbers: Callable[[], AlertmanagerNumbers]) -> None:
        self._numbers = numbers

    def collect(self) -> Iterator[Metric]:
        """Return the metrics of one scrape; nothing where no Alertmanager is set."""
        numbers = self._numbers()
        if numbers.sent:
            sent = CounterMetricFamily(
                "aiops_alertmanager_alerts_sent", "Incidents that Alertmanager took.", labels=["alertmanager"]
            )
            failed = CounterMetricFamily(
                "aiops_alertmanager_send_failures", "Tries to send incidents that failed.", labels=["alertmanager"]
            )
            for url, count in numbers.sent.items():
                sent.add_metric([url], count)
                failed.add_metric([url], numbers.failed.get(url, 0))
            yield from (sent, failed)
        if numbers.silences_age_s is not None:
            yield CounterMetricFamily(
                "aiops_alertmanager_silences_failures", "Looks at silences that failed.", value=numbers.silences_failed
            )
            yield GaugeMetricFamily(
                "aiops_alertmanager_silences_age_seconds",
                "Since silences were read.",
                value=numbers.silences_age_s,
            )

    def describe(self) -> list[Metric]:
        """Return nothing: names are known when there is something to tell."""
        return []
