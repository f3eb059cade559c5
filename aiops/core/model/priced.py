"""Money as an input: what nodes and replicas cost per hour, or why that is not known.

All amounts are in USD: what is given in another currency was turned into it at the border, by a rate that was given.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeAlias

from aiops.core.model.names import Instant
from aiops.core.model.swift import swift


class PriceGap(StrEnum):
    """Why a price is not known. A saving at a price that is not known counts as 0, and money sways no decision."""

    NO_FEED = "no_feed"
    NOT_LISTED = "not_listed"
    NOT_VALID = "not_valid"
    NO_REQUESTS = "no_requests"
    UNREACHABLE = "unreachable"
    STALE = "stale"
    ZERO = "zero"
    NEGATIVE = "negative"
    ABSURD = "absurd"
    NO_RATE = "no_rate"


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitPrices:
    """USD per hour of one core, of one GiB (2 ** 30 bytes) of memory, and of one GPU (None while that is not known)."""

    core_usd: float
    gib_usd: float
    gpu_usd: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Priced:
    """A price that may be reckoned with. units: of what it is made, where that is known.

    source: which feed says so. as_of: when that was true or was read. note: on what it rests, for people.
    """

    usd_per_hour: float
    source: str
    as_of: Instant
    units: UnitPrices | None = None
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unpriced:
    """No price, and why."""

    gap: PriceGap
    detail: str
    source: str = ""


Quote: TypeAlias = Priced | Unpriced


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """A node, as far as its price depends on it, and as conditions see it. cores, memory_gib, gpus: its capacity.

    pool: what its provider calls the nodes of its kind, '' where no label says. allocatable_cores, allocatable_gib,
    allocatable_gpus: what pods may take of it.
    """

    cluster: str
    node: str
    instance_type: str = ""
    zone: str = ""
    spot: bool = False
    cores: float = 0.0
    memory_gib: float = 0.0
    gpus: float = 0.0
    pool: str = ""
    ready: bool = False
    schedulable: bool = True
    allocatable_cores: float = 0.0
    allocatable_gib: float = 0.0
    allocatable_gpus: float = 0.0

    @property
    def key(self) -> str:
        """Return the text under which a price book knows this node."""
        return f"{self.cluster}/{self.node}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """Nodes of one pool, zone, kind and price of a cluster, counted. zone, instance_type: '' where no label says.

    schedulable: how many of those that are ready take new pods. cores, memory_gib, gpus: what pods may take of those
    that are ready. usd_per_hour: of all of them; None while the price of one is not known.
    """

    cluster: str
    name: str
    zone: str
    instance_type: str
    spot: bool
    count: int
    ready: int
    schedulable: int
    cores: float
    memory_gib: float
    gpus: float
    usd_per_hour: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PodShare:
    """What of a node one pod takes: what it requests, or what a feed says is allocated to it. node: '' while pending.

    None of a resource is not known; a pod that requests none of it takes 0.
    """

    pod: str
    node: str = ""
    cores: float | None = None
    memory_gib: float | None = None
    gpus: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolQuote:
    """What a node of a kind costs, whether there is one now or not. zone: '' for all of them."""

    instance_type: str
    zone: str
    spot: bool
    quote: Quote


@swift
@dataclass(frozen=True, slots=True, kw_only=True)
class PriceBook:
    """Every price at one instant. replicas: by `TargetRef.key`; nodes: by `Machine.key`; pools: what could be had.

    What is in none of them is not known either. rates: USD for one of another currency, as the settings give them.
    """

    replicas: Mapping[str, Quote] = field(default_factory=dict)
    nodes: Mapping[str, Quote] = field(default_factory=dict)
    pools: tuple[PoolQuote, ...] = ()
    rates: Mapping[str, float] = field(default_factory=dict)

    @property
    def replica_usd_per_hour(self) -> Mapping[str, float]:
        """Return the prices of replicas that are known, by `TargetRef.key`."""
        return {key: one.usd_per_hour for key, one in self.replicas.items() if isinstance(one, Priced)}

    def units(self, target: str) -> UnitPrices | None:
        """Return what a core and a GiB cost where a target's replicas run; None while that is not known."""
        quote = self.replicas.get(target)
        return quote.units if isinstance(quote, Priced) else None

    def node_usd_per_hour(self, key: str) -> float | None:
        """Return what a node costs, by `Machine.key`; None while that is not known."""
        quote = self.nodes.get(key)
        return quote.usd_per_hour if isinstance(quote, Priced) else None

    def pool(self, instance_type: str, zone: str, *, spot: bool) -> Quote:
        """Return what a node of a kind would cost; the price for its own zone counts before one for all zones."""
        for wanted in (zone, ""):
            for one in self.pools:
                if (one.instance_type, one.zone, one.spot) == (instance_type, wanted, spot):
                    return one.quote
        kind = "spot" if spot else "on demand"
        return Unpriced(gap=PriceGap.NOT_LISTED, detail=f"no price of {instance_type or 'a node'} {kind}")
