"""Calendar months and days of a time zone, as instants."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from aiops.core.model import BudgetPeriod, Instant

SATURDAY = 5


@lru_cache(maxsize=64)
def zone(name: str) -> ZoneInfo:
    """Return a time zone by its IANA name."""
    return ZoneInfo(name)


def day_of(at: Instant, name: str) -> date:
    """Return the day of an instant in a time zone."""
    return datetime.fromtimestamp(at, UTC).astimezone(zone(name)).date()


def midnight(day: date, name: str) -> Instant:
    """Return when a day begins in a time zone; where midnight is skipped by summer time, the moment right after it."""
    return datetime(day.year, day.month, day.day, tzinfo=zone(name)).timestamp()


def period_of(at: Instant, period: BudgetPeriod, name: str) -> tuple[Instant, Instant]:
    """Return the beginning and the end of the period of an instant.

    >>> start, end = period_of(1_774_900_000.0, BudgetPeriod.MONTH, "Europe/Berlin")  # the March in which clocks change
    >>> (end - start) / 3600.0
    743.0
    """
    today = day_of(at, name)
    if period is BudgetPeriod.DAY:
        return midnight(today, name), midnight(today + timedelta(days=1), name)
    first = today.replace(day=1)
    following = (first + timedelta(days=32)).replace(day=1)
    return midnight(first, name), midnight(following, name)


def days_between(start: date, end: date) -> Iterator[date]:
    """Yield the days from `start` up to, and without, `end`."""
    while start < end:
        yield start
        start += timedelta(days=1)


def weekend(day: date) -> bool:
    """Return whether a day is a Saturday or a Sunday."""
    return day.weekday() >= SATURDAY
