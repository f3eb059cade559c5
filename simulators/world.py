"""The world in virtual time: services under load, the nodes they share, their faults, and what a scrape shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from aiops.core.model import F64, Instant
from aiops.core.queueing import STEADY_RATIO, response_quantiles, wait_probabilities
from simulators.calls import quantiles
from simulators.chance import Chance
from simulators.faults import BadRelease, Fault, GapAnswer, Troubles
from simulators.load import CalledLoad, Load
from simulators.mesh import Mesh
from simulators.nodes import NodePool
from simulators.scraping import LOOKBACK_S, Scrape, Scraper, Scraping, mean
from simulators.service import Served, ServiceSim, ServiceSpec

__all__ = ["LOOKBACK_S", "Account", "Place", "Scrape", "Service", "World", "mean"]

_PAST_USE = 0.65
"""Utilisation that the past is taken to have had, where only its load is known."""

_STRAY_RATIO = 0.02


@dataclass(slots=True)
class Account:
    """What a service has cost and how it has served since the run began.

    retried: requests that came again. pending_s: pod seconds without a node. node_s: its share of its pool's nodes.
    """

    offered: float = 0.0
    violating: float = 0.0
    failed: float = 0.0
    pod_s: float = 0.0
    usd: float = 0.0
    retried: float = 0.0
    pending_s: float = 0.0
    node_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """What is around a service: how it is scraped, the nodes it runs on, who calls it (load, calls per request)."""

    scraping: Scraping = field(default_factory=Scraping)
    pool: NodePool | None = None
    callers: tuple[tuple[Load, float], ...] = ()


class Service:
    """One service with its load, its faults and the scrapes that a metrics source keeps of it.

    own: what comes from outside; load: with what its callers ask while they serve everything.
    """

    def __init__(
        self, spec: ServiceSpec, load: Load, faults: Sequence[Fault], chance: Chance, place: Place | None = None
    ) -> None:
        where = place or Place()
        self.spec = spec
        self.own = load
        self.load: Load = CalledLoad(own=load, callers=where.callers) if where.callers else load
        self.pool = where.pool
        self.sim = ServiceSim(spec, chance.stream("pods", spec.name), where.pool)
        self.troubles = Troubles(faults, spec.name)
        self.scraper = Scraper(where.scraping, chance, spec.name)
        self.account = Account()
        self.last: Served | None = None
        self.beneath: list[tuple[float, Service]] = []
        self._called = bool(where.callers)
        self._chance = chance
        self._pods = spec.replicas

    @property
    def key(self) -> str:
        """Return `namespace/name`."""
        return f"{self.spec.namespace}/{self.spec.name}"

    @property
    def coupled(self) -> bool:
        """Return whether it depends on other services, they on it, or it on its own past answers."""
        return self._called or bool(self.spec.calls) or self.spec.retries is not None

    def advance(self, start: Instant, seconds: float, rate: float) -> None:
        """Serve for a while, and be scraped at its end."""
        self.begin(start)
        self.sim.flow(start, seconds, rate)
        self.finish(start, seconds)

    def begin(self, start: Instant) -> None:
        """Let the faults of this time begin."""
        lost = self.troubles.turn(start)
        if lost:
            self.sim.pods.lose(lost, start)
        self._apply(self.troubles.release)
        self._pods = self.sim.pods.count

    def finish(self, start: Instant, seconds: float) -> None:
        """Account for what happened since `begin`, and be scraped."""
        served = self.sim.drain(self._pods * seconds)
        self.last = served
        account = self.account
        account.offered += served.offered
        account.violating += served.violating
        account.failed += served.failed
        account.pod_s += served.pod_s
        if self.pool is None:
            account.usd += served.pod_s / 3600.0 * self.spec.usd_per_hour
        account.retried += served.retried
        account.pending_s += served.pending * seconds
        self.scraper.note(start + seconds, seconds, served, self.troubles.gap)

    def pay(self, node_s: float, usd: float) -> None:
        """Bear a share of the pool's nodes."""
        self.account.node_s += node_s
        self.account.usd += usd

    def _apply(self, release: BadRelease | None) -> None:
        queue = self.sim.queue
        queue.latency_factor = release.latency_factor if release is not None else 1.0
        queue.error_ratio = max(self.spec.error_ratio, release.error_ratio if release is not None else 0.0)

    def past(self, times: F64) -> Mapping[str, F64]:
        """Return what a metrics source remembers from before the run: float64[t] for each kind of series."""
        rates, service_s = self.load.rates(times), self.spec.service_s
        rho, drain, waiting = self._past_queue(rates)
        stray = np.exp(_STRAY_RATIO * self._past_noise(times))
        if self.beneath:
            mean_s, var_s2 = self._past_times(times)
            p50_s, p95_s = quantiles(0.5, mean_s, var_s2), quantiles(0.95, mean_s, var_s2)
        else:
            p50_s, p95_s = (response_quantiles(q, service_s, drain, waiting) for q in (0.5, 0.95))
        return {
            "requests": rates,
            "errors": rates * self._past_errors(),
            "p50_s": p50_s * stray,
            "p95_s": p95_s * stray,
            "utilisation_ratio": rho,
            "ready": np.full(len(times), float(self.spec.replicas)),
            "arrivals": rates,
            "waiting": np.zeros(len(times)),
        }

    def _past_queue(self, rates: F64) -> tuple[F64, F64, F64]:
        """Return utilisation, how fast the line drains and the share that waits."""
        capacity = np.maximum(rates / _PAST_USE, self.spec.capacity_rps)
        rho = np.minimum(rates / capacity, STEADY_RATIO)
        return rho, capacity * (1.0 - rho), wait_probabilities(capacity * self.spec.service_s, rho)

    def _past_times(self, times: F64) -> tuple[F64, F64]:
        """Return mean and variance of the response times, those of calls included."""
        _, drain, waiting = self._past_queue(self.load.rates(times))
        mean_s = self.spec.service_s + waiting / drain
        var_s2 = self.spec.service_s**2 + waiting * (2.0 - waiting) / drain**2
        for ratio, callee in self.beneath:
            one_s, one_s2 = callee._past_times(times)
            mean_s, var_s2 = mean_s + ratio * one_s, var_s2 + ratio * one_s2
        return mean_s, var_s2

    def _past_errors(self) -> float:
        """Return the share of requests that failed."""
        well = 1.0 - self.spec.error_ratio
        for ratio, callee in self.beneath:
            well *= (1.0 - callee._past_errors()) ** ratio
        return 1.0 - well

    def _past_noise(self, times: F64) -> F64:
        return self._chance.stream("past", self.spec.name, len(times)).standard_normal(len(times))


