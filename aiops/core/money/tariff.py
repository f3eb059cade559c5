"""What nodes cost by whoever says so: a list of prices, or a meter that has read them; pure values, all of them in USD.

A price is known for a node; a replica's share of it is what its pods request, or what the meter says is allocated to
them, times the node's prices of a core, a GiB and a GPU. The meter of OpenCost counts the greater of request and usage
as allocated (its specification, "Allocation": max(request, usage)); a list knows requests alone.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from aiops.core.model import (
    Instant,
    Machine,
    PodShare,
    PoolQuote,
    Priced,
    PriceGap,
    Quote,
    UnitPrices,
    Unpriced,
)
from aiops.core.money.currency import USD, usd_per
from aiops.core.money.prices import judged

CORE_USD, GIB_USD, GPU_USD = 0.031611, 0.004237, 0.95
"""The default prices of OpenCost's configuration. Only what they are to each other counts: a node's price of which
nothing but the sum is known is split into prices of its resources in these proportions, as OpenCost does."""


class Tariff(Protocol):
    """Who says what nodes cost."""

    def node(self, machine: Machine, at: Instant) -> Quote:
        """Return the price of a node, with those of its resources where they are known."""
        ...

    def elsewhere(self, at: Instant) -> UnitPrices | Unpriced:
        """Return the prices of resources of a pod that runs on no node that is known: those of the default pool."""
        ...

    def share(self, cluster: str, namespace: str, pod: PodShare) -> PodShare:
        """Return what a pod takes of its node, where more is known than its requests."""
        ...

    def pools(self, at: Instant) -> tuple[PoolQuote, ...]:
        """Return the prices of kinds of nodes, whether there are any now or not."""
        ...


def split(usd_per_hour: float, machine: Machine) -> UnitPrices | None:
    """Return the prices of a node's resources, of which the sum is the node's; None for a node of unknown size.

    >>> node = Machine(cluster="eu", node="a", cores=4.0, memory_gib=16.0)
    >>> units = split(0.2, node)
    >>> round(4.0 * units.core_usd + 16.0 * units.gib_usd, 12)
    0.2
    """
    weight = machine.cores * CORE_USD + machine.memory_gib * GIB_USD + machine.gpus * GPU_USD
    if machine.cores <= 0.0 or machine.memory_gib <= 0.0 or weight <= 0.0:
        return None
    share = usd_per_hour / weight
    return UnitPrices(
        core_usd=share * CORE_USD, gib_usd=share * GIB_USD, gpu_usd=share * GPU_USD if machine.gpus > 0.0 else None
    )


# -- a list of prices ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One line of a list of prices. '' and None mean any type, any zone, spot or not. where: file and line.

    node_hour: of the whole node; core_hour, gib_hour, gpu_hour: of its resources; all in `currency`. valid_from is the
    first instant of its validity, valid_to the first one after it.
    """

    instance_type: str = ""
    zone: str = ""
    spot: bool | None = None
    node_hour: float | None = None
    core_hour: float | None = None
    gib_hour: float | None = None
    gpu_hour: float | None = None
    currency: str = USD
    valid_from: Instant = -math.inf
    valid_to: Instant = math.inf
    where: str = ""

    @property
    def kind(self) -> tuple[str, str, bool | None]:
        """Return for which nodes it is."""
        return self.instance_type, self.zone, self.spot

    @property
    def rank(self) -> int:
        """Return how much it says of its nodes: type before zone before spot or not; the most particular counts."""
        return 4 * bool(self.instance_type) + 2 * bool(self.zone) + (self.spot is not None)

    def fits(self, machine: Machine) -> bool:
        """Return whether a node is of its kind."""
        kind = self.instance_type in ("", machine.instance_type) and self.zone in ("", machine.zone)
        return kind and self.spot in (None, machine.spot)

    def valid(self, at: Instant) -> bool:
        """Return whether it holds at an instant."""
        return self.valid_from <= at < self.valid_to

    def overlaps(self, other: Entry) -> bool:
        """Return whether both would hold for the same nodes at the same time, so that nobody could say which counts."""
        return self.kind == other.kind and self.valid_from < other.valid_to and other.valid_from < self.valid_to


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceList:
    """Prices as they are written down. rates: USD for one, by currency. as_of: when the list was read."""

    entries: tuple[Entry, ...]
    source: str
    as_of: Instant
    rates: Mapping[str, float] = field(default_factory=dict)
    _by_type: dict[str, list[Entry]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Sort the entries by the type they are for: a cluster has thousands of nodes, a provider as many prices."""
        by_type: dict[str, list[Entry]] = {}
        for one in self.entries:
            by_type.setdefault(one.instance_type, []).append(one)
        object.__setattr__(self, "_by_type", by_type)

    def node(self, machine: Machine, at: Instant) -> Quote:
        """Return the price of the most particular entry that fits and is valid."""
        named = self._by_type.get(machine.instance_type, []) if machine.instance_type else []
        fitting = [one for one in (*named, *self._by_type.get("", ())) if one.fits(machine)]
        kind = f"{machine.instance_type or 'a node of no type'} {'spot' if machine.spot else 'on demand'}"
        if not fitting:
            return Unpriced(gap=PriceGap.NOT_LISTED, detail=f"the list has no price of {kind}", source=self.source)
        valid = [one for one in fitting if one.valid(at)]
        if not valid:
            gap = f"no price of {kind} is valid now; one is at {fitting[0].where}"
            return Unpriced(gap=PriceGap.NOT_VALID, detail=gap, source=self.source)
        return self._quote(max(valid, key=lambda one: one.rank), machine)

    def elsewhere(self, at: Instant) -> UnitPrices | Unpriced:
        """Return the prices of resources of the entry for any node, on demand before spot."""
        general = [one for one in self._by_type.get("", ()) if not one.zone and one.valid(at)]
        for one in sorted(general, key=lambda entry: entry.spot is True):
            rate = usd_per(one.currency, self.rates)
            if one.core_hour is not None and one.gib_hour is not None and rate is not None:
                return _units(one, rate)
        detail = "the list has no coreHour and gibHour for nodes of any type"
        return Unpriced(gap=PriceGap.NOT_LISTED, detail=detail, source=self.source)

    def share(self, cluster: str, namespace: str, pod: PodShare) -> PodShare:
        """Return what the pod requests."""
        return pod

    def pools(self, at: Instant) -> tuple[PoolQuote, ...]:
        """Return the prices of types of nodes that are valid now; one that says neither spot nor not is for both."""
        found = []
        for one in self.entries:
            if one.instance_type and one.valid(at) and one.node_hour is not None:
                quote = self._quote(one, Machine(cluster="", node="", instance_type=one.instance_type))
                kinds = (False, True) if one.spot is None else (one.spot,)
                found += [
                    PoolQuote(instance_type=one.instance_type, zone=one.zone, spot=spot, quote=quote) for spot in kinds
                ]
        return tuple(found)

    def _quote(self, entry: Entry, machine: Machine) -> Quote:
        rate = usd_per(entry.currency, self.rates)
        if rate is None:
            detail = f"{entry.where} is in {entry.currency}, and prices.rates has no rate of it to USD"
            return Unpriced(gap=PriceGap.NO_RATE, detail=detail, source=self.source)
        units = None if entry.core_hour is None or entry.gib_hour is None else _units(entry, rate)
        total = entry.node_hour
        if total is not None:
            price, units = total * rate, units or split(total * rate, machine)
        elif units is not None and machine.cores > 0.0:
            price = worth(units, machine.cores, machine.memory_gib, machine.gpus)
        else:
            detail = f"{entry.where} has prices of resources, and the node's size is not known"
            return Unpriced(gap=PriceGap.NOT_LISTED, detail=detail, source=self.source)
        quote = judged(price, self.source, self.as_of)
        line = f"line {entry.where.rpartition(':')[2]}" if entry.where else ""
        return replace(quote, units=units, note=line) if isinstance(quote, Priced) else quote


def _units(entry: Entry, rate: float) -> UnitPrices:
    gpu = None if entry.gpu_hour is None else entry.gpu_hour * rate
    return UnitPrices(core_usd=(entry.core_hour or 0.0) * rate, gib_usd=(entry.gib_hour or 0.0) * rate, gpu_usd=gpu)


def worth(units: UnitPrices, cores: float, memory_gib: float, gpus: float) -> float:
    """Return USD per hour of so much; a GPU without a price counts nothing."""
    return math.fsum((units.core_usd * cores, units.gib_usd * memory_gib, (units.gpu_usd or 0.0) * gpus))


# -- a meter that has been read -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class MeteredNode:
    """A node as a meter priced it, in the meter's currency. total: NaN where it says nothing; units: None likewise."""

    total: float
    core: float = math.nan
    gib: float = math.nan
    gpu: float = math.nan


@dataclass(frozen=True, slots=True, kw_only=True)
class Meter:
    """What was read of a meter at `as_of`. nodes: by name. shares: by `namespace/pod`, what is allocated to it.

    why: why it could not be read when it was last asked, '' when it could. max_age_s: what is older is not known.
    rate: USD for one of the meter's currency, None when nobody gave it. cluster: whose nodes it knows, '' for all.
    """

    source: str
    as_of: Instant
    max_age_s: float
    nodes: Mapping[str, MeteredNode] = field(default_factory=dict)
    shares: Mapping[str, PodShare] = field(default_factory=dict)
    currency: str = USD
    rate: float | None = 1.0
    cluster: str = ""
    why: str = ""

    def node(self, machine: Machine, at: Instant) -> Quote:
        """Return what the meter says of a node."""
        return self._unfit(at) or self._quote(machine)

    def elsewhere(self, at: Instant) -> UnitPrices | Unpriced:
        """Return the mean prices of resources over its nodes."""
        unfit = self._unfit(at)
        if unfit is not None:
            return unfit
        known = [units for one in self.nodes.values() if (units := self._units(one)) is not None]
        if not known:
            return Unpriced(gap=PriceGap.NOT_LISTED, detail="the meter prices no resources", source=self.source)
        gpus = [one.gpu_usd for one in known if one.gpu_usd is not None]
        return UnitPrices(
            core_usd=math.fsum(one.core_usd for one in known) / len(known),
            gib_usd=math.fsum(one.gib_usd for one in known) / len(known),
            gpu_usd=math.fsum(gpus) / len(gpus) if gpus else None,
        )

    def share(self, cluster: str, namespace: str, pod: PodShare) -> PodShare:
        """Return what is allocated to the pod, or what it requests where that is more or nothing else is known."""
        metered = self.shares.get(f"{namespace}/{pod.pod}") if self.cluster in ("", cluster) else None
        if metered is None:
            return pod
        return replace(
            pod,
            node=pod.node or metered.node,
            cores=_most(pod.cores, metered.cores),
            memory_gib=_most(pod.memory_gib, metered.memory_gib),
            gpus=max(pod.gpus, metered.gpus),
        )

    def pools(self, at: Instant) -> tuple[PoolQuote, ...]:
        """Return nothing: a meter knows the nodes that there are."""
        return ()

    def _unfit(self, at: Instant) -> Unpriced | None:
        if self.rate is None:
            detail = f"it counts in {self.currency}, and prices.rates has no rate of it to USD"
            return Unpriced(gap=PriceGap.NO_RATE, detail=detail, source=self.source)
        if math.isinf(self.as_of):
            return Unpriced(gap=PriceGap.UNREACHABLE, detail=self.why or "it has not been read yet", source=self.source)
        age_s = at - self.as_of
        # what was read in a time to come was read by a clock that was wrong
        if abs(age_s) > self.max_age_s:
            why = f": {self.why}" if self.why else ""
            since = f"read {age_s:.0f} s ago, at most {self.max_age_s:.0f} s count{why}"
            return Unpriced(gap=PriceGap.STALE, detail=since, source=self.source)
        return None

    def _quote(self, machine: Machine) -> Quote:
        one = self.nodes.get(machine.node) if self.cluster in ("", machine.cluster) else None
        units = None if one is None else self._units(one)
        if one is not None and math.isfinite(one.total):
            price = one.total * (self.rate or 0.0)
        elif units is not None and machine.cores > 0.0:
            price = worth(units, machine.cores, machine.memory_gib, machine.gpus)
        else:
            detail = f"the meter says nothing of the node {machine.node}"
            return Unpriced(gap=PriceGap.NOT_LISTED, detail=detail, source=self.source)
        quote = judged(price, self.source, self.as_of)
        return replace(quote, units=units or split(price, machine)) if isinstance(quote, Priced) else quote

    def _units(self, one: MeteredNode) -> UnitPrices | None:
        rate = self.rate or 0.0
        if not (one.core > 0.0 and one.gib > 0.0 and math.isfinite(one.core + one.gib)):
            return None
        gpu = one.gpu * rate if one.gpu > 0.0 and math.isfinite(one.gpu) else None
        return UnitPrices(core_usd=one.core * rate, gib_usd=one.gib * rate, gpu_usd=gpu)


def _most(one: float | None, other: float | None) -> float | None:
    known = [value for value in (one, other) if value is not None and math.isfinite(value)]
    return max(known, default=None)


# -- the first of several who knows -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstOf:
    """Several tariffs: of each node, the first that knows its price says it; none knows: what the first said."""

    tariffs: Sequence[Tariff]

    def node(self, machine: Machine, at: Instant) -> Quote:
        """Return the first price that is known."""
        said = [one.node(machine, at) for one in self.tariffs]
        return next((one for one in said if isinstance(one, Priced)), said[0] if said else NO_FEED)

    def elsewhere(self, at: Instant) -> UnitPrices | Unpriced:
        """Return the first that is known."""
        said = [one.elsewhere(at) for one in self.tariffs]
        return next((one for one in said if isinstance(one, UnitPrices)), said[0] if said else NO_FEED)

    def share(self, cluster: str, namespace: str, pod: PodShare) -> PodShare:
        """Return what the first says that knows more than the requests."""
        return next((made for one in self.tariffs if (made := one.share(cluster, namespace, pod)) != pod), pod)

    def pools(self, at: Instant) -> tuple[PoolQuote, ...]:
        """Return those of all."""
        return tuple(pool for one in self.tariffs for pool in one.pools(at))


NO_FEED = Unpriced(gap=PriceGap.NO_FEED, detail="the settings name no prices")
