"""Offered load as a pure function of time: shapes and recorded traces, the same for the past and for the run.

Noise is drawn by day and slot from its own stream, so any instant can be asked in any order.
"""

from __future__ import annotations

import csv
import gzip
import math
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

import numpy as np

from aiops.core.model import F64, Instant
from aiops.errors import InvalidContent
from simulators.chance import Chance

DAY_S = 86400.0
WEEK_S = 7 * DAY_S
SLOT_S = 15.0
"""Noise changes every slot."""

MOST_EPOCH_S = 253_402_300_800.0
"""The end of the year 9999."""

_SLOTS = int(DAY_S / SLOT_S)
_KNOT_S = 600.0
_KNOTS = int(DAY_S / _KNOT_S)
_MONDAY_OFFSET_DAYS = 3
"""The epoch began on a Thursday: day 0 has weekday 3."""


class Load(Protocol):
    """Requests offered per second."""

    def rates(self, times: F64) -> F64:
        """Return the rate at each instant, float64[t] >= 0."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Burst:
    """A time when load is multiplied by `factor`: it rises, holds and falls. hold_s may be infinite."""

    start: Instant
    factor: float
    rise_s: float
    hold_s: float
    fall_s: float

    def factors(self, times: F64) -> F64:
        """Return the multiplier at each instant."""
        since = times - self.start
        up = np.clip(since / self.rise_s, 0.0, 1.0) if self.rise_s > 0 else (since >= 0).astype(np.float64)
        if math.isinf(self.hold_s):
            return 1.0 + (self.factor - 1.0) * up
        over = since - self.rise_s - self.hold_s
        down = np.clip(over / self.fall_s, 0.0, 1.0) if self.fall_s > 0 else (over >= 0).astype(np.float64)
        return 1.0 + (self.factor - 1.0) * (up - down)


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """The shape of a day: knots (second of the day, factor), joined by half cosines, and a factor per weekday."""

    knots: tuple[tuple[float, float], ...] = ((0.0, 1.0),)
    weekdays: tuple[float, float, float, float, float, float, float] = (1.0,) * 7

    def factors(self, times: F64) -> F64:
        """Return the multiplier at each instant (UTC)."""
        at = np.array([knot[0] for knot in self.knots])
        level = np.array([knot[1] for knot in self.knots])
        at = np.concatenate(([at[-1] - DAY_S], at, [at[0] + DAY_S]))
        level = np.concatenate(([level[-1]], level, [level[0]]))
        second = np.mod(times, DAY_S)
        right = np.clip(np.searchsorted(at, second, side="right"), 1, len(at) - 1)
        share = (second - at[right - 1]) / np.maximum(at[right] - at[right - 1], 1e-9)
        blend = 0.5 - 0.5 * np.cos(np.pi * np.clip(share, 0.0, 1.0))
        day = level[right - 1] + (level[right] - level[right - 1]) * blend
        return np.asarray(day * self._weekday(times), dtype=np.float64)

    def _weekday(self, times: F64) -> F64:
        """Return the weekday's factor, blended over two hours around midnight."""
        factors = np.array(self.weekdays)
        days = np.floor(times / DAY_S)
        today = (days.astype(np.int64) + _MONDAY_OFFSET_DAYS) % 7
        hour = (times - days * DAY_S) / 3600.0
        late, early = np.clip(hour - 23.0, 0.0, 1.0) / 2.0, np.clip(1.0 - hour, 0.0, 1.0) / 2.0
        here = factors[today] * (1.0 - late - early)
        return np.asarray(here + factors[(today + 1) % 7] * late + factors[(today - 1) % 7] * early, dtype=np.float64)


@dataclass(frozen=True, slots=True, kw_only=True)
class Noise:
    """How load strays: fast (each slot), slow (over tens of minutes) and from day to day, as standard deviations."""

    chance: Chance
    name: str
    fast_ratio: float = 0.0
    slow_ratio: float = 0.0
    daily_ratio: float = 0.0

    def factors(self, times: F64) -> F64:
        """Return the multiplier at each instant, around 1."""
        strayed = np.zeros_like(times)
        if self.fast_ratio:
            strayed += self.fast_ratio * by_slot(times, SLOT_S, lambda day: self._draw("fast", day, _SLOTS))
        if self.slow_ratio:
            strayed += self.slow_ratio * smooth(times, _KNOT_S, lambda day: self._draw("slow", day, _KNOTS))
        if self.daily_ratio:
            strayed += self.daily_ratio * smooth(times, DAY_S, lambda day: self._draw("daily", day, 1))
        return np.exp(strayed)

    def _draw(self, kind: str, day: int, count: int) -> F64:
        return self.chance.stream("load", self.name, kind, day).standard_normal(count)


@dataclass(frozen=True, slots=True, kw_only=True)
class ShapedLoad:
    """A seeded shape: base * profile * bursts * noise."""

    base: float
    noise: Noise
    profile: Profile = field(default_factory=Profile)
    bursts: tuple[Burst, ...] = ()

    def rates(self, times: F64) -> F64:
        """Return the rate at each instant."""
        return _burst(self.base * self.profile.factors(times) * self.noise.factors(times), times, self.bursts)


