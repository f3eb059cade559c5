"""Whether what is saved has let go of nodes: only then is it money that is not paid.

A cluster's baseline is what its nodes cost when nothing was saved in it, raised whenever they cost more than that while
something is. What they cost less than the baseline is released; of the rest only capacity was freed. So a fleet that
saves pods on nodes that stay is never told that it saves money.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from aiops.core.model import PriceBook, Priced
from aiops.core.money.spend import NODES, Meter, Reference, Subject, nano


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """The nodes of one cluster: how many, and what they cost, nano-USD per hour; None while one of them is not known.

    With the baselines of both.
    """

    count: int
    cost: int | None
    count_before: int
    cost_before: int | None

    @property
    def released(self) -> int:
        """Return nano-USD per hour that are paid no more."""
        if self.cost is None or self.cost_before is None:
            return 0
        return max(0, self.cost_before - self.cost)


@dataclass(slots=True)
class Pools:
    """Remembers the baselines, by cluster; owned by one thread."""

    known: dict[str, Pool] = field(default_factory=dict)

    def follow(self, book: PriceBook, freed: Mapping[str, int], holds: frozenset[str]) -> dict[str, Pool]:
        """Return the pools now. freed: nano-USD per hour that are saved in a cluster; holds: where plans hold nodes."""
        now: dict[str, list[int | None]] = {}
        for key, quote in book.nodes.items():
            cost = nano(quote.usd_per_hour) if isinstance(quote, Priced) else None
            now.setdefault(key.partition("/")[0], []).append(cost)
        self.known = {
            name: self._pool(name, costs, saves=freed.get(name, 0) > 0 or name in holds) for name, costs in now.items()
        }
        return self.known

    def _pool(self, name: str, costs: list[int | None], *, saves: bool) -> Pool:
        count = len(costs)
        cost = None if None in costs else sum(one for one in costs if one is not None)
        before = self.known.get(name)
        if before is None or not saves:
            return Pool(count=count, cost=cost, count_before=count, cost_before=cost)
        most = [one for one in (cost, before.cost_before) if one is not None]
        return Pool(
            count=count,
            cost=cost,
            count_before=max(count, before.count_before),
            cost_before=max(most) if most else None,
        )

    def meters(self) -> dict[Subject, Meter | None]:
        """Return the nodes as subjects of their own: what they cost, and how many there would be."""
        return {
            Subject(target=f"{NODES}{name}"): Meter(
                replicas=one.count,
                cost=one.cost,
                reference=Reference(low=one.count_before, middle=one.count_before, high=one.count_before),
            )
            for name, one in self.known.items()
        }


def ratio(pool: Pool | None, freed: int) -> float:
    """Return how much of what is saved in a cluster has let go of nodes, 0 where its nodes are not known."""
    return 0.0 if pool is None or freed <= 0 else min(1.0, pool.released / freed)
