"""`WatchPolicy` as people write it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator, model_validator

from aiops.core.decide.quantities import Duration, NumberOrNone, Quantity, Ratio, Whole
from aiops.core.decide.scaling.spec import FreezeSpec
from aiops.core.decide.spec import Spec, in_schema
from aiops.core.detect import DETECTORS, TIERS, Tier
from aiops.core.policies import Beside, NewLevel, Side


class ExhaustionSpec(Spec):
    """A bound that series must not reach: a disk that is full, a quota that is used up."""

    at: Quantity = Field(description="the bound, in units of the series; what is left may run down to 0, too")
    within: Duration = Field(4 * 3600.0, gt=0, description="how long before it is reached people want to know")


class MaintenanceSpec(FreezeSpec):
    """Times that do not count: what series do in them is not found, and not learnt as usual."""


class JointSpec(Spec):
    """Series that are looked at together: a combination can be odd of which no part is."""

    by: tuple[str, ...] = Field((), description="labels that signals of one thing share; none: all series are one")


class DistributionSpec(Spec):
    """The series are buckets (`le`) of histograms whose distributions are watched, and not each bucket for itself."""

    psi: Quantity = Field(0.2, gt=0, description="population stability index that is allowed: 0.1 is little, 0.25 much")
    reference: dict[str, str] = Field(
        {}, description="labels of the buckets that the others are held against; none: what was usual for two weeks"
    )


class ChangedSpec(Spec):
    """A workload whose rollouts are looked at."""

    kind: Literal["Deployment", "StatefulSet", "DaemonSet"] = Field("Deployment", description="its kind")
    name: str = Field(min_length=1, description="its name, in the policy's namespace")
    cluster: str = Field("default", description="a cluster's name in the settings")


class RolloutsSpec(Spec):
    """What is changed on purpose, by a rollout or by the loop itself, is marked and calls nobody."""

    settle: Duration = Field(
        5400.0, ge=0, le=86400, description="for so long after a change; what is odd even then calls people then"
    )
    of: tuple[ChangedSpec, ...] = Field((), max_length=20, description="besides the targets of other policies")
    new_level: NewLevel = Field(
        NewLevel.NONE,
        description="on which side a level that came with a change is usual once it has settled; none: it calls people",
    )


class WatchSpec(Spec):
    """The spec of a WatchPolicy: every series that `query` answers is watched."""

    query: str = Field(min_length=1, description="PromQL that answers the series to watch")
    source: str = Field("", description="a metrics source's name in the settings; none: the one that all ask")
    identity: tuple[str, ...] = Field((), description="labels that name a series across restarts; none: all labels")
    max_series: Whole = Field(1000, ge=1, le=1_000_000, description="more than this is an error, not a bill")
    tier: Tier = Field(Tier.FLEET, description="signal: few series that matter most, by heavier models; fleet: many")
    detector: str | None = Field(
        None, json_schema_extra={"enum": [*sorted(DETECTORS)]}, description="none: the detector of the tier"
    )
    side: Side = Field(Side.BOTH, description="which deviations count")
    false_alarms_per_week: NumberOrNone = Field(
        None, gt=0, le=1000, description="budget of false alarms for each series; none: 0.2, in the signal tier 1"
    )
    budget: NumberOrNone = Field(
        None, gt=0, le=1000, description="false alarms a week over all series together; none: only the one for each"
    )
    ignore_below: Quantity | None = Field(
        None, description="where neither the value nor what was expected reaches it, nothing is an anomaly"
    )
    exhaustion: ExhaustionSpec | None = Field(None, description="says when a bound will be reached")
    kinds: tuple[Beside, ...] = Field((), description="what is looked for beside odd samples; shares the budget")
    joint: JointSpec | None = Field(None, description="whether signals go with each other; shares the budget")
    distribution: DistributionSpec | None = Field(None, description="whether distributions drift")
    rollouts: RolloutsSpec | None = Field(None, description="whether changes on purpose are waited for")
    maintenance: tuple[MaintenanceSpec, ...] = Field(
        (), description="times in which nothing is learnt and nothing is found"
    )
    min_deviation: Quantity = Field(0.0, ge=0, description="smaller deviations are not worth an alarm")
    min_deviation_ratio: Ratio = Field(0.0, description="the same, as a share of what was expected")
    history: Duration = Field(7 * 86400.0, ge=3600, description="how much is learnt from at start")
    season: Duration = Field(86400.0, ge=3600, description="the length of the season")
    time_zone: str = Field("UTC", description="whose wall clocks the season follows, in summer, too: Europe/Berlin")

    @field_validator("detector")
    @classmethod
    def a_known_detector(cls, value: str | None) -> str | None:
        """Accept what is registered."""
        if value is not None and value not in DETECTORS:
            raise ValueError(f"unknown detector {value!r}; known: {', '.join(sorted(DETECTORS))}")
        return value

    @model_validator(mode="after")
    @in_schema({"not": {"required": ["distribution"], "anyOf": [{"required": ["kinds"]}, {"required": ["joint"]}]}})
    def a_distribution_alone(self) -> WatchSpec:
        """Refuse to look at buckets as at signals."""
        if self.distribution is not None and (self.kinds or self.joint is not None):
            raise ValueError(
                "distribution watches buckets, which are no signals: kinds and joint go into another policy"
            )
        return self

    def model_post_init(self, context: object) -> None:
        """Fill in what the tier does where nothing else is said, so that it is shown and hashed."""
        defaults = TIERS[self.tier]
        if self.detector is None:
            object.__setattr__(self, "detector", defaults.detector)
        if self.false_alarms_per_week is None:
            object.__setattr__(self, "false_alarms_per_week", defaults.false_alarms_per_week)
