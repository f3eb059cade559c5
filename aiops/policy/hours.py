"""When workloads sleep: cron windows, or the hours outside of windows in which they are awake; whole days off."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from aiops.core.model import Instant
from aiops.core.protocols import Schedule
from aiops.policy.schedule import CronWindow, Span

MOST_LINKS = 400
"""Windows that follow one another without a gap; more than a year of days is for ever."""


@dataclass(frozen=True, slots=True)
class Asleep:
    """Hours of sleep: while any of `asleep` lasts; without any, while none of `awake` does. `off` are days of sleep.

    exceptions: spans in which nothing sleeps, whatever the rest says.
    """

    asleep: tuple[Schedule, ...] = ()
    awake: tuple[CronWindow, ...] = ()
    off: tuple[Schedule, ...] = ()
    exceptions: tuple[Span, ...] = ()

    @property
    def text(self) -> str:
        """Return what was written."""
        if self.awake:
            return f"awake {'; '.join(one.text for one in self.awake)}"
        return f"asleep {'; '.join(one.text for one in self.asleep)}"

    def active_until(self, at: Instant) -> Instant | None:
        """Return until when workloads sleep, None while they are awake; windows without a gap are one sleep."""
        until = self._link(at)
        if until is None:
            return None
        for _ in range(MOST_LINKS):
            if math.isinf(until):
                break
            further = self._link(until)
            if further is None or further <= until:
                break
            until = further
        return until

    def _link(self, at: Instant) -> Instant | None:
        """Return how long it is certain, from what holds at `at` alone, that workloads sleep."""
        if any(one.active_until(at) is not None for one in self.exceptions):
            return None
        ahead = min((one.start for one in self.exceptions if one.start > at), default=math.inf)
        until = _latest([*self.asleep, *self.off], at)
        if until is None and self.awake and all(one.active_until(at) is None for one in self.awake):
            until = min(one.next_start(at) for one in self.awake)
        return None if until is None else min(until, ahead)


def _latest(schedules: Sequence[Schedule], at: Instant) -> Instant | None:
    found = [until for one in schedules if (until := one.active_until(at)) is not None]
    return max(found, default=None)
