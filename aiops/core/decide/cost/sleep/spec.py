"""`sleep` of a CostPolicy as people write it."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import AwareDatetime, Field, model_validator

from aiops.core.decide.quantities import Duration, Whole, duration_or
from aiops.core.decide.scaling.spec import CalendarSpec
from aiops.core.decide.spec import Spec, in_cel, in_schema


class Budgets(StrEnum):
    """What a PodDisruptionBudget means for rest."""

    RESPECT = "respect"
    IGNORE = "ignore"


class HoursSpec(Spec):
    """Hours that come again."""

    schedule: str = Field(description="cron: minute hour day month weekday")
    duration: Duration = Field(gt=0, le=8 * 86400, description="how long they last from each beginning")
    time_zone: str = Field("UTC", description="of the schedule: Europe/Berlin")


class ExceptionSpec(Spec):
    """A time in which nothing sleeps."""

    name: str = Field("", description="as it is shown: release week")
    from_: AwareDatetime = Field(alias="from", description="since when, with a time zone")
    to: AwareDatetime = Field(description="until when")

    @model_validator(mode="after")
    @in_cel("timestamp(self.to) > timestamp(self.from)", "`to` is not after `from`")
    def ends_after_it_begins(self) -> ExceptionSpec:
        """Refuse a time that never is."""
        if self.to <= self.from_:
            raise ValueError("`to` is not after `from`")
        return self


DurationOrAuto = Annotated[float | Literal["auto"], *duration_or("auto", examples=["auto", "5m"])]


class RestSpec(Spec):
    """What `sleep` and `idle` share: how workloads rest, and what keeps them awake."""

    to: Whole = Field(0, ge=0, le=1000, description="replicas at rest; what an HPA steers can rest at 0 alone")
    scale_in: Literal["allowed"] | None = Field(
        None, description="allowed: StatefulSets rest, too, once all of them are ready"
    )
    disruption_budgets: Budgets = Field(
        Budgets.RESPECT, description="respect: no rest below a PodDisruptionBudget's minAvailable"
    )
    manual_override: Duration = Field(
        3600.0, ge=0, description="how long a workload stays awake that somebody woke, or has just made"
    )


class SleepSpec(RestSpec):
    """Sleep by the clock: in `windows`, or outside of the hours in which workloads are `awake`."""

    windows: tuple[HoursSpec, ...] | None = Field(None, min_length=1, max_length=50, description="hours of sleep")
    awake: tuple[HoursSpec, ...] | None = Field(
        None, min_length=1, max_length=50, description="in place of windows: hours of work"
    )
    holidays: CalendarSpec | None = Field(None, description="days on which workloads sleep, whatever the hour")
    exceptions: tuple[ExceptionSpec, ...] = Field((), max_length=100, description="times in which nothing sleeps")
    wake_ahead: DurationOrAuto = Field(
        "auto", description="so long before the end of sleep; auto: as long as each took to start lately"
    )

    @model_validator(mode="after")
    @in_schema({"oneOf": [{"required": ["windows"]}, {"required": ["awake"]}]})
    def one_way_to_say_when(self) -> SleepSpec:
        """Refuse to sleep never, and to say twice when."""
        if (self.windows is None) == (self.awake is None):
            raise ValueError("sleep has windows, or the hours that workloads are awake")
        return self
