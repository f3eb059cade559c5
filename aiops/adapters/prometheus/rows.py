"""The rows of one watch: each series keeps its row while it is away, so that its absence can be seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from aiops.adapters.prometheus.asking import Reply
from aiops.adapters.prometheus.vectors import Labels
from aiops.core.model import F64, Instant, Rows
from aiops.core.policies import WatchQuery

FORGET_S = 3600.0
"""A series that has been away this long loses its row."""

REVIEW_S = 600.0

GROWTH = 10.0
"""So many times the series that there were are a mistake at the source until they have stood for `STANDS_S`."""

STANDS_S = 3600.0
FEW = 1000
"""So many series are nothing to be afraid of, however few there were."""


class WatchRows:
    """Known series of a watch in the order of their keys. note: what is to be told of them, '' for nothing."""

    def __init__(self, query: WatchQuery) -> None:
        self.query = query
        self.keys: tuple[str, ...] = ()
        self.labels: tuple[Mapping[str, str], ...] = ()
        self.note = ""
        self._seen: dict[str, tuple[Mapping[str, str], Instant]] = {}
        self._metrics: tuple[Labels, ...] | None = None
        self._named: dict[int, tuple[Labels, str]] = {}
        self._adopted_at = 0.0
        self._grown_at = np.inf
        self._places: Rows = np.empty(0, np.intp)
        self._there: Rows | None = None

    def values(self, reply: Reply, at: Instant) -> F64:
        """Return one value for each known row, NaN for those that are away; raise ValueError for a wrong answer."""
        if self._changed(reply.metrics) or at - self._adopted_at > REVIEW_S:
            self._adopt(reply.metrics, at)
        values = np.full(len(self.keys), np.nan)
        values[self._places] = reply.values if self._there is None else reply.values[self._there]
        return values

    def nothing(self) -> F64:
        """Return NaN for every known row."""
        return np.full(len(self.keys), np.nan)

    def _changed(self, metrics: tuple[Labels, ...]) -> bool:
        return metrics is not self._metrics and metrics != self._metrics

    def _adopt(self, metrics: tuple[Labels, ...], at: Instant) -> None:
        query = self.query
        if len(metrics) > query.max_series:
            raise ValueError(f"{len(metrics)} series, at most {query.max_series} (maxSeries)")
        keys = self._keys_of(metrics)
        if len(set(keys)) < len(keys):
            raise ValueError(_twice(query, keys))
        there = self._let_in(keys, at)
        for place in range(len(keys)) if there is None else there.tolist():
            self._seen[keys[place]] = (metrics[place], at)
        self._seen = {key: one for key, one in self._seen.items() if one[1] > at - FORGET_S}
        ordered = tuple(sorted(self._seen))
        if ordered != self.keys:
            self.keys, self.labels = ordered, tuple(self._seen[key][0] for key in ordered)
        place_of = {key: row for row, key in enumerate(self.keys)}
        let_in = keys if there is None else [keys[place] for place in there.tolist()]
        self._places, self._there = np.array([place_of[key] for key in let_in], np.intp), there
        self._metrics, self._adopted_at = metrics, at

    def _keys_of(self, metrics: Sequence[Labels]) -> list[str]:
        """Return the keys of series; labels that were seen before as the same object are not looked at again."""
        before, query = self._named, self.query
        named = {}
        for metric in metrics:
            known = before.get(id(metric))
            named[id(metric)] = (metric, series_key(query, metric)) if known is None else known
        self._named = named
        return [named[id(metric)][1] for metric in metrics]

    def _let_in(self, keys: Sequence[str], at: Instant) -> Rows | None:
        """Return the places of the series that are followed, None for all: strangers wait while there are too many."""
        known = len(self._seen)
        if not known or len(keys) <= max(FEW, GROWTH * known):
            self._grown_at, self.note = np.inf, ""
            return None
        self._grown_at = min(self._grown_at, at)
        if at - self._grown_at >= STANDS_S:
            self._grown_at, self.note = np.inf, ""
            return None
        self.note = (
            f"{len(keys)} series where there were {known}: those that are new are not followed "
            f"before this has stood for {STANDS_S / 60:g} min"
        )
        return np.array([place for place, key in enumerate(keys) if key in self._seen], np.intp)


def series_key(query: WatchQuery, metric: Mapping[str, str]) -> str:
    """Return the key of a series: its policy and the labels that name it across restarts."""
    names = query.identity or sorted(metric)
    identity = ",".join(f"{name}={metric.get(name, '')}" for name in names)
    return f"{query.policy}#{identity}"


def _twice(query: WatchQuery, keys: Sequence[str]) -> str:
    seen: set[str] = set()
    twice = next(key for key in keys if key in seen or seen.add(key))  # type: ignore[func-returns-value]
    labels = ", ".join(query.identity)
    return f"several series are {twice.split('#', 1)[1]!r}: identity [{labels}] does not tell them apart"
