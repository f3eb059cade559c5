"""The metrics source of a test: what its series say, at each step, and what its faults take away."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from aiops.core.model import (
    Answer,
    Answered,
    Failed,
    Frame,
    Instant,
    NoSeries,
    SeriesIndex,
)
from aiops.core.policies import SignalQuery, WatchPolicy, WatchQuery
from aiops.errors import SourceUnavailable
from aiops.loop import tables
from aiops.policy.testing import Case, Entry
from aiops.policy.testing.notation import Missing, Stale
from aiops.policy.testing.surroundings import FaultKind
from aiops.ports import Observation
from simulators.policy_tests.faults import Faults
from simulators.policy_tests.spans import Spans

TABLE = tables.SEPARATOR
_NO_VALUES, _NO_WORDS = np.zeros(0), np.zeros(0, np.bool_)


class TestSource:
    """Answers each signal with the sample of its series; what holds after the end is absence."""

    __test__ = False

    def __init__(self, case: Case, faults: Faults) -> None:
        self._case = case
        self._faults = faults
        self._begun = case.start.timestamp()
        policy = case.policy
        self._index = watched(case)
        self._rows = tuple(case.series) if isinstance(policy, WatchPolicy) else ()
        self._use = Spans(case.spec.use, case.start)
        self._max_age_s = (
            {} if isinstance(policy, WatchPolicy) else {name: spec.max_age_s for name, spec in policy.signals.items()}
        )

    def read(self, signals: Sequence[SignalQuery], watches: Sequence[WatchQuery], at: Instant) -> Observation:
        """Return what the series say at `at`; raise SourceUnavailable while the source is down."""
        if self._faults.any(FaultKind.SOURCE, at):
            raise SourceUnavailable("the metrics source does not answer (a fault of the test)")
        place = round((at - self._begun) / self._case.step_s)
        found = {query.name: self._answer(query, place, at) for query in signals}
        tables = [query for query in watches if TABLE in query.policy]
        frame = self._frame(place, at) if not tables else self._used(tables, at)
        return Observation(answers={self._case.policy.key: found}, frame=frame)

    def _used(self, tables: Sequence[WatchQuery], at: Instant) -> Frame:
        """Return what containers use, a row for each pod and container of each table."""
        keys, labels, values = [], [], []
        for query in tables:
            name = query.policy.rsplit(TABLE, 1)[-1]
            for _, _, one in self._use.active(at):
                value = getattr(one, name)
                if value is not None:
                    where = {"pod": one.pod, "container": one.container}
                    keys.append(f"{query.policy}#pod={one.pod},container={one.container}")
                    labels.append(where)
                    values.append(float(value))
        index = SeriesIndex(keys=tuple(keys), labels=tuple(labels))
        return Frame(at=at, index=index, values=np.array(values), learn=np.ones(len(values), np.bool_))

    def _answer(self, query: SignalQuery, place: int, at: Instant) -> Answer:
        name = query.name
        presence = None if query.presence_expr is None else self._present(name, place)
        if self._faults.of_signal(FaultKind.SIGNAL, name, at):
            return Failed(error="the query fails (a fault of the test)")
        entries = self._case.series.get(name, ())
        entry = entries[place] if place < len(entries) else None
        match entry:
            case None | Missing():
                return NoSeries(presence=presence)
            case Stale():
                old_s = self._max_age_s[name] + self._case.step_s
                return Answered(value=_last(entries, place), newest_at=at - old_s, presence=presence)
            case value:
                partial = self._faults.of_signal(FaultKind.PARTIAL, name, at)
                warnings = ("some of the series are missing (a fault of the test)",) if partial else ()
                return Answered(value=value, newest_at=at, presence=presence, warnings=warnings)

    def _present(self, name: str, place: int) -> bool:
        entries = self._case.presence.get(name)
        if entries is None:
            return True
        entry = entries[place] if place < len(entries) else 0.0
        return isinstance(entry, float) and entry != 0.0

    def _frame(self, place: int, at: Instant) -> Frame:
        if not self._rows:
            return Frame(at=at, index=self._index, values=_NO_VALUES, learn=_NO_WORDS)
        values = np.full(len(self._rows), math.nan)
        for row, name in enumerate(self._rows):
            entries = self._case.series[name]
            entry = entries[place] if place < len(entries) else None
            if isinstance(entry, float):
                values[row] = entry
        return Frame(at=at, index=self._index, values=values, learn=np.ones(len(self._rows), np.bool_))


def watched(case: Case) -> SeriesIndex:
    """Return the series of a WatchPolicy's test; a ScalingPolicy watches none."""
    names = tuple(case.series) if isinstance(case.policy, WatchPolicy) else ()
    keys = tuple(f"{case.policy.key}#{name}" for name in names)
    return SeriesIndex(keys=keys, labels=tuple(map(_labels, names)))


def _last(entries: Sequence[Entry], place: int) -> float:
    """Return the newest number up to a place, NaN where there is none."""
    return next((one for one in reversed(entries[: place + 1]) if isinstance(one, float)), math.nan)


def _labels(name: str) -> Mapping[str, str]:
    pairs = (part.partition("=") for part in name.split(","))
    return {key.strip(): value.strip() for key, _, value in pairs if value}
