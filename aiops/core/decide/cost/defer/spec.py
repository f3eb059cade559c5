"""`defer` of a CostPolicy as people write it."""

from __future__ import annotations

from pydantic import Field, model_validator

from aiops.core.decide.cost.sleep.spec import HoursSpec
from aiops.core.decide.quantities import Duration, Quantity, Whole
from aiops.core.decide.spec import Spec, in_schema


class PriceHoursSpec(HoursSpec):
    """Hours with a price, or a carbon intensity, of their own."""

    price: Quantity = Field(description="what counts while they last, in the unit of `base`")


class PricesSpec(Spec):
    """What it costs by the clock; of several hours that overlap the first counts."""

    base: Quantity = Field(description="outside of all hours")
    hours: tuple[PriceHoursSpec, ...] = Field(min_length=1, max_length=50, description="hours that cost another price")


class DeferSpec(Spec):
    """Jobs that were made suspended are begun when it is cheap, and in any case in time for their deadline."""

    prices: PricesSpec | None = Field(None, description="what it costs by the clock")
    signal: str | None = Field(
        None, min_length=1, description="in place of prices: a signal of what it costs now; its days are learnt"
    )
    duration: Duration = Field(1800.0, gt=0, le=86400, description="how long work takes until that was seen")
    within: Duration = Field(
        43200.0, gt=0, le=7 * 86400, description="done so long after it was made, where a Job says nothing itself"
    )
    late_runs: Quantity = Field(
        20.0,
        ge=0,
        le=1e6,
        description="a Job that is late is as bad as so many runs of it cost; 0: only its deadline counts",
    )
    at_once: Whole = Field(5, ge=1, le=500, description="how many run at a time; a deadline does not wait for it")

    @model_validator(mode="after")
    @in_schema({"oneOf": [{"required": ["prices"]}, {"required": ["signal"]}]})
    def one_way_to_say_what_it_costs(self) -> DeferSpec:
        """Refuse to know no cost, and two."""
        if (self.prices is None) == (self.signal is None):
            raise ValueError("defer has prices, or a signal of what it costs")
        return self
