"""Aggregations of vectors by labels (promql/engine.go)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from aiops.adapters.scrape.matching import Labels
from aiops.adapters.scrape.vectors import NAME, Flags, Places, Vector, grouped, kept, left_out
from aiops.core.model import F64


@dataclass(frozen=True, slots=True, kw_only=True)
class Grouping:
    """Which labels make a group. without: all but these."""

    labels: tuple[str, ...] = ()
    without: bool = False

    def key(self, labels: Labels) -> Labels:
        """Return the labels of the group of a series."""
        return left_out(labels, (*self.labels, NAME)) if self.without else kept(labels, self.labels)


@dataclass(frozen=True, slots=True)
class _Groups:
    """A vector by its groups. places: for each series the group."""

    values: F64
    there: Flags
    places: Places
    number: int

    def over(self, ufunc: np.ufunc, values: F64, start: float) -> F64:
        made = np.full((self.number, values.shape[1]), start)
        ufunc.at(made, self.places, values)
        return made

    @property
    def counts(self) -> F64:
        return self.over(np.add, self.there.astype(np.float64), 0.0)

    @property
    def sums(self) -> F64:
        return self.over(np.add, np.where(self.there, self.values, 0.0), 0.0)

    def extremes(self, ufunc: np.ufunc) -> F64:
        # NaN is passed over, where there is anything else
        return self.over(ufunc, np.where(self.there, self.values, np.nan), np.nan)


AGGREGATIONS: Mapping[str, Callable[[_Groups], F64]] = {
    "sum": lambda groups: groups.sums,
    "avg": lambda groups: groups.sums / groups.counts,
    "min": lambda groups: groups.extremes(np.fmin),
    "max": lambda groups: groups.extremes(np.fmax),
    "count": lambda groups: groups.counts,
    "group": lambda groups: np.ones_like(groups.counts),
}


def aggregated(op: str, vector: Vector, by: Grouping) -> Vector:
    """Return one series for each group that has any."""
    labels, places = grouped([by.key(one) for one in vector.labels])
    groups = _Groups(vector.values, vector.there, places, len(labels))
    with np.errstate(all="ignore"):
        values = AGGREGATIONS[op](groups)
    return Vector(labels=labels, values=values, there=groups.counts > 0)
