"""Scenarios: YAML that says which services there are, who calls them, and what goes wrong.

The fields are those of `simulators.schema`. What is wrong is said with file, line, column and field.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from aiops.core.model import Instant
from aiops.errors import InvalidContent, InvalidInput, NotFound
from aiops.policy.document import documents
from simulators.autoscalers.hpa import HpaController
from simulators.calls import Call
from simulators.chance import Chance
from simulators.faults import BadRelease, Fault, PodLoss, ScrapeGap
from simulators.load import Burst, CalledLoad, Load, Noise, NoLoad, Profile, ShapedLoad, TracedLoad, read_trace
from simulators.mesh import callers_first
from simulators.nodes import NodePool, NodePoolSpec, Spot, SpotStorm
from simulators.pods import Slower, Startup, WarmUp
from simulators.retries import RetrySpec
from simulators.schema import (
    BadReleaseSpec,
    BurstSpec,
    FaultSpec,
    LoadSpec,
    PodLossSpec,
    PoolSpec,
    ScenarioSpec,
    ScrapeGapSpec,
    ServiceEntry,
)
from simulators.scraping import Scraping
from simulators.service import ServiceSpec
from simulators.world import Place, Service, World

__all__ = ["FOLDER", "LoadSpec", "Scenario", "ScenarioSpec", "ServiceEntry", "load", "names", "policies_for"]

FOLDER = Path(__file__).parent / "scenarios"
SCRAPE_S = 15.0
_CLOCK = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)")
_Place = tuple[str | int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """A checked scenario. folder: where its traces lie."""

    spec: ScenarioSpec
    folder: Path

    @property
    def start(self) -> Instant:
        """Return when it begins."""
        return self.spec.start.timestamp()

    def world(self, seed: int | None = None) -> tuple[World, dict[str, HpaController]]:
        """Return a fresh world and the HPAs in it, by `namespace/name`; the same seed makes the same world."""
        spec, chance = self.spec, Chance(self.spec.seed if seed is None else seed)
        pools = {one.name: NodePool(_pool(one, self.start), chance.stream("nodes", one.name)) for one in spec.pools}
        faults = [_fault(one, self.start) for one in spec.faults]
        callers = self._callers(chance)
        services = []
        for entry in spec.services:
            pool = None if entry.pool is None else pools[entry.pool]
            place = Place(scraping=self._scraping(), pool=pool, callers=callers[entry.name])
            services.append(Service(self._service(entry), _load(entry, chance, self), faults, chance, place))
        hpas = {
            f"{entry.namespace}/{entry.name}": HpaController(
                entry.name, (entry.hpa.min_replicas, entry.hpa.max_replicas), entry.hpa.target
            )
            for entry in spec.services
            if entry.hpa is not None
        }
        return World(services, self.start, spec.step, tuple(pools.values())), hpas

    def _scraping(self) -> Scraping:
        scrape = self.spec.scrape
        every_s = max(SCRAPE_S if scrape.every is None else scrape.every, self.spec.step)
        return Scraping(every_s=every_s, lag_s=scrape.lag, loss_ratio=scrape.loss)

    def _callers(self, chance: Chance) -> Mapping[str, tuple[tuple[Load, float], ...]]:
        """Return by name who calls a service, with all that these are asked for themselves, and how often."""
        entries = {entry.name: entry for entry in self.spec.services}
        found: dict[str, tuple[tuple[Load, float], ...]] = dict.fromkeys(entries, ())
        for name in callers_first({name: [call.service for call in one.calls] for name, one in entries.items()}):
            own = _load(entries[name], chance, self)
            whole = CalledLoad(own=own, callers=found[name]) if found[name] else own
            for call in entries[name].calls:
                found[call.service] = (*found[call.service], (whole, call.ratio))
        return found

    def _service(self, entry: ServiceEntry) -> ServiceSpec:
        pools = {one.name: one for one in self.spec.pools}
        pool = pools.get(entry.pool or "")
        warm, slower, again = entry.warm_up, entry.slower, entry.retries
        return ServiceSpec(
            name=entry.name,
            namespace=entry.namespace,
            capacity_rps=entry.capacity,
            service_s=entry.service_time,
            timeout_s=entry.timeout,
            slo_s=entry.slo,
            error_ratio=entry.error_ratio,
            replicas=entry.replicas,
            labels=entry.labels,
            shares=entry.shares or "",
            startup=Startup(median_s=entry.startup.median, p95_s=entry.startup.p95),
            usd_per_hour=entry.price if pool is None else pool.price / pool.pods_per_node,
            warm_up=None if warm is None else WarmUp(factor=warm.factor, over_s=warm.over),
            slower=None if slower is None else Slower(share_ratio=slower.share, capacity_ratio=slower.capacity),
            calls=tuple(Call(service=call.service, ratio=call.ratio) for call in entry.calls),
            retries=None
            if again is None
            else RetrySpec(
                share_ratio=again.share,
                backoff_s=again.backoff,
                most=again.most,
                patience_s=float("inf") if again.patience is None else again.patience,
            ),
        )


def names(folder: Path = FOLDER) -> tuple[str, ...]:
    """Return the names of the shipped scenarios."""
    return tuple(sorted(path.stem for path in folder.glob("*.yaml")))


def policies_for(name: str) -> Path:
    """Return the policies that a shipped scenario is rehearsed with; raise NotFound for a scenario of one's own."""
    if name not in names():
        raise NotFound(f"there are no policies for the scenario {name!r}: name some with --policies")
    own = FOLDER / "policies" / name
    return own if own.is_dir() else FOLDER.parent / "demo" / "policies"


