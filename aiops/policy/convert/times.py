"""kube-downscaler's times: weekly spans in a time zone, absolute intervals, always and never.

Source: the README of kube-downscaler, "Uptime Spec". A weekly span whose end is before its beginning matches nothing
there; here it is refused, since nobody means that.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

from aiops.policy.schedule import known_zone

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
DAY_MINUTES, WEEK_MINUTES = 1440, 7 * 1440
_WEEKLY = re.compile(r"([A-Za-z]{3})(?:-([A-Za-z]{3}))?\s+(\d\d?):(\d\d)\s*-\s*(\d\d?):(\d\d)\s+([^\s,]+)")
_ABSOLUTE = re.compile(r"(\d{4}-\d\d-\d\dT\S+?)\s*-\s*(\d{4}-\d\d-\d\dT\S+)")
_ENDS = re.compile(r",\s*")

Minutes: TypeAlias = tuple[int, int]
"""From one minute of the week, since Monday 00:00, to another; the second may be in the week after."""


@dataclass(frozen=True, slots=True)
class Weekly:
    """The same minutes of each week in a time zone."""

    zone: str
    spans: tuple[Minutes, ...]


@dataclass(frozen=True, slots=True)
class Absolute:
    """From one time to another."""

    start: datetime
    end: datetime


Spec: TypeAlias = bool | tuple[Weekly | Absolute, ...]
"""True: always. False: never."""


def times(text: str) -> Spec:
    """Return what a time specification says; raise ValueError, in a sentence.

    >>> times("always"), times("Mon-Tue 08:00-09:00 UTC")
    (True, (Weekly(zone='UTC', spans=((480, 540), (1920, 1980))),))
    """
    word = text.strip().lower()
    if word in ("always", "true", "never", "false"):
        return word in ("always", "true")
    return tuple(_one(part.strip()) for part in _ENDS.split(text.strip()))


def _one(text: str) -> Weekly | Absolute:
    absolute = _ABSOLUTE.fullmatch(text)
    if absolute is not None:
        start, end = (_instant(one) for one in absolute.groups())
        if end <= start:
            raise ValueError(f"{text!r} ends before it begins")
        return Absolute(start, end)
    weekly = _WEEKLY.fullmatch(text)
    if weekly is None:
        raise ValueError(f"{text!r} is no time such as 'Mon-Fri 07:30-20:30 Europe/Berlin', always or never")
    first, last, *clock, zone = weekly.groups()
    begin, end_minute = _clock(clock[0], clock[1]), _clock(clock[2], clock[3])
    if end_minute <= begin:
        raise ValueError(f"{text!r} ends before it begins: write two, until 24:00 and from 00:00")
    known_zone(zone)
    return Weekly(
        zone, tuple((day * DAY_MINUTES + begin, day * DAY_MINUTES + end_minute) for day in _days(first, last))
    )


def _days(first: str, last: str | None) -> list[int]:
    found = []
    for one in (first, last or first):
        if one.lower() not in DAYS:
            raise ValueError(f"{one!r} is no day of the week such as Mon")
        found.append(DAYS.index(one.lower()))
    begin, end = found
    return sorted((begin + step) % 7 for step in range((end - begin) % 7 + 1))


def _clock(hours: str, minutes: str) -> int:
    found = int(hours) * 60 + int(minutes)
    if int(minutes) > 59 or found > DAY_MINUTES:
        raise ValueError(f"{hours}:{minutes} is no time of a day")
    return found


def _instant(text: str) -> datetime:
    try:
        found = datetime.fromisoformat(text)
    except ValueError as err:
        raise ValueError(f"{text!r} is no time such as 2026-12-24T00:00:00+01:00") from err
    if found.tzinfo is None:
        raise ValueError(f"{text!r} has no time zone: 2026-12-24T00:00:00+01:00")
    return found


def merged(spans: Iterable[Minutes]) -> list[Minutes]:
    """Return spans of a week that do not touch, in their order.

    >>> merged([(10, 20), (15, 30), (40, 50)])
    [(10, 30), (40, 50)]
    """
    found: list[Minutes] = []
    for start, end in sorted(spans):
        if found and start <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], end))
        else:
            found.append((start, end))
    return found


def outside(spans: Sequence[Minutes]) -> list[Minutes]:
    """Return the rest of the week, where the end of Sunday and the beginning of Monday are one.

    >>> outside([(480, 540)])
    [(540, 10560)]
    """
    inside = merged(spans)
    if not inside:
        return [(0, WEEK_MINUTES)]
    after = [*inside[1:], (inside[0][0] + WEEK_MINUTES, 0)]
    return [(end, following) for (_, end), (following, _) in zip(inside, after, strict=True) if following > end]


def cron_windows(spans: Sequence[Minutes]) -> list[tuple[str, int]]:
    """Return (cron, minutes) of spans of a week; days that have the same are one.

    >>> cron_windows([(480, 540), (1920, 1980)])
    [('0 8 * * 1,2', 60)]
    """
    days: dict[tuple[int, int], list[int]] = {}
    for start, end in spans:
        days.setdefault((start % DAY_MINUTES, end - start), []).append(start // DAY_MINUTES % 7)
    return [(f"{start % 60} {start // 60} * * {_weekdays(found)}", length) for (start, length), found in days.items()]


def _weekdays(days: Sequence[int]) -> str:
    if len(set(days)) == 7:
        return "*"
    return ",".join(map(str, sorted({(day + 1) % 7 for day in days})))
