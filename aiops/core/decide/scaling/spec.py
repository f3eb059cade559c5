"""`ScalingPolicy` as people write it."""

from __future__ import annotations

from datetime import date
from enum import StrEnum
from typing import Literal

from pydantic import AwareDatetime, Field, field_validator, model_validator

from aiops.core.decide.quantities import Duration, Level, QuantityOrLearn, Ratio, Whole, WholeOrNone
from aiops.core.decide.scaling.backlog_spec import BacklogSpec
from aiops.core.decide.scaling.behavior_spec import BehaviorSpec
from aiops.core.decide.scaling.price_spec import ObjectivePriceSpec
from aiops.core.decide.scaling.slo_spec import SloSpec
from aiops.core.decide.scaling.target_spec import Target
from aiops.core.decide.spec import Spec, in_cel, in_schema
from aiops.core.forecast import FORECASTERS
from aiops.core.model import Mode
from aiops.core.policies import Lever, NoTraffic, Reaction, Then

QUANTILES: tuple[float | str, ...] = (0.5, 0.9, 0.95, 0.99, "slo")
"""What the models issue, and what the SLO's budget allows."""


class SignalSpec(Spec):
    """One number, by PromQL."""

    query: str = Field(min_length=1, description="PromQL that answers one series")
    unit: str = Field("", description="for people: req/s, s, 1")
    max_age: Duration = Field(90.0, description="older samples are stale")
    on_absent: Reaction = Field(Reaction.HOLD, description="when the query answers nothing")
    on_na_n: Reaction = Field(Reaction.HOLD, alias="onNaN", description="when the query answers NaN or infinity")
    on_stale: Reaction = Field(Reaction.HOLD, description="when the newest sample is older than maxAge")
    on_partial: Reaction = Field(Reaction.HOLD, description="when some of the series or targets are missing")
    when_no_traffic: NoTraffic = Field(NoTraffic.HOLD, description="what a latency quantile means at night")
    presence: str | None = Field(None, description="PromQL that answers while the measured thing is there")

    @model_validator(mode="after")
    @in_cel(
        "!(has(self.onStale) && self.onStale == 'zero') && !(has(self.onPartial) && self.onPartial == 'zero')",
        "zero is only for onAbsent and onNaN",
    )
    @in_cel(
        "!((has(self.onAbsent) && self.onAbsent == 'zero') || (has(self.onNaN) && self.onNaN == 'zero'))"
        " || has(self.presence)",
        "zero needs a presence query, so that a dead scrape never reads as zero",
    )
    def zero_needs_presence(self) -> SignalSpec:
        """Refuse `zero` without a presence query: a dead scrape would read as zero (S1)."""
        if Reaction.ZERO in (self.on_stale, self.on_partial):
            raise ValueError("zero is only for onAbsent and onNaN")
        if Reaction.ZERO in (self.on_absent, self.on_na_n) and self.presence is None:
            raise ValueError("zero needs a presence query, so that a dead scrape never reads as zero")
        return self


class ObjectiveSpec(Spec):
    """What is to be served."""

    demand: str = Field("demand", description="the signal that says how much is asked for")
    per_replica: QuantityOrLearn = Field(
        description="what one replica carries within the SLO, in units of demand; or learn"
    )
    slo: SloSpec | None = Field(
        None, description="what users are promised; perReplica: learn and quantile: slo need it"
    )
    utilisation: str | None = Field(None, description="the signal that says how much of the ready replicas is used")
    refused: str | None = Field(
        None,
        description="the signal of what is turned away for want of capacity, in units of demand and not in it",
    )
    backlog: BacklogSpec | None = Field(None, description="for queue workers: demand arrives, this waits")
    price: ObjectivePriceSpec | None = Field(
        None, description="how safe to be, from what a replica and a late request cost; none: the SLO decides"
    )

    @model_validator(mode="after")
    @in_schema(
        {
            "anyOf": [
                # what is named no times matches nothing, and is read by whoever reads the error
                {"properties": {"perReplica": {"pattern": "(learn needs slo and utilisation){0}^\\s*[^l\\s]"}}},
                {"required": ["slo", "utilisation"]},
            ]
        }
    )
    def learns_from_something(self) -> ObjectiveSpec:
        """Refuse to learn a capacity from nothing."""
        if self.per_replica == "learn" and (self.slo is None or self.utilisation is None):
            raise ValueError("perReplica: learn needs an slo and a utilisation signal to learn from; or write a number")
        return self