def load(name: str) -> Scenario:
    """Return a scenario by the name of a shipped one or by a path; raise NotFound or InvalidInput."""
    path = Path(name) if name.endswith((".yaml", ".yml")) else FOLDER / f"{name}.yaml"
    if not path.is_file():
        raise NotFound(
            f"there is no scenario {name!r}, and no such file; of scaling and cost there are {', '.join(names())} "
            "(those of failover: docs/failover-rehearsal.md, of remediation: docs/remediation-rehearsal.md, "
            "of batch work: docs/batch-rehearsal.md)"
        )
    found, problems = documents(path.read_text(encoding="utf-8"), str(path))
    if problems or len(found) != 1:
        raise InvalidContent("\n".join(map(str, problems)) or f"{path}:1:1: a scenario is one document")
    try:
        spec = ScenarioSpec.model_validate(found[0].data)
    except ValidationError as err:
        lines = [str(found[0].problem(tuple(e["loc"]), e["msg"])) for e in err.errors(include_url=False)]
        raise InvalidContent("\n".join(lines)) from err
    wrong = [str(found[0].problem(place, text)) for place, text in _contradictions(spec)]
    if wrong:
        raise InvalidContent("\n".join(wrong))
    return Scenario(spec=spec, folder=path.parent)


def _contradictions(spec: ScenarioSpec) -> Iterator[tuple[_Place, str]]:
    """Yield where the parts of a scenario do not fit each other, and why."""
    known = [entry.name for entry in spec.services]
    for number, name in enumerate(known):
        if name in known[:number]:
            yield ("services", number, "name"), f"there is a service {name!r} already"
    for number, fault in enumerate(spec.faults):
        if fault.service not in known:
            yield ("faults", number, "service"), f"there is no service {fault.service!r}"
    for number, pool in enumerate(spec.pools):
        if pool.min_nodes > pool.max_nodes:
            yield ("pools", number, "minNodes"), "more than maxNodes"
        if pool.first_nodes is not None and pool.first_nodes > pool.max_nodes:
            yield ("pools", number, "firstNodes"), "more than maxNodes"
        needed = sum(entry.replicas for entry in spec.services if entry.pool == pool.name)
        if needed > pool.max_nodes * pool.pods_per_node:
            room = pool.max_nodes * pool.pods_per_node
            yield ("pools", number, "maxNodes"), f"the first {needed} pods need more room than {room}"
    yield from _calls(spec)
    for number, entry in enumerate(spec.services):
        yield from _misfits(spec, ("services", number), entry)


def _calls(spec: ScenarioSpec) -> Iterator[tuple[_Place, str]]:
    known = {entry.name: [call.service for call in entry.calls] for entry in spec.services}
    strangers = False
    for number, entry in enumerate(spec.services):
        for place, call in enumerate(entry.calls):
            if call.service not in known:
                strangers = True
                yield ("services", number, "calls", place, "service"), f"there is no service {call.service!r}"
    if strangers:
        return
    try:
        callers_first(known)
    except ValueError as err:
        first = str(err).partition(" -> ")[0]
        yield ("services", list(known).index(first), "calls"), f"services call each other in a circle: {err}"


