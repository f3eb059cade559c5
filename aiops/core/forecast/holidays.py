"""Holidays in a daily season: which weekday they are like, by evidence, and which minutes are those of rest.

A holiday that was lived is compared with what each weekday had shown before it, and with what a forecast without a
calendar would have taken. While there is no evidence it counts as a Sunday; where the plain forecast was nearer, the
calendar is not used. Forecasters let days of rest and others learn from their own kind alone.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from aiops.core.model import F64, Bools
from aiops.core.protocols import Arrays, DayCalendar

MINUTE_S = 60.0
DAY = 1440
WEEKDAYS, SUNDAY, NOTHING = 7, 6, 7
"""NOTHING stands for no weekday: the calendar is not used."""

REST_DAYS = 28
"""How far back days of rest are looked for."""

KEPT = 24
"""Holidays that are remembered: two years of a country's."""

BELIEF = 0.9
"""A holiday is a Sunday until another weekday was nearer by a tenth; another must beat no calendar by as much."""

_PLAIN = ((1, 1.0), (2, 0.5), (3, 0.25), (7, 1.0), (14, 0.5))
"""How many days ago a forecast without a calendar looks, and what that weighs."""

_SLACK_DAYS = 40
_EPS = 1e-12


class Resting:
    """State: of each holiday that was lived how far each weekday, and no calendar, were from it. Changed in place.

    A weekday that was not known then says nothing of that holiday.
    like: the weekday that holidays resemble, NOTHING while the calendar is not worth using.
    """

    def __init__(self, days: DayCalendar) -> None:
        self._days = days
        self.like = SUNDAY
        self._lived: dict[int, F64] = {}
        self._from = self._weighed = 0
        self._weekday: NDArray[np.int8] = np.zeros(0, np.int8)
        self._holiday: Bools = np.zeros(0, np.bool_)

    def mask(self, first: int, steps: int) -> Bools:
        """Return bool[steps] from minute `first` on: whether it lies in a holiday or a day like it.

        False throughout where no holiday is near: without one there is nothing that a calendar could tell.
        """
        weekday, holiday = self._kinds(first, steps)
        if self.like == NOTHING or not holiday.any():
            return np.zeros(steps, np.bool_)
        return np.asarray(holiday | (weekday == self.like))

    def due(self, minute: int) -> bool:
        """Return whether a day is over since evidence was taken last."""
        return minute >= self._weighed

    def weigh(self, values: F64, first: int) -> bool:
        """Take the evidence of the holidays that are over; return whether what they are like is another weekday now.

        values: float64[t], a value a minute from minute `first` on, NaN is a gap.
        """
        end = first + len(values)
        self._weighed = end - end % DAY + DAY
        for start, stop in self._holidays(first, end):
            if start not in self._lived and (found := self._distances(values, first, (start, stop))) is not None:
                self._lived[start] = found
        for start in sorted(self._lived)[:-KEPT]:
            del self._lived[start]
        before, self.like = self.like, self._nearest()
        return before != self.like

    def arrays(self) -> Arrays:
        """Return the state for a checkpoint: float64[KEPT, 1 + 8], NaN where there is none."""
        out = np.full((KEPT, 2 + WEEKDAYS), np.nan)
        for row, start in enumerate(sorted(self._lived)):
            out[row] = (start, *self._lived[start])
        return {"holidays": out}

    def restore(self, arrays: Arrays) -> None:
        """Take the state of a checkpoint; one without, of a policy that had no calendar, says nothing."""
        rows = np.asarray(arrays.get("holidays", np.zeros((0, 2 + WEEKDAYS))), np.float64)
        if rows.ndim != 2 or rows.shape[1] != 2 + WEEKDAYS:
            raise ValueError(f"the checkpoint's holidays do not fit {(KEPT, 2 + WEEKDAYS)}")
        self._lived = {int(row[0]): row[1:] for row in rows if np.isfinite(row[0])}
        self.like = self._nearest()

    # -- inner -----------------------------------------------------------------------------------------

    def _nearest(self) -> int:
        """Return the weekday that was nearest to the holidays, or NOTHING."""
        if not self._lived:
            return SUNDAY
        every = np.array(list(self._lived.values()))
        known = np.isfinite(every)
        mean = np.where(known, every, 0.0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
        mean = np.where(known.any(axis=0), mean, np.inf)
        mean[SUNDAY] *= BELIEF
        weekday = int(mean[:WEEKDAYS].argmin())
        # means of several days are nearer than single ones by their calm alone: that is no evidence
        return weekday if mean[weekday] < BELIEF * mean[NOTHING] else NOTHING

    def _distances(self, values: F64, first: int, day: tuple[int, int]) -> F64 | None:
        """Return float64[8], how far each weekday (NaN: not known) and no calendar were from a holiday, or None."""
        start, stop = day[0] - first, day[1] - first
        actual = values[start:stop]
        plain = _mean(values, (start, stop), _PLAIN)
        own = _distance(actual, plain)
        if own is None:
            return None
        weekday, holiday = self._kinds(first + start - REST_DAYS * DAY, REST_DAYS * DAY)
        out = np.full(WEEKDAYS + 1, own)
        for kind in range(WEEKDAYS):
            noons = [REST_DAYS * DAY - lag * DAY + DAY // 2 for lag in range(1, REST_DAYS + 1)]
            alike = [lag for lag, noon in enumerate(noons, 1) if weekday[noon] == kind and not holiday[noon]]
            told = _distance(actual, _mean(values, (start, stop), [(lag, 1.0) for lag in alike]))
            out[kind] = np.nan if told is None else told
        return out

    def _holidays(self, first: int, end: int) -> list[tuple[int, int]]:
        """Return the holidays that lie whole between two minutes, each from its first minute to the next day's."""
        if end <= first:
            return []
        _, holiday = self._kinds(first, end - first)
        if not holiday.any():
            return []
        found, at = [], first + int(holiday.argmax())
        while at < end:
            day = self._days.day(at * MINUTE_S)
            start, stop = round(day.start / MINUTE_S), round(day.end / MINUTE_S)
            if day.holiday and start >= first and stop <= end:
                found.append((start, stop))
            at = max(stop, at + 1)
        return found

    def _kinds(self, first: int, steps: int) -> tuple[NDArray[np.int8], Bools]:
        """Return the weekday, and whether it is a holiday, of each minute."""
        if first < self._from or first + steps > self._from + len(self._holiday):
            self._cover(first, first + steps + _SLACK_DAYS * DAY)
        place = slice(first - self._from, first - self._from + steps)
        return self._weekday[place], self._holiday[place]

    def _cover(self, first: int, end: int) -> None:
        self._from = first
        self._weekday, self._holiday = np.zeros(end - first, np.int8), np.zeros(end - first, np.bool_)
        at = first
        while at < end:
            day = self._days.day(at * MINUTE_S)
            stop = max(at + 1, round(day.end / MINUTE_S))
            self._weekday[at - first : stop - first] = day.weekday
            self._holiday[at - first : stop - first] = day.holiday
            at = stop


def _mean(values: F64, place: tuple[int, int], lags: Sequence[tuple[int, float]]) -> F64:
    """Return the weighted mean of the same minutes some days before, NaN where none is known."""
    start, stop = place
    total, weights = np.zeros(stop - start), np.zeros(stop - start)
    for days, weight in lags:
        if start - days * DAY < 0:
            continue
        cells = values[start - days * DAY : stop - days * DAY]
        there = np.isfinite(cells)
        total += np.where(there, weight * cells, 0.0)
        weights += weight * there
    return np.asarray(np.where(weights > 0, total / np.maximum(weights, _EPS), np.nan))


def _distance(actual: F64, told: F64) -> float | None:
    """Return the mean absolute difference over the mean of what came; None where less than half of it is known."""
    both = np.isfinite(actual) & np.isfinite(told)
    if 2 * np.count_nonzero(both) < len(actual) or not len(actual):
        return None
    size = float(np.abs(actual[both]).mean())
    return float(np.abs(actual[both] - told[both]).mean()) / max(size, _EPS)