class CalendarSpec(Spec):
    """Days that are not like others."""

    country: str = Field("", description="ISO 3166 code of a country, for its public holidays: DE")
    subdivision: str = Field("", description="a part of the country with holidays of its own: BY")
    dates: tuple[date, ...] = Field((), description="days of one's own: 2026-12-24")


class DayCalendarSpec(CalendarSpec):
    """Days that are not like others, and where they begin."""

    time_zone: str = Field("UTC", description="of their midnights: Europe/Berlin")


class ForecastSpec(Spec):
    """How demand is foreseen."""

    model: str = Field(
        "seasonal-naive", description="what foresees demand", json_schema_extra={"enum": [*sorted(FORECASTERS)]}
    )
    challengers: tuple[str, ...] = Field(
        (),
        max_length=3,
        description="other models, judged in the shadow of this one on live data; who is better takes over",
        json_schema_extra={"items": {"type": "string", "enum": [*sorted(FORECASTERS)]}},
    )
    history: Duration = Field(14 * 86400.0, ge=3600, description="how much is learnt from at start")
    quantile: float | Literal["slo"] = Field(
        0.95,
        description="which quantile of demand is served: 0.5, 0.9, 0.95, 0.99, or what the SLO's budget allows",
        json_schema_extra={"enum": [*QUANTILES]},
    )
    horizon: Literal["auto"] = Field("auto", description="auto: the measured start-up time and a tick")
    lead_time: Duration = Field(60.0, description="start-up time until it is measured")
    season: Duration = Field(86400.0, ge=3600, description="the length of the season")
    kinds: tuple[Literal["residual-drift"], ...] = Field((), description="which findings are made of its errors")
    calendar: DayCalendarSpec | None = Field(
        None, description="holidays, which are foreseen as the weekday that they were most like; needs a season of 1d"
    )

    @field_validator("model")
    @classmethod
    def a_known_model(cls, value: str) -> str:
        """Accept what is registered."""
        if value not in FORECASTERS:
            raise ValueError(f"unknown model {value!r}; known: {', '.join(sorted(FORECASTERS))}")
        return value

    @field_validator("challengers")
    @classmethod
    def known_challengers(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        """Accept what is registered, each once."""
        if len({cls.a_known_model(one) for one in value}) < len(value):
            raise ValueError("a challenger is named twice")
        return value

    @field_validator("quantile", mode="before")
    @classmethod
    def a_known_quantile(cls, value: object) -> object:
        """Accept the quantiles that the models issue, and the SLO's."""
        if value not in QUANTILES:
            raise ValueError("quantile is one of 0.5, 0.9, 0.95, 0.99 and slo")
        return value


_ORDERED = (
    "!has(self.minReplicas) || !has(self.maxReplicas) || self.minReplicas <= self.maxReplicas",
    "minReplicas is greater than maxReplicas",
)


class OnHolidays(StrEnum):
    """What a window does on the days of its calendar."""

    SKIP = "skip"
    ONLY = "only"


class FreezeSpec(Spec):
    """A change freeze: scale-in and scale-out on a forecast alone wait; what is needed now goes on."""

    name: str = Field(min_length=1, description="as it is shown: year-end")
    schedule: str | None = Field(None, description="cron: when it begins; needs a duration")
    duration: Duration | None = Field(None, gt=0, description="how long it lasts from each beginning")
    from_: AwareDatetime | None = Field(None, alias="from", description="since when, with a time zone; needs to")
    to: AwareDatetime | None = Field(None, description="until when")
    holidays: CalendarSpec | None = Field(None, description="on these days, from midnight to midnight")
    time_zone: str = Field("UTC", description="of the schedule, and of the midnights of holidays")

    @model_validator(mode="after")
    @in_schema(
        {
            "anyOf": [
                {"required": ["schedule", "duration"]},
                {"not": {"anyOf": [{"required": ["schedule"]}, {"required": ["duration"]}]}},
            ]
        }
    )
    @in_cel("has(self.from) == has(self.to)", "schedule goes with duration, and from with to")
    @in_cel(
        "[has(self.schedule), has(self.from), has(self.holidays)].filter(one, one).size() == 1",
        "a freeze has one of schedule (with duration), from (with to), and holidays",
    )
    @in_cel(
        "!(has(self.from) && has(self.to)) || timestamp(self.to) > timestamp(self.from)", "`to` is not after `from`"
    )
    def one_kind_of_time(self) -> FreezeSpec:
        """Refuse a freeze that says no time, and one that says two."""
        if (self.schedule is None) != (self.duration is None) or (self.from_ is None) != (self.to is None):
            raise ValueError("schedule goes with duration, and from with to")
        if sum(one is not None for one in (self.schedule, self.from_, self.holidays)) != 1:
            raise ValueError("a freeze has one of schedule (with duration), from (with to), and holidays")
        if self.from_ is not None and self.to is not None and self.to <= self.from_:
            raise ValueError("`to` is not after `from`")
        return self


class WindowSpec(Spec):
    """Other bounds while a schedule is active."""

    name: str = Field("", description="as it is shown: office-hours; none: its schedule")
    schedule: str = Field(description="cron: minute hour day month weekday")
    duration: Duration = Field(gt=0, description="how long it lasts from each beginning")
    time_zone: str = Field("UTC", description="of the schedule: Europe/Berlin")
    holidays: CalendarSpec | None = Field(None, description="days on which it does not begin, or begins only")
    on_holidays: OnHolidays = Field(OnHolidays.SKIP, description="skip: not on holidays; only: on no other day")
    min_replicas: WholeOrNone = Field(None, ge=0, description="the floor while it is active")
    max_replicas: WholeOrNone = Field(None, ge=0, description="the ceiling while it is active")

    @model_validator(mode="after")
    @in_cel("has(self.minReplicas) || has(self.maxReplicas)", "a window needs minReplicas or maxReplicas")
    @in_cel(*_ORDERED)
    def says_something(self) -> WindowSpec:
        """Refuse a window without effect, and one whose floor is above its ceiling."""
        if self.min_replicas is None and self.max_replicas is None:
            raise ValueError("a window needs minReplicas or maxReplicas")
        _ordered(self.min_replicas, self.max_replicas)
        return self


class BoundsSpec(Spec):
    """The least and the most replicas."""

    min_replicas: Whole = Field(1, ge=0, description="never fewer, whatever is measured")
    max_replicas: Whole = Field(ge=1, description="never more, whatever is foreseen")
    windows: tuple[WindowSpec, ...] = Field((), description="other bounds by schedule; the strictest counts")

    @model_validator(mode="after")
    @in_cel(*_ORDERED)
    def min_is_not_above_max(self) -> BoundsSpec:
        """Refuse bounds that nothing satisfies."""
        _ordered(self.min_replicas, self.max_replicas)
        return self


class CooldownSpec(Spec):
    """Time between two changes in one direction."""

    out: Duration = Field(0.0, description="after a scale-out")
    in_: Duration = Field(0.0, alias="in", description="after a scale-in")


class LimitsSpec(Spec):
    """How often; none of it blocks reactive need."""

    cooldown: CooldownSpec = Field(CooldownSpec(), description="time between two changes in one direction")
    changes_per_hour: Whole = Field(60, ge=1, description="changes in any hour, in both directions")


class GuardrailSpec(Spec):
    """A CEL condition and what it binds while it holds."""

    when: str = Field(min_length=1, description="CEL over signals, forecast, replicas, findings, incidents, time, cost")
    then: Then = Field(description="what it binds while the condition holds")
    max_replicas: WholeOrNone = Field(None, ge=0, description="the ceiling of then: cap")

    @model_validator(mode="after")
    @in_cel("(self.then == 'cap') == has(self.maxReplicas)", "maxReplicas belongs to 'then: cap', which needs it")
    def cap_has_a_number(self) -> GuardrailSpec:
        """Tie `maxReplicas` to `then: cap`."""
        if (self.then is Then.CAP) != (self.max_replicas is not None):
            raise ValueError("maxReplicas belongs to 'then: cap', which needs it")
        return self


class CallersSpec(Spec):
    """How callers fail."""

    signal: str = Field(description="the signal that says so: their failed requests, or the share of them")
    above: Level = Field(description="what is more than this is failing")


class UpstreamSpec(Spec):
    """Less traffic because something above fails is no less demand: scale-in waits."""

    errors: CallersSpec | None = Field(None, description="callers that fail while traffic drops")
    siblings: tuple[str, ...] = Field(
        (),
        max_length=20,
        description="signals of the traffic of services with the same callers: half of them drop, too",
    )
    drop: Ratio = Field(0.3, gt=0, lt=1, description="so much less than the highest within `within` is a drop")
    within: Duration = Field(900.0, ge=120, le=7200, description="how far back the highest is looked for")
    hold: Duration = Field(3600.0, ge=60, description="how long scale-in waits at most, if traffic does not come back")

    @model_validator(mode="after")
    @in_schema({"anyOf": [{"required": ["errors"]}, {"required": ["siblings"]}]})
    def looks_at_something(self) -> UpstreamSpec:
        """Refuse a drop that nothing speaks for."""
        if self.errors is None and not self.siblings:
            raise ValueError("upstream needs errors or siblings: a drop alone may be less demand")
        return self


class VerifySpec(Spec):
    """By when an action must have taken effect, and what must hold then."""

    within: Duration = Field(300.0, gt=0, description="by when the change must be done, and expect hold")
    expect: str | None = Field(None, description="CEL that must hold in the end")


class FallbackSpec(Spec):
    """What to rise to once every signal has been blind for a time; never below what runs."""

    after: Duration = Field(300.0, ge=180, description="how long every signal has been blind")
    replicas: Whole = Field(ge=1, description="what a busy hour needs")


class ScalingSpec(Spec):
    """The spec of a ScalingPolicy."""

    mode: Mode = Field(Mode.DRY_RUN, description="how far it may go; the settings' mode is another ceiling")
    candidate_for: str | None = Field(None, description="runs as a shadow of this policy, and never acts")
    target: Target = Field(description="what is scaled")
    lever: Lever = Field(
        Lever.REPLICAS,
        description="which field is moved; hpa-floor keeps the HPA as a net, knative-min-scale Knative's autoscaler",
    )
    signals: dict[str, SignalSpec] = Field(min_length=1, description="numbers by name, which the rest refers to")
    objective: ObjectiveSpec = Field(description="what is to be served")
    forecast: ForecastSpec | None = Field(None, description="without it: reactive only")
    bounds: BoundsSpec = Field(description="the least and the most replicas, by schedule")
    behavior: BehaviorSpec = Field(BehaviorSpec(), description="how fast, as in autoscaling/v2")
    limits: LimitsSpec = Field(LimitsSpec(), description="how often")
    guardrails: tuple[GuardrailSpec, ...] = Field((), description="conditions that bind while they hold")
    upstream: UpstreamSpec | None = Field(
        None, description="less traffic because something above fails is no less demand"
    )
    freezes: tuple[FreezeSpec, ...] = Field((), description="change freezes; those of PolicyDefaults are added")
    verify: VerifySpec = Field(VerifySpec(), description="when and how an action is judged")
    fallback: FallbackSpec | None = Field(None, description="what to rise to when every signal is blind")
    manual_override: Duration = Field(3600.0, description="how long we yield to a person who wrote the field")
    scale_in: Literal["allowed", "forbidden"] | None = Field(None, description="needed for kinds other than Deployment")
    time_zone: str = Field("UTC", description="of time.hour and time.weekday in conditions")

    @model_validator(mode="after")
    @in_cel(
        "(has(self.lever) && self.lever == 'knative-min-scale')"
        " == (has(self.target.apiVersion) && self.target.apiVersion.startsWith('serving.knative.dev/'))",
        "lever knative-min-scale is for the Services of serving.knative.dev, and they have no other",
    )
    def knative_by_its_own_lever(self) -> ScalingSpec:
        """Tie the lever of Knative to its Services."""
        if (self.lever is Lever.KNATIVE_MIN_SCALE) != self.target.api_version.startswith("serving.knative.dev/"):
            raise ValueError(
                "lever knative-min-scale is for the Services of serving.knative.dev, and they have no other"
            )
        return self


def _ordered(low: int | None, high: int | None) -> None:
    if low is not None and high is not None and low > high:
        raise ValueError(f"minReplicas {low} is greater than maxReplicas {high}")
