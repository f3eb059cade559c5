"""What was learnt of series: made by `fit`, kept by a fleet as arrays over its rows, each row by itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from aiops.core.forecast import standing as st
from aiops.core.forecast.grid import Grid
from aiops.core.forecast.members import Coefficients
from aiops.core.forecast.past import Norms
from aiops.core.forecast.standing import Standing
from aiops.core.model import F64
from aiops.core.protocols import Arrays

_NORMS = ("size", "jitter", "grain", "detail")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Fitted:
    """What was learnt of n series, from the steps `first_step` to `last_step` (exclusive).

    coefficients: by member. start: how members and intervals stood at the end. left_out: why members were not heard.
    """

    grid: Grid
    first_step: int
    last_step: int
    norms: Norms
    floor: F64
    coefficients: Mapping[str, Coefficients]
    start: Standing
    left_out: Mapping[str, str]

    def arrays(self) -> Arrays:
        """Return it as named arrays; why members were left out is not kept, they are merely not there."""
        out: dict[str, NDArray[np.generic]] = {
            "steps": np.array([self.first_step, self.last_step]),
            **{name: getattr(self.norms, name) for name in _NORMS},
            "floor": self.floor,
        }
        out |= {f"start/{name}": array for name, array in self.start.arrays().items()}
        for member, some in self.coefficients.items():
            out |= {f"of/{member}/{name}": array for name, array in some.items()}
            out[f"of/{member}/"] = np.zeros(0)
        return out

    @classmethod
    def of(cls, grid: Grid, series: int, arrays: Arrays) -> Fitted:
        """Return what `arrays` gave; raise ValueError when it is not whole, or of another number of series."""
        try:
            sizes = {len(array) for name, array in arrays.items() if name != "steps" and not name.endswith("/")}
            first, last = (int(step) for step in arrays["steps"])
            norms = Norms(**{name: _floats(arrays[name]) for name in _NORMS})
            start = Standing(**{name: _floats(arrays[f"start/{name}"]) for name in st.STANDING})
            floor = _floats(arrays["floor"])
        except KeyError as err:
            raise ValueError(f"the checkpoint of a fit does not fit: it has no {err}") from err
        if sizes != {series}:
            raise ValueError(f"the checkpoint of a fit does not fit {series} series")
        names = [name.removeprefix("of/") for name in arrays if name.startswith("of/")]
        coefficients: dict[str, dict[str, F64]] = {name.split("/", 1)[0]: {} for name in names}
        for name in names:
            member, key = name.split("/", 1)
            if key:
                coefficients[member][key] = _floats(arrays[f"of/{name}"])
        return cls(
            grid=grid,
            first_step=first,
            last_step=last,
            norms=norms,
            floor=floor,
            coefficients=coefficients,
            start=start,
            left_out={},
        )

    # -- rows --------------------------------------------------------------------------------------------

    def blank(self, series: int) -> Fitted:
        """Return room for so many series that nothing was learnt of, of this one's shape: they have no opinion."""
        names = self.coefficients.items()
        empty = {name: {key: _room(array, series, np.nan) for key, array in some.items()} for name, some in names}
        return replace(
            self,
            norms=Norms(**{name: np.ones(series) for name in _NORMS}),
            floor=np.full(series, -np.inf),
            coefficients=empty,
            start=Standing(**{name: _room(getattr(self.start, name), series, 0.0) for name in st.STANDING}),
            left_out={},
        )

    def resized(self, series: int) -> Fitted:
        """Return what was learnt of these series, and room for more of them."""
        out, own = self.blank(series), slice(0, len(self.floor))
        for mine, theirs in out._beside(self):
            if theirs is not None:
                mine[own] = theirs
        return out

    def part(self, rows: slice) -> Fitted:
        """Return some rows, as views of these arrays."""
        return replace(
            self,
            norms=Norms(**{name: getattr(self.norms, name)[rows] for name in _NORMS}),
            floor=self.floor[rows],
            coefficients={
                name: {key: array[rows] for key, array in some.items()} for name, some in self.coefficients.items()
            },
            start=self.start.part(rows),
        )

    def put(self, row: int, one: Fitted) -> Fitted:
        """Return it with what was learnt of one series in a row, the arrays changed in place.

        A member that was left out of the one has no opinion of the row. Raises ValueError, and changes nothing, when
        the one is of another shape.
        """
        self.check(one)
        missing = {name: some for name, some in one.coefficients.items() if name not in self.coefficients}
        series = len(self.floor)
        added = {
            name: {key: _room(array, series, np.nan) for key, array in some.items()} for name, some in missing.items()
        }
        whole = replace(self, coefficients={**self.coefficients, **added})
        for mine, theirs in whole._beside(one):
            mine[row] = np.nan if theirs is None else theirs[0]
        return whole

    def check(self, one: Fitted) -> None:
        """Raise ValueError when what was learnt of one series is of another shape than these rows."""
        for mine, theirs in self._beside(one):
            if theirs is not None and theirs.shape != (1, *mine.shape[1:]):
                raise ValueError(f"a fit of shape {theirs.shape} is none of one series of {mine.shape[1:]}")

    def _beside(self, one: Fitted) -> Iterator[tuple[F64, F64 | None]]:
        """Yield each array and the other's; None where the other has none."""
        yield self.floor, one.floor
        for name in _NORMS:
            yield getattr(self.norms, name), getattr(one.norms, name)
        for name in st.STANDING:
            yield getattr(self.start, name), getattr(one.start, name)
        for member, some in self.coefficients.items():
            theirs = one.coefficients.get(member, {})
            for key, array in some.items():
                yield array, theirs.get(key)


def _room(array: F64, series: int, empty: float) -> F64:
    return np.full((series, *array.shape[1:]), empty)


def _floats(array: NDArray[np.generic]) -> F64:
    return np.array(array, np.float64)
