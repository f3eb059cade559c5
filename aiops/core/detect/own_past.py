"""How odd a statistic is against its own past: no distribution of the samples is assumed, only that of their means.

A statistic that adds up many samples is nearly normal whatever these are, once its deviation is that of its own past:
that counts what the samples' memory, their season and their tails do to it. The deviation is known from few
independent values, so the tail is Student's, with as many degrees of freedom.
"""

from __future__ import annotations

import numpy as np

from aiops.core.model import F64, Rows
from aiops.core.protocols import Arrays

CLIPS = 3.0
"""What is farther out than so many deviations teaches no more than that: a fault does not widen its own bounds."""

LEAST_KNOWN = 10.0
"""Independent values after which a deviation is known."""

_FIELDS = ("square", "count")


def surprise(deviations: F64, freedom: F64) -> F64:
    """Return -log10 of the two-sided tail of Student's t; deviations, freedom: float64[n].

    By Wallace's normal deviate ("Bounds on normal approximations to Student's and the chi-square distributions", 1959)
    and a bound of Mills' ratio (Komatu, 1955), within a twentieth of a decade for 10 degrees and more.
    """
    free = np.maximum(freedom, 1.0)
    t = np.minimum(np.abs(deviations), 1e150)
    z = (8.0 * free + 1.0) / (8.0 * free + 3.0) * np.sqrt(free * np.log1p(t * t / free))
    tail = np.log(4.0 / (z + np.sqrt(z * z + 8.0 / np.pi))) - 0.5 * z * z - 0.5 * np.log(2.0 * np.pi)
    return np.asarray(np.maximum(-tail / np.log(10.0), 0.0))


class OwnPast:
    """Arrays over n rows, changed in place. square: float32[n], mean square. count: float32[n], independent values.

    apart: how many neighbouring values count as one. memory: how many independent values are remembered.
    """

    def __init__(self, rows: int, apart: float, memory: float) -> None:
        self.square, self.count = np.zeros(rows, np.float32), np.zeros(rows, np.float32)
        self._apart, self._memory = apart, memory

    def surprises(self, values: F64) -> F64:
        """Return how odd values are, float64[n]; NaN where the past is too short, or where there was never any."""
        scale = np.sqrt(self.square.astype(np.float64))
        known = (self.count >= LEAST_KNOWN) & (scale > 0) & np.isfinite(values)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            found = surprise(values / scale, self.count.astype(np.float64))
        return np.where(known, found, np.nan)

    @property
    def deviation(self) -> F64:
        """Return the usual deviation by row, 0 where nothing is known."""
        return np.sqrt(self.square.astype(np.float64))

    def learn(self, values: F64, taken: Rows) -> None:
        """Take the values of some rows into their past."""
        taken = taken[np.isfinite(values[taken])]
        square, count = self.square[taken].astype(np.float64), self.count[taken].astype(np.float64)
        with np.errstate(over="ignore"):
            new = np.minimum(values[taken] * values[taken], 1e37)
        clipped = np.where(count >= LEAST_KNOWN, np.minimum(new, CLIPS * CLIPS * square), new)
        count = np.minimum(count + 1.0 / self._apart, self._memory)
        self.square[taken] = square + (clipped - square) / np.maximum(count * self._apart, 1.0)
        self.count[taken] = count

    def take(self, rows: Rows) -> None:
        """Become the past of other rows; -1 starts afresh."""
        old = rows >= 0
        for name in _FIELDS:
            fresh = np.zeros(len(rows), np.float32)
            fresh[old] = getattr(self, name)[rows[old]]
            setattr(self, name, fresh)

    def arrays(self) -> Arrays:
        """Return the state for a checkpoint."""
        return {name: getattr(self, name) for name in _FIELDS}

    def restore(self, arrays: Arrays) -> None:
        """Take the state of a checkpoint whose shapes were checked."""
        for name in _FIELDS:
            setattr(self, name, np.array(arrays[name], np.float32))
