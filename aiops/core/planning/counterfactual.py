"""What a signal would do if nothing were done, forecast from its recent history alone (S7)."""

from __future__ import annotations

import math
from collections.abc import Sequence

from aiops.core.model import Counterfactual, Instant

GRID_S, STEPS = 60.0, 60
LEAST = 12
"""Fewer samples foretell nothing."""

RECENT_S = 300.0
"""Of how long the level is taken: trouble that has lasted for less is nearly all of it."""


def counterfactual(history: Sequence[tuple[Instant, float]], now: Instant) -> Counterfactual | None:
    """Return the signal's quantiles for the next hour, None while too little of it is known.

    The middle is its level now, the median of the newest samples: trouble goes on as it is. How far it may stray within
    h seconds is told by how far it strayed within h seconds before, both ways; where history is shorter than h, by the
    longest that is known, with the square root of time, as of a random walk.
    """
    known = [(at, value) for at, value in history if at <= now and math.isfinite(value)]
    if len(known) < LEAST:
        return None
    recent = sorted(value for at, value in known if now - at <= RECENT_S) or [known[-1][1]]
    newest = sorted(value for _, value in known[-5:])
    level = newest[len(newest) // 2]
    spread_s = max(GRID_S, (known[-1][0] - known[0][0]) / 3.0)
    noise = _decile([abs(value - level) for value in recent])
    halves: list[float] = []
    for step in range(1, STEPS + 1):
        ahead_s = min(step * GRID_S, spread_s)
        half = _decile(_strays(known, ahead_s)) * math.sqrt(step * GRID_S / ahead_s)
        halves.append(max(noise, half, halves[-1] if halves else 0.0))
    return Counterfactual(
        start=now,
        step_s=GRID_S,
        lower=tuple(level - half for half in halves),
        middle=(level,) * STEPS,
        upper=tuple(level + half for half in halves),
    )


def _strays(known: Sequence[tuple[Instant, float]], ahead_s: float) -> list[float]:
    """Return how far the signal was from each sample, so much later."""
    found: list[float] = []
    later = 0
    for at, value in known:
        while later < len(known) and known[later][0] < at + ahead_s:
            later += 1
        if later == len(known):
            break
        found.append(abs(known[later][1] - value))
    return found


def _decile(distances: Sequence[float]) -> float:
    """Return the 80 % quantile of distances: deciles on both sides."""
    ordered = sorted(distances)
    return ordered[min(len(ordered) - 1, math.ceil(0.8 * len(ordered)) - 1)] if ordered else 0.0
