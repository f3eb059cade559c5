"""A table of series through the shipped bank, tick by tick: what the daemon would have found, had it watched."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from aiops.app.detecting.table import Table
from aiops.core.bank import Bank
from aiops.core.model import F64, Finding, FindingKind, Frame, Incident, Instant, SeriesIndex
from aiops.core.policies import PolicySet
from aiops.errors import InvalidContent
from aiops.policy import parse

WATCH = "WatchPolicy/aiops/detect"
GAP_STEPS = 3.5
"""A longer time without a sample is a gap, in which the daemon would have looked and seen nothing."""

GAP_TICKS = 1_000
"""Looks into one gap at most: what is absent is found after five, and taken as gone after six hours."""

LATELY = 11
MOST_CHARTED = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A finding from its beginning to its end. worst: as it was at its peak. end: when it was last out of the ordinary.

    still: whether it stood when the series ended. alarms: when people would have been called.
    """

    worst: Finding
    kind: FindingKind
    start: Instant
    end: Instant
    still: bool
    alarms: tuple[Instant, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Curves:
    """What was seen of some series at each tick, NaN where nothing is known: float64[ticks] by series and name."""

    at: F64
    lines: dict[str, dict[str, F64]]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Detected:
    """What came of a table. scored: samples that could be judged, by series; scored_from: the first of them."""

    found: tuple[Found, ...]
    incidents: tuple[Incident, ...]
    samples: int
    scored: int
    scored_from: Instant | None
    step_s: float
    notes: tuple[str, ...] = ()


@dataclass(slots=True)
class _Open:
    worst: Finding
    kind: FindingKind
    start: Instant
    end: Instant
    at: Instant
    alarms: list[Instant] = field(default_factory=list)


class Gathered:
    """Findings of tick after tick, as what each was from its beginning to its end."""

    def __init__(self) -> None:
        self._opened: dict[tuple[str, Instant], _Open] = {}

    def note(self, finding: Finding) -> None:
        """Take a finding as it is at one tick."""
        key = (finding.series, finding.since)
        known = self._opened.get(key)
        if known is None:
            known = self._opened[key] = _Open(finding, finding.kind, finding.since, finding.at, finding.at)
        known.at = finding.at
        if finding.score > known.worst.score:
            known.worst = finding
        if finding.score > 1.0:
            known.end = finding.at
            if finding.kind is not FindingKind.POINT:
                known.kind = finding.kind
        if finding.alarm:
            known.alarms.append(finding.at)

    def found(self, last: Instant) -> tuple[Found, ...]:
        """Return them in order; last: the last tick, at which those that stand have not ended."""
        made = [
            Found(
                worst=one.worst,
                kind=one.kind,
                start=one.start,
                end=one.end,
                still=one.at == last and one.end == last,
                alarms=tuple(one.alarms),
            )
            for one in self._opened.values()
        ]
        return tuple(sorted(made, key=lambda one: (one.start, one.worst.series)))


def policies(watch: dict[str, object], step_s: float) -> PolicySet:
    """Return the one WatchPolicy that judges, as a file of policies would say it; raise InvalidInput."""
    document = {
        "apiVersion": "policy.aiops/v1alpha1",
        "kind": "WatchPolicy",
        "metadata": {"name": "detect", "namespace": "aiops"},
        "spec": {"query": "series", **watch},
    }
    return parse(json.dumps(document), "options", step_s)


def usual_step_s(times: F64) -> float:
    """Return the usual time between samples; a minute where there are not two."""
    return max(float(np.median(np.diff(times))), 1e-3) if len(times) > 1 else 60.0


def index_of(table: Table) -> SeriesIndex:
    """Return the series as rows of a frame."""
    keys = tuple(f"{WATCH}#{_identity(labels)}" for labels in table.columns)
    if len(set(keys)) != len(keys):
        raise InvalidContent(f"{table.name}: two series have the same labels")
    return SeriesIndex(keys=keys, labels=table.columns)


def _identity(labels: dict[str, str]) -> str:
    return ",".join(f"{name}={value}" for name, value in sorted(labels.items()))


def ticks(times: F64) -> Iterator[tuple[Instant, int]]:
    """Yield (instant, column) of every look: at each sample, and (column -1) into gaps at the pace of late."""
    lately: list[float] = []
    for column, at in enumerate(times.tolist()):
        if column:
            before = float(times[column - 1])
            passed = at - before
            step_s = float(np.median(lately)) if lately else passed
            if passed > GAP_STEPS * step_s:
                looks = min(math.floor(passed / step_s - 0.5), GAP_TICKS)
                yield from ((before + (look + 1) * step_s, -1) for look in range(looks))
            lately = [*lately[-LATELY + 1 :], passed]
        yield at, column


def detected(table: Table, watch: PolicySet, progress: Callable[[int], None] = lambda _: None) -> Detected:
    """Return what the daemon would have found in a table; progress: is told how many columns are done."""
    index, bank = index_of(table), Bank(watch)
    gathered = Gathered()
    incidents: dict[str, Incident] = {}
    scored, scored_from, last = 0, None, math.nan
    for at, seen in _looks(table, index, bank, watch):
        for finding in seen.findings:
            gathered.note(finding)
        incidents.update({one.id: one for one in seen.incidents})
        judged = sum(int(np.isfinite(sight.scores.score[sight.scores.learned]).sum()) for sight in bank.sights)
        scored, last = scored + judged, at
        scored_from = at if judged and scored_from is None else scored_from
        progress(seen.column)
    return Detected(
        found=gathered.found(last),
        incidents=tuple(sorted(incidents.values(), key=lambda one: (one.since, one.id))),
        samples=int(np.isfinite(table.values).sum()),
        scored=scored,
        scored_from=scored_from,
        step_s=usual_step_s(table.times),
        notes=(*table.notes, *_pace(table)),
    )


def curves(table: Table, watch: PolicySet, series: Sequence[str]) -> Curves:
    """Return what was seen of some series at each tick, by their keys."""
    index = index_of(table)
    kept = [row for row, key in enumerate(index.keys) if key in set(series)][:MOST_CHARTED]
    part = replace(table, values=table.values[kept], columns=tuple(table.columns[row] for row in kept))
    index, bank = index_of(part), Bank(watch)
    times: list[float] = []
    rows: list[F64] = []
    for at, _ in _looks(part, index, bank, watch):
        (sight,) = bank.sights
        scores = sight.scores
        times.append(at)
        rows.append(np.stack([sight.values, scores.expected, scores.lower, scores.upper, scores.score]))
    every = np.stack(rows, axis=-1)
    names = ("value", "expected", "lower", "upper", "score")
    lines = {key: {name: every[number, row] for number, name in enumerate(names)} for row, key in enumerate(index.keys)}
    return Curves(at=np.array(times), lines=lines)


@dataclass(frozen=True, slots=True)
class _Seen:
    findings: tuple[Finding, ...]
    incidents: tuple[Incident, ...]
    column: int


def _looks(table: Table, index: SeriesIndex, bank: Bank, watch: PolicySet) -> Iterator[tuple[Instant, _Seen]]:
    nothing, learn = np.full(len(index), np.nan), np.ones(len(index), np.bool_)
    # values beyond what a float's square holds make detectors overflow: that is a result, and no news for people
    with np.errstate(all="ignore"):
        for at, column in ticks(table.times):
            values = nothing if column < 0 else np.ascontiguousarray(table.values[:, column])
            percepts = bank.perceive(Frame(at=at, index=index, values=values, learn=learn), {}, watch)
            yield at, _Seen(percepts.findings, percepts.incidents, column)


def _pace(table: Table) -> tuple[str, ...]:
    """Say that samples come at different paces, since rates of alarms are per week and steps differ."""
    if len(table.times) < LATELY:
        return ()
    apart = np.diff(table.times)
    low, high = (float(x) for x in np.quantile(apart, (0.1, 0.9)))
    if high < 2.0 * low:
        return ()
    return (f"{table.name}: samples are {low:g} to {high:g} s apart; gaps are judged by the pace of the last {LATELY}",)
