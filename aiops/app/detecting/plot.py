"""What a chart of one series shows, in columns of a picture: value, expected, band, and the time of each finding."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from aiops.app.detecting.run import Curves, Found
from aiops.core.model import F64, Instant

WIDTH, HEIGHT, LEFT, RIGHT, BOTTOM, TOP = 1100, 240, 70, 10, 22, 12
QUARTERS = 5
_WIDER = 0.5
"""A band may make the picture higher by this share of what the values take."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Plot:
    """One picture, all in its pixels from the upper left corner: float64[columns], NaN where nothing is known.

    x: of each column. low, high: of the values in it. expected; lower, upper: the band. findings: (from, to) in x, and
    whether people were called. ticks_x, ticks_y: what stands at the axes, with its place.
    """

    title: str
    x: F64
    low: F64
    high: F64
    expected: F64
    lower: F64
    upper: F64
    findings: tuple[tuple[float, float, bool], ...]
    ticks_x: tuple[tuple[float, Instant], ...]
    ticks_y: tuple[tuple[float, float], ...]


def plot(title: str, curves: Curves, series: str, found: Sequence[Found]) -> Plot:
    """Return the picture of one series; long ones are thinned to columns, which keep their least and greatest value."""
    at, lines = curves.at, curves.lines[series]
    inside = WIDTH - LEFT - RIGHT
    start, span = float(at[0]), max(float(at[-1] - at[0]), 1.0)
    column = np.minimum(((at - start) / span * (inside - 1)).astype(np.int64), inside - 1)
    known = np.unique(column)
    low, high = _range(lines)

    def x(when: F64 | float) -> F64 | float:
        return LEFT + (when - start) / span * (inside - 1)

    def y(value: F64) -> F64:
        # halves, since the span of the greatest numbers is itself none
        share = (value / 2 - low / 2) / (high / 2 - low / 2)
        return TOP + (1.0 - np.clip(share, 0.0, 1.0)) * (HEIGHT - TOP - BOTTOM)

    def each(name: str, take: np.ufunc) -> F64:
        out = np.full(inside, np.nan)
        take.at(out, column, lines[name])
        return y(out[known])

    marks = [
        (
            float(x(max(one.start, start))),
            max(float(x(one.end)), float(x(max(one.start, start))) + 2.0),
            bool(one.alarms),
        )
        for one in found
        if one.worst.series == series
    ]
    quarters = np.linspace(0.0, 1.0, QUARTERS)
    levels = [low * (1.0 - share) + high * share for share in quarters.tolist()]
    return Plot(
        title=title,
        x=LEFT + known.astype(np.float64),
        low=each("value", np.fmin),
        high=each("value", np.fmax),
        expected=each("expected", np.fmax),
        lower=each("lower", np.fmin),
        upper=each("upper", np.fmax),
        findings=tuple(marks),
        ticks_x=tuple((float(x(start + span * share)), start + span * share) for share in quarters.tolist()),
        ticks_y=tuple((float(y(np.array([level]))[0]), level) for level in levels),
    )


def _range(lines: dict[str, F64]) -> tuple[float, float]:
    """Return what the axis of values spans: all values, and of the band so much as leaves them visible."""
    values = lines["value"][np.isfinite(lines["value"])]
    if not len(values):
        return 0.0, 1.0
    low, high = float(values.min()), float(values.max())
    reach = 2.0 * _WIDER * (high / 2 - low / 2)
    for name in ("lower", "upper"):
        band = lines[name][np.isfinite(lines[name])]
        if len(band):
            low, high = min(low, max(float(band.min()), low - reach)), max(high, min(float(band.max()), high + reach))
    if high / 2 - low / 2 <= abs(high) * 1e-9:
        low, high = low - max(abs(low) * 0.1, 1e-9), high + max(abs(high) * 0.1, 1e-9)
    most = float(np.finfo(np.float64).max)
    return max(low, -most), min(high, most)
