"""OpenCost by its metrics in Prometheus: what nodes and their resources cost, and what is allocated to containers.

`node_total_hourly_cost`, `node_cpu_hourly_cost` (a core), `node_ram_hourly_cost` (a GiB: OpenCost divides bytes by
1024 three times), `node_gpu_hourly_cost`, `container_cpu_allocation`, `container_memory_allocation_bytes` and
`container_gpu_allocation`, of which one sample a minute is scraped.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

from aiops.core.model import Instant, PodShare
from aiops.core.money.tariff import Meter, MeteredNode
from aiops.core.policies import WatchQuery
from aiops.errors import SourceUnavailable
from aiops.ports import Source

GIB = 2.0**30
MAX_SERIES = 100_000
_NODES = {
    "total": "node_total_hourly_cost",
    "core": "node_cpu_hourly_cost",
    "gib": "node_ram_hourly_cost",
    "gpu": "node_gpu_hourly_cost",
}
_PODS = {
    "cores": "container_cpu_allocation",
    "bytes": "container_memory_allocation_bytes",
    "gpus": "container_gpu_allocation",
}


def _by_node(metric: str) -> str:
    """Return the query of a node's price; of several scrapes of OpenCost the dearest counts."""
    return f"max by (node) ({metric})"


def _by_pod(metric: str) -> str:
    """Return the query of what is allocated to a pod, over its containers; container '' is the whole pod's own sum."""
    return f'sum by (namespace, pod, node) (max by (namespace, pod, node, container) ({metric}{{container!=""}}))'


WATCHES = (
    *(
        WatchQuery(policy=f"nodes.{name}", expr=_by_node(metric), identity=("node",), max_series=MAX_SERIES)
        for name, metric in _NODES.items()
    ),
    *(
        WatchQuery(
            policy=f"pods.{name}", expr=_by_pod(metric), identity=("namespace", "pod", "node"), max_series=MAX_SERIES
        )
        for name, metric in _PODS.items()
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenCostMetrics:
    """Reads OpenCost's metrics. source: whatever answers PromQL; it is asked for nothing else. empty: as `Meter`."""

    source: Source
    empty: Meter

    def read(self, at: Instant) -> Meter:
        """Return what nodes cost and pods are allocated at `at`; raise SourceUnavailable when no node has a price."""
        seen = self.source.read((), WATCHES, at)
        if why := seen.watch_errors.get("nodes.total"):
            raise SourceUnavailable(why)
        found: dict[str, dict[tuple[str, ...], float]] = {}
        labels, values = seen.frame.index.labels, seen.frame.values.tolist()
        for key, names, value in zip(seen.frame.index.keys, labels, values, strict=True):
            if math.isfinite(value):
                found.setdefault(key.split("#", 1)[0], {})[_named(names)] = value
        nodes = self._nodes(found)
        if not nodes:
            raise SourceUnavailable("node_total_hourly_cost has no series: is OpenCost scraped by this Prometheus?")
        return replace(self.empty, as_of=at, nodes=nodes, shares=self._shares(found))

    def _nodes(self, found: Mapping[str, Mapping[tuple[str, ...], float]]) -> dict[str, MeteredNode]:
        parts = {name: found.get(f"nodes.{name}", {}) for name in _NODES}
        every = {key for name in ("total", "core") for key in parts[name]}
        return {key[0]: MeteredNode(**{name: part.get(key, math.nan) for name, part in parts.items()}) for key in every}

    def _shares(self, found: Mapping[str, Mapping[tuple[str, ...], float]]) -> dict[str, PodShare]:
        cores, memory, gpus = (found.get(f"pods.{name}", {}) for name in _PODS)
        shares = {}
        for namespace, pod, node in {*cores, *memory}:
            key = (namespace, pod, node)
            shares[f"{namespace}/{pod}"] = PodShare(
                pod=pod,
                node=node,
                cores=cores.get(key),
                memory_gib=memory[key] / GIB if key in memory else None,
                gpus=gpus.get(key, 0.0),
            )
        return shares


def _named(labels: Mapping[str, str]) -> tuple[str, ...]:
    node = labels.get("node", "")
    return (labels["namespace"], labels.get("pod", ""), node) if "namespace" in labels else (node,)
