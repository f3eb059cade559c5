"""What the loop can tell others of the time to come: forecasts and anomaly scores at one instant, immutable.

It is for autoscalers that are not ours. What is missing, stale or not learnt yet has a reason in place of a number, and
is never zero (S1).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from aiops.core.decide.scaling.propose import lead_time
from aiops.core.model import Finding, Forecast, Instant, PolicyKey, Workload
from aiops.core.policies import ScalingPolicy

FORECAST = "aiops_forecast"
PEAK = "aiops_forecast_peak"
ANOMALY = "aiops_anomaly_score"
METRICS = (FORECAST, PEAK, ANOMALY)

LEAD = "lead"
HORIZONS_S: Mapping[str, float] = {"1m": 60.0, "5m": 300.0, "15m": 900.0, "30m": 1800.0}
"""What is served beside the lead time, which every policy has of its own."""

FINDINGS_TOLD = 20
"""How many open findings of one policy are told one by one."""

NEVER = -math.inf


@dataclass(frozen=True, slots=True, kw_only=True)
class Prospect:
    """What is expected of the demand of one policy, as the tick at `at` knew it.

    seen_at: when demand was last seen. lead_s: until a replica that is asked for now, or a tick later, is ready.
    quantile: the one that the policy itself scales on.
    """

    policy: PolicyKey
    forecast: Forecast
    at: Instant
    seen_at: Instant
    lead_s: float
    quantile: float

    @property
    def as_of(self) -> Instant:
        """Return how old this is: as the forecast, or as the last demand that was seen."""
        return min(self.forecast.issued_at, self.seen_at)

    @property
    def horizons_s(self) -> Mapping[str, float]:
        """Return the horizons that are served, by name."""
        return {LEAD: self.lead_s, **HORIZONS_S}

    def value(self, quantile: float, horizon_s: float) -> float:
        """Return the value at the end of the horizon, linear between steps; NaN beyond the forecast's reach."""
        path = self.forecast.paths[self.forecast.quantiles.index(quantile)]
        if not self._reaches(horizon_s):
            return math.nan
        place = (self.at + horizon_s - self.forecast.issued_at) / self.forecast.step_s - 1.0
        before = min(max(math.floor(place), 0), len(path) - 1)
        after = min(before + 1, len(path) - 1)
        share = min(max(place - before, 0.0), 1.0)
        return path[before] if share == 0.0 else path[before] + share * (path[after] - path[before])

    def peak(self, quantile: float, horizon_s: float) -> float:
        """Return the greatest value from now to the end of the horizon; NaN beyond the forecast's reach."""
        if not self._reaches(horizon_s):
            return math.nan
        path = self.forecast.paths[self.forecast.quantiles.index(quantile)]
        steps = max(1, math.ceil((self.at + horizon_s - self.forecast.issued_at) / self.forecast.step_s))
        way = path[:steps]
        return math.nan if math.isnan(sum(way)) else max(way)  # one that is not a number makes it none

    def unfit(self, now: Instant, max_age_s: float) -> str:
        """Return why nobody should scale on this now, '' when one may: the loop itself would not (S1)."""
        if self.seen_at == NEVER:
            return f"{self.forecast.signal} has not been seen since the start"
        if abs(now - self.as_of) > max_age_s:
            return f"the forecast is {now - self.as_of:.0f} s old, at most {max_age_s:.0f} s are served"
        if not self.forecast.learned:
            hours = self.forecast.history_s / 3600.0
            return f"the model {self.forecast.model} has not learnt enough yet ({hours:.1f} h seen)"
        return ""

    def gap(self, horizon_s: float) -> str:
        """Return why there is no number at a horizon."""
        if self._reaches(horizon_s):
            return "the forecast is not a number"
        return f"the forecast does not reach {horizon_s:.0f} s ahead"

    def _reaches(self, horizon_s: float) -> bool:
        # a forecast stands for a step: until the next one it reaches a little less far than it did
        return bool(horizon_s <= len(self.forecast.paths[0]) * self.forecast.step_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """The open findings of one WatchPolicy. score: the worst, 0 while series are seen and none is anomalous.

    seen_at: when any of the watched series was last seen. worst: the worst findings, at most FINDINGS_TOLD.
    """

    policy: PolicyKey
    score: float
    seen_at: Instant
    worst: tuple[Finding, ...] = ()

    def unfit(self, now: Instant, max_age_s: float) -> str:
        """Return why this says nothing now, '' when it does (S1)."""
        if self.seen_at == NEVER:
            return "none of the watched series has been seen since the start"
        if abs(now - self.seen_at) > max_age_s:
            return f"the watched series were last seen {now - self.seen_at:.0f} s ago"
        return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """Everything that can be told, as of the tick at `at`."""

    at: Instant = NEVER
    prospects: Mapping[PolicyKey, Prospect] = field(default_factory=dict)
    alarms: Mapping[PolicyKey, Alarm] = field(default_factory=dict)


# -- making it -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """What a tick saw of one policy: whether demand had a value, and the workload as far as it is known."""

    at: Instant
    seen: bool
    tick_s: float
    workload: Workload | None


def prospect(policy: ScalingPolicy, forecast: Forecast, sighting: Sighting, before: Prospect | None) -> Prospect:
    """Return what is expected of a policy's demand. before: of the last tick, of the same signal."""
    if before is not None and before.forecast.signal != forecast.signal:
        before = None
    if sighting.workload is not None:
        lead_s = lead_time(policy, sighting.workload)[0] + sighting.tick_s
    elif before is not None:
        lead_s = before.lead_s
    else:
        lead_s = (policy.forecast.lead_s if policy.forecast else 0.0) + sighting.tick_s
    seen_before = NEVER if before is None else before.seen_at
    return Prospect(
        policy=policy.key,
        forecast=forecast,
        at=sighting.at,
        seen_at=sighting.at if sighting.seen else seen_before,
        lead_s=lead_s,
        quantile=policy.forecast.quantile if policy.forecast else 0.5,
    )


def alarm(policy: PolicyKey, findings: Iterable[Finding], seen_at: Instant) -> Alarm:
    """Return what is to be told of a policy's open findings."""
    worst = sorted(findings, key=lambda one: -one.score)
    score = worst[0].score if worst else 0.0
    return Alarm(policy=policy, score=score, seen_at=seen_at, worst=tuple(worst[:FINDINGS_TOLD]))


# -- reading it ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One number that somebody may scale on. labels: `policy` (its name), and for forecasts signal, quantile, horizon.

    window_s: what it is an average over.
    """

    metric: str
    labels: Mapping[str, str]
    value: float
    as_of: Instant
    window_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """Numbers that there should be, and are not. labels: those that all of them share."""

    labels: Mapping[str, str]
    why: str


Told: TypeAlias = Reading | Missing
Wanted: TypeAlias = Callable[[Mapping[str, str]], bool]


def _all(_: Mapping[str, str]) -> bool:
    return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Viewer:
    """A way to the newest outlook. present: the loop's time. max_age_s: what is older is told to nobody (S1)."""

    newest: Callable[[], Outlook]
    present: Callable[[], Instant]
    max_age_s: float

    def unfit(self, one: Prospect | Alarm) -> str:
        """Return why nobody should scale on it now, '' when one may."""
        return one.unfit(self.present(), self.max_age_s)

    def told(self, metric: str, namespace: str, wanted: Wanted = _all) -> list[Told]:
        """Return every number of a metric in a namespace, or why it is missing; all of one outlook.

        wanted: says by its first labels (policy, signal) whether something is looked at.
        """
        outlook = self.newest()
        if metric == ANOMALY:
            mine = [one for key, one in outlook.alarms.items() if _namespace(key) == namespace]
            return [self.of_alarm(one) for one in mine if wanted({"policy": _name(one.policy)})]
        theirs = [one for key, one in outlook.prospects.items() if _namespace(key) == namespace]
        return [each for one in theirs if wanted(_labels(one)) for each in self._of_prospect(one, metric)]

    def of_alarm(self, one: Alarm) -> Told:
        """Return the anomaly score of a WatchPolicy."""
        labels, why = {"policy": _name(one.policy)}, self.unfit(one)
        if why:
            return Missing(labels=labels, why=why)
        return Reading(metric=ANOMALY, labels=labels, value=one.score, as_of=one.seen_at, window_s=0.0)

    def of_forecast(self, one: Prospect, metric: str, quantile: float, horizon: str) -> Told:
        """Return what a forecast metric is at a quantile and a named horizon, whether one may scale on it or not."""
        labels = {**_labels(one), "quantile": f"{quantile:g}", "horizon": horizon}
        horizon_s = one.horizons_s[horizon]
        value = (one.peak if metric == PEAK else one.value)(quantile, horizon_s)
        if not math.isfinite(value):
            return Missing(labels=labels, why=one.gap(horizon_s))
        return Reading(metric=metric, labels=labels, value=value, as_of=one.as_of, window_s=one.forecast.step_s)

    def _of_prospect(self, one: Prospect, metric: str) -> list[Told]:
        why = self.unfit(one)
        if why:
            return [Missing(labels=_labels(one), why=why)]
        places = [(quantile, horizon) for quantile in one.forecast.quantiles for horizon in one.horizons_s]
        return [self.of_forecast(one, metric, quantile, horizon) for quantile, horizon in places]


def _labels(one: Prospect) -> dict[str, str]:
    return {"policy": _name(one.policy), "signal": one.forecast.signal}


def _name(policy: PolicyKey) -> str:
    return policy.rsplit("/", 1)[-1]


def _namespace(policy: PolicyKey) -> str:
    return policy.split("/", 2)[1]
