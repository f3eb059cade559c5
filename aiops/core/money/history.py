"""What each subject spent in each hour of the last weeks, for budgets: arrays that one thread owns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from aiops.core.model import Instant
from aiops.core.money.spend import HOUR_S, LOOP, Row, Subject, per_hour

HOURS = 24 * 36
"""As long as the longest month and what the hours of a time zone may add, with four weeks before today."""

Whole: TypeAlias = NDArray[np.int64]
_GROWTH = 64


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Past:
    """Hours as they are stored: the n-th is of `subjects[places[n]]`, of the hour with the number `hours[n]`.

    sums: int64[n] by name: nano, replica_ms, unpriced_ms, seen_ms.
    """

    subjects: tuple[Subject, ...]
    places: Whole
    hours: Whole
    sums: Mapping[str, Whole]


@dataclass(slots=True)
class History:
    """nano, replica_ms, unpriced_ms, seen_ms: int64[subjects, HOURS], a ring by the hour's number modulo HOURS.

    What is not newer than `newest - HOURS` hours is forgotten. Row 0 is the watching itself.
    """

    places: dict[Subject, int] = field(default_factory=dict)
    nano: Whole = field(default_factory=lambda: np.zeros((_GROWTH, HOURS), np.int64))
    replica_ms: Whole = field(default_factory=lambda: np.zeros((_GROWTH, HOURS), np.int64))
    unpriced_ms: Whole = field(default_factory=lambda: np.zeros((_GROWTH, HOURS), np.int64))
    seen_ms: Whole = field(default_factory=lambda: np.zeros((_GROWTH, HOURS), np.int64))
    newest: int = -1

    def put(self, subject: Subject, hour_s: int, row: Row) -> None:
        """Set what a subject spent in the hour that began at `hour_s`."""
        number = hour_s // HOUR_S
        self._turn(number)
        if number <= self.newest - HOURS:
            return
        place, slot = self._place(subject), number % HOURS
        self.nano[place, slot] = per_hour(row.money)
        self.replica_ms[place, slot] = row.replica_ms
        self.unpriced_ms[place, slot] = row.unpriced_ms
        self.seen_ms[place, slot] = row.seen_ms

    def fill(self, past: Past) -> None:
        """Take what is stored in the place of what is known of those hours."""
        if not len(past.hours):
            return
        self._turn(int(past.hours.max()))
        own = np.array([self._place(one) for one in past.subjects], np.intp)
        kept = past.hours > self.newest - HOURS
        places, slots = own[past.places[kept]], past.hours[kept] % HOURS
        for name, array in (
            ("nano", self.nano),
            ("replica_ms", self.replica_ms),
            ("unpriced_ms", self.unpriced_ms),
            ("seen_ms", self.seen_ms),
        ):
            array[places, slots] = past.sums[name][kept]

    def hours(self, places: NDArray[np.intp], start: Instant, end: Instant) -> Hours:
        """Return what some subjects spent together in each hour from the one of `start` to that of `end`."""
        first, last = int(start // HOUR_S), int(-(-end // HOUR_S))
        numbers = np.arange(first, max(last, first))
        known = (numbers > self.newest - HOURS) & (numbers <= self.newest)
        slots = numbers % HOURS
        rows = np.ix_(places, slots)
        return Hours(
            first=first,
            until=end,
            nano=np.where(known, self.nano[rows].sum(axis=0), 0),
            replica_ms=np.where(known, self.replica_ms[rows].sum(axis=0), 0),
            unpriced_ms=np.where(known, self.unpriced_ms[rows].sum(axis=0), 0),
            seen_ms=np.where(known, self.seen_ms[self._place(LOOP), slots], 0),
        )

    def _place(self, subject: Subject) -> int:
        if not self.places:
            self.places[LOOP] = 0
        place = self.places.setdefault(subject, len(self.places))
        while place >= len(self.nano):
            more = np.zeros((len(self.nano), HOURS), np.int64)
            self.nano, self.replica_ms, self.unpriced_ms, self.seen_ms = (
                np.vstack((one, more)) for one in (self.nano, self.replica_ms, self.unpriced_ms, self.seen_ms)
            )
        return place

    def _turn(self, number: int) -> None:
        """Forget what the ring's slots held before, up to an hour."""
        if number <= self.newest:
            return
        gone = np.arange(max(self.newest + 1, number - HOURS + 1), number + 1) % HOURS
        for one in (self.nano, self.replica_ms, self.unpriced_ms, self.seen_ms):
            one[:, gone] = 0
        self.newest = number


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Hours:
    """Sums over subjects by hour, from the hour number `first` up to `until`; seen_ms: how long the loop watched."""

    first: int
    until: Instant
    nano: Whole
    replica_ms: Whole
    unpriced_ms: Whole
    seen_ms: Whole

    def spent(self, start: Instant, end: Instant) -> float:
        """Return nano-USD between two instants; of an hour that is not whole within them, its share of the time.

        Only months and days that begin within an hour, as in zones of half an hour, have such hours.
        """
        return float((self.nano * self._shares(start, end)).sum())

    def seen_s(self, start: Instant, end: Instant) -> float:
        """Return for how long the loop watched between two instants."""
        return float((self.seen_ms * self._shares(start, end)).sum()) / 1000.0

    def unpriced(self, start: Instant, end: Instant) -> float:
        """Return the share of the replica-hours between two instants that has no price, 0 without any."""
        shares = self._shares(start, end)
        every = float((self.replica_ms * shares).sum())
        return float((self.unpriced_ms * shares).sum()) / every if every > 0.0 else 0.0

    def _shares(self, start: Instant, end: Instant) -> NDArray[np.float64]:
        begins = (self.first + np.arange(len(self.nano))) * float(HOUR_S)
        ends = np.minimum(begins + HOUR_S, self.until)  # of the hour that is not over, all that there is
        within = np.minimum(ends, end) - np.maximum(begins, start)
        shares: NDArray[np.float64] = np.clip(within / np.maximum(ends - begins, 1.0), 0.0, 1.0)
        return shares
