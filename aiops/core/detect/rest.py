"""Rest after an alarm: people are called once for what goes on, and again only when it has become much worse."""

from __future__ import annotations

import numpy as np

from aiops.core.model import F64, Bools, Instant, Rows
from aiops.core.protocols import Arrays

REST_S, REST_SAMPLES = 8 * 3600.0, 8.0
"""Somebody who was called looks after it for a shift; a row that is read hourly rests eight samples too."""

WORSE = 2.0
"""Scores by which an anomaly is worse than the one that was raised: twice the score is called again."""

_NEVER = -1e18


class Rest:
    """Arrays over n rows, changed in place. raised_at: float64[n], when an alarm was raised; raised: its score."""

    def __init__(self, rows: int) -> None:
        self.raised_at, self.raised = np.full(rows, _NEVER), np.zeros(rows)

    def alarms(self, at: Instant, rows: Rows, score: F64, step_s: float) -> Bools:
        """Return which of `rows` are to raise an alarm now; `score`, one for each of them, is anomalous above 1."""
        # a clock that was ahead may have been set back: what was raised long after now is over
        resting = np.abs(at - self.raised_at[rows]) <= max(REST_S, REST_SAMPLES * step_s)
        out = (score > 1.0) & (~resting | (score > WORSE * self.raised[rows]))
        self.raised_at[rows[out]], self.raised[rows[out]] = at, score[out]
        return np.asarray(out, np.bool_)

    def evidence(self, row: int) -> dict[str, float]:
        """Return when a row last raised an alarm, and its score then; nothing of one that never did."""
        if self.raised_at[row] == _NEVER:
            return {}
        return {"alarm_at": float(self.raised_at[row]), "alarm_score": float(self.raised[row])}

    def forget(self, rows: Rows, since: F64) -> None:
        """Forget alarms of some rows that were raised since; float64[m], one for each of them."""
        mine = rows[self.raised_at[rows] >= since]
        self.raised_at[mine], self.raised[mine] = _NEVER, 0.0

    def take(self, rows: Rows) -> None:
        """Become the rest of other rows; -1 starts afresh."""
        fresh, old = Rest(len(rows)), rows >= 0
        fresh.raised_at[old], fresh.raised[old] = self.raised_at[rows[old]], self.raised[rows[old]]
        self.__dict__.update(fresh.__dict__)

    def arrays(self) -> Arrays:
        """Return the state for a checkpoint."""
        return {"raised_at": self.raised_at, "raised": self.raised}

    def restore(self, arrays: Arrays) -> None:
        """Take the state of a checkpoint; raise ValueError when it does not fit."""
        for name, array in self.arrays().items():
            if name not in arrays or arrays[name].shape != array.shape:
                raise ValueError(f"rest: the checkpoint's {name} does not fit")
        self.raised_at = np.array(arrays["raised_at"], np.float64)
        self.raised = np.array(arrays["raised"], np.float64)
