"""The rows of one watch: each series keeps its row while it is away, so that its absence can be seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from aiops.core.model import F64, Instant, Rows
from aiops.core.policies import WatchQuery

FORGET_S = 3600.0
"""A series that has been away this long loses its row."""

REVIEW_S = 600.0


class WatchRows:
    """Known series of a watch in the order of their keys."""

    def __init__(self, query: WatchQuery) -> None:
        self.query = query
        self.keys: tuple[str, ...] = ()
        self.labels: tuple[Mapping[str, str], ...] = ()
        self._seen: dict[str, tuple[Mapping[str, str], Instant]] = {}
        self._metrics: list[dict[str, str]] | None = None
        self._adopted_at = 0.0
        self._places: Rows = np.empty(0, np.intp)

    def values(self, result: Sequence[Mapping[str, Any]], at: Instant) -> F64:
        """Return one value for each known row, NaN for those that are away; raise ValueError for a wrong answer."""
        metrics = [one["metric"] for one in result]
        if metrics != self._metrics or at - self._adopted_at > REVIEW_S:
            self._adopt(metrics, at)
        values = np.full(len(self.keys), np.nan)
        values[self._places] = np.array([one["value"][1] for one in result], np.float64) if result else ()
        return values

    def nothing(self) -> F64:
        """Return NaN for every known row."""
        return np.full(len(self.keys), np.nan)

    def _adopt(self, metrics: list[dict[str, str]], at: Instant) -> None:
        query = self.query
        if len(metrics) > query.max_series:
            raise ValueError(f"{len(metrics)} series, at most {query.max_series} (maxSeries)")
        keys = [series_key(query, metric) for metric in metrics]
        if len(set(keys)) < len(keys):
            twice = next(key for key in keys if keys.count(key) > 1)
            labels = ", ".join(query.identity)
            raise ValueError(
                f"several series are {twice.split('#', 1)[1]!r}: identity [{labels}] does not tell them apart"
            )
        for key, metric in zip(keys, metrics, strict=True):
            self._seen[key] = (metric, at)
        self._seen = {key: one for key, one in self._seen.items() if one[1] > at - FORGET_S}
        ordered = tuple(sorted(self._seen))
        if ordered != self.keys:
            self.keys, self.labels = ordered, tuple(self._seen[key][0] for key in ordered)
        place = {key: row for row, key in enumerate(self.keys)}
        self._places = np.array([place[key] for key in keys], np.intp)
        self._metrics, self._adopted_at = metrics, at


def series_key(query: WatchQuery, metric: Mapping[str, str]) -> str:
    """Return the key of a series: its policy and the labels that name it across restarts."""
    names = query.identity or sorted(metric)
    identity = ",".join(f"{name}={metric.get(name, '')}" for name in names)
    return f"{query.policy}#{identity}"
