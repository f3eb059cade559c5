"""What running costs at any instant: a shape of the day, what weather makes of it, and times that are dear or cheap."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from aiops.core.model import F64, Instant
from aiops.core.protocols import Schedule
from simulators.load import Profile

WEATHER_S = 6 * 3600.0
"""In so long what weather makes of a price fades to 1/e of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spell:
    """A time in which everything costs `factor` as much."""

    start: Instant
    end: Instant
    factor: float


@dataclass(frozen=True, slots=True)
class Curve:
    """Values of slots of `slot_s` seconds from `start` on, in the scenario's unit, each constant in its slot."""

    start: Instant
    slot_s: float
    values: F64
    _sums: F64

    @classmethod
    def of(cls, start: Instant, slot_s: float, values: F64) -> Curve:
        """Return a curve of values; raise ValueError for one that is below nothing, or unknown."""
        if not np.isfinite(values).all() or float(values.min(initial=0.0)) < 0.0:
            raise ValueError("costs are finite, and not below nothing")
        return cls(start, slot_s, values, np.concatenate(([0.0], np.cumsum(values) * slot_s)))

    def at(self, now: Instant) -> float:
        """Return the value at an instant; the last one for what comes after."""
        slot = math.floor((now - self.start) / self.slot_s + 1e-9)
        return float(self.values[min(max(slot, 0), len(self.values) - 1)])

    def integrals(self, starts: F64, seconds: float) -> F64:
        """Return float64[n]: value x seconds over so long a time from each of the instants on."""
        edges = self.start + self.slot_s * np.arange(len(self._sums))
        ends = np.interp(starts + seconds, edges, self._sums)
        return np.asarray(ends - np.interp(starts, edges, self._sums), np.float64)

    def integral(self, start: Instant, seconds: float) -> float:
        """Return value x seconds over a time."""
        return float(self.integrals(np.asarray([start]), seconds)[0])


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """What a curve is drawn from. noise_ratio: the standard deviation of its logarithm around the shape of the day.

    hours: while a schedule is active its value is the curve's, the first of several.
    """

    base: float
    profile: Profile
    noise_ratio: float = 0.0
    hours: tuple[tuple[Schedule, float], ...] = ()
    spells: tuple[Spell, ...] = ()


def drawn(span: tuple[Instant, int, float], shape: Shape, dice: np.random.Generator) -> Curve:
    """Return the curve of one seed. span: start, how many slots, and how long one is in seconds."""
    start, count, slot_s = span
    times = np.asarray(start + slot_s * (np.arange(count) + 0.5), np.float64)
    values = shape.base * shape.profile.factors(times)
    values = values * np.exp(_weather(count, slot_s, shape.noise_ratio, dice) - shape.noise_ratio**2 / 2.0)
    for schedule, value in reversed(shape.hours):
        inside = [schedule.active_until(float(at)) is not None for at in times]
        values = np.where(inside, value, values)
    for spell in shape.spells:
        values = np.where((times >= spell.start) & (times < spell.end), values * spell.factor, values)
    return Curve.of(start, slot_s, values)


def _weather(count: int, slot_s: float, noise_ratio: float, dice: np.random.Generator) -> F64:
    """Return float64[count]: a process that strays by `noise_ratio` and comes back (Ornstein-Uhlenbeck)."""
    keeps = math.exp(-slot_s / WEATHER_S)
    shocks = dice.standard_normal(count) * noise_ratio * math.sqrt(1.0 - keeps * keeps)
    level, found = float(dice.standard_normal()) * noise_ratio, np.empty(count)
    for slot in range(count):
        level = keeps * level + shocks[slot]
        found[slot] = level
    return found
