"""Whether turns end within their period, what they leave out so that they do, and what is asked of the sources."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector


@dataclass(frozen=True, slots=True, kw_only=True)
class TimingNumbers:
    """budget_s: how long a turn may take, None where there is no limit. shed, shed_ever: by rank.

    asked, wanted: distinct queries of the last turn, and those that policies have. held: watches that failed or of
    which some series are not followed, by which of both.
    """

    budget_s: float | None
    overruns: int = 0
    shed: Mapping[str, int] = field(default_factory=dict)
    shed_ever: Mapping[str, int] = field(default_factory=dict)
    asked: int = 0
    wanted: int = 0
    held: Mapping[str, int] = field(default_factory=dict)


class TimingCollector(Collector):
    """Tells the numbers of the moment."""

    def __init__(self, numbers: Callable[[], TimingNumbers]) -> None:
        self._numbers = numbers

    def collect(self) -> Iterator[Metric]:
        """Return the metrics of one scrape."""
        now = self._numbers()
        if now.budget_s is not None:
            yield GaugeMetricFamily("aiops_tick_budget_seconds", "How long a turn may take.", value=now.budget_s)
            said = "Turns that took longer than they may."
            yield CounterMetricFamily("aiops_tick_overruns", said, value=now.overruns)
            shed = GaugeMetricFamily(
                "aiops_tick_shed", "Policies that were left out of the last turn, by what they are.", labels=["rank"]
            )
            ever = CounterMetricFamily("aiops_tick_shed_policies", "How often a policy was left out.", labels=["rank"])
            for rank, count in now.shed_ever.items():
                ever.add_metric([rank], count)
                shed.add_metric([rank], now.shed.get(rank, 0))
            yield from (shed, ever)
        queries = GaugeMetricFamily(
            "aiops_source_queries", "Queries of the last turn: asked, and wanted by policies.", labels=["kind"]
        )
        queries.add_metric(["asked"], now.asked)
        queries.add_metric(["wanted"], now.wanted)
        yield queries
        held = GaugeMetricFamily(
            "aiops_watches_held",
            "WatchPolicies whose query failed, or has so many series that new ones are not followed.",
            labels=["why"],
        )
        for why, count in now.held.items():
            held.add_metric([why], count)
        yield held

    def describe(self) -> list[Metric]:
        """Return nothing: names are known when there is something to tell."""
        return []
