"""The open incidents as metrics, the worst of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from aiops.core.model import Incident, IncidentState

MOST = 20
"""Incidents that are told one by one; a label that names each is bounded by how many are open at a time."""

_LABELS = ["incident", "kind", "suspect"]


class IncidentCollector(Collector):
    """Tells the incidents of the last tick."""

    def __init__(self, incidents: Callable[[], Sequence[Incident]]) -> None:
        self._incidents = incidents

    def collect(self) -> Iterator[Metric]:
        """Return the metrics of one scrape."""
        score = GaugeMetricFamily("aiops_incident_peak_score", "The peak score of an open incident.", labels=_LABELS)
        series = GaugeMetricFamily("aiops_incident_series", "Its series that have a finding now.", labels=_LABELS)
        since = GaugeMetricFamily("aiops_incident_start_timestamp_seconds", "When it began.", labels=_LABELS)
        opened = [one for one in self._incidents() if one.state is IncidentState.OPEN]
        for one in sorted(opened, key=lambda one: (-one.peak_score, one.id))[:MOST]:
            labels = [one.id, one.kind, one.suspects[0].name if one.suspects else ""]
            score.add_metric(labels, one.peak_score)
            series.add_metric(labels, one.standing)
            since.add_metric(labels, one.since)
        yield from (family for family in (score, series, since) if family.samples)

    def describe(self) -> list[Metric]:
        """Return nothing: names are known when there is something to tell."""
        return []