def _misfits(spec: ScenarioSpec, place: _Place, entry: ServiceEntry) -> Iterator[tuple[_Place, str]]:
    if entry.pool is not None and entry.pool not in {pool.name for pool in spec.pools}:
        yield (*place, "pool"), f"there is no pool {entry.pool!r}"
    called = {call.service for one in spec.services for call in one.calls}
    if entry.shares is not None:
        yield from _shared(spec, place, entry)
    elif entry.load is None and entry.name not in called:
        yield place, f"{entry.name!r} has no load and nobody calls it"
    patience = None if entry.retries is None else entry.retries.patience
    if patience is not None and patience < entry.slo:
        yield (*place, "retries", "patience"), "shorter than the slo"
    if entry.startup.p95 < entry.startup.median:
        yield (*place, "startup", "p95"), "less than the median"


def _shared(spec: ScenarioSpec, place: _Place, entry: ServiceEntry) -> Iterator[tuple[_Place, str]]:
    """Yield why a service cannot take a part of another's load."""
    whole = next((one for one in spec.services if one.name == entry.shares), None)
    if whole is None or whole is entry or whole.shares is not None:
        yield (*place, "shares"), f"there is no service {entry.shares!r} with a load of its own"
    elif entry.load is not None or any(one.calls or one.retries is not None for one in (whole, entry)):
        yield (*place, "shares"), "a load that is shared has one source, and no calls or retries"


def _pool(one: PoolSpec, start: Instant) -> NodePoolSpec:
    return NodePoolSpec(
        name=one.name,
        pods_per_node=one.pods_per_node,
        most=one.max_nodes,
        least=one.min_nodes,
        provisioning=Startup(median_s=one.provisioning.median, p95_s=one.provisioning.p95),
        usd_per_hour=one.price,
        empty_for_s=one.empty_for,
        first=one.first_nodes or 0,
        spread=one.spread,
        price=_knots(one.price_day) if one.price_day else (),
        spot=None
        if one.spot is None
        else Spot(waves_per_hour=one.spot.waves_per_hour, together_ratio=one.spot.together),
        zones=one.zones,
        storms=tuple(
            SpotStorm(start=start + storm.at, end=start + storm.at + storm.hold, share_ratio=storm.share)
            for storm in one.storms
        ),
    )


def _load(entry: ServiceEntry, chance: Chance, scenario: Scenario) -> Load:
    one = entry.load
    if one is None:
        return NoLoad()
    noise = Noise(
        chance=chance,
        name=entry.name,
        fast_ratio=one.noise.fast,
        slow_ratio=one.noise.slow,
        daily_ratio=one.noise.daily,
    )
    bursts = tuple(_burst(burst, scenario.start) for burst in one.bursts)
    if one.csv is not None:
        times, values = read_trace(scenario.folder / one.csv)
        return TracedLoad(times=times, values=values, anchor=scenario.start, noise=noise, scale=one.base, bursts=bursts)
    weekday, weekend = 1.0, one.weekend
    profile = Profile(knots=_knots(one.day), weekdays=(weekday, weekday, weekday, weekday, weekday, weekend, weekend))
    return ShapedLoad(base=one.base, noise=noise, profile=profile, bursts=bursts)


def _knots(day: Mapping[str, float]) -> tuple[tuple[float, float], ...]:
    knots = []
    for clock, factor in day.items():
        match = _CLOCK.fullmatch(clock)
        if match is None:
            raise InvalidInput(f"load.day: {clock!r} is no time of day such as 08:30")
        knots.append((int(match[1]) * 3600.0 + int(match[2]) * 60.0, factor))
    return tuple(sorted(knots)) or ((0.0, 1.0),)


def _burst(one: BurstSpec, start: Instant) -> Burst:
    return Burst(start=start + one.at, factor=one.factor, rise_s=one.rise, hold_s=one.hold, fall_s=one.fall)


def _fault(one: FaultSpec, start: Instant) -> Fault:
    match one:
        case BadReleaseSpec():
            return BadRelease(
                service=one.service,
                start=start + one.at,
                end=start + one.at + one.hold,
                latency_factor=one.latency_factor,
                error_ratio=one.error_ratio,
            )
        case ScrapeGapSpec():
            return ScrapeGap(
                service=one.service,
                start=start + one.at,
                end=start + one.at + one.hold,
                answer=one.answer,
                loss_ratio=one.loss,
                lag_s=one.lag,
            )
        case PodLossSpec():
            return PodLoss(service=one.service, start=start + one.at, count=one.count)
