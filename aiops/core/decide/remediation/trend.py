"""When a signal reaches its limit, by its trend: the median of slopes with its interval, which no few outliers move.

The slope is that of Theil and Sen, its interval that of Sen (JASA 1968) by the variance of Kendall's statistic. Samples
are thinned first, so that neighbours are not one error told many times.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

from aiops.core.model import Instant

MOST_POINTS = 60
LEAST_POINTS = 12
EMPTIED_RATIO, LEAST_RATIO = 0.2, 0.05
"""Of the limit: how far it falls when it is emptied, and how much more than the least ever seen is then left."""

Z_95 = 1.959963984540054
"""The 97.5 % quantile of the standard normal distribution."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reached:
    """In how many seconds the limit is reached; soonest, latest: the 95 % interval, infinite for never."""

    middle_s: float
    soonest_s: float
    latest_s: float


def reached(history: Sequence[tuple[Instant, float]], limit: float, least_span_s: float) -> Reached | None:
    """Return when the limit is reached from below; None while there is too little to tell.

    least_span_s: less history than this foretells nothing.
    """
    points = _since_begun_anew(thinned([one for one in history if math.isfinite(one[1])]), limit)
    if len(points) < LEAST_POINTS or points[-1][0] - points[0][0] < least_span_s:
        return None
    slopes = sorted((b - a) / (t - s) for (s, a), (t, b) in combinations(points, 2) if t > s)
    number, pairs = len(points), len(slopes)
    half = Z_95 * math.sqrt(number * (number - 1) * (2 * number + 5) / 18.0)
    low = slopes[max(0, math.floor((pairs - half) / 2.0))]
    high = slopes[min(pairs - 1, math.ceil((pairs + half) / 2.0))]
    middle = _median(slopes)
    # the level now is that of the line through the median of what it leaves over
    now = points[-1][0]
    level = _median(sorted(value - middle * (at - now) for at, value in points))
    left = limit - level
    return Reached(middle_s=_time(left, middle), soonest_s=_time(left, high), latest_s=_time(left, low))


def _since_begun_anew(points: list[tuple[Instant, float]], limit: float) -> list[tuple[Instant, float]]:
    """Return the points since what fills up was last emptied: a process that was started again has another trend.

    It was when it fell by a good part of the limit, to about the least that was ever seen: teeth of a saw whose valleys
    rise are one trend.
    """
    begun, least = 0, math.inf
    for number, (_, value) in enumerate(points):
        fell = number and value < points[number - 1][1] - EMPTIED_RATIO * abs(limit)
        if fell and value <= least + LEAST_RATIO * abs(limit):
            begun = number
        least = min(least, value)
    return points[begun:]


def thinned(history: Sequence[tuple[Instant, float]]) -> list[tuple[Instant, float]]:
    """Return at most `MOST_POINTS` points, medians of runs of equal length; the newest run ends at the newest point."""
    run = max(1, math.ceil(len(history) / MOST_POINTS))
    runs = [history[max(0, end - run) : end] for end in range(len(history), 0, -run)][::-1]
    return [(_median([at for at, _ in one]), _median(sorted(value for _, value in one))) for one in runs]


def _time(left: float, slope: float) -> float:
    if left <= 0.0:
        return 0.0
    return left / slope if slope > 0.0 else math.inf


def _median(ordered: Sequence[float]) -> float:
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2.0
