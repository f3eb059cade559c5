"""Scenarios of batch work that can wait: YAML that says what there is to do, by when, and what running costs.

Durations are written `90s` or `2h`, shares `15%`; a range, `2h..4h`, is drawn anew for each seed. Hours are UTC. A
whole scenario with everything in it:

    kind: batch
    name: everything
    about: one sentence
    start: 2026-03-02T00:00:00Z
    learning: 3d                       # work of this time is done, and does not count: what is learnt is learnt here
    lasts: 3d                          # so long work is made that counts; it is followed until all of it is done
    late: 5                            # USD for a Job that is done after its deadline
    night: '01:00'                     # when the fixed hour of the schedule is that everything is laid beside
    curve:
      unit: carbon                     # or price: USD for a core and hour; carbon: grams of CO2 for a kWh
      base: 320
      day: {'03:00': 0.7, '13:00': 0.6, '19:00': 1.4}
      noise: 20%                       # the weather, around the shape of the day
      hours: [{schedule: "0 0 * * *", duration: 5h, timeZone: UTC, price: 0.02}]   # in place of base while they last
      spells: [{at: 3d..4d, lasts: 6h..12h, factor: 2..3}]                         # at: since the start
    power: {wattsPerCore: 10, usdPerTonne: 100}                                    # what grams are worth
    work:
      - name: report
        cronJob: true                  # made by a CronJob
        schedule: "0 17 * * *"
        count: 3
        spread: 2h                     # each up to so long later
        takes: {median: 40m, p95: 70m}
        cores: 8
        by: '06:00'                    # or within: 3h, since it was made; neither: what the policy says
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import Field, field_validator, model_validator

from aiops.core.decide.cost.defer.spec import PriceHoursSpec
from aiops.core.decide.quantities import Duration, Quantity, Ratio, Whole
from aiops.core.decide.spec import Spec
from aiops.core.model import Instant
from aiops.policy import schedule
from simulators.batch.curve import Curve, Shape, Spell, drawn
from simulators.batch.world import Work
from simulators.chance import Chance
from simulators.failover.scenario import Durations, Shares
from simulators.load import Profile
from simulators.pods import Startup
from simulators.schema import StartupSpec
from simulators.shelf import Shelf

FOLDER = Path(__file__).parent / "scenarios"
POLICIES = Path(__file__).parent / "policies"
SLOT_S = 300.0
DAY_S = 86_400.0
AFTER_S = 2 * DAY_S
"""So long after the last Job is made the curve goes on: no deadline lies later, and what is late ends in it."""

_CLOCK = re.compile(r"([01]\d|2[0-3]):([0-5]\d)")


class Unit(StrEnum):
    """What the values of a curve are."""

    PRICE = "price"
    CARBON = "carbon"


class SpellSpec(Spec):
    """A time, since the start, in which everything costs `factor` as much."""

    at: Durations
    lasts: Durations
    factor: Shares

    def drawn(self, start: Instant, dice: np.random.Generator) -> Spell:
        """Return it as one seed has it."""
        begins = start + float(dice.uniform(*self.at))
        return Spell(
            start=begins, end=begins + float(dice.uniform(*self.lasts)), factor=float(dice.uniform(*self.factor))
        )


class CurveSpec(Spec):
    """What running costs."""

    unit: Unit
    base: Quantity = Field(gt=0)
    day: dict[str, float] = Field({}, description="HH:MM -> factor, joined by half cosines")
    noise: Ratio = 0.0
    hours: tuple[PriceHoursSpec, ...] = Field((), description="hours with a value of their own, in place of base")
    spells: tuple[SpellSpec, ...] = ()

    @field_validator("day")
    @classmethod
    def _clocks(cls, day: dict[str, float]) -> dict[str, float]:
        for clock, factor in day.items():
            clock_s(clock)
            if not 0.0 <= factor <= 100.0:
                raise ValueError(f"a factor is 0 to 100, not {factor:g}")
        return day


class PowerSpec(Spec):
    """What carbon comes to in money."""

    watts_per_core: Quantity = Field(10.0, gt=0)
    usd_per_tonne: Quantity = Field(100.0, ge=0)


class WorkSpec(Spec):
    """Jobs of one sort. schedule: cron, UTC; each time `count` are made, each up to `spread` later."""

    name: str = Field(min_length=1, max_length=40, pattern="[a-z]([-a-z0-9]*[a-z0-9])?")
    cron_job: bool = Field(False, description="a CronJob makes them, with jobTemplate.spec.suspend: true")
    schedule: str
    count: Whole = Field(1, ge=1, le=50)
    spread: Duration = Field(0.0, le=DAY_S)
    takes: StartupSpec
    cores: Quantity = Field(1.0, gt=0)
    within: Duration | None = Field(None, gt=0, le=DAY_S, description="done so long after it was made")
    by: str | None = Field(None, description="HH:MM, UTC: done by the next time it is that late")

    @model_validator(mode="after")
    def _sane(self) -> WorkSpec:
        schedule.window(self.schedule, 60.0, "UTC")
        if self.within is not None and self.by is not None:
            raise ValueError("a deadline is `within` or `by`; neither: what the policy says")
        if self.by is not None:
            clock_s(self.by)
        if self.takes.p95 < self.takes.median:
            raise ValueError("takes.p95 is less than the median")
        return self


class BatchScenario(Spec):
    """A whole scenario."""

    kind: Literal["batch"]
    name: str
    about: str = ""
    start: datetime
    seed: int = 1
    step: Duration = Field(60.0, ge=5, le=300, description="between two turns of the loop")
    learning: Duration = Field(0.0, le=14 * DAY_S)
    lasts: Duration = Field(2 * DAY_S, gt=0, le=30 * DAY_S)
    late: Quantity = Field(5.0, ge=0)
    night: str = "01:00"
    curve: CurveSpec
    power: PowerSpec = PowerSpec()
    work: tuple[WorkSpec, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _sane(self) -> BatchScenario:
        if self.start.tzinfo is None:
            raise ValueError("start has no zone, such as 2026-03-02T00:00:00Z")
        clock_s(self.night)
        names = [one.name for one in self.work]
        if len(set(names)) != len(names):
            raise ValueError("two sorts of work have the same name")
        return self

    @property
    def counts_from(self) -> Instant:
        """Return from when on Jobs count."""
        return self.start.timestamp() + self.learning

    @property
    def until(self) -> Instant:
        """Return until when Jobs are made."""
        return self.counts_from + self.lasts

    def usd(self, value_s: float, cores: float) -> float:
        """Return the USD of so many cores over a time, by the integral of the curve over it (value x seconds)."""
        if self.curve.unit is Unit.PRICE:
            return value_s / 3600.0 * cores
        return self.grams(value_s, cores) / 1e6 * self.power.usd_per_tonne

    def grams(self, value_s: float, cores: float) -> float:
        """Return the grams of CO2 of so many cores over a time; 0 where the curve is a price."""
        if self.curve.unit is Unit.PRICE:
            return 0.0
        return value_s / 3600.0 * cores * self.power.watts_per_core / 1000.0

    def drawn_curve(self, chance: Chance) -> Curve:
        """Return what running costs under one seed."""
        start, spec = self.start.timestamp(), self.curve
        knots = tuple(sorted((clock_s(clock), factor) for clock, factor in spec.day.items())) or ((0.0, 1.0),)
        dice = chance.stream("spells")
        shape = Shape(
            base=spec.base,
            profile=Profile(knots=knots),
            noise_ratio=spec.noise,
            spells=tuple(one.drawn(start, dice) for one in spec.spells),
            hours=tuple((schedule.window(one.schedule, one.duration, one.time_zone), one.price) for one in spec.hours),
        )
        count = int((self.until + AFTER_S - start) // SLOT_S) + 1
        return drawn((start, count, SLOT_S), shape, chance.stream("weather"))

    def drawn_work(self, chance: Chance) -> tuple[Work, ...]:
        """Return every Job of one seed, in the order in which they are made."""
        every = [one for spec in self.work for one in _jobs(spec, self, chance.stream("work", spec.name))]
        return tuple(sorted(every, key=lambda one: (one.made_at, one.name)))


def _jobs(spec: WorkSpec, scenario: BatchScenario, dice: np.random.Generator) -> Iterator[Work]:
    window = schedule.window(spec.schedule, 60.0, "UTC")
    length = Startup(median_s=spec.takes.median, p95_s=spec.takes.p95)
    at, number = scenario.start.timestamp() - 1.0, 0
    while (at := window.next_start(at)) < scenario.until:
        for takes_s in length.draw(dice, spec.count):
            # an object's creationTimestamp has whole seconds
            made_at = float(int(at + float(dice.uniform(0.0, spec.spread or 1e-9))))
            number += 1
            yield Work(
                name=f"{spec.name}-{number:04d}",
                sort=spec.name,
                cron_job=spec.cron_job,
                made_at=made_at,
                takes_s=max(1.0, float(round(takes_s))),
                cores=spec.cores,
                within_s=spec.within,
                by=None if spec.by is None else next_clock(made_at, spec.by),
            )


def clock_s(text: str) -> float:
    """Return the second of the day of HH:MM; raise ValueError.

    >>> clock_s("01:30")
    5400.0
    """
    match = _CLOCK.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is no time of day such as 01:30")
    return int(match[1]) * 3600.0 + int(match[2]) * 60.0


def next_clock(after: Instant, clock: str) -> Instant:
    """Return when it is that time of day next, UTC; now, where it is.

    >>> next_clock(3600.0, "01:00"), next_clock(3601.0, "01:00")
    (3600.0, 90000.0)
    """
    return after + (clock_s(clock) - after) % DAY_S


def says(at: Instant) -> str:
    """Return an instant as objects of Kubernetes say it."""
    return datetime.fromtimestamp(at, UTC).isoformat().replace("+00:00", "Z")


SHELF = Shelf(name="batch", folder=FOLDER, spec=BatchScenario)
names, is_batch, load = SHELF.names, SHELF.has, SHELF.load
