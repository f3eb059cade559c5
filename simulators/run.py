"""`simulate`: the very ControlLoop in a world in virtual time, beside its baselines."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field

from aiops.core.bank import Bank
from aiops.core.model import Tick
from aiops.core.policies import PolicySet
from aiops.loop import ControlLoop, DryRunCluster, Ports, Setup, backfill
from aiops.ports import Journal
from simulators.autoscalers.hpa import HpaController
from simulators.baselines import run_hpa, run_static, sync
from simulators.money import oracle, run_all_spot, run_half, run_schedule
from simulators.ports import (
    FixedPolicies,
    NoTelemetry,
    SimCluster,
    SimControls,
    SimLease,
    SimPrices,
    SimSource,
    StillClock,
)
from simulators.scenario import Scenario
from simulators.scorecard import Score, Scorecard, score
from simulators.world import Service, World


@dataclass(frozen=True, slots=True, kw_only=True)
class Rehearsal:
    """How to rehearse. progress is called after each step of each contender; setup says which code runs."""

    seed: int | None = None
    baselines: bool = True
    setup: Setup = field(default_factory=Setup)
    progress: Callable[[], None] = lambda: None
    watch: Callable[[Tick, World], None] = lambda _tick, _world: None


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What came of it. curves: by target, by name, one value a tick."""

    scorecard: Scorecard
    ticks: int
    curves: Mapping[str, Mapping[str, list[float]]]
    stories: tuple[tuple[float, str], ...]
    changes: tuple[tuple[float, str, int, int], ...]


class Rig:
    """A world with a loop in it, advanced together."""

    def __init__(self, scenario: Scenario, policies: PolicySet, journal: Journal, how: Rehearsal) -> None:
        self.world, self.hpas = scenario.world(how.seed)
        self.cluster = SimCluster(self.world, self.hpas)
        self.source = SimSource(self.world)
        self.bank = Bank(policies)
        ports = Ports(
            policies=FixedPolicies(policies),
            source=self.source,
            cluster=self.cluster,
            dry=DryRunCluster(self.cluster),
            journal=journal,
            lease=SimLease(),
            controls=SimControls(),
            prices=SimPrices(self.world),
            telemetry=NoTelemetry(),
            clock=StillClock(),
        )
        self.loop = ControlLoop(ports, self.bank, how.setup)
        backfill(self.bank, policies, self.source, (0.0, self.world.start), nullcontext())

    def step(self) -> str:
        """Let one step go by, then let the HPAs and the loop look at it; return the loop's sentence."""
        advance(self.world, self.hpas, self.world.step_s)
        return self.loop.run_once(self.world.now)


def advance(world: World, hpas: Mapping[str, HpaController], seconds: float) -> None:
    """Let time go by, with the world's own HPAs at work."""
    until = world.now + seconds
    while world.now + world.step_s <= until + 1e-9:
        world.advance(world.now + world.step_s)
        sync(world, hpas)


def simulate(scenario: Scenario, policies: PolicySet, journal: Journal, how: Rehearsal) -> Result:
    """Return how the policies fare in the scenario; every tick goes through `journal`."""
    rig = Rig(scenario, policies, journal, how)
    seen = _Seen()
    ticks = round(scenario.spec.duration / scenario.spec.step)
    for _ in range(ticks):
        rig.step()
        tick = rig.loop.last
        if tick is None or tick.at != rig.world.now:
            raise RuntimeError(f"the loop did not turn: {rig.loop.held}")
        seen.note(tick, rig.world)
        if policies.plans:
            seen.follow(tick, rig.world)
        how.watch(tick, rig.world)
        how.progress()
    targets = targets_of(policies, rig.world)
    price = scenario.spec.violation_price
    changes = _changes(rig.world, targets) if policies.plans else seen.deltas
    scores = [score("aiops", rig.world, changes, targets, price)]
    if how.baselines:
        scores += _baselines(scenario, policies, how, targets)
    card = Scorecard(
        scenario=scenario.spec.name,
        seed=scenario.spec.seed if how.seed is None else how.seed,
        hours=scenario.spec.duration / 3600.0,
        ticks=ticks,
        scores=tuple(scores),
    )
    return Result(
        scorecard=card, ticks=ticks, curves=seen.curves, stories=tuple(seen.stories), changes=tuple(seen.changes)
    )


