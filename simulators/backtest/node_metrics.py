"""How many nodes there were, and what they had, as conditions count them: asked of kube-state-metrics and of OpenCost.

To which pool a node belonged is not asked: kube-state-metrics tells labels of nodes only where it is told to. So
`nodes.*` is known of the past, and `pools` is not.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from aiops.core.model import F64, Instant, Machine, TargetRef
from aiops.core.objects.pools import TOGETHER
from aiops.ports import Inventory
from simulators.autoscalers.hpa import HpaController
from simulators.ports import SimCluster
from simulators.world import World

_READY = 'max by (node) (kube_node_status_condition{condition="Ready",status="true"})'
_FREE = "max by (node) (1 - kube_node_spec_unschedulable)"
_CPU, _MEMORY = 'resource="cpu"', 'resource="memory"'
_GPUS = 'resource=~"nvidia_com_gpu|amd_com_gpu|gpu_intel_com_i915|gpu_intel_com_xe"'


def _of_ready(resource: str) -> str:
    """Return the query of what pods may take of nodes that are ready."""
    room = f"sum by (node) (max by (node, resource) (kube_node_status_allocatable{{{resource}}}))"
    return f"sum({room} * on (node) {_READY})"


NODES: Mapping[str, str] = {
    "nodes:count": "count(count by (node) (kube_node_info))",
    "nodes:ready": f"sum({_READY})",
    "nodes:schedulable": f"sum({_READY} * on (node) {_FREE})",
    "nodes:cores": _of_ready(_CPU),
    "nodes:memoryGiB": f"{_of_ready(_MEMORY)} / 1073741824",
    "nodes:gpus": f"{_of_ready(_GPUS)} or vector(0)",
    "nodes:usdPerHour": "sum(max by (node) (node_total_hourly_cost))",
}
"""PromQL by column."""

_NEEDED = ("count", "ready", "schedulable", "cores", "memoryGiB", "gpus")


class RecordedNodes:
    """The nodes at each step of a recording: as many alike ones as have what was recorded of all together."""

    def __init__(self, columns: Mapping[str, F64], cluster: str) -> None:
        self._columns = {name: columns.get(f"nodes:{name}") for name in (*_NEEDED, "usdPerHour")}
        self._cluster = cluster
        self._known: tuple[tuple[float, ...], Mapping[str, Machine]] = ((), {})

    @property
    def known(self) -> bool:
        """Return whether anything was recorded of them."""
        return all(self._columns[name] is not None for name in _NEEDED)

    def at(self, step: int) -> Mapping[str, Machine]:
        """Return those of a step by `Machine.key`; none where that is not known."""
        said = tuple(self._value(name, step) for name in _NEEDED)
        if not all(math.isfinite(one) and one >= 0.0 for one in said) or said[0] < 1.0:
            return {}
        if self._known[0] != said:
            self._known = (said, {one.key: one for one in self._alike(said)})
        return self._known[1]

    def usd_per_hour(self, step: int) -> float | None:
        """Return the price of one of them at a step, None while it is not known."""
        usd, count = self._value("usdPerHour", step), self._value("count", step)
        return usd / count if math.isfinite(usd) and usd > 0.0 and count >= 1.0 else None

    def _value(self, name: str, step: int) -> float:
        column = self._columns[name]
        return math.nan if column is None else float(column[step])

    def _alike(self, said: tuple[float, ...]) -> list[Machine]:
        count, ready, free = (round(one) for one in said[:3])
        cores, memory_gib, gpus = (one / max(1, min(ready, count)) for one in said[3:])
        return [
            Machine(
                cluster=self._cluster,
                node=str(number),
                pool=TOGETHER,
                ready=number < ready,
                schedulable=number < free,
                allocatable_cores=cores,
                allocatable_gib=memory_gib,
                allocatable_gpus=gpus,
            )
            for number in range(count)
        ]


class AmongNodes(SimCluster):
    """The target of a simulated world, among the nodes that were recorded. step: the one that is served."""

    def __init__(
        self, world: World, hpas: Mapping[str, HpaController], nodes: RecordedNodes, step: Callable[[], int]
    ) -> None:
        super().__init__(world, hpas)
        self._recorded, self._step = nodes, step

    def inventory(self, targets: Sequence[TargetRef], at: Instant) -> Inventory:
        """Return the target, and the nodes of the step."""
        shown = super().inventory(targets, at)
        return replace(shown, machines=self._recorded.at(self._step())) if self._recorded.known else shown
