"""When something is in force: cron schedules in a time zone, stretches of time, and holidays."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from aiops.core.model import Instant
from aiops.core.protocols import Day

_FAR_S = 400 * 86_400.0
_MOST_DAYS = 400


@dataclass(frozen=True, slots=True)
class Calendar:
    """The public holidays of a country or a part of it, and days of one's own."""

    country: str = ""
    subdivision: str = ""
    days: frozenset[date] = frozenset()

    def has(self, day: date) -> bool:
        """Return whether a day is a holiday."""
        return day in self.days or (bool(self.country) and day in _public(self.country, self.subdivision))


@dataclass(frozen=True, slots=True)
class CronWindow:
    """A window that begins by cron and lasts `duration_s` of elapsed time.

    calendar: beginnings on its holidays are skipped, or with `only` all others. An hour that summer time skips counts
    as the moment right after it. `_known` caches the answer for a stretch of time.
    """

    text: str
    duration_s: float
    zone: str
    calendar: Calendar | None = None
    only: bool = False
    _known: list[tuple[Instant, Instant, Instant | None]] = field(default_factory=list, compare=False, repr=False)

    def active_until(self, at: Instant) -> Instant | None:
        """Return when the window that is active at `at` ends, or None when none is."""
        if self._known:
            start, end, answer = self._known[0]
            if start <= at < end:
                return answer
        self._known[:] = [self._stretch(at)]
        return self._known[0][2]

    def next_start(self, at: Instant) -> Instant:
        """Return when it begins next after `at`; infinite when it never does within a year."""
        return next((begins for begins in self._starts(at, 0.0) if begins > at), math.inf)

    def _starts(self, at: Instant, back_s: float) -> Iterator[Instant]:
        """Yield its beginnings from `back_s` before `at` on, as far as they matter."""
        from cronsim import CronSim

        # elapsed time is taken off before the zone is asked: where the clock is set, hours of the wall are not it
        begun = datetime.fromtimestamp(at - back_s, UTC).astimezone(ZoneInfo(self.zone))
        for start in CronSim(self.text, begun.replace(second=0, microsecond=0)):
            begins = start.timestamp()
            if begins > at + _FAR_S:
                return
            if self.calendar is None or self.calendar.has(start.date()) is self.only:
                yield begins

    def _stretch(self, at: Instant) -> tuple[Instant, Instant, Instant | None]:
        """Return from when to when the answer stays, and the answer."""
        until: Instant | None = None
        for begins in self._starts(at, self.duration_s):
            if begins > at:
                return at, begins if until is None else min(until, begins), until
            if begins + self.duration_s > at:
                until = begins + self.duration_s
        return at, at + _FAR_S if until is None else until, until


@dataclass(frozen=True, slots=True)
class Span:
    """From one instant to another."""

    start: Instant
    end: Instant

    @property
    def text(self) -> str:
        """Return the span as text."""
        first, last = (datetime.fromtimestamp(one, UTC).isoformat() for one in (self.start, self.end))
        return f"{first} to {last}"

    def active_until(self, at: Instant) -> Instant | None:
        """Return its end while it lasts."""
        return self.end if self.start <= at < self.end else None


@dataclass(frozen=True, slots=True)
class Holidays:
    """Whole days of a calendar, from midnight to midnight in a time zone."""

    calendar: Calendar
    zone: str

    @property
    def text(self) -> str:
        """Return what it is."""
        parts = (self.calendar.country, self.calendar.subdivision)
        return f"holidays of {' '.join(part for part in parts if part) or 'its own'}"

    def active_until(self, at: Instant) -> Instant | None:
        """Return the midnight after the last of the holidays that follow each other, None on a working day."""
        zone = ZoneInfo(self.zone)
        day = first = datetime.fromtimestamp(at, UTC).astimezone(zone).date()
        while self.calendar.has(day) and (day - first).days < _MOST_DAYS:
            day += timedelta(days=1)
        return None if day == first else datetime(day.year, day.month, day.day, tzinfo=zone).timestamp()


@dataclass(frozen=True, slots=True)
class Days:
    """Every day in a time zone, and which of them are holidays."""

    calendar: Calendar
    zone: str

    @property
    def text(self) -> str:
        """Return what it is."""
        return f"days in {self.zone}, {Holidays(self.calendar, self.zone).text}"

    def day(self, at: Instant) -> Day:
        """Return the day in which an instant lies; one on which the clock is set is shorter or longer."""
        zone = ZoneInfo(self.zone)
        today = datetime.fromtimestamp(at, UTC).astimezone(zone).date()
        start, end = (
            datetime(day.year, day.month, day.day, tzinfo=zone).timestamp()
            for day in (today, today + timedelta(days=1))
        )
        return Day(start=start, end=end, weekday=today.weekday(), holiday=self.calendar.has(today))


def window(
    schedule: str, duration_s: float, zone: str, calendar: Calendar | None = None, *, only: bool = False
) -> CronWindow:
    """Return the window; raise ValueError when the schedule or the zone is not understood."""
    from cronsim import CronSim, CronSimError

    known_zone(zone)
    try:
        CronSim(schedule, datetime(2026, 1, 1, tzinfo=UTC))
    except CronSimError as err:
        raise ValueError(f"{schedule!r} is no cron schedule: {err}") from err
    if not math.isfinite(duration_s):
        raise ValueError("the duration must be finite")
    return CronWindow(schedule, duration_s, zone, calendar, only)


def known_zone(zone: str) -> str:
    """Return the name of a time zone; raise ValueError when there is none of that name."""
    try:
        ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError) as err:
        raise ValueError(f"unknown time zone {zone!r}") from err
    return zone


def calendar(country: str, subdivision: str, days: Sequence[date]) -> Calendar:
    """Return the calendar; raise ValueError when the country or its part is not known."""
    if country:
        _public(country, subdivision)
    elif subdivision:
        raise ValueError("a subdivision belongs to a country")
    elif not days:
        raise ValueError("a calendar names a country, or dates of its own")
    return Calendar(country, subdivision, frozenset(days))


@lru_cache(maxsize=64)
def _public(country: str, subdivision: str) -> Any:
    """Return the holidays of a country, which are made year by year as they are asked for."""
    import holidays

    try:
        return holidays.country_holidays(country, subdiv=subdivision or None)
    except NotImplementedError as err:
        known = sorted(holidays.list_supported_countries())
        if country not in known:
            raise ValueError(f"no holidays are known of {country!r}; countries are ISO codes such as DE or US") from err
        parts = ", ".join(holidays.list_supported_countries()[country][:20])
        raise ValueError(f"{country} has no part {subdivision!r}; it has {parts or 'none'}") from err
