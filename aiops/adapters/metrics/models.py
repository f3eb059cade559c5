"""The models that foretell demand as metrics: who acts, how well, and how often one replaced another."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from aiops.core.lineage.lineage import Lineage
from aiops.core.lineage.next_minutes import NextMinutes
from aiops.core.model import PolicyKey

_POLICY = ["policy"]


class ModelCollector(Collector):
    """Tells of the lineages as they are now."""

    def __init__(self, lineages: Callable[[], Mapping[PolicyKey, Lineage | NextMinutes]]) -> None:
        self._lineages = lineages

    def collect(self) -> Iterator[Metric]:
        """Return the metrics of one scrape; what is not known is absent, never zero (S1)."""
        info = GaugeMetricFamily("aiops_model_info", "The version that acts.", labels=["policy", "model", "code"])
        version = GaugeMetricFamily("aiops_model_version", "The number of the version that acts.", labels=_POLICY)
        acts = GaugeMetricFamily("aiops_model_usable", "Whether forecasts of it are acted on (1).", labels=_POLICY)
        skill = GaugeMetricFamily(
            "aiops_model_skill_ratio",
            "How much less its pinball loss is than that of the last season's value.",
            labels=_POLICY,
        )
        covered = GaugeMetricFamily(
            "aiops_model_coverage_ratio", "How often values of the last day lay in the 80 % interval.", labels=_POLICY
        )
        made = GaugeMetricFamily(
            "aiops_model_made_timestamp_seconds", "When the one that acts was made.", labels=_POLICY
        )
        shadow = GaugeMetricFamily("aiops_model_challengers", "Versions that are judged in its shadow.", labels=_POLICY)
        drift = GaugeMetricFamily("aiops_model_drifted", "Whether errors are not what they were (1).", labels=_POLICY)
        fits = CounterMetricFamily("aiops_model_fits", "Fits by what became of them.", labels=["policy", "result"])
        for key, one in self._lineages().items():
            current = one.current
            if current is None:
                continue
            info.add_metric([key, current.model, current.code], 1.0)
            version.add_metric([key], current.number)
            made.add_metric([key], current.made_at)
            acts.add_metric([key], float(one.champion.learned))
            shadow.add_metric([key], sum(each.role.in_shadow for each in one.versions))
            drift.add_metric([key], float(bool(one.drift)))
            for result, count in sorted(one.counts.items()):
                fits.add_metric([key, result], count)
            known = one.scores().get(current.number)
            for family, value in ((skill, one.champion.skill), (covered, None if known is None else known.coverage)):
                if value is not None and math.isfinite(value):
                    family.add_metric([key], value)
        every = (info, version, acts, skill, covered, made, shadow, drift, fits)
        yield from (family for family in every if family.samples)

    def describe(self) -> list[Metric]:
        """Return nothing: names are known when there is something to tell."""
        return []