def _divided(rate: float, whole: Service, part: Service) -> tuple[float, float]:
    """Return what each of two services gets of one load, as a balancer gives it: by pods that are ready."""
    own, others = whole.sim.pods.ready, part.sim.pods.ready
    share = others / (own + others) if own + others else 0.0
    return rate * (1.0 - share), rate * share


class World:
    """Every service, on one clock. `step_s` is the length of a stretch in which load is constant."""

    def __init__(
        self, services: Sequence[Service], start: Instant, step_s: float, pools: Sequence[NodePool] = ()
    ) -> None:
        self.services = {service.key: service for service in services}
        self.pools = {pool.spec.name: pool for pool in pools}
        self.now = self.start = start
        self.step_s = step_s
        coupled = [service for service in services if service.coupled]
        by_name = {service.spec.name: service for service in services}
        for service in coupled:
            service.beneath = [(call.ratio, by_name[call.service]) for call in service.spec.calls]
        self._mesh = Mesh(coupled, step_s) if coupled else None
        self._alone = [(service.key, service) for service in services if not service.coupled]
        self._shared = {
            by_name[one.spec.shares].key: one for one in services if one.spec.shares and one.spec.shares in by_name
        }
        self._rates: dict[str, list[float]] = {}
        self._rated_until = start

    def advance(self, to: Instant) -> None:
        """Let time go by, in whole steps."""
        while self.now + self.step_s <= to + 1e-9:
            if self.now >= self._rated_until - 1e-9:
                self._rate_ahead()
            for pool in self.pools.values():
                self._charge(pool, pool.advance(self.now, self.now + self.step_s))
            rated = {key: self._rates[key].pop() for key, _ in self._alone}
            for key, other in self._shared.items():
                rated[key], rated[other.key] = _divided(rated[key], self.services[key], other)
            for key, service in self._alone:
                service.advance(self.now, self.step_s, rated[key])
            if self._mesh is not None:
                rates = {key: self._rates[key].pop() for key, service in self.services.items() if service.coupled}
                self._mesh.advance(self.now, rates)
            self.now += self.step_s

    def scrapes(self, key: str) -> tuple[list[Scrape], GapAnswer | None]:
        """Return the scrapes that the metrics source has of a service, newest last, and what is wrong with it now."""
        service = self.services[key]
        gap = service.troubles.gap
        return service.scraper.seen(self.now, gap), service.scraper.trouble(gap)

    def _charge(self, pool: NodePool, node_s: float) -> None:
        """Let the services of a pool bear its nodes, each by its pods; without pods, all alike."""
        tenants = [service for service in self.services.values() if service.pool is pool]
        pods = [service.sim.pods.count for service in tenants]
        whole = sum(pods)
        for service, count in zip(tenants, pods, strict=True):
            share_s = node_s * (count / whole if whole else 1.0 / len(tenants))
            service.pay(share_s, share_s / 3600.0 * pool.spec.usd_at(self.now))

    def _rate_ahead(self) -> None:
        """Ask the loads for the next stretch at once: one call for many steps."""
        steps = 512
        middles = np.asarray(self.now + self.step_s * (np.arange(steps) + 0.5), np.float64)
        for key, service in self.services.items():
            self._rates[key] = service.own.rates(middles)[::-1].tolist()
        self._rated_until = self.now + steps * self.step_s