def _baselines(scenario: Scenario, policies: PolicySet, how: Rehearsal, targets: tuple[str, ...]) -> list[Score]:
    """Return how others fared in the very same world; those about money where the scenario is about money."""
    priced = scenario.spec.violation_price > 0.0
    runs = [("static-peak", run_static), ("hpa", run_hpa)]
    if scenario.spec.office is not None:
        runs.append(("schedule", run_schedule))
    if any(one.shares for one in scenario.spec.services):
        runs += [("all-spot", run_all_spot), ("half-spot", run_half)]
    scores = []
    for name, run in runs:
        world = run(scenario, policies, how.seed, how.progress)
        scores.append(score(name, world, _changes(world, targets), targets, scenario.spec.violation_price))
    return [*scores, oracle(scenario, how.seed, targets)] if priced else scores


def _changes(world: World, targets: tuple[str, ...]) -> list[int]:
    return [delta for key in targets if key in world.services for delta in world.services[key].sim.pods.resized]


def targets_of(policies: PolicySet, world: World) -> tuple[str, ...]:
    """Return the services that count: the targets of ScalingPolicies; all of them where policies make plans."""
    if policies.plans:
        return tuple(world.services)
    return tuple(dict.fromkeys(str(policy.target) for policy in policies.scaling))


def _around(service: Service, step_s: float) -> list[tuple[str, float]]:
    """Return what is worth a curve only where there are retries, or a pool of nodes."""
    last, shown = service.last, []
    if last is not None and service.spec.retries is not None:
        shown.append(("arriving", (last.offered + last.retried) / step_s))
    if last is not None and service.pool is not None:
        shown += [("pending", float(last.pending)), ("nodes", float(len(service.pool.nodes)))]
    return shown


class _Seen:
    """What is kept of each tick for the report."""

    def __init__(self) -> None:
        self.curves: dict[str, dict[str, list[float]]] = {}
        self.stories: list[tuple[float, str]] = []
        self.changes: list[tuple[float, str, int, int]] = []

    @property
    def deltas(self) -> list[int]:
        return [after - before for _, _, before, after in self.changes]

    def note(self, tick: Tick, world: World) -> None:
        for decision in tick.decisions:
            key = str(decision.target)
            service = world.services.get(key)
            verdict = decision.verdict
            if service is None or verdict is None or service.last is None:
                continue
            need, last = verdict.proposal.need, service.last
            curve = self.curves.setdefault(key, {})
            for name, value in (
                *_around(service, world.step_s),
                ("at", tick.at),
                ("offered", last.offered / world.step_s),
                ("ahead", need.demand_ahead),
                ("capacity", last.ready * need.capacity),
                ("replicas", float(last.replicas)),
                ("latency", last.p95_s),
                ("usd", service.account.usd),
            ):
                curve.setdefault(name, []).append(float("nan") if value is None else float(value))
            if decision.changed:
                self.stories.append((tick.at, f"{decision.target} {decision.story}"))
        self._acted(tick)

    def follow(self, tick: Tick, world: World) -> None:
        """Take in what policies of plans said, and the services that no ScalingPolicy steers."""
        for decision in tick.decisions:
            if decision.judgement is not None and decision.changed:
                self.stories.append((tick.at, f"{decision.policy} {decision.story}"))
        for key, service in world.services.items():
            curve, last = self.curves.setdefault(key, {}), service.last
            if last is None or curve.get("at", [0.0])[-1] == tick.at:
                continue
            for name, value in (
                *_around(service, world.step_s),
                ("at", tick.at),
                ("offered", last.offered / world.step_s),
                ("ahead", float("nan")),
                ("capacity", last.ready * service.spec.capacity_rps),
                ("replicas", float(last.replicas)),
                ("latency", last.p95_s),
                ("usd", service.account.usd),
            ):
                curve.setdefault(name, []).append(value)

    def _acted(self, tick: Tick) -> None:
        for action in tick.actions:
            self.changes.append((tick.at, str(action.target), action.change.before, action.change.after))
