"""Differences between two that lived through the same, with intervals by resampling what they lived through."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from aiops.core.model import F64

DRAWS = 2000
LOW, HIGH = 2.5, 97.5

Cell = tuple[str, int, int]
"""A trace, a seed, a day."""


@dataclass(frozen=True)
class Interval:
    """A mean, and between what it lies with 95 %."""

    mean: float
    low: float
    high: float

    def told(self, digits: int = 3) -> str:
        """Return it as people read it."""
        return f"{self.mean:+.{digits}f} [{self.low:+.{digits}f}, {self.high:+.{digits}f}]"


def resampled(cells: Mapping[Cell, float], draws: int = DRAWS) -> Interval:
    """Return the mean over cells with its bootstrap interval: traces are drawn anew, in each seeds, in each days.

    Days of one seed and seeds of one trace are alike, so what is drawn first is what they are alike in. The cells are
    a whole box: every trace has the same seeds and days. The same draws for all who are compared.
    """
    box = _box(cells)
    traces, seeds, days = box.shape
    dice = np.random.default_rng(1)
    trace = dice.integers(traces, size=(draws, traces, 1, 1))
    seed = dice.integers(seeds, size=(draws, traces, seeds, 1))
    day = dice.integers(days, size=(draws, traces, seeds, days))
    means = box[trace, seed, day].mean(axis=(1, 2, 3))
    low, high = np.percentile(means, (LOW, HIGH))
    return Interval(float(box.mean()), float(low), float(high))


def apart(ours: Mapping[Cell, float], theirs: Mapping[Cell, float]) -> Interval:
    """Return by how much theirs is more than ours, cell by cell."""
    return resampled({cell: theirs[cell] - ours[cell] for cell in ours})


def _box(cells: Mapping[Cell, float]) -> F64:
    axes = [sorted({cell[axis] for cell in cells}) for axis in range(3)]  # type: ignore[type-var]
    box = np.full([len(axis) for axis in axes], np.nan)
    for cell, value in cells.items():
        box[tuple(axis.index(name) for axis, name in zip(axes, cell, strict=True))] = value  # type: ignore[arg-type]
    if not np.isfinite(box).all():
        raise ValueError("every trace must have the same seeds and days")
    return box
