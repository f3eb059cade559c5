"""Series to foretell, and fleets that have learnt them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from aiops.core.forecast.fitting import fit
from aiops.core.forecast.fleet import Fleet
from aiops.core.forecast.grid import Grid
from aiops.core.forecast.members import MEMBERS, Member
from aiops.core.forecast.standing import QUANTILES

GRID = Grid.of(1800.0)
LOW, MEDIAN, HIGH = (QUANTILES.index(level) for level in (0.1, 0.5, 0.9))


def waves(seasons: float, grid: Grid = GRID, *, noise: float = 10.0, seed: int = 1) -> np.ndarray:
    steps = np.arange(round(seasons * grid.season))
    chance = np.random.default_rng(seed)
    return 500.0 + 300.0 * np.sin(2 * np.pi * steps / grid.season) + chance.normal(0, noise, len(steps))


def fleet_of(values: np.ndarray, grid: Grid = GRID, members: Sequence[Member] = MEMBERS) -> Fleet:
    values = np.atleast_2d(values)
    fleet = Fleet(grid, len(values), history_steps=max(values.shape[1], 2 * grid.season), members=members)
    fleet.load(values, values.shape[1])
    fleet.adopt(fit(fleet.history(), members))
    return fleet


def live(fleet: Fleet, values: np.ndarray, steps: int, *, row: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return (quantiles [o, quantiles], what came [o]) so many steps ahead, over a life."""
    foretold = []
    for value in values:
        foretold.append(fleet.predict(steps)[row, :, -1])
        fleet.update(np.array([value]))
    return np.array(foretold)[: len(values) - steps + 1], values[steps - 1 :]
