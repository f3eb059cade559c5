"""Scenarios: YAML that says which services there are, who calls them, and what goes wrong."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError

from aiops.core.decide.quantities import Duration, Ratio
from aiops.core.decide.spec import Spec
from aiops.core.model import Instant
from aiops.errors import InvalidInput, NotFound
from aiops.policy.document import documents, dotted
from simulators.autoscalers.hpa import HpaController
from simulators.chance import Chance
from simulators.faults import BadRelease, Fault, GapAnswer, PodLoss, ScrapeGap
from simulators.load import Burst, Load, Noise, Profile, ShapedLoad, TracedLoad, read_trace
from simulators.service import ServiceSpec, Startup
from simulators.world import Service, World

FOLDER = Path(__file__).parent / "scenarios"
_CLOCK = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)")


class BurstSpec(Spec):
    """Load is multiplied for a while."""

    at: Duration
    factor: float = Field(gt=0)
    rise: Duration = 0.0
    hold: Duration = 0.0
    fall: Duration = 0.0


class NoiseSpec(Spec):
    """How load strays, as standard deviations."""

    fast: float = 0.0
    slow: float = 0.0
    daily: float = 0.0


class LoadSpec(Spec):
    """A seeded shape, or a recorded trace."""

    base: float = Field(1.0, ge=0, description="requests per second; with csv: a factor")
    csv: str | None = Field(None, description="file `timestamp,value`, beside the scenario")
    day: dict[str, float] = Field({}, description="HH:MM -> factor, joined by half cosines")
    weekend: float = 1.0
    noise: NoiseSpec = NoiseSpec()
    bursts: tuple[BurstSpec, ...] = ()


class StartupSpec(Spec):
    """From a pod's creation to Ready."""

    median: Duration = 45.0
    p95: Duration = 70.0


class HpaSpec(Spec):
    """An HPA beneath, on utilisation."""

    min_replicas: int = 2
    max_replicas: int = 100
    target: Ratio = 0.65


class ServiceEntry(Spec):
    """One service."""

    name: str
    namespace: str = "shop"
    capacity: float = Field(60.0, gt=0, description="requests per second that one pod serves at most")
    service_time: Duration = 0.05
    timeout: Duration = 2.0
    slo: Duration = 0.25
    error_ratio: Ratio = 0.001
    replicas: int = Field(4, ge=0)
    startup: StartupSpec = StartupSpec()
    price: float = Field(0.042, ge=0, description="USD per pod and hour")
    load: LoadSpec
    hpa: HpaSpec | None = None


class BadReleaseSpec(Spec):
    """A release that is slow and fails."""

    kind: Literal["bad-release"]
    service: str
    at: Duration
    hold: Duration
    latency_factor: float = 1.0
    error_ratio: Ratio = 0.0


class ScrapeGapSpec(Spec):
    """No new samples."""

    kind: Literal["scrape-gap"]
    service: str
    at: Duration
    hold: Duration
    answer: GapAnswer = GapAnswer.STALE


class PodLossSpec(Spec):
    """Ready pods die."""

    kind: Literal["pod-loss"]
    service: str
    at: Duration
    count: int = Field(gt=0)


FaultSpec = Annotated[BadReleaseSpec | ScrapeGapSpec | PodLossSpec, Field(discriminator="kind")]


class ScenarioSpec(Spec):
    """A whole scenario."""

    name: str
    about: str = ""
    start: datetime
    duration: Duration
    step: Duration = Field(15.0, gt=0)
    history: Duration = 14 * 86400.0
    scrape_lag: Duration = 0.0
    seed: int = 1
    services: tuple[ServiceEntry, ...] = Field(min_length=1)
    faults: tuple[FaultSpec, ...] = ()


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
        faults = [_fault(one, self.start) for one in spec.faults]
        services = []
        for entry in spec.services:
            load = _load(entry, chance, self)
            services.append(Service(_service(entry), load, faults, chance))
        hpas = {
            f"{entry.namespace}/{entry.name}": HpaController(
                entry.name, (entry.hpa.min_replicas, entry.hpa.max_replicas), entry.hpa.target
            )
            for entry in spec.services
            if entry.hpa is not None
        }
        return World(services, self.start, spec.step, spec.scrape_lag), hpas


def names(folder: Path = FOLDER) -> tuple[str, ...]:
    """Return the names of the shipped scenarios."""
    return tuple(sorted(path.stem for path in folder.glob("*.yaml")))


def load(name: str) -> Scenario:
    """Return a scenario by the name of a shipped one or by a path; raise NotFound or InvalidInput."""
    path = Path(name) if name.endswith((".yaml", ".yml")) else FOLDER / f"{name}.yaml"
    if not path.is_file():
        raise NotFound(f"there is no scenario {name!r}; there are {', '.join(names())}, or give a file")
    found, problems = documents(path.read_text(encoding="utf-8"), str(path))
    if problems or len(found) != 1:
        raise InvalidInput("\n".join(map(str, problems)) or f"{path}:1:1: a scenario is one document")
    try:
        spec = ScenarioSpec.model_validate(found[0].data)
    except ValidationError as err:
        lines = [str(found[0].problem(tuple(e["loc"]), e["msg"])) for e in err.errors(include_url=False)]
        raise InvalidInput("\n".join(lines)) from err
    known = {entry.name for entry in spec.services}
    for number, fault in enumerate(spec.faults):
        if fault.service not in known:
            place = ("faults", number, "service")
            raise InvalidInput(
                str(found[0].problem(place, f"there is no service {fault.service!r} at {dotted(place)}"))
            )
    return Scenario(spec=spec, folder=path.parent)


def _service(entry: ServiceEntry) -> ServiceSpec:
    return ServiceSpec(
        name=entry.name,
        namespace=entry.namespace,
        capacity_rps=entry.capacity,
        service_s=entry.service_time,
        timeout_s=entry.timeout,
        slo_s=entry.slo,
        error_ratio=entry.error_ratio,
        replicas=entry.replicas,
        startup=Startup(median_s=entry.startup.median, p95_s=entry.startup.p95),
        usd_per_hour=entry.price,
    )


def _load(entry: ServiceEntry, chance: Chance, scenario: Scenario) -> Load:
    one = entry.load
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
                service=one.service, start=start + one.at, end=start + one.at + one.hold, answer=one.answer
            )
        case PodLossSpec():
            return PodLoss(service=one.service, start=start + one.at, count=one.count)
