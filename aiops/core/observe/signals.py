"""What an answer of the metrics source means: seven states, each with its reaction (S1)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import assert_never

from aiops.core.model import (
    Answer,
    Answered,
    Coverage,
    Failed,
    Instant,
    NoSeries,
    Signal,
    SignalMemory,
    SignalState,
)
from aiops.core.model.swift import changed, making, swift
from aiops.core.policies import NoTraffic, Reaction, SignalSpec

WHOLE_RATIO = 0.9
"""Below this share of the expected series, or of targets that are up, a signal is partial."""

NEW_NORMAL_S = 1800.0
"""Series that stay away this long are taken as gone; targets that are down never are."""

_ASKED_NOTHING = Failed(error="the source was not asked")


@swift
@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """A signal with what is to be remembered of it."""

    signal: Signal
    memory: SignalMemory


_reading, _signal, _memory = making(Reading), making(Signal), making(SignalMemory)


def reading(spec: SignalSpec, answer: Answer | None, memory: SignalMemory, replicas: int, now: Instant) -> Reading:
    """Return the state of one signal at `now`. `replicas` explains a fall in the number of series (S1)."""
    match _ASKED_NOTHING if answer is None else answer:
        case Answered() as answered:
            return _answered(spec, answered, memory, replicas, now)
        case Failed(error=error):
            return Reading(signal=_missing(spec, SignalState.FAILED, error), memory=memory)
        case NoSeries() as nothing:
            return Reading(signal=_no_series(spec, nothing, memory), memory=memory)
        case unknown:
            assert_never(unknown)


def _missing(spec: SignalSpec, state: SignalState, detail: str) -> Signal:
    return Signal(name=spec.query.name, state=state, detail=detail)


def _no_series(spec: SignalSpec, answer: NoSeries, memory: SignalMemory) -> Signal:
    """Return zero only where a presence query answers, so that a dead scrape never reads as "nothing happens"."""
    if answer.presence:
        if spec.on_absent is Reaction.ZERO:
            return _taken_as_zero(spec, "no series, but present: zero")
        if spec.when_no_traffic is NoTraffic.MEETS_SLO:
            return _taken_as_zero(spec, "no traffic meets the SLO")
    if memory.answered:
        return _missing(spec, SignalState.EMPTY, "the query answers nothing, and once did")
    return _missing(spec, SignalState.ABSENT, "the query has no series")


def _taken_as_zero(spec: SignalSpec, detail: str, age_s: float = 0.0) -> Signal:
    return Signal(name=spec.query.name, state=SignalState.VALUE, value=0.0, age_s=age_s, detail=detail)


def _answered(spec: SignalSpec, answer: Answered, memory: SignalMemory, replicas: int, now: Instant) -> Reading:
    name = spec.query.name
    age_s = math.inf if answer.newest_at is None else max(0.0, now - answer.newest_at)
    if not math.isfinite(answer.value):
        return Reading(signal=_not_a_number(spec, answer, age_s), memory=changed(memory, answered=True))
    if age_s > spec.max_age_s:
        stale = Signal(
            name=name, state=SignalState.STALE, value=answer.value, age_s=age_s, detail=_too_old(spec, age_s)
        )
        return Reading(signal=stale, memory=memory)
    missing, covered = _coverage(answer.coverage, memory, replicas, now)
    missing = missing or "; ".join(answer.warnings)
    if missing:
        partial = Signal(name=name, state=SignalState.PARTIAL, value=answer.value, age_s=age_s, detail=missing)
        return Reading(signal=partial, memory=covered)
    good = _memory(
        answered=True,
        last_value=answer.value,
        last_good_at=now,
        series_high=covered.series_high,
        series_high_replicas=covered.series_high_replicas,
        partial_since=covered.partial_since,
    )
    return _reading(signal=_signal(name=name, state=SignalState.VALUE, value=answer.value, age_s=age_s), memory=good)


def _too_old(spec: SignalSpec, age_s: float) -> str:
    return f"{age_s:.0f} s old, at most {spec.max_age_s:.0f} s" if math.isfinite(age_s) else "of unknown age"


def _not_a_number(spec: SignalSpec, answer: Answered, age_s: float) -> Signal:
    """Return zero only for fresh samples: NaN of a scrape that died is not a quiet night (S1)."""
    if age_s <= spec.max_age_s:
        if spec.when_no_traffic is NoTraffic.MEETS_SLO and math.isnan(answer.value):
            return _taken_as_zero(spec, "no traffic meets the SLO", age_s)
        if spec.on_nan is Reaction.ZERO and answer.presence:
            return _taken_as_zero(spec, f"the query answers {answer.value}, but present: zero", age_s)
    detail = f"the query answers {answer.value}"
    return Signal(name=spec.query.name, state=SignalState.NAN, age_s=age_s, detail=detail)


def _coverage(coverage: Coverage | None, memory: SignalMemory, replicas: int, now: Instant) -> tuple[str, SignalMemory]:
    """Return what is missing beyond what the inventory explains ('' for nothing), and what is to be remembered."""
    if coverage is None:
        return "", memory
    if coverage.up < WHOLE_RATIO * coverage.targets:
        return f"{coverage.up} of {coverage.targets} targets are up", memory
    shrunk = min(1.0, replicas / memory.series_high_replicas) if memory.series_high_replicas else 1.0
    expected = memory.series_high * shrunk
    if coverage.series < WHOLE_RATIO * expected:
        since = min(memory.partial_since, now)
        if now - since < NEW_NORMAL_S:
            return f"{coverage.series} of about {expected:.0f} series", changed(memory, partial_since=since)
    elif coverage.series == memory.series_high and replicas == memory.series_high_replicas:
        return "", memory
    return "", changed(memory, series_high=coverage.series, series_high_replicas=replicas, partial_since=math.inf)
