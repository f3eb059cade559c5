"""What a fleet keeps of each series: arrays whose first axis is the row, so that a row can come, move and go alone."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from aiops.core.forecast.grid import Grid
from aiops.core.forecast.standing import STANDING, Standing
from aiops.core.model import F64, Bools, Rows

NEVER = -1
"""The step in which a row that never had a value had its newest one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """How many voices foretell a row, and how many steps there is room for."""

    grid: Grid
    voices: int
    room: int


@dataclass(slots=True, kw_only=True, eq=False)
class State:
    """One row per series. Changed in place.

    store: float64[n, room], values, NaN is a gap. newest: the step of the last one. fitted: whether anything was.
    lived: steps since then. acts: whether the gate is open. silent: bool[n, voices], who was left out of the row's fit.
    made: float64[n, voices, knots, slots], what was promised; points, norms: float64[n, who, knots, slots], what the
    combination and the last season said of it, and in what their errors are measured.
    """

    store: F64
    newest: Rows
    fitted: Bools
    lived: Rows
    acts: Bools
    silent: Bools
    made: F64
    points: F64
    norms: F64
    standing: Standing

    @classmethod
    def blank(cls, series: int, shape: Shape) -> State:
        """Return the state of series that nothing is known of."""
        knots, slots = len(shape.grid.knots), shape.grid.slots
        return cls(
            store=np.full((series, shape.room), np.nan),
            newest=np.full(series, NEVER, np.intp),
            fitted=np.zeros(series, np.bool_),
            lived=np.zeros(series, np.intp),
            acts=np.zeros(series, np.bool_),
            silent=np.ones((series, shape.voices), np.bool_),
            made=np.full((series, shape.voices, knots, slots), np.nan),
            points=np.full((series, 2, knots, slots), np.nan),
            norms=np.ones((series, 2, knots, slots)),
            standing=Standing.unknown(series, shape.voices, shape.grid),
        )

    def put(self, rows: slice, other: State) -> None:
        """Take the rows of another state in the place of some of these."""
        for name in _ARRAYS:
            getattr(self, name)[rows] = getattr(other, name)
        for name in STANDING:
            getattr(self.standing, name)[rows] = getattr(other.standing, name)

    def resized(self, series: int, shape: Shape) -> State:
        """Return these rows, and room for more of them."""
        out = State.blank(series, shape)
        out.put(slice(0, len(self.store)), self)
        return out

    def forget_promises(self, rows: slice) -> None:
        """Forget what was foretold for steps that nobody will see."""
        self.made[rows] = self.points[rows] = np.nan
        self.norms[rows] = 1.0


_ARRAYS = tuple(field.name for field in fields(State) if field.name != "standing")
