"""`idle` of a CostPolicy as people write it."""

from __future__ import annotations

from pydantic import Field

from aiops.core.decide.cost.sleep.spec import RestSpec
from aiops.core.decide.quantities import Duration, Level, Whole
from aiops.core.decide.spec import Spec


class SignSpec(Spec):
    """A signal of idleness and demand, measured outside of what rests: at an ingress, in a queue."""

    signal: str = Field(min_length=1, description="a signal of this policy")
    below: Level = Field(description="idle below this")
    above: Level | None = Field(None, description="demand above this, which wakes at once; none: as `below`")


class IdleSpec(RestSpec):
    """Rest once every sign has said idle for long enough; any sign of demand wakes at once."""

    when: tuple[SignSpec, ...] = Field(min_length=1, max_length=20, description="all of them must say idle")
    for_: Duration = Field(1800.0, ge=60, le=7 * 86400, alias="for", description="for so long without a break")
    naps_per_day: Whole = Field(3, ge=1, le=48, description="how often a workload is put to rest within 24 h")
    wake_when_blind_for: Duration = Field(
        600.0, ge=0, le=86400, description="at rest: woken after so long without knowing whether there is demand"
    )