@dataclass(frozen=True, slots=True, kw_only=True)
class TracedLoad:
    """A recorded trace (increasing seconds, values), linear between its samples, repeated before and after.

    The trace is moved by whole days so that it covers `anchor`; it repeats by whole weeks, days or its length. `noise`
    gives back what a slow trace has lost between its samples.
    """

    times: F64
    values: F64
    anchor: Instant
    noise: Noise
    scale: float = 1.0
    bursts: tuple[Burst, ...] = ()

    def rates(self, times: F64) -> F64:
        """Return the rate at each instant."""
        first = float(self.times[0])
        span = float(self.times[-1]) - first
        period = next((math.floor(span / unit) * unit for unit in (WEEK_S, DAY_S) if span >= unit), span)
        shift = math.floor((self.anchor - first) / DAY_S) * DAY_S
        place = first + np.mod(times - shift - first, period)
        traced = self.scale * np.interp(place, self.times, self.values)
        return _burst(traced * self.noise.factors(times), times, self.bursts)


@dataclass(frozen=True, slots=True, kw_only=True)
class CalledLoad:
    """What a service is asked for while everybody above it serves all: its own load and that of its callers.

    callers: (their load, calls per request).
    """

    own: Load
    callers: tuple[tuple[Load, float], ...]

    def rates(self, times: F64) -> F64:
        """Return the rate at each instant."""
        rates = self.own.rates(times)
        for load, ratio in self.callers:
            rates = rates + ratio * load.rates(times)
        return rates


class NoLoad:
    """Nobody asks from outside."""

    def rates(self, times: F64) -> F64:
        """Return zeros."""
        return np.zeros(len(times))


def _burst(rates: F64, times: F64, bursts: Sequence[Burst]) -> F64:
    for burst in bursts:
        rates = rates * burst.factors(times)
    return np.asarray(np.maximum(rates, 0.0), dtype=np.float64)


def by_slot(times: F64, slot_s: float, draw: Callable[[int], F64]) -> F64:
    """Return for each instant the number drawn for its slot; `draw(day)` gives a day's slots."""
    slots = np.floor(times / slot_s).astype(np.int64)
    per_day = int(DAY_S / slot_s)
    days, places = np.divmod(slots, per_day)
    if not len(days):
        return np.empty(0)
    low, high = int(days.min()), int(days.max())
    table = np.stack([draw(day) for day in range(low, high + 1)])
    return np.asarray(table[days - low, places], dtype=np.float64)


def smooth(times: F64, knot_s: float, draw: Callable[[int], F64]) -> F64:
    """Return numbers drawn at knots, linear in between; `draw(day)` gives a day's knots."""
    here = by_slot(times, knot_s, draw)
    after = by_slot(times + knot_s, knot_s, draw)
    share = np.mod(times, knot_s) / knot_s
    return np.asarray(here * (1.0 - share) + after * share, dtype=np.float64)


def read_trace(path: Path) -> tuple[F64, F64]:
    """Return (seconds since the epoch, values) of a CSV file `timestamp,value` with or without a header.

    An empty value is no sample. Timestamps are seconds since the epoch or ISO 8601 (UTC when no zone is given). Raises
    InvalidInput with file, line and column.
    """
    try:
        rows = list(csv.reader(_text(path).splitlines()))
    except (OSError, EOFError, zlib.error) as err:
        raise InvalidContent(f"{path}:0:0: cannot be read: {getattr(err, 'strerror', None) or err}") from err
    except (UnicodeDecodeError, csv.Error) as err:
        raise InvalidContent(f"{path}:0:0: is no text of comma-separated values: {err}") from err
    samples = [_sample(path, line, row) for line, row in enumerate(rows, start=1) if _is_data(line, row)]
    if len(samples) < 2:
        raise InvalidContent(f"{path}:0:0: a trace needs two samples at least")
    ordered = sorted(dict(samples).items())
    return np.array([at for at, _ in ordered]), np.array([value for _, value in ordered])


def _text(path: Path) -> str:
    return gzip.decompress(path.read_bytes()).decode() if path.suffix == ".gz" else path.read_text()


def _is_data(line: int, row: Sequence[str]) -> bool:
    header = line == 1 and bool(row) and not row[0][:1].isdigit()
    return bool(row) and not header and not (len(row) > 1 and not row[1].strip())


def _sample(path: Path, line: int, row: Sequence[str]) -> tuple[float, float]:
    if len(row) < 2:
        raise InvalidContent(f"{path}:{line}:1: expected `timestamp,value`")
    try:
        value = float(row[1])
    except ValueError as err:
        raise InvalidContent(f"{path}:{line}:{len(row[0]) + 2}: not a number: {row[1]!r}") from err
    if not math.isfinite(value):
        raise InvalidContent(f"{path}:{line}:{len(row[0]) + 2}: not a finite number: {row[1]!r}")
    return _timestamp(path, line, row[0]), value


def _timestamp(path: Path, line: int, text: str) -> float:
    try:
        at_s = float(text)
    except ValueError:
        at_s = _iso_s(path, line, text)
    if not abs(at_s) <= MOST_EPOCH_S:
        raise InvalidContent(f"{path}:{line}:1: no time that a clock shows: {text!r}")
    return at_s


def _iso_s(path: Path, line: int, text: str) -> float:
    try:
        at = datetime.fromisoformat(text)
    except ValueError as err:
        raise InvalidContent(f"{path}:{line}:1: neither seconds nor ISO 8601: {text!r}") from err
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()
