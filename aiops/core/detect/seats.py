"""Rows that ask for something that others do not: what watches them has arrays of their size, and not of all rows'."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

import numpy as np

from aiops.core.model import Rows
from aiops.core.protocols import Arrays


class Watch(Protocol):
    """Arrays over rows that can become those of other rows."""

    def take(self, rows: Rows) -> None:
        """Become other rows; -1 starts afresh."""
        ...

    def arrays(self) -> Arrays:
        """Return the state for a checkpoint."""
        ...

    def restore(self, arrays: Arrays) -> None:
        """Take the state of a checkpoint whose shapes were checked."""
        ...


W = TypeVar("W", bound=Watch)


class Seats(Generic[W]):
    """A watch of some of all rows. rows: intp[m], which they are, rising; row `rows[i]` is row i of the watch.

    kept: whether its state is a part of checkpoints: some policy asks for it, though it may have no rows now.
    newer: arrays of the state that older checkpoints do not have: there they begin as those of new rows.
    """

    def __init__(self, make: Callable[[int], W], newer: frozenset[str] = frozenset()) -> None:
        self._make, self._newer, self.watch = make, newer, make(0)
        self.rows, self.kept = np.zeros(0, np.intp), False

    def __len__(self) -> int:
        return len(self.rows)

    def seat(self, rows: Rows, *, kept: bool) -> None:
        """Watch these rows from now on; those that were watched go on."""
        self.kept = kept
        if not np.array_equal(rows, self.rows):
            self.watch.take(_places(self.rows, rows))
            self.rows = rows

    def take(self, rows: Rows) -> None:
        """Follow rows that move: row i is what row `rows[i]` was; what starts afresh has no seat yet."""
        places = _places(self.rows, rows)
        kept = np.flatnonzero(places >= 0)
        self.watch.take(places[kept])
        self.rows = kept

    def forget(self, rows: Rows) -> None:
        """Let some of all rows begin anew, where they are watched."""
        mine = np.isin(self.rows, rows)
        if mine.any():
            self.watch.take(np.where(mine, -1, np.arange(len(self.rows))))

    def arrays(self, rows: int) -> Arrays:
        """Return the state of all rows for a checkpoint; nothing where nobody asks for it."""
        if not self.kept:
            return {}
        whole = copy.deepcopy(self.watch)
        whole.take(_places(self.rows, np.arange(rows)))
        return whole.arrays()

    def restore(self, arrays: Arrays, rows: int) -> None:
        """Take the state of all rows; raise ValueError when it does not fit, and start afresh where there is none."""
        if not arrays:
            return
        whole = self._make(rows)
        arrays = {name: fresh for name, fresh in whole.arrays().items() if name in self._newer} | dict(arrays)
        for name, fresh in whole.arrays().items():
            if name not in arrays or arrays[name].shape != fresh.shape:
                raise ValueError(f"the checkpoint's {name} does not fit")
        whole.restore(arrays)
        whole.take(self.rows)
        self.watch = whole


def _places(known: Rows, rows: Rows) -> Rows:
    """Return where in `known`, which rises, rows are; -1 where they are not."""
    if not len(known):
        return np.full(len(rows), -1, np.intp)
    found = np.minimum(np.searchsorted(known, rows), len(known) - 1)
    return np.where(known[found] == rows, found, -1)
