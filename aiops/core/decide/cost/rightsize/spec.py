"""`rightsize` of a CostPolicy as people write it."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from aiops.core.decide.cost.pack.spec import WithinSpec
from aiops.core.decide.quantities import Duration, Quantity, Ratio, Whole
from aiops.core.decide.spec import Spec
from aiops.core.planning.cost_rightsize import DAY_S, How, Limits

MIB = 2.0**20


class Sized(StrEnum):
    """What is sized."""

    CPU = "cpu"
    MEMORY = "memory"


class CpuSpec(Spec):
    """How CPU is sized: a quantile of what pods use, and a margin."""

    percentile: Ratio = Field(0.95, ge=0.5, lt=1, description="of samples, newer ones weigh more")
    margin: Ratio = Field(0.05, description="added to it")
    min: Quantity = Field(0.01, gt=0, description="never less")
    max: Quantity | None = Field(None, gt=0, description="never more")
    limits: Limits = Field(Limits.KEEP, description="Keep: the limit stays unless it throttles; Scale: keeps its ratio")
    query: str | None = Field(None, description="PromQL: cores by pod and container; none: cAdvisor's metrics")
    throttled: str | None = Field(None, description="PromQL: share of throttled periods by pod and container")


class MemorySpec(Spec):
    """How memory is sized: the greatest peak that is remembered, and a margin."""

    margin: Ratio = Field(0.15, ge=0.02, description="added to it; a third of it where the peaks of days agree")
    min: Quantity = Field(32.0 * MIB, gt=0, description="never less")
    max: Quantity | None = Field(None, gt=0, description="never more")
    limits: Limits = Field(Limits.KEEP, description="Keep: the limit stays unless it kills; Scale: keeps its ratio")
    query: str | None = Field(None, description="PromQL: bytes by pod and container; none: cAdvisor's metrics")


class CanarySpec(Spec):
    """A part of the pods is resized in place first, where the API server has it."""

    share: Ratio = Field(0.25, description="of the pods, one at least; 0: none")
    watch_for: Duration = Field(1800.0, ge=10, le=DAY_S, description="how long they are watched")


class WatchSpec(Spec):
    """What is watched after a change; harm takes it back."""

    watch_for: Duration = Field(3600.0, ge=10, le=7 * DAY_S, description="how long it must go well")
    throttled: Ratio = Field(0.05, gt=0, description="more of its periods than that, and than before, is harm")
    slo: tuple[WithinSpec, ...] = Field((), max_length=10, description="what must hold before and all the while")


class RightsizeSpec(Spec):
    """Set requests and limits by what containers use: up at once, down slowly, a part of the pods first."""

    resources: tuple[Sized, ...] = Field((Sized.CPU, Sized.MEMORY), min_length=1, max_length=2, description="which")
    cpu: CpuSpec = Field(CpuSpec(), description="how CPU is sized")
    memory: MemorySpec = Field(MemorySpec(), description="how memory is sized")
    exclude_containers: tuple[str, ...] = Field((), max_length=100, description="names of containers left alone")
    every: Duration = Field(300.0, ge=15, le=3600, description="how often use is looked at")
    history: Duration = Field(14 * DAY_S, ge=2 * DAY_S, le=60 * DAY_S, description="for how long peaks are remembered")
    half_life: Duration = Field(4 * DAY_S, ge=3600, le=60 * DAY_S, description="after which CPU samples weigh half")
    min_history: Duration = Field(3 * DAY_S, ge=3600, le=60 * DAY_S, description="before that nothing is lowered")
    tolerance: Ratio = Field(0.05, lt=1, description="nothing is lowered for less than this")
    lower_after: Duration = Field(DAY_S, ge=0, le=60 * DAY_S, description="how long less would have had to do")
    how: How = Field(How.ROLLOUT, description="Rollout: the template, with new pods; InPlace: running pods alone")
    canary: CanarySpec = Field(CanarySpec(), description="a part of the pods first")
    watch: WatchSpec = Field(WatchSpec(), description="what is watched")
    back_off: Duration = Field(
        DAY_S, ge=0, le=60 * DAY_S, description="after harm; twice as long after each further one"
    )
    at_once: Whole = Field(1, ge=1, le=50, description="workloads that are changed at a time")
