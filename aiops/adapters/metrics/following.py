"""What follows the audit chain, as metrics: what waits, what was lost, what fails."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector


@dataclass(frozen=True, slots=True, kw_only=True)
class FollowingNumbers:
    """waiting, lost, failing: by route and channel. events_sent: None where no events are published."""

    waiting: Mapping[str, int] = field(default_factory=dict)
    lost: Mapping[str, int] = field(default_factory=dict)
    failing: Mapping[str, bool] = field(default_factory=dict)
    events_sent: int | None = None
    events_refused: int = 0
    events_failing: bool = False


class FollowingCollector(Collector):
    """Tells the numbers of the moment."""

    def __init__(self, numbers: Callable[[], FollowingNumbers]) -> None:
        self._numbers = numbers

    def collect(self) -> Iterator[Metric]:
        """Return the metrics of one scrape; nothing where nobody follows."""
        numbers = self._numbers()
        if numbers.waiting:
            waiting = GaugeMetricFamily("aiops_notices_waiting", "Notices that wait to be told.", labels=["route"])
            lost = CounterMetricFamily("aiops_notices_lost", "Notices that were given up.", labels=["route"])
            failing = GaugeMetricFamily(
                "aiops_notices_failing", "Whether the channel took nothing the last time.", labels=["route"]
            )
            for route, count in numbers.waiting.items():
                waiting.add_metric([route], count)
                lost.add_metric([route], numbers.lost.get(route, 0))
                failing.add_metric([route], float(numbers.failing.get(route, False)))
            yield from (waiting, lost, failing)
        if numbers.events_sent is not None:
            yield CounterMetricFamily("aiops_events_sent", "Events that were taken.", value=numbers.events_sent)
            refused = numbers.events_refused
            yield CounterMetricFamily("aiops_events_refused", "Events that were passed over.", value=refused)
            yield GaugeMetricFamily(
                "aiops_events_failing", "Whether the endpoint took nothing the last time.", value=numbers.events_failing
            )

    def describe(self) -> list[Metric]:
        """Return nothing: names are known when there is something to tell."""
        return []
