"""What one instant shows of a workload with a companion on spot nodes: replicas, pools, prices, what is at stake."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from statistics import fmean

from aiops.core.decide.cost.spot.reclaims import spot_nodes
from aiops.core.decide.cost.spot.risk import Stakes, rate_bound
from aiops.core.model import (
    Instant,
    Looked,
    PriceBook,
    Priced,
    Reason,
    Reclaims,
    SeenObject,
    Snapshot,
    SpotState,
    UnitPrices,
)
from aiops.core.money.templates import replicas, share
from aiops.core.objects.bodies import at, number, strings
from aiops.core.objects.budgets import selects
from aiops.core.objects.spot import ShareRecord, share_of
from aiops.core.objects.steering import hpas_of
from aiops.core.planning.cost_spot import SpotPolicy, around

PRICE_KEPT_S = 86_400.0
"""How long the last price of spot nodes is reckoned with while there are none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prices:
    """USD an hour of a replica on demand, and of one on spot nodes."""

    on_demand: float
    spot: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A workload and its companion. now, ready: of the companion; home: what it had before us.

    set: what was written there last, None where nothing was. broken: why its record cannot be read, '' when it can.
    pools: how many of the companion's pods are in each; waiting: how many have no node. rolling: they are being
    replaced. risky: pods of the base on spot nodes. prices: or why they are not known.
    """

    base: SeenObject
    spot: SeenObject
    has: int
    now: int
    ready: int
    home: int
    set: int | None
    broken: str
    hpa: bool
    pools: Mapping[str, int]
    waiting: int
    rolling: bool
    risky: int
    prices: Prices | str

    @property
    def total(self) -> int:
        """Return how many replicas there are in all."""
        return self.has + self.now


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """pairs: of workloads that have a companion. alone: names of those without. spots: the pool of each spot node.

    units: what a core and a GiB cost on spot nodes, None where no node and no list says so now.
    """

    pairs: tuple[Pair, ...]
    alone: tuple[str, ...]
    spots: Mapping[str, str]
    nodes: tuple[SeenObject, ...]
    units: UnitPrices | None = None


Unseen = tuple[Reason, str]


def scene(policy: SpotPolicy, snapshot: Snapshot, memory: SpotState) -> Scene | Unseen:
    """Return what is seen; while a part of it is not, nothing is decided (S1)."""
    looked, prices = snapshot.looked, snapshot.prices
    targets = policy.targets
    if targets is None:
        return Reason.UNKNOWN_TARGET, "the policy has no target"
    found = targets.found(looked)
    if found and isinstance(found[0], Reason):
        return found[0], str(found[1])
    selections = around(targets)
    for one in selections:
        if one.key not in looked.selections:
            reason, why = looked.errors.get(one.key, (Reason.INCONCLUSIVE, "not seen yet"))
            return reason, f"{one.kind}s cannot be read: {why}"
    deployments, pods, nodes = (looked.selections[one.key] for one in selections)
    by_name = {one.ref.name: one for one in deployments}
    spots = spot_nodes(nodes)
    here, there = _units(nodes, spots, prices, targets.cluster)
    units = (here, there or _remembered(memory, snapshot.at))
    pairs, alone = [], []
    for base in found:
        if not isinstance(base, SeenObject) or base.ref.name.endswith(policy.suffix):
            continue
        companion = by_name.get(base.ref.name + policy.suffix)
        if companion is None:
            alone.append(base.ref.name)
            continue
        pairs.append(_pair(base, companion, (pods, spots), looked, _prices(base, units, prices)))
    return Scene(pairs=tuple(pairs), alone=tuple(alone), spots=spots, nodes=nodes, units=there)


def _pair(
    base: SeenObject,
    spot: SeenObject,
    where: tuple[Iterable[SeenObject], Mapping[str, str]],
    looked: Looked,
    prices: Prices | str,
) -> Pair:
    pods, spots = where
    record, now = share_of(spot), replicas(spot)
    known = isinstance(record, ShareRecord)
    mine, others = [], []
    for pod in pods:
        labels, node = strings(at(pod.body, "metadata", "labels")), str(at(pod.body, "spec", "nodeName") or "")
        if at(pod.body, "metadata", "deletionTimestamp"):
            continue
        if selects(at(spot.body, "spec", "selector"), labels):
            mine.append(node)
        elif selects(at(base.body, "spec", "selector"), labels):
            others.append(node)
    return Pair(
        base=base,
        spot=spot,
        has=replicas(base),
        now=now,
        ready=max(0, number(at(spot.body, "status", "readyReplicas"), 0) or 0),
        home=min(record.home, now) if isinstance(record, ShareRecord) else now,
        set=record.set if known and isinstance(record, ShareRecord) else None,
        broken=record if isinstance(record, str) else "",
        hpa=bool(hpas_of(base.ref, looked)),
        pools=dict(Counter(spots[node] for node in mine if node in spots)),
        waiting=sum(not node for node in mine),
        rolling=_rolling(spot),
        risky=sum(node in spots for node in others),
        prices=prices,
    )


def _rolling(workload: SeenObject) -> bool:
    """Return whether its pods are being replaced by those of a newer template: then some are not ready anyway."""
    generation, observed = (
        number(at(workload.body, *path), 0) or 0
        for path in (("metadata", "generation"), ("status", "observedGeneration"))
    )
    wanted = replicas(workload)
    return 0 < observed < generation or (number(at(workload.body, "status", "updatedReplicas"), wanted) or 0) < wanted


# -- prices --------------------------------------------------------------------------------------------


def _units(
    nodes: Iterable[SeenObject], spots: Mapping[str, str], prices: PriceBook, cluster: str
) -> tuple[UnitPrices | None, UnitPrices | None]:
    """Return what a core and a GiB cost on demand and on spot nodes: the means over the nodes whose prices are known.

    Where no node of a kind is there, or has a price, those that could be had count.
    """
    seen: dict[bool, list[UnitPrices]] = {False: [], True: []}
    for node in nodes:
        quote = prices.nodes.get(f"{cluster}/{node.ref.name}")
        if isinstance(quote, Priced) and quote.units is not None:
            seen[node.ref.name in spots].append(quote.units)
    for kind, some in seen.items():
        if not some:
            quotes = (one.quote for one in prices.pools if one.spot is kind)
            some += [one.units for one in quotes if isinstance(one, Priced) and one.units is not None]
    return _mean(seen[False]), _mean(seen[True])


def _remembered(memory: SpotState, now: Instant) -> UnitPrices | None:
    """Return what spot nodes cost when there were any: none is left after a fallback, and their price with them."""
    at_, core, gib = memory.units
    return UnitPrices(core_usd=core, gib_usd=gib) if 0.0 <= now - at_ <= PRICE_KEPT_S else None


def _mean(some: list[UnitPrices]) -> UnitPrices | None:
    if not some:
        return None
    return UnitPrices(core_usd=fmean(one.core_usd for one in some), gib_usd=fmean(one.gib_usd for one in some))


def _prices(base: SeenObject, units: tuple[UnitPrices | None, UnitPrices | None], prices: PriceBook) -> Prices | str:
    """Return what a replica costs here and there, or why that is not known: then nothing is saved, or moved."""
    on_demand, spot = units
    takes = share(base)
    if takes.cores is None and takes.memory_gib is None:
        return f"{base.ref.kind} {base.ref} requests nothing"
    if spot is None:
        return "the price of spot nodes is not known"

    def costs(one: UnitPrices) -> float:
        return (takes.cores or 0.0) * one.core_usd + (takes.memory_gib or 0.0) * one.gib_usd

    quote = prices.replicas.get(base.ref.key)
    if on_demand is not None:
        here = costs(on_demand)
    elif isinstance(quote, Priced):
        here = quote.usd_per_hour
    else:
        return f"the price of {base.ref.kind} {base.ref} on demand is not known"
    there = costs(spot)
    sane = all(math.isfinite(one) and one > 0.0 for one in (here, there))
    return Prices(on_demand=here, spot=there) if sane else "the prices make no sense"


# -- what is at stake ----------------------------------------------------------------------------------


def rates(policy: SpotPolicy, memory: SpotState) -> dict[str, float]:
    """Return the upper bound of waves an hour of each pool that is known."""
    risk = policy.risk
    return {
        name: rate_bound(one.waves, one.hours, risk.assumed_per_hour, risk.confidence)
        for name, one in memory.pools.items()
    }


def stakes(policy: SpotPolicy, pair: Pair, memory: SpotState, total: int) -> Stakes:
    """Return what is at stake with so many replicas in all.

    Where the companion runs nowhere yet all of it is taken to come into the pool that is taken away most often.
    """
    known, pods = rates(policy, memory), sum(pair.pools.values())
    shares = {name: count / pods for name, count in pair.pools.items()} if pods else {}
    if not shares:
        worst = max(known, key=lambda name: known[name], default="unnamed")
        shares = {worst: 1.0}
    new = rate_bound(0.0, 0.0, policy.risk.assumed_per_hour, policy.risk.confidence)
    saves = pair.prices.on_demand - pair.prices.spot if isinstance(pair.prices, Prices) else 0.0
    return Stakes(
        total=total,
        floor=max(policy.floor, math.ceil(policy.floor_ratio * total - 1e-9)),
        saves_usd=saves,
        lost_usd=policy.risk.lost_usd_per_hour,
        replace_s=policy.risk.replace_s,
        rates={name: known.get(name, new) for name in shares},
        shares=shares,
        survive=policy.risk.survive,
        risky=pair.risky,
        most=math.floor(policy.most_ratio * total + 1e-9),
    )


def told(policy: SpotPolicy, memory: SpotState) -> Iterator[str]:
    """Yield what is known of each pool, the one that is taken away most often first."""
    bounds = rates(policy, memory)
    for name in sorted(bounds, key=lambda one: (-bounds[one], one))[:20]:
        pool: Reclaims = memory.pools[name]
        seen = f"{pool.waves:.1f} waves in {pool.hours:.1f} h, both fading"
        yield f"pool {name}: {seen}: at most {bounds[name]:.3g} an hour ({policy.risk.confidence:.0%})"
