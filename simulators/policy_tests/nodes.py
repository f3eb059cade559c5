"""The nodes of a test: so many of each pool, ready or not, at a price."""

from __future__ import annotations

from collections.abc import Mapping

from aiops.core.model import Instant, Machine
from aiops.policy.testing import Case
from aiops.policy.testing.surroundings import NodesSpec
from simulators.policy_tests.spans import Spans

GIB = 2.0**30


class GivenNodes:
    """The nodes that a test gives, in the cluster of its target."""

    def __init__(self, case: Case, cluster: str) -> None:
        self._spans = Spans(case.spec.nodes, case.start)
        self._order = {id(one): number for number, one in enumerate(case.spec.nodes)}
        self._cluster = cluster
        self._known: dict[tuple[int, ...], Mapping[str, Machine]] = {}
        self.usd_per_hour = {
            f"{cluster}/{number}-{place}": one.usd_per_hour
            for number, one in enumerate(case.spec.nodes)
            if one.usd_per_hour is not None
            for place in range(one.count)
        }

    def at(self, at: Instant) -> Mapping[str, Machine]:
        """Return those that there are, by `Machine.key`."""
        active = [one for _, _, one in self._spans.active(at)]
        key = tuple(self._order[id(one)] for one in active)
        if key not in self._known:
            self._known[key] = {made.key: made for one in active for made in self._made(one)}
        return self._known[key]

    def _made(self, one: NodesSpec) -> list[Machine]:
        ready = one.count if one.ready is None else one.ready
        free = ready if one.schedulable is None else one.schedulable
        return [
            Machine(
                cluster=self._cluster,
                node=f"{self._order[id(one)]}-{place}",
                instance_type=one.type,
                zone=one.zone,
                spot=one.spot,
                pool=one.pool,
                cores=one.cores,
                memory_gib=one.memory / GIB,
                gpus=one.gpus,
                ready=place < ready,
                schedulable=place < free,
                allocatable_cores=one.cores,
                allocatable_gib=one.memory / GIB,
                allocatable_gpus=one.gpus,
            )
            for place in range(one.count)
        ]
