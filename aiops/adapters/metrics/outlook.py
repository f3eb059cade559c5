"""Forecasts and anomaly scores as Prometheus metrics, read from the newest Outlook at each scrape.

Bounded by what is loaded: 30 series for each policy that foresees, 20 findings for each that watches; what belongs to a
policy goes with it, and what is missing, stale or not learnt is absent, never zero (S1).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from aiops.core.pipeline.outlook import ANOMALY, FORECAST, PEAK, Alarm, Outlook, Prospect, Viewer

_TWO = ["policy", "signal"]
_OF_FORECAST = ["policy", "signal", "quantile", "horizon"]


class OutlookCollector(Collector):
    """Tells what a viewer shows."""

    def __init__(self, viewer: Viewer) -> None:
        self._viewer = viewer

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Return the metrics of one scrape, all of one Outlook."""
        outlook = self._viewer.newest()
        fit = {key: not self._viewer.unfit(one) for key, one in outlook.prospects.items()}
        told = [one for key, one in outlook.prospects.items() if fit[key]]
        yield _forecasts(told)
        yield _peaks(told)
        yield from _about(outlook, fit)
        yield from _alarms(one for one in outlook.alarms.values() if not self._viewer.unfit(one))

    def describe(self) -> list[GaugeMetricFamily]:
        """Return nothing: names are known when there is something to tell."""
        return []


def _forecasts(told: list[Prospect]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(FORECAST, "Demand at the end of the horizon, by quantile.", labels=_OF_FORECAST)
    for one in told:
        for quantile in one.forecast.quantiles:
            for horizon, horizon_s in one.horizons_s.items():
                _add(family, one, (quantile, horizon), one.value(quantile, horizon_s))
    return family


def _peaks(told: list[Prospect]) -> GaugeMetricFamily:
    text = "The greatest demand until the end of the horizon, at the quantile that the policy scales on."
    family = GaugeMetricFamily(PEAK, text, labels=_OF_FORECAST)
    for one in told:
        for horizon, horizon_s in one.horizons_s.items():
            _add(family, one, (one.quantile, horizon), one.peak(one.quantile, horizon_s))
    return family


def _add(family: GaugeMetricFamily, one: Prospect, place: tuple[float, str], value: float) -> None:
    quantile, horizon = place
    if math.isfinite(value):
        family.add_metric([one.policy, one.forecast.signal, f"{quantile:g}", horizon], value)


def _about(outlook: Outlook, fit: dict[str, bool]) -> Iterator[GaugeMetricFamily]:
    usable = GaugeMetricFamily("aiops_forecast_usable", "Whether a forecast is told (1) or held back (0).", labels=_TWO)
    as_of = GaugeMetricFamily("aiops_forecast_timestamp_seconds", "What the forecast is as old as.", labels=_TWO)
    lead = GaugeMetricFamily("aiops_forecast_lead_time_seconds", "The length of the horizon `lead`.", labels=_TWO)
    for key, one in outlook.prospects.items():
        labels = [key, one.forecast.signal]
        usable.add_metric(labels, float(fit[key]))
        lead.add_metric(labels, one.lead_s)
        if math.isfinite(one.as_of):
            as_of.add_metric(labels, one.as_of)
    yield from (usable, as_of, lead)


def _alarms(told: Iterable[Alarm]) -> Iterator[GaugeMetricFamily]:
    text = "The worst open finding of a WatchPolicy; above 1 is anomalous, 0 is none."
    scores = GaugeMetricFamily(ANOMALY, text, labels=["policy"])
    findings = GaugeMetricFamily(
        "aiops_finding_score", "Open findings, the worst of each policy.", labels=["policy", "kind", "series"]
    )
    for one in told:
        scores.add_metric([one.policy], one.score)
        for finding in one.worst:
            findings.add_metric([one.policy, finding.kind.value, finding.series], finding.score)
    yield from (scores, findings)
