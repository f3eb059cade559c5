"""What a replica cost at the time, by OpenCost's metrics: what its pods were given, at the prices of their nodes."""

from __future__ import annotations

from dataclasses import dataclass

from aiops.core.model import TargetRef

_PODS = {
    "Deployment": "{name}-[a-z0-9]+-[a-z0-9]{{5}}",
    "StatefulSet": "{name}-[0-9]+",
    "ReplicaSet": "{name}-[a-z0-9]{{5}}",
}
"""How pods are called by what made them; of another kind, whatever begins with its name."""

_ALLOCATED = (
    ("container_cpu_allocation", "", "node_cpu_hourly_cost"),
    ("container_memory_allocation_bytes", " / 1073741824", "node_ram_hourly_cost"),
    ("container_gpu_allocation", "", "node_gpu_hourly_cost"),
)
"""What is allocated, its unit, and what one of it costs an hour. The last may be missing: no GPU."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceMetrics:
    """How the price of a replica is asked for. query: PromQL with {{namespace}}, {{name}} and {{kind}}; '' for none.

    None asks for OpenCost's metrics.
    """

    query: str | None = None

    def of(self, target: TargetRef) -> tuple[str, str] | None:
        """Return (column, PromQL) for a target, None where nothing is asked."""
        column = f"price:{target.namespace}/{target.name}"
        if self.query is None:
            return column, _by_opencost(target)
        if not self.query:
            return None
        fields = {"namespace": target.namespace, "name": target.name, "kind": target.kind.lower()}
        made = self.query
        for name, value in fields.items():
            made = made.replace(f"{{{{{name}}}}}", value)
        return column, made


def _by_opencost(target: TargetRef) -> str:
    """Return USD per hour of what one pod is given, on average."""
    pods = _PODS.get(target.kind, "{name}-.*").format(name=target.name)
    of = f'{{namespace="{target.namespace}",pod=~"{pods}",container!=""}}'
    parts = [
        f"sum(sum by (node) (max by (pod, node, container) ({metric}{of})){unit} * on (node) max by (node) ({price}))"
        for metric, unit, price in _ALLOCATED
    ]
    cpu, memory, gpu = parts
    count = f"count(count by (pod) (container_cpu_allocation{of}))"
    return f"({cpu} + {memory} + ({gpu} or vector(0))) / {count}"
