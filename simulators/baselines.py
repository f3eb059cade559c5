"""What else could have been done: a fleet sized for the peak, and an HPA on utilisation, in the very same world."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from aiops.core.model import Instant
from aiops.core.policies import PolicySet
from simulators.autoscalers.hpa import HpaController
from simulators.autoscalers.protocol import SYNC_S
from simulators.autoscalers.replicas import Pods
from simulators.autoscalers.static_peak import peak_replicas
from simulators.scenario import Scenario
from simulators.world import Service, World, mean

WEEK_S = 7 * 86_400.0
HPA_TARGET = 0.65
METRICS_S = 15.0
"""The stretch that a metrics server's sample of a pod covers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizing:
    """What one replica carries, by `namespace/name`, and the bounds: the same for every contender."""

    per_replica: Mapping[str, float]
    bounds: Mapping[str, tuple[int, int]]


def sizing(policies: PolicySet) -> Sizing:
    """Return the sizing that the policies state."""
    by_target = {str(policy.target): policy for policy in policies.scaling}
    return Sizing(
        per_replica={k: one for k, p in by_target.items() if (one := p.objective.per_replica) is not None},
        bounds={key: (policy.bounds.min_replicas, policy.bounds.max_replicas) for key, policy in by_target.items()},
    )


def static_peak(service: Service, per_replica: float, start: Instant) -> int:
    """Return how many replicas carry the peak of the week before the run, with the usual margin."""
    times = np.arange(start - WEEK_S, start, 60.0)
    return peak_replicas(service.load.rates(times), per_replica)


def run_static(scenario: Scenario, policies: PolicySet, seed: int | None, step: Callable[[], None]) -> World:
    """Return the world after the run with a fleet sized for the peak."""
    world, _ = scenario.world(seed)
    sized = sizing(policies)
    for key, service in world.services.items():
        if key in sized.per_replica:
            service.sim.pods.resize(static_peak(service, sized.per_replica[key], world.start), world.start)
            service.sim.pods.settle(math.inf)
            service.sim.pods.resized.clear()
    _advance(world, scenario, step, lambda: None)
    return world


def run_hpa(scenario: Scenario, policies: PolicySet, seed: int | None, step: Callable[[], None]) -> World:
    """Return the world after the run with an HPA on utilisation for each target of the policies."""
    world, present = scenario.world(seed)
    sized = sizing(policies)
    hpas = {key: HpaController(key, bounds, HPA_TARGET) for key, bounds in sized.bounds.items()}
    hpas = {key: hpa for key, hpa in {**present, **hpas}.items() if key in world.services}
    _advance(world, scenario, step, lambda: sync(world, hpas))
    return world


def sync(world: World, hpas: Mapping[str, HpaController]) -> None:
    """Let every HPA look at its service and set its replicas, at most once in its period."""
    if (world.now - world.start) % SYNC_S >= world.step_s and world.step_s < SYNC_S:
        return
    for key, hpa in hpas.items():
        service = world.services[key]
        pods = service.sim.pods
        wanted = hpa.sync(world.now, metered(world, key), pods.count)
        if wanted != pods.count:
            pods.resize(wanted, world.now)


def metered(world: World, key: str) -> Pods:
    """Return the pods of a service as its HPA sees them: a metrics server's newest 15 s, of those that served in it."""
    seen, _ = world.scrapes(key)
    pods = world.services[key].sim.pods
    if not seen:
        return Pods(math.nan, 0, pods.count)
    newest = [scrape for scrape in seen if scrape.at > seen[-1].at - METRICS_S]
    served = min(pods.ready, *(scrape.ready for scrape in newest))
    return Pods(mean([scrape.utilisation_ratio for scrape in newest]), served, pods.count - served)


def _advance(world: World, scenario: Scenario, step: Callable[[], None], after: Callable[[], None]) -> None:
    for _ in range(round(scenario.spec.duration / world.step_s)):
        world.advance(world.now + world.step_s)
        after()
        step()
