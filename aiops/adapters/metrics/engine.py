"""The shards of the fleet, as metrics: who answers, how long it takes, what each has."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardNumbers:
    """One shard. answers: whether it told of the last turn. turns, late, failures, restarts: how often, ever."""

    number: int
    answers: bool
    quarantined: bool
    series: int
    findings: int
    took_s: float
    read_s: float
    turns: int
    late: int
    failures: int
    restarts: int


class ShardCollector(Collector):
    """Tells the numbers of the moment."""

    def __init__(self, numbers: Callable[[], Sequence[ShardNumbers]]) -> None:
        self._numbers = numbers

    def collect(self) -> Iterator[Metric]:
        """Return the metrics of one scrape."""
        every = self._numbers()
        yield GaugeMetricFamily("aiops_engine_shards", "Shards of the fleet.", value=len(every))
        answering = sum(one.answers for one in every)
        yield GaugeMetricFamily("aiops_engine_shards_answering", "Shards that told of the last turn.", value=answering)
        gauges: tuple[tuple[str, str, Callable[[ShardNumbers], float]], ...] = (
            ("aiops_shard_up", "Whether the shard told of the last turn.", lambda one: float(one.answers)),
            ("aiops_shard_quarantined", "Whether it is quarantined.", lambda one: float(one.quarantined)),
            ("aiops_shard_series", "Series that it watches.", lambda one: float(one.series)),
            ("aiops_shard_findings", "Findings that are open in it.", lambda one: float(one.findings)),
            ("aiops_shard_turn_seconds", "How long its last turn took.", lambda one: one.took_s),
            ("aiops_shard_read_seconds", "How long it read in its last turn.", lambda one: one.read_s),
        )
        for name, about, value in gauges:
            gauge = GaugeMetricFamily(name, about, labels=["shard"])
            for one in every:
                gauge.add_metric([str(one.number)], value(one))
            yield gauge
        counters: tuple[tuple[str, str, Callable[[ShardNumbers], int]], ...] = (
            ("aiops_shard_turns", "Turns that it told of.", lambda one: one.turns),
            ("aiops_shard_late", "Turns that it was late for.", lambda one: one.late),
            ("aiops_shard_failures", "Turns in which it failed.", lambda one: one.failures),
            ("aiops_shard_restarts", "How often another process took its place.", lambda one: one.restarts),
        )
        for name, about, count in counters:
            counter = CounterMetricFamily(name, about, labels=["shard"])
            for one in every:
                counter.add_metric([str(one.number)], count(one))
            yield counter

    def describe(self) -> list[Metric]:
        """Return nothing: names are known when there is something to tell."""
        return []
