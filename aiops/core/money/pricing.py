"""From prices of nodes to prices of replicas: a price book of what there is now."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from aiops.core.model import (
    Instant,
    Machine,
    PodShare,
    PriceBook,
    Priced,
    PriceGap,
    Quote,
    TargetRef,
    UnitPrices,
    Unpriced,
)
from aiops.core.money.prices import judged
from aiops.core.money.tariff import NO_FEED, Tariff, worth


@dataclass(frozen=True, slots=True, kw_only=True)
class Stock:
    """What there is to be priced. pods: by `TargetRef.key`; machines: by `Machine.key`."""

    pods: Mapping[str, tuple[PodShare, ...]] = field(default_factory=dict)
    machines: Mapping[str, Machine] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """Prices of replicas that the settings give, in USD per hour: by `namespace/name`, and for whatever is not priced.

    rates: USD for one, by currency, for whoever weighs money of others against these prices.
    """

    targets: Mapping[str, float] = field(default_factory=dict)
    otherwise: float | None = None
    rates: Mapping[str, float] = field(default_factory=dict)


def book(targets: Sequence[TargetRef], stock: Stock, tariff: Tariff | None, given: Given, at: Instant) -> PriceBook:
    """Return every price at `at`; what is given for a target counts before the tariff, what is given for all after."""
    nodes = {} if tariff is None else {key: tariff.node(machine, at) for key, machine in stock.machines.items()}
    replicas = {ref.key: _replica(ref, stock, (tariff, nodes), given, at) for ref in targets}
    pools = () if tariff is None else tariff.pools(at)
    return PriceBook(replicas=replicas, nodes=nodes, pools=pools, rates=given.rates)


def _replica(
    ref: TargetRef, stock: Stock, by: tuple[Tariff | None, Mapping[str, Quote]], given: Given, at: Instant
) -> Quote:
    tariff, nodes = by
    if str(ref) in given.targets:
        return judged(given.targets[str(ref)], "prices.targets", at)
    made: Quote = NO_FEED if tariff is None else of_pods(ref, stock.pods.get(ref.key, ()), tariff, nodes, at)
    if isinstance(made, Priced) or given.otherwise is None:
        return made
    return judged(given.otherwise, "prices.default", at)


def of_pods(  # one fact each
    ref: TargetRef, pods: Sequence[PodShare], tariff: Tariff, nodes: Mapping[str, Quote], at: Instant
) -> Quote:
    """Return the mean price of a target's pods: what each takes of its node, at the node's prices of resources."""
    found: list[tuple[float, UnitPrices, Priced | None]] = []
    gaps: list[Unpriced] = []
    for pod in pods:
        share = tariff.share(ref.cluster, ref.namespace, pod)
        quote = nodes.get(f"{ref.cluster}/{share.node}")
        on = quote if isinstance(quote, Priced) and quote.units is not None else None
        units = on.units if on is not None else tariff.elsewhere(at)
        if isinstance(units, Unpriced) or units is None:
            gaps.append(quote if isinstance(quote, Unpriced) else units or NO_FEED)
        elif share.cores is None and share.memory_gib is None:
            gaps.append(_unknown(f"the pod {pod.pod} requests neither cpu nor memory"))
        elif share.gpus > 0.0 and units.gpu_usd is None:
            gaps.append(_unknown(f"the pod {pod.pod} has a GPU, and no price of one is known", PriceGap.NOT_LISTED))
        else:
            price = worth(units, share.cores or 0.0, share.memory_gib or 0.0, share.gpus)
            found.append((price, units, on))
    if not found:
        return gaps[0] if gaps else _unknown("it has no pods, and what they would request is not known")
    return _mean(found, len(pods), at)


def _mean(found: Sequence[tuple[float, UnitPrices, Priced | None]], pods: int, at: Instant) -> Quote:
    prices = [price for price, _, _ in found]
    known = [on for _, _, on in found if on is not None]
    source = known[0].source if known else "the default pool"
    as_of = min((on.as_of for on in known), default=at)
    note = f"{len(known)} of {pods} on known nodes"
    quote = judged(math.fsum(prices) / len(prices), source, as_of)
    if isinstance(quote, Unpriced):
        return quote
    return replace(quote, units=_mean_units([units for _, units, _ in found]), note=note if known else "no node known")


def _mean_units(every: Sequence[UnitPrices]) -> UnitPrices:
    gpus = [one.gpu_usd for one in every if one.gpu_usd is not None]
    return UnitPrices(
        core_usd=math.fsum(one.core_usd for one in every) / len(every),
        gib_usd=math.fsum(one.gib_usd for one in every) / len(every),
        gpu_usd=math.fsum(gpus) / len(gpus) if gpus else None,
    )


def _unknown(detail: str, gap: PriceGap = PriceGap.NO_REQUESTS) -> Unpriced:
    return Unpriced(gap=gap, detail=detail)
