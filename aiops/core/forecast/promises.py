"""Promises of each row: what was foretold for steps to come, and what becomes of it when they have."""

from __future__ import annotations

import numpy as np

from aiops.core.forecast import standing as st
from aiops.core.forecast.grid import Grid
from aiops.core.forecast.state import State
from aiops.core.model import F64


def note(state: State, grid: Grid, origin: int, told: tuple[F64, F64, F64]) -> None:
    """Keep what was foretold in a step, at the knots whose turn it is: by voices, points, and norms of both."""
    made, points, norms = told
    turn = np.flatnonzero(origin % grid.strides == 0)
    slot = (origin // grid.strides[turn]) % grid.slots
    state.made[:, :, turn, slot] = made[:, :, turn]
    state.points[:, :, turn, slot] = points[:, :, turn]
    state.norms[:, :, turn, slot] = norms[:, :, turn]


def settle(state: State, grid: Grid, step: int, values: F64) -> None:
    """Judge what was promised for the step just closed; values: float64[n], NaN where nothing came."""
    now = state.standing
    origin = step - grid.knots
    due = np.flatnonzero(origin % grid.strides == 0)
    stands = grid.strides[due].astype(np.float64)
    slot = (origin[due] // grid.strides[due]) % grid.slots
    fade = st.decay(grid, stands)
    errors = np.abs(values[:, None, None] - state.made[:, :, due, slot])
    there = np.isfinite(errors)
    forgotten = st.decay(grid, stands, st.WEIGHT_SEASONS)
    now.loss[:, :, due] = now.loss[:, :, due] * forgotten + np.where(there, errors, 0.0) * stands
    now.count[:, :, due] = now.count[:, :, due] * forgotten + there * stands
    norm = state.norms[:, :, due, slot]
    scores = (values[:, None, None] - state.points[:, :, due, slot]) / norm
    spread, size = now.spread[:, :, due], now.size[:, :, due]
    *sums, push = st.lived(np.ascontiguousarray(np.moveaxis(spread, -1, 0)), scores[None], norm[None])
    for name, one in zip(st.JUDGED, sums, strict=True):
        array = getattr(now, name)
        array[..., due] = array[..., due] * fade + one * stands
    pace = st.rate(grid, grid.strides.astype(np.float64))[due]
    now.spread[:, :, due] = spread + np.moveaxis(push, 0, -1) * (size * pace)[..., None]
    drawn = np.where(np.isfinite(scores), np.abs(scores), size)
    now.size[:, :, due] = size + (1.0 - fade) * (drawn - size)
    state.made[:, :, due, slot] = np.nan
    state.points[:, :, due, slot] = np.nan
