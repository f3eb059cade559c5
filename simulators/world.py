"""The world in virtual time: services under load, their faults, and what a scrape of them shows."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from aiops.core.model import F64, Instant
from simulators.chance import Chance
from simulators.faults import BadRelease, Fault, GapAnswer, ScrapeGap, Troubles
from simulators.load import Load
from simulators.queueing import STEADY_RATIO, response_quantiles, wait_probability
from simulators.service import Served, ServiceSim, ServiceSpec

LOOKBACK_S = 300.0
"""How long a metrics source goes on answering with the last sample."""

KEPT_SAMPLES = 64
_PAST_USE = 0.65
"""Utilisation that the past is taken to have had, where only its load is known."""


class Scrape(NamedTuple):
    """What one scrape of a service shows. rates: per second since the scrape before."""

    at: Instant
    requests: float
    errors: float
    p50_s: float
    p95_s: float
    utilisation_ratio: float
    ready: int


@dataclass(slots=True)
class Account:
    """What a service has cost and how it has served since the run began."""

    offered: float = 0.0
    violating: float = 0.0
    failed: float = 0.0
    pod_s: float = 0.0
    usd: float = 0.0


class Service:
    """One service with its load, its faults and the scrapes that a metrics source keeps of it."""

    def __init__(self, spec: ServiceSpec, load: Load, faults: Sequence[Fault], chance: Chance) -> None:
        self.spec = spec
        self.load = load
        self.sim = ServiceSim(spec, chance.stream("pods", spec.name))
        self.troubles = Troubles(faults, spec.name)
        self.scrapes: deque[Scrape] = deque(maxlen=KEPT_SAMPLES)
        self.account = Account()
        self.last: Served | None = None
        self._chance = chance
        self._jitter = chance.stream("measure", spec.name)
        self._noise: list[float] = []

    @property
    def key(self) -> str:
        """Return `namespace/name`."""
        return f"{self.spec.namespace}/{self.spec.name}"

    def advance(self, start: Instant, seconds: float, rate: float) -> None:
        """Serve for a while, and be scraped at its end."""
        lost = self.troubles.turn(start)
        if lost:
            self.sim.pods.lose(lost, start)
        self._apply(self.troubles.release)
        served = self.sim.advance(start, seconds, rate)
        self.last = served
        account = self.account
        account.offered += served.offered
        account.violating += served.violating
        account.failed += served.failed
        account.pod_s += served.pod_s
        account.usd += served.pod_s / 3600.0 * self.spec.usd_per_hour
        if self.troubles.gap is None:
            self.scrapes.append(self._scrape(start + seconds, seconds, served))

    def _apply(self, release: BadRelease | None) -> None:
        queue = self.sim.queue
        queue.latency_factor = release.latency_factor if release is not None else 1.0
        queue.error_ratio = max(self.spec.error_ratio, release.error_ratio if release is not None else 0.0)

    def _scrape(self, at: Instant, seconds: float, served: Served) -> Scrape:
        if not self._noise:
            self._noise = np.exp(0.02 * self._jitter.standard_normal(1024)).tolist()
        stray = self._noise.pop()
        return Scrape(
            at=at,
            requests=(served.served + served.failed) / seconds,
            errors=served.failed / seconds,
            p50_s=served.p50_s * stray,
            p95_s=served.p95_s * stray,
            utilisation_ratio=served.utilisation_ratio,
            ready=served.ready,
        )

    def past(self, times: F64) -> Mapping[str, F64]:
        """Return what a metrics source remembers from before the run: float64[t] for each kind of series."""
        rates = self.load.rates(times)
        service_s, capacity = self.spec.service_s, np.maximum(rates / _PAST_USE, self.spec.capacity_rps)
        rho = np.minimum(rates / capacity, STEADY_RATIO)
        waiting = np.array([wait_probability(c * service_s, r) for c, r in zip(capacity, rho, strict=True)])
        drain = capacity * (1.0 - rho)
        stray = np.exp(0.02 * self._past_noise(times))
        return {
            "requests": rates,
            "errors": rates * self.spec.error_ratio,
            "p50_s": response_quantiles(0.5, service_s, drain, waiting) * stray,
            "p95_s": response_quantiles(0.95, service_s, drain, waiting) * stray,
            "utilisation_ratio": rho,
        }

    def _past_noise(self, times: F64) -> F64:
        return self._chance.stream("past", self.spec.name, len(times)).standard_normal(len(times))


class World:
    """Every service, on one clock. `step_s` is the length of a stretch in which load is constant, and of a scrape."""

    def __init__(self, services: Sequence[Service], start: Instant, step_s: float, lag_s: float = 0.0) -> None:
        self.services = {service.key: service for service in services}
        self.now = self.start = start
        self.step_s = step_s
        self.lag_s = lag_s
        self._rates: dict[str, list[float]] = {}
        self._rated_until = start

    def advance(self, to: Instant) -> None:
        """Let time go by, in whole steps."""
        while self.now + self.step_s <= to + 1e-9:
            if self.now >= self._rated_until - 1e-9:
                self._rate_ahead()
            for key, service in self.services.items():
                service.advance(self.now, self.step_s, self._rates[key].pop())
            self.now += self.step_s

    def scrapes(self, key: str) -> tuple[list[Scrape], GapAnswer | None]:
        """Return the scrapes that the metrics source has of a service, newest last, and what is wrong with it now."""
        service = self.services[key]
        oldest, newest = self.now - LOOKBACK_S, self.now - self.lag_s
        seen = []
        for scrape in reversed(service.scrapes):
            if scrape.at <= oldest:
                break
            if scrape.at <= newest:
                seen.append(scrape)
        seen.reverse()
        gap: ScrapeGap | None = service.troubles.gap
        return seen, None if gap is None else gap.answer

    def _rate_ahead(self) -> None:
        """Ask the loads for the next stretch at once: one call for many steps."""
        steps = 512
        middles = np.asarray(self.now + self.step_s * (np.arange(steps) + 0.5), np.float64)
        for key, service in self.services.items():
            self._rates[key] = service.load.rates(middles)[::-1].tolist()
        self._rated_until = self.now + steps * self.step_s


def mean(values: Sequence[float]) -> float:
    """Return the mean of what is known, NaN of nothing."""
    known = [value for value in values if not math.isnan(value)]
    return sum(known) / len(known) if known else math.nan
