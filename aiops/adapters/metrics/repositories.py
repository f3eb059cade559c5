"""What Git repositories were asked and answered, as metrics."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Protocol

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector


class RepositoryNumbers(Protocol):
    """Of one repository: pushes and fetches by how they ended, when it was last read, whether it holds changes."""

    @property
    def pushes(self) -> Mapping[str, int]:
        """Return how often each end came to a push."""
        ...

    @property
    def fetches(self) -> Mapping[str, int]:
        """Return how often each end came to a fetch."""
        ...

    @property
    def read_at(self) -> float:
        """Return when it was last read, 0 before."""
        ...

    @property
    def held(self) -> bool:
        """Return whether something cannot be written now."""
        ...


class RepositoryCollector(Collector):
    """Tells the numbers of the moment."""

    def __init__(self, numbers: Callable[[], Mapping[str, RepositoryNumbers]]) -> None:
        self._numbers = numbers

    def collect(self) -> Iterator[Metric]:
        """Return the metrics of one scrape."""
        pushes = CounterMetricFamily(
            "aiops_git_pushes", "Commits to push, by how it ended.", labels=["repository", "result"]
        )
        fetches = CounterMetricFamily(
            "aiops_git_fetches", "Fetches, by how they ended.", labels=["repository", "result"]
        )
        read = GaugeMetricFamily(
            "aiops_git_read_timestamp_seconds", "When the repository was last read.", labels=["repository"]
        )
        held = GaugeMetricFamily(
            "aiops_git_held", "Whether something cannot be written in the repository now.", labels=["repository"]
        )
        for name, one in self._numbers().items():
            for result, count in dict(one.pushes).items():
                pushes.add_metric([name, result], count)
            for result, count in dict(one.fetches).items():
                fetches.add_metric([name, result], count)
            read.add_metric([name], one.read_at)
            held.add_metric([name], float(one.held))
        yield from (pushes, fetches, read, held)

    def describe(self) -> list[Metric]:
        """Return nothing: names are known when there is something to tell."""
        return []
