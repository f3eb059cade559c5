"""Stages detect and forecast: findings, incidents and quantile paths."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from aiops.core.model.names import Instant, PolicyKey
from aiops.core.model.swift import swift

MOST_EXPONENT = 700.0
"""Of e: whatever is multiplied by more than that is beyond all bounds, and no floating-point number."""


class FindingKind(StrEnum):
    """What kind of abnormality a finding is.

    point: an odd sample. contextual: one that is usual at other times. level-shift: one that has stood.
    flatline: a row does not move any more. absence: it is gone. trend: it rises or falls otherwise than it did.
    variance: it moves more or less than it did. drift: what was learnt fits it no more, or its distribution is another.
    residual-drift: a policy's forecast misses by more than it did, or its intervals cover too little.
    joint: series that do not go with each other as they did.
    saturation: it stands at the bound that its policy names. exhaustion: it will reach that bound, and when.
    overrun: what a budget is for will have cost more than it allows.
    """

    POINT = "point"
    CONTEXTUAL = "contextual"
    LEVEL_SHIFT = "level-shift"
    FLATLINE = "flatline"
    ABSENCE = "absence"
    SATURATION = "saturation"
    EXHAUSTION = "exhaustion"
    TREND = "trend"
    VARIANCE = "variance"
    DRIFT = "drift"
    RESIDUAL_DRIFT = "residual-drift"
    JOINT = "joint"
    OVERRUN = "overrun"


@swift
@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """How the workloads are that RemediationPolicies look after, each counted once. ready: pods of all of them."""

    workloads: int = 0
    sick: int = 0
    ready: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One series that is not normal now. `score` above 1 means anomalous; `since` is when this finding opened.

    alarm: whether people are to be called now; once for what goes on, and again when it has become much worse.
    evidence: the numbers behind the score, by name, as the detector has them (docs/detection.md).
    """

    policy: PolicyKey
    series: str
    labels: Mapping[str, str]
    kind: FindingKind
    at: Instant
    since: Instant
    score: float
    p_value: float
    value: float
    expected: float
    lower: float
    upper: float
    reason: str
    alarm: bool = False
    evidence: Mapping[str, float] = field(default_factory=dict)


class IncidentState(StrEnum):
    """Where an incident stands: open while a finding of it is, or was a moment ago."""

    OPEN = "open"
    ENDED = "ended"
    MERGED = "merged"


@dataclass(frozen=True, slots=True, kw_only=True)
class Suspect:
    """What an incident may come from: a thing, and its series that deviates most.

    kind, score: of that series at its worst. since: when the first of its findings opened. why: what speaks for it, in
    a few words each. points: how it was ranked, from 0 to 3.
    """

    name: str
    series: str
    kind: str
    since: Instant
    score: float
    points: float = 0.0
    why: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident:
    """Findings that belong together: same labels, same time. `labels` are those that all of them share.

    kind: of its worst finding. series: all that were in it so far, in order; standing: how many of them have a finding
    now. grew_at: when the newest finding opened. seen_at: when one was last open, which is its end once it has ended.
    suspects: the likeliest first. merged_into: the older incident that it turned out to be a part of.
    """

    id: str
    kind: str
    since: Instant
    labels: Mapping[str, str]
    series: tuple[str, ...]
    peak_score: float
    peak_at: Instant = 0.0
    grew_at: Instant = 0.0
    seen_at: Instant = 0.0
    standing: int = 0
    suspects: tuple[Suspect, ...] = ()
    state: IncidentState = IncidentState.OPEN
    merged_into: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """Quantile paths of one signal: `paths[q][h]` is quantile `quantiles[q]` at `issued_at + (h + 1) * step_s`.

    `skill` is 1 - pinball(model) / pinball(seasonal naive) over the model's own rolling window, or None while unknown.
    `history_s` is how much history the model has seen; `learned` says whether it covers what the model needs.
    """

    policy: PolicyKey
    signal: str
    issued_at: Instant
    step_s: float
    quantiles: tuple[float, ...]
    paths: tuple[tuple[float, ...], ...]
    model: str
    history_s: float
    learned: bool
    skill: float | None = None

    def quantile_max(self, quantile: float, until: Instant) -> float:
        """Return the greatest value of the path of `quantile` from now to `until`; NaN where it reaches no step."""
        steps = min(len(self.paths[0]), max(1, math.ceil((until - self.issued_at) / self.step_s)))
        path = self.paths[self.quantiles.index(quantile)]
        return max(path[:steps], default=math.nan)


@swift
@dataclass(frozen=True, slots=True, kw_only=True)
class Nowcast:
    """Demand in the next minutes at two horizons: what cannot be changed any more, and when a pod asked for now serves.

    demand: the forecasts. error_ratio: the scale of their errors, relative. margin: how many scales the SLO's error
    budget wants above them. skill: 1 - mean absolute error / that of the better of last value and last season, over
    about a day. acts: whether the model may be acted on: it has seen an hour of its own errors, and its skill is not
    below that of its rivals (with hysteresis). kept: demand that is gone at once and still kept for, for kept_s
    yet; 0 where none is.
    """

    policy: PolicyKey
    at: Instant
    horizons_s: tuple[float, float]
    demand: tuple[float, float]
    error_ratio: tuple[float, float]
    margin: float
    skill: float
    acts: bool
    kept: float = 0.0
    kept_s: float = 0.0

    @property
    def upper_kept(self) -> float:
        """Return the demand that is to be carried should what is gone come back, 0 where nothing is gone."""
        return self.kept * self._above(self.error_ratio[1])

    @property
    def upper(self) -> tuple[float, float]:
        """Return the demand that is to be carried at both horizons."""
        (near, lead), (near_error, lead_error) = self.demand, self.error_ratio
        return near * self._above(near_error), lead * self._above(lead_error)

    def _above(self, error_ratio: float) -> float:
        """Return by how many times more is to be carried than is forecast."""
        return math.exp(min(self.margin * error_ratio, MOST_EXPONENT))


@swift
@dataclass(frozen=True, slots=True, kw_only=True)
class Capacity:
    """What numbers of pods carry within the SLO, as it was learnt: `carried[i]` is the demand that `pods[i]` carry.

    busy: the demand of one pod that is used in full. doubt_ratio: the standard deviation of `busy`, relative.
    learned: whether enough was seen; until then the rest means nothing.
    """

    pods: tuple[float, ...]
    carried: tuple[float, ...]
    busy: float
    doubt_ratio: float
    learned: bool


@swift
@dataclass(frozen=True, slots=True, kw_only=True)
class Percepts:
    """What the fleet's models make of one frame. forecasts, nowcasts, capacities: by policy key.

    unseen: WatchPolicies of which not everything is known now, and why. excused: findings of what is changed on
    purpose: nobody is called for them, and nothing is decided by them. bugs: the traceback of each policy whose
    forecast or whose findings met one.
    """

    findings: tuple[Finding, ...] = ()
    excused: tuple[Finding, ...] = ()
    incidents: tuple[Incident, ...] = ()
    forecasts: Mapping[PolicyKey, Forecast] = field(default_factory=dict)
    nowcasts: Mapping[PolicyKey, Nowcast] = field(default_factory=dict)
    capacities: Mapping[PolicyKey, Capacity] = field(default_factory=dict)
    unseen: Mapping[PolicyKey, str] = field(default_factory=dict)
    bugs: Mapping[PolicyKey, str] = field(default_factory=dict)
