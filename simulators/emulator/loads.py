"""Loads that the emulator adds to the scenarios' own: ramps, traces from now on, and time that goes faster."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import assert_never

import numpy as np

from aiops.core.model import F64, Instant
from simulators.emulator.config import ConstantSpec, RampSpec, ShapedSpec, TraceSpec
from simulators.load import Load, read_trace
from simulators.scenario import Scenario, ScenarioSpec, ServiceEntry


@dataclass(frozen=True, slots=True, kw_only=True)
class Ramp:
    """Load that goes from one level to another in a straight line."""

    start: Instant
    begin_rps: float
    end_rps: float
    over_s: float

    def rates(self, times: F64) -> F64:
        """Return the rate at each instant."""
        share = np.clip((times - self.start) / self.over_s, 0.0, 1.0)
        return np.asarray(self.begin_rps + (self.end_rps - self.begin_rps) * share, np.float64)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningTrace:
    """A trace whose first sample is at `start`, linear between samples; then it repeats, or its last sample stays."""

    times: F64
    values: F64
    start: Instant
    repeat: bool

    def rates(self, times: F64) -> F64:
        """Return the rate at each instant."""
        since, span = times - self.start, float(self.times[-1] - self.times[0])
        place = np.mod(since, span) if self.repeat else since
        return np.asarray(np.maximum(np.interp(place + self.times[0], self.times, self.values), 0.0), np.float64)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hastened:
    """Another load, whose time goes `speedup` times as fast from `start` on."""

    load: Load
    start: Instant
    speedup: float

    def rates(self, times: F64) -> F64:
        """Return the rate at each instant."""
        return self.load.rates(self.start + (times - self.start) * self.speedup)


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Whose load it is, when it begins, and where its files lie."""

    key: str
    start: Instant
    folder: Path
    seed: int


def load_of(spec: ConstantSpec | RampSpec | ShapedSpec | TraceSpec, origin: Origin) -> Load:
    """Return the load that is described; raise InvalidInput when its file or its times of day are wrong."""
    start = origin.start
    match spec:
        case ConstantSpec():
            return Ramp(start=start, begin_rps=spec.rps, end_rps=spec.rps, over_s=1.0)
        case RampSpec():
            return Ramp(start=start + spec.after, begin_rps=spec.begin, end_rps=spec.end, over_s=spec.over)
        case ShapedSpec():
            return Hastened(load=_shaped(spec, origin), start=start, speedup=spec.speedup)
        case TraceSpec():
            times, values = read_trace(origin.folder / spec.file)
            trace = RunningTrace(times=times, values=spec.scale * values, start=start, repeat=spec.repeat)
            return Hastened(load=trace, start=start, speedup=spec.speedup)
        case _ as never:
            assert_never(never)


def _shaped(spec: ShapedSpec, origin: Origin) -> Load:
    """Return the load that a scenario with this one service has."""
    namespace, _, name = origin.key.partition("/")
    entry = ServiceEntry(name=name, namespace=namespace, load=spec)
    begin = datetime.fromtimestamp(origin.start, UTC)
    scenario = ScenarioSpec(name="emulated", start=begin, duration=0.0, services=(entry,), seed=origin.seed)
    world, _ = Scenario(spec=scenario, folder=origin.folder).world()
    return world.services[origin.key].load
