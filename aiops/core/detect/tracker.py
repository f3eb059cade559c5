"""From scores to findings that open, stand and close: with hysteresis, so that one odd sample is not an alarm."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from aiops.core.model import F64, Bools, Finding, FindingKind, Instant, PolicyKey, Rows
from aiops.core.protocols import Arrays, Scores

OPEN_RUN = 2
"""Samples in a row that must be anomalous, unless one of them is extreme."""

EXTREME = 3.0
CLOSE_RUN = 4
ABSENT_RUN = 5
FLAT_RUN = 20
SHIFT_S = 1800.0
CHANGES_OFTEN = 0.2
_CHANGE_GAIN = 0.005
_UNKNOWN = -1e18


class Tracker:
    """What each of n rows has done lately, as arrays: runs of anomalous, calm, missing and unchanged samples."""

    def __init__(self, rows: int) -> None:
        self._over = np.zeros(rows)
        self._calm = np.zeros(rows)
        self._missing = np.zeros(rows)
        self._same = np.zeros(rows)
        self._changes = np.zeros(rows)
        self._last = np.full(rows, np.nan)
        self._since = np.full(rows, _UNKNOWN)
        self._first_over = np.full(rows, _UNKNOWN)
        self._open = np.zeros(rows, np.bool_)

    def track(self, at: Instant, values: F64, learn: Bools, scores: Scores) -> Rows:
        """Note one frame and return the rows that have an open finding now."""
        there = np.isfinite(values)
        over = scores.score > 1.0
        self._first_over = np.where(over & (self._over == 0), at, self._first_over)
        # a row that could not be read neither opens nor closes anything
        self._over = np.where(over, self._over + 1.0, np.where(there, 0.0, self._over))
        missing = ~there & learn & scores.learned
        self._missing = np.where(missing, self._missing + 1.0, np.where(there, 0.0, self._missing))
        self._note_changes(values, there)
        bad = over | (self._missing >= ABSENT_RUN) | self._flat(scores.learned)
        self._calm = np.where(bad, 0.0, np.where(there, self._calm + 1.0, self._calm))
        opens = (self._over >= OPEN_RUN) | (scores.score > EXTREME) | (bad & ~over)
        begins = opens & ~self._open
        if begins.any():
            self._since = np.where(begins, np.where(self._over > 0, self._first_over, at), self._since)
        self._open = (self._open | opens) & (self._calm < CLOSE_RUN)
        return np.flatnonzero(self._open)

    def finding(self, row: int, at: Instant, scores: Scores) -> tuple[FindingKind, Instant, float]:
        """Return kind, beginning and score of an open row's finding."""
        since = float(self._since[row])
        if self._missing[row] >= ABSENT_RUN:
            return FindingKind.ABSENCE, since, float(self._missing[row] / ABSENT_RUN)
        if self._flat(scores.learned)[row]:
            return FindingKind.FLATLINE, since, float(self._same[row] * self._changes[row] / FLAT_RUN)
        score = float(np.nan_to_num(scores.score[row]))
        kind = FindingKind.LEVEL_SHIFT if at - since >= SHIFT_S else FindingKind.POINT
        return kind, since, score

    def take(self, rows: Rows) -> None:
        """Become the tracker of other rows; -1 starts afresh."""
        fresh = Tracker(len(rows))
        old = rows >= 0
        for name, array in fresh.__dict__.items():
            array[old] = getattr(self, name)[rows[old]]
        self.__dict__.update(fresh.__dict__)

    def arrays(self) -> Arrays:
        """Return the state for a checkpoint."""
        return {name.removeprefix("_"): array for name, array in self.__dict__.items()}

    def restore(self, arrays: Arrays) -> None:
        """Take the state of a checkpoint; raise ValueError when it does not fit."""
        for name, array in self.arrays().items():
            if name not in arrays or arrays[name].shape != array.shape:
                raise ValueError(f"tracker: the checkpoint's {name} does not fit")
            setattr(self, f"_{name}", np.array(arrays[name], array.dtype))

    def _note_changes(self, values: F64, there: Bools) -> None:
        changed = there & (values != self._last)
        self._same = np.where(changed, 0.0, self._same + there)
        # how often it changes is learnt while it does, so that a long flat stretch does not become normal
        learns = there & (self._same < FLAT_RUN)
        self._changes = np.where(learns, self._changes + _CHANGE_GAIN * (changed - self._changes), self._changes)
        self._last = np.where(there, values, self._last)

    def _flat(self, learned: Bools) -> Bools:
        often = self._changes > CHANGES_OFTEN
        return np.asarray(learned & often & (self._same * self._changes >= FLAT_RUN), np.bool_)


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One watched series at one instant. row: its place in the scores and in the tracker."""

    policy: PolicyKey
    series: str
    labels: Mapping[str, str]
    row: int
    at: Instant
    value: float


def as_finding(seen: Seen, scores: Scores, tracker: Tracker) -> Finding:
    """Return the finding of an open row."""
    row, value = seen.row, seen.value
    kind, since, score = tracker.finding(row, seen.at, scores)
    expected, lower, upper = (float(array[row]) for array in (scores.expected, scores.lower, scores.upper))
    return Finding(
        policy=seen.policy,
        series=seen.series,
        labels=seen.labels,
        kind=kind,
        at=seen.at,
        since=since,
        score=round(score, 6),
        p_value=float(scores.p_value[row]) if np.isfinite(value) else 0.0,
        value=value,
        expected=expected,
        lower=lower,
        upper=upper,
        reason=_reason(named(seen.labels), kind, value, (lower, expected, upper)),
    )


def named(labels: Mapping[str, str]) -> str:
    """Return a series as people write it.

    >>> named({"__name__": "up", "job": "web"})
    'up{job=web}'
    """
    rest = ",".join(f"{key}={value}" for key, value in sorted(labels.items()) if key != "__name__")
    return f"{labels.get('__name__', '')}{{{rest}}}" if rest else labels.get("__name__", "series")


def _reason(name: str, kind: FindingKind, value: float, band: tuple[float, float, float]) -> str:
    lower, expected, upper = band
    match kind:
        case FindingKind.ABSENCE:
            return f"{name} is gone"
        case FindingKind.FLATLINE:
            return f"{name} does not move from {value:.3g}"
        case FindingKind.POINT | FindingKind.LEVEL_SHIFT | FindingKind.DRIFT | FindingKind.SATURATION:
            if value > upper:
                return f"{name} {value:.3g} is above {upper:.3g} (expected {expected:.3g})"
            if value < lower:
                return f"{name} {value:.3g} is below {lower:.3g} (expected {expected:.3g})"
            return f"{name} {value:.3g} is back near {expected:.3g}"
