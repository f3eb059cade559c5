"""Demand that is told to a nowcast step by step."""

from __future__ import annotations

import math
from collections.abc import Callable
from copy import deepcopy
from functools import cache

import numpy as np

from aiops.core.nowcast import STEP_S, Nowcasts, Views

SEASON_S = 7200.0
SEASON_STEPS = 480
HISTORY_S = 4 * 3600.0
BEGIN = 1_772_409_600.0
LEAD_S = 120.0
LEAD_STEPS = 10
DRAWN = np.random.default_rng(11).normal(size=20_000)


class Line:
    """One row, or several alike, that is told a demand for each step of 15 s."""

    def __init__(self, rows: int = 1, lead_s: float = LEAD_S) -> None:
        self.model = Nowcasts(np.full(rows, SEASON_S), HISTORY_S)
        self.rows, self.lead_s, self.step = rows, lead_s, 0
        self.said: list[Views] = []

    def tell(self, demand: float | np.ndarray, *, whole: bool = True, lead_s: float | None = None) -> Views:
        values = np.broadcast_to(np.asarray(demand, np.float64), (self.rows,)).copy()
        lead = np.full(self.rows, self.lead_s if lead_s is None else lead_s)
        self.model.learn(BEGIN + self.step * STEP_S, values, np.full(self.rows, whole), lead)
        self.step += 1
        self.said.append(self.model.ahead())
        return self.said[-1]

    def live(self, demand: Callable[[int], float], steps: int, **how: bool) -> Line:
        for _ in range(steps):
            self.tell(demand(self.step), **how)
        return self

    @property
    def lead(self) -> float:
        return float(np.exp(self.said[-1].log_demand[1, 0]))

    @property
    def near(self) -> float:
        return float(np.exp(self.said[-1].log_demand[0, 0]))


def level(_: int) -> float:
    return 200.0


def noisy(step: int) -> float:
    return 200.0 * math.exp(0.05 * DRAWN[step])


def wave(step: int) -> float:
    # no season is quite like the one before
    level = math.exp(0.02 * DRAWN[step] + 0.15 * DRAWN[-1 - step // SEASON_STEPS])
    return (500.0 + 300.0 * math.sin(2 * math.pi * step / SEASON_STEPS)) * level


@cache
def _lived(demand: Callable[[int], float], steps: int) -> Line:
    return Line().live(demand, steps)


def lived(demand: Callable[[int], float], steps: int) -> Line:
    """Return a line of its own that was told so much."""
    return deepcopy(_lived(demand, steps))


def missed(line: Line, demand: Callable[[int], float], since: int) -> tuple[float, float]:
    """Return the mean relative error at the lead horizon, and that of the last value."""
    said, last = [], []
    for step in range(since, len(line.said) - LEAD_STEPS):
        came = demand(step + LEAD_STEPS)
        said.append(abs(float(np.exp(line.said[step].log_demand[1, 0])) / came - 1.0))
        last.append(abs(demand(step) / came - 1.0))
    return float(np.mean(said)), float(np.mean(last))
