"""Recurring windows: a cron schedule in a time zone, and how long each lasts."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from aiops.core.model import Instant

_FAR_S = 400 * 86_400.0


@dataclass(frozen=True, slots=True)
class CronWindow:
    """A window that begins by cron and lasts `duration_s`. `_known` caches the answer for a stretch of time."""

    text: str
    duration_s: float
    zone: str
    _known: list[tuple[Instant, Instant, Instant | None]] = field(default_factory=list, compare=False, repr=False)

    def active_until(self, at: Instant) -> Instant | None:
        """Return when the window that is active at `at` ends, or None when none is."""
        if self._known:
            start, end, answer = self._known[0]
            if start <= at < end:
                return answer
        self._known[:] = [self._stretch(at)]
        return self._known[0][2]

    def _stretch(self, at: Instant) -> tuple[Instant, Instant, Instant | None]:
        """Return from when to when the answer stays, and the answer."""
        from cronsim import CronSim

        zone = ZoneInfo(self.zone)
        now = datetime.fromtimestamp(at, UTC).astimezone(zone)
        starts = CronSim(self.text, (now - timedelta(seconds=self.duration_s)).replace(second=0, microsecond=0))
        until: Instant | None = None
        for start in starts:
            begins = start.timestamp()
            if begins > at:
                return at, begins if until is None else min(until, begins), until
            if begins + self.duration_s > at:
                until = begins + self.duration_s
            if begins > at + _FAR_S:
                break
        return at, at + _FAR_S if until is None else until, until


def window(schedule: str, duration_s: float, zone: str) -> CronWindow:
    """Return the window; raise ValueError when the schedule or the zone is not understood."""
    from cronsim import CronSim, CronSimError

    try:
        ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError) as err:
        raise ValueError(f"unknown time zone {zone!r}") from err
    try:
        CronSim(schedule, datetime(2026, 1, 1, tzinfo=UTC))
    except CronSimError as err:
        raise ValueError(f"{schedule!r} is no cron schedule: {err}") from err
    if not math.isfinite(duration_s):
        raise ValueError("the duration must be finite")
    return CronWindow(schedule, duration_s, zone)
