"""What could have been paid at least, and what a schedule alone would pay: baselines of scenarios about money."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime

import numpy as np

from aiops.core.model import F64, Instant
from aiops.core.policies import PolicySet
from aiops.core.queueing import STEADY_RATIO, slower_shares, wait_probabilities
from simulators.autoscalers.hpa import HpaController
from simulators.autoscalers.oracle import Problem, optimum
from simulators.baselines import sync
from simulators.scenario import Scenario
from simulators.schema import OfficeSpec
from simulators.scorecard import Score
from simulators.world import Service, World

ALLOWED = 0.005
"""The share of requests that may violate in the optimum."""

STEP_S = 15.0
SPARE = 1.4
"""The optimum may use so many times what the peak needs."""

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def open_at(office: OfficeSpec, at: Instant) -> bool:
    """Return whether people work at an instant."""
    now = datetime.fromtimestamp(at, UTC)
    return DAYS[now.weekday()] in office.days and office.from_ <= now.strftime("%H:%M") < office.to


def run_schedule(scenario: Scenario, policies: PolicySet, seed: int | None, step: Callable[[], None]) -> World:
    """Return the world after the run with a schedule that sets replicas by the clock, as kube-downscaler does.

    What a service had when it went to sleep comes back when people come: nobody knows how long pods take to start.
    """
    del policies
    world, hpas = scenario.world(seed)
    office, before = scenario.spec.office, {}
    for _ in range(round(scenario.spec.duration / world.step_s)):
        world.advance(world.now + world.step_s)
        awake = office is None or open_at(office, world.now)
        for key, service in world.services.items():
            pods = service.sim.pods
            if not awake and key not in before and office is not None:
                before[key] = pods.count
                pods.resize(min(pods.count, office.floor), world.now)
            elif awake and key in before:
                pods.resize(before.pop(key), world.now)
        sync(world, {key: hpa for key, hpa in hpas.items() if key not in before})
        step()
    return world


def run_all_spot(scenario: Scenario, policies: PolicySet, seed: int | None, step: Callable[[], None]) -> World:
    """Return the world after the run with every replica on spot nodes, each HPA on the companion."""
    del policies
    world, hpas = scenario.world(seed)
    for base, companion in pairs(world):
        moved = hpas.pop(base.key, None)
        if moved is not None:
            hpas[companion.key] = moved
        _put(companion, base.sim.pods.count, world.start)
        _put(base, 0, world.start)
    return _run(scenario, world, hpas, step)


def run_half(scenario: Scenario, policies: PolicySet, seed: int | None, step: Callable[[], None]) -> World:
    """Return the world after the run with half of the first replicas on spot nodes, for good, beside an HPA."""
    del policies
    world, hpas = scenario.world(seed)
    for base, companion in pairs(world):
        count = base.sim.pods.count
        _put(companion, count // 2, world.start)
        _put(base, count - count // 2, world.start)
    return _run(scenario, world, hpas, step)


def pairs(world: World) -> list[tuple[Service, Service]]:
    """Return each service with the one that takes a part of its load."""
    by_name = {one.spec.name: one for one in world.services.values()}
    return [(by_name[one.spec.shares], one) for one in world.services.values() if one.spec.shares]


def _put(service: Service, count: int, at: Instant) -> None:
    service.sim.pods.resize(count, at)
    service.sim.pods.settle(math.inf)
    service.sim.pods.resized.clear()


def _run(scenario: Scenario, world: World, hpas: Mapping[str, HpaController], step: Callable[[], None]) -> World:
    for _ in range(round(scenario.spec.duration / world.step_s)):
        world.advance(world.now + world.step_s)
        sync(world, dict(hpas))
        step()
    return world


def oracle(scenario: Scenario, seed: int | None, targets: Sequence[str]) -> Score:
    """Return what the cheapest schedules cost that let `ALLOWED` of each service's requests violate.

    They know the load, pay for each pod from creation on, and for its share of a node at its price of the moment where
    it lives in a pool: nodes can be divided, so nobody pays less. Services are taken one by one, each as its callers
    ask it while they serve everything.
    """
    world, _ = scenario.world(seed)
    steps = round(scenario.spec.duration / STEP_S)
    times = np.asarray(world.start + STEP_S * (np.arange(steps) + 0.5), np.float64)
    offered = violating = pod_s = usd = 0.0
    for service in (world.services[key] for key in targets if key in world.services):
        rates = np.asarray(service.load.rates(times), np.float64)
        requests = float(rates.sum() * STEP_S)
        startup = max(1, math.ceil(service.spec.startup.median_s / STEP_S))
        late = _violating(service, rates)
        least_share = float(late.min(axis=1).sum() / requests) if requests else 0.0
        best = optimum(Problem(violating=late, startup_steps=startup), requests, max(ALLOWED, 1.01 * least_share))
        offered, violating = offered + requests, violating + best.plan.violating
        pod_s += best.plan.billed * STEP_S
        homes = [service, *(one for base, one in pairs(world) if base is service)]
        prices = np.asarray([min(_pod_usd(one, float(at)) for one in homes) for at in times])
        rises = np.maximum(np.diff(best.plan.ready, append=best.plan.ready[-1]), 0) * startup
        usd += float((prices * (best.plan.ready + rises)).sum()) * STEP_S / 3600.0
    return Score(
        name="oracle",
        offered=offered,
        violating=violating,
        violating_ratio=violating / offered if offered else 0.0,
        pod_hours=pod_s / 3600.0,
        cost_usd=usd,
        actions=0,
        actions_out=0,
        actions_in=0,
        slo_usd=violating / 1000.0 * scenario.spec.violation_price,
    )


def _pod_usd(service: Service, at: Instant) -> float:
    if service.pool is None:
        return service.spec.usd_per_hour
    return service.pool.spec.usd_at(at) / service.pool.spec.pods_per_node


def _violating(service: Service, rates: F64) -> F64:
    """Return float64[t, levels]: requests of each step that are late or fail, by the number of ready pods."""
    spec = service.spec
    levels = max(2, math.ceil(float(rates.max()) / spec.capacity_rps * SPARE) + 3)
    out = np.empty((len(rates), levels))
    out[:, 0] = 1.0
    for pods in range(1, levels):
        capacity = pods * spec.capacity_rps
        rho = rates / capacity
        steady = np.minimum(rho, STEADY_RATIO)
        waiting = wait_probabilities(capacity * spec.service_s, steady)
        slow = slower_shares(spec.slo_s, spec.service_s, capacity * (1.0 - steady), waiting)
        out[:, pods] = np.where(rho > STEADY_RATIO, 1.0, slow + (1.0 - slow) * spec.error_ratio)
    return np.asarray(out * rates[:, None] * STEP_S)
