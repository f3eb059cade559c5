"""The metrics source: Prometheus and what speaks its API, through prometheus-api-client."""

from aiops.adapters.prometheus.options import PrometheusOptions
from aiops.adapters.prometheus.router import NamedSources
from aiops.adapters.prometheus.source import PrometheusSource

__all__ = ["NamedSources", "PrometheusOptions", "PrometheusSource"]
