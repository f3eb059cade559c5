"""What is looked for beside the score, from its opening to its end: arrays over rows, and when people were called."""

from __future__ import annotations

import numpy as np

from aiops.core.detect.rest import REST_S
from aiops.core.model import Bools, Instant, Rows
from aiops.core.protocols import Arrays


class Standing:
    """Arrays over n rows, changed in place. since: float64[n], NaN of what is closed. called: float64[n].

    calm: float32[n], looks in a row at which what is open was not odd. odd: float32[n], those at which it was.
    """

    def __init__(self, rows: int) -> None:
        self.since, self.called = np.full(rows, np.nan), np.full(rows, -1e18)
        self.calm, self.odd = np.zeros(rows, np.float32), np.zeros(rows, np.float32)

    def note(
        self, at: Instant, over: Bools, near: Bools, *, runs: tuple[int, int], unread: Bools | None = None
    ) -> None:
        """Take one look. over: what is odd. near: what is odd enough to stay open. unread: what could not be looked at.

        runs: it opens after so many looks at which it was odd, and closes after so many at which it was not even near.
        """
        opens, closes = runs
        odd, calm = np.where(over, self.odd + 1.0, 0.0), np.where(near, 0.0, self.calm + 1.0)
        if unread is not None:
            odd, calm = np.where(unread, self.odd, odd), np.where(unread, self.calm, calm)
        self.odd, self.calm = odd.astype(np.float32), calm.astype(np.float32)
        self.since = np.where(np.isfinite(self.since), self.since, np.where(self.odd >= opens, at, np.nan))
        self.since = np.where(self.calm >= closes, np.nan, self.since)

    @property
    def rows(self) -> Rows:
        """Return which are open."""
        return np.flatnonzero(np.isfinite(self.since))

    def calls(self, row: int, at: Instant) -> bool:
        """Return whether people are to be called for an open one now, and note that they are: once, then they rest.

        Not only when it opens: nobody may have been asked then, as it was in maintenance.
        """
        if self.called[row] > at + REST_S:
            self.called[row] = -1e18  # a clock that was ahead was set back
        if self.called[row] >= self.since[row] or at - self.called[row] <= REST_S:
            return False
        self.called[row] = at
        return True

    def take(self, rows: Rows) -> None:
        """Become other rows; -1 starts afresh."""
        fresh, old = Standing(len(rows)), rows >= 0
        for name in ("since", "called", "calm", "odd"):
            getattr(fresh, name)[old] = getattr(self, name)[rows[old]]
        self.__dict__.update(fresh.__dict__)

    def arrays(self) -> Arrays:
        """Return the state for a checkpoint."""
        return {"since": self.since, "called": self.called, "calm": self.calm, "odd": self.odd}

    def restore(self, arrays: Arrays) -> None:
        """Take the state of a checkpoint whose shapes were checked."""
        for name in ("since", "called", "calm", "odd"):
            setattr(self, name, np.array(arrays[name], getattr(self, name).dtype))
