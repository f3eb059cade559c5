"""How fast replicas change, as in autoscaling/v2, and in which steps."""

from __future__ import annotations

from pydantic import Field

from aiops.core.decide.quantities import Quantity, Whole, WholeOrNone
from aiops.core.decide.spec import Spec
from aiops.core.policies import RateUnit, Select


class RateSpec(Spec):
    """At most so many pods or percent in a period."""

    type: RateUnit = Field(description="what value counts")
    value: Whole = Field(gt=0, description="pods, or percent of what runs")
    period_seconds: Whole = Field(gt=0, le=1800, description="the period in which so much may change")


class RulesSpec(Spec):
    """One direction of autoscaling/v2 `behavior`."""

    stabilization_window_seconds: WholeOrNone = Field(
        None, ge=0, le=3600, description="a change must have been wished for so long; none: 0 up, 300 down"
    )
    select_policy: Select = Field(Select.MAX, description="which of several policies counts; Disabled: no change")
    policies: tuple[RateSpec, ...] | None = Field(
        None, description="at most so much in a period; none: as the HPA does"
    )
    tolerance: Quantity | None = Field(None, ge=0, description="share of the wanted level that is not worth a change")
    single_step_window_seconds: Whole = Field(
        0, ge=0, le=3600, description="a change of one replica, or of one step, must have been wished for so long"
    )


class BehaviorSpec(Spec):
    """`behavior` as in autoscaling/v2; what is left out takes the HPA's defaults."""

    scale_up: RulesSpec = Field(RulesSpec(), description="how fast capacity comes")
    scale_down: RulesSpec = Field(RulesSpec(), description="how fast it goes")
    step_percent: Whole = Field(
        0, ge=0, le=50, description="what a forecast asks for is rounded up to steps of so many percent of it"
    )
