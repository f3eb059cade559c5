"""The seams inside the core: what a plug-in of each stage must be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from aiops.core.model import F64, Bools, Instant, Rows

Env = Mapping[str, object]
"""Variables of a condition by full dotted name, such as `signals.latency`; what is unknown is left out."""


class ConditionError(Exception):
    """A condition could not be evaluated: a variable is missing, or an operation has no answer."""


@runtime_checkable
class Condition(Protocol):
    """A compiled, type-checked expression over an Env."""

    @property
    def text(self) -> str:
        """Return what was written."""
        ...

    @property
    def used(self) -> tuple[str, ...]:
        """Return the variables that it names."""
        ...

    def holds(self, env: Env) -> bool:
        """Return whether it holds; raise ConditionError when that cannot be said."""
        ...


@runtime_checkable
class Schedule(Protocol):
    """A recurring window of time, such as a cron schedule with a duration and a time zone."""

    @property
    def text(self) -> str:
        """Return what was written."""
        ...

    def active_until(self, at: Instant) -> Instant | None:
        """Return when the window that is active at `at` ends, or None when none is."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    """One day of a calendar, from midnight to midnight where it is kept. weekday: 0 is Monday."""

    start: Instant
    end: Instant
    weekday: int
    holiday: bool


@runtime_checkable
class DayCalendar(Protocol):
    """Days that are like others, and holidays, which are not."""

    @property
    def text(self) -> str:
        """Return what it is."""
        ...

    def day(self, at: Instant) -> Day:
        """Return the day in which an instant lies."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Scores:
    """What a detector says of one frame, row by row. All arrays have the frame's length.

    score: > 1 means anomalous, NaN where nothing can be said. expected, lower, upper: in units of the series. learned:
    whether the row has seen enough to be trusted.
    """

    score: F64
    expected: F64
    lower: F64
    upper: F64
    learned: Bools


Arrays = Mapping[str, NDArray[np.generic]]
"""Fleet state as named arrays, for checkpoints."""


@runtime_checkable
class Detector(Protocol):
    """An online detector over the rows of one frame. It owns its arrays and changes them in place.

    Score before learn: what a row is compared with has not seen it (the test-then-train rule of online learning).
    """

    name: str
    version: int

    def score(self, at: Instant, values: F64) -> Scores:
        """Score `values` (float64[n], NaN is missing) without learning from them."""
        ...

    def p_values(self, scores: Scores, values: F64, rows: Rows) -> F64:
        """Return P(a normal sample deviates at least so far) in [0, 1] for some rows of the scores just made."""
        ...

    def learn(self, at: Instant, values: F64, learn: Bools) -> None:
        """Learn from the rows where `learn` is True and the value is finite."""
        ...

    def take(self, rows: Rows) -> None:
        """Become the detector of other rows: row i continues old row `rows[i]`, or starts afresh where that is -1."""
        ...

    def arrays(self) -> Arrays:
        """Return the state for a checkpoint."""
        ...

    def restore(self, arrays: Arrays) -> None:
        """Take the state of a checkpoint of the same version; raise ValueError when it does not fit."""
        ...


@runtime_checkable
class Forecaster(Protocol):
    """An online forecaster of one signal. It owns its arrays and changes them in place."""

    name: str
    version: int

    def learn(self, at: Instant, value: float) -> None:
        """Learn one sample; NaN says that the step is missing or must not be learnt from."""
        ...

    def backfill(self, times: F64, values: F64) -> None:
        """Learn a history in order; times are increasing seconds since the epoch."""
        ...

    def paths(self, at: Instant, steps: int) -> F64:
        """Return float64[quantiles, steps]: quantiles of the value at `at + (h + 1) * step_s`, non-decreasing in q."""
        ...

    @property
    def quantiles(self) -> tuple[float, ...]:
        """Return the levels of `paths`, increasing."""
        ...

    @property
    def history_s(self) -> float:
        """Return how much history has been seen."""
        ...

    @property
    def peak(self) -> float | None:
        """Return the greatest value that is remembered, None of nothing."""
        ...

    @property
    def learned(self) -> bool:
        """Return whether the history covers what the model needs."""
        ...

    @property
    def skill(self) -> float | None:
        """Return 1 - pinball(model) / pinball(seasonal naive) over the rolling window, None while unknown."""
        ...

    def arrays(self) -> Arrays:
        """Return the state for a checkpoint."""
        ...

    def restore(self, arrays: Arrays) -> None:
        """Take the state of a checkpoint of the same version; raise ValueError when it does not fit."""
        ...
