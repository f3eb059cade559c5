"""What is extreme is no example of the usual, until it comes a second time or has stood for long."""

from __future__ import annotations

import numpy as np

from aiops.core.model import F64, Bools, Instant, Rows
from aiops.core.protocols import Arrays

EPISODE_S, STANDS_S, STANDS_SAMPLES = 3600.0, 3600.0, 8.0
"""Extremes closer than the first are one episode; what stands for the second, and so many samples, is the new usual."""

_BEGAN, _NEWEST = range(2)
_COUNT, _LOW, _HIGH, _KNOWN_LOW, _KNOWN_HIGH = range(5)
_FRESH = np.array([0.0, np.inf, -np.inf, np.inf, -np.inf], np.float32)[:, None]


class Episodes:
    """Arrays over n rows, changed in place. times: float64[2, n], beginning and newest of the episode.

    state: float32[5, n], its samples, least and greatest, and least and greatest of earlier ones.
    """

    def __init__(self, rows: int) -> None:
        self.times, self.state = np.full((2, rows), -np.inf), np.tile(_FRESH, (1, rows))

    def on(self, rows: Rows, at: Instant) -> Bools:
        """Return which of some rows are in an episode."""
        # on either side: a clock that was ahead may have been set back
        return np.asarray(np.abs(at - self.times[_NEWEST, rows]) <= EPISODE_S, np.bool_)

    def excused(self, rows: Rows, at: Instant, values: F64) -> Bools:
        """Note extremes of some rows and return which are examples of the usual all the same."""
        state, over = self.state, rows[~self.on(rows, at)]
        state[_KNOWN_LOW, over] = np.minimum(state[_KNOWN_LOW, over], state[_LOW, over])
        state[_KNOWN_HIGH, over] = np.maximum(state[_KNOWN_HIGH, over], state[_HIGH, over])
        state[:_KNOWN_LOW, over] = _FRESH[:_KNOWN_LOW]
        self.times[_BEGAN, over] = at
        self.times[_NEWEST, rows] = at
        state[_COUNT, rows] += 1.0
        state[_LOW, rows] = np.minimum(state[_LOW, rows], values)
        state[_HIGH, rows] = np.maximum(state[_HIGH, rows], values)
        stands = (at - self.times[_BEGAN, rows] >= STANDS_S) & (state[_COUNT, rows] >= STANDS_SAMPLES)
        again = (values >= state[_KNOWN_LOW, rows]) & (values <= state[_KNOWN_HIGH, rows])
        return np.asarray(stands | again, np.bool_)

    def end(self, rows: Rows) -> None:
        """Forget what was extreme in some rows."""
        self.times[:, rows], self.state[:, rows] = -np.inf, _FRESH

    def take(self, rows: Rows) -> None:
        """Become the episodes of other rows; -1 starts afresh."""
        fresh, old = Episodes(len(rows)), rows >= 0
        fresh.times[:, old], fresh.state[:, old] = self.times[:, rows[old]], self.state[:, rows[old]]
        self.__dict__.update(fresh.__dict__)

    def arrays(self) -> Arrays:
        """Return the state for a checkpoint."""
        return {"times": self.times, "state": self.state}

    def restore(self, arrays: Arrays) -> None:
        """Take the state of a checkpoint whose shapes were checked."""
        self.times, self.state = np.array(arrays["times"], np.float64), np.array(arrays["state"], np.float32)
