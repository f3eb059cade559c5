"""History in pieces that a source can bear: the newest first, smaller ones where it groans, coarser ones where it lags.

What is not asked for, so that the rest comes in time, is a gap on the grid, as any other sample that is missing.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from aiops.adapters.prometheus.asking import Asker, Past
from aiops.adapters.prometheus.rows import series_key
from aiops.adapters.prometheus.vectors import Labels
from aiops.core.model import F64, SeriesIndex
from aiops.core.policies import SignalQuery, WatchQuery
from aiops.errors import SourceUnavailable, TooMuch
from aiops.ports import Matrix

_LOG = logging.getLogger("aiops.prometheus")

MAX_POINTS = 10_000
"""Prometheus answers at most 11,000 points of a series."""

LEAST_POINTS = 16
"""A piece that is refused is asked for in halves, down to so many points."""

FIRST_POINTS = 500
"""What the first piece has at most of many series: how many there are is not known yet."""

WIDEST = 8
"""So many times wider than was asked for a step becomes at most."""

MARGIN = 1.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How much is asked for. samples: in one piece; total: in all; within_s: how long it may take, by `clock`."""

    samples: int = 2_000_000
    total: int = 100_000_000
    within_s: float = np.inf
    clock: Callable[[], float] = time.monotonic


class Ranges:
    """Gathers the series of one query on one grid. times: float64[t], rising by step_s."""

    def __init__(self, asker: Asker, query: SignalQuery | WatchQuery, times: F64, step_s: float) -> None:
        self._asker, self._query, self._times, self._step_s = asker, query, times, step_s
        self._found: dict[str, tuple[Labels, F64]] = {}

    def gathered(self, patience: Patience) -> Matrix:
        """Return everything; raise TooMuch when it is more than may be asked for, SourceUnavailable otherwise."""
        clock, began, wide, asked, served_s = patience.clock, patience.clock(), 1, 0, 0.0
        end, most = len(self._times), self._first(patience)
        points = most
        while end > 0:
            first, sent = max(0, end - points * wide), clock()
            try:
                self._piece(first, end, wide)
            except TooMuch:
                if end - first <= LEAST_POINTS * wide:
                    raise
                most = points = max(LEAST_POINTS, (end - first) // wide // 2)
                continue
            most = MAX_POINTS if not asked and most == points else most  # now it is known how many series there are
            asked, served_s, end = asked - (first - end) // wide, served_s + clock() - sent, first
            points = min(most, self._bearable(patience)) if self._found else points
            have_s = patience.within_s - (clock() - began)
            if end and have_s < 0:
                self._say("history_cut", wide, end)
                break
            wider = _wider(wide, end * served_s / asked, have_s)
            if end and wider != wide:
                wide = wider
                self._say("history_coarse", wide, end)
        return self._matrix()

    def _say(self, what: str, wide: int, left: int) -> None:
        _LOG.warning(what, extra={"query": self._query.expr, "step_s": self._step_s * wide, "points_left": left})

    def _first(self, patience: Patience) -> int:
        if isinstance(self._query, SignalQuery):
            return MAX_POINTS
        return max(LEAST_POINTS, min(FIRST_POINTS, patience.samples // self._query.max_series))

    def _bearable(self, patience: Patience) -> int:
        """Return how many points a piece may have of the series that there are."""
        series = len(self._found)
        if series * len(self._times) > patience.total:
            asked = f"{series} series with {len(self._times)} points each"
            raise TooMuch(f"{self._query.expr}: {asked}, at most {patience.total} samples: ask for a shorter time")
        return max(LEAST_POINTS, min(MAX_POINTS, int(patience.samples / (MARGIN * series))))

    def _piece(self, first: int, end: int, wide: int) -> None:
        """Ask for the points from `first` on before `end`, each so many apart, the last among them."""
        start = self._times[end - 1 - (end - 1 - first) // wide * wide]
        asked = self._asker.range(self._query.expr, float(start), float(self._times[end - 1]), self._step_s * wide)
        if isinstance(self._query, SignalQuery) and len(asked) > 1:
            raise SourceUnavailable(f"{self._query.expr}: {len(asked)} series in its history, at most 1")
        for series in asked:
            self._put(series)
        most = self._query.max_series if isinstance(self._query, WatchQuery) else 1
        if len(self._found) > most:
            raise SourceUnavailable(f"{self._query.expr}: {len(self._found)} series in its history, at most {most}")

    def _put(self, series: Past) -> None:
        query, times = self._query, self._times
        key = series_key(query, series.labels) if isinstance(query, WatchQuery) else query.policy
        if key not in self._found:
            self._found[key] = (series.labels, np.full(len(times), np.nan))
        places = np.rint((series.times - times[0]) / self._step_s).astype(np.intp)
        kept = (places >= 0) & (places < len(times))
        self._found[key][1][places[kept]] = series.values[kept]

    def _matrix(self) -> Matrix:
        keys = tuple(sorted(self._found))
        index = SeriesIndex(keys=keys, labels=tuple(self._found[key][0] for key in keys))
        values = np.empty((len(keys), len(self._times)))
        for row, key in enumerate(keys):
            values[row] = self._found.pop(key)[1]
        return Matrix(times=self._times, values=values, index=index)


def _wider(wide: int, left_s: float, have_s: float) -> int:
    """Return how wide steps must be so that what would take `left_s` with the narrowest comes in time."""
    while wide < WIDEST and left_s / wide > have_s:
        wide *= 2
    return wide
