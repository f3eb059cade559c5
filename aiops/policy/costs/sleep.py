"""`sleep` of a CostPolicy, compiled."""

from __future__ import annotations

from dataclasses import replace

from aiops.core.decide.cost.sleep.spec import HoursSpec, SleepSpec
from aiops.core.planning.cost_sleep import SleepPolicy, wanted_of
from aiops.policy import freezes, schedule
from aiops.policy.costs import Asked, made
from aiops.policy.costs.rested import rested
from aiops.policy.document import Path
from aiops.policy.hours import Asleep


def compiled(asked: Asked) -> SleepPolicy | None:
    """Return the compiled policy, None when problems with errors were noted."""
    spec = asked.spec.sleep
    if spec is None:
        return None
    shared = rested(asked, spec, "sleep")
    hours = _hours(asked, spec)
    ahead = None if spec.wake_ahead == "auto" else float(spec.wake_ahead)
    if hours is None:
        return None
    policy = made(SleepPolicy, asked, hours=hours, ahead_s=ahead, **shared)
    return None if policy is None else replace(policy, wanted=wanted_of(policy))


def _hours(asked: Asked, spec: SleepSpec) -> Asleep | None:
    problems, at = asked.problems, ("spec", "sleep")
    days = freezes.calendar(spec.holidays, (*at, "holidays"), problems)
    field, written = ("windows", spec.windows) if spec.windows is not None else ("awake", spec.awake)
    found = []
    for number, one in enumerate(written or ()):
        found.append(_window((*at, field, number), one, days if field == "awake" else None, asked))
    windows = tuple(one for one in found if one is not None)
    if problems.fatal or not windows:
        return None
    off = () if days is None or field == "awake" else (schedule.Holidays(days, windows[0].zone),)
    return Asleep(
        asleep=windows if field == "windows" else (),
        awake=windows if field == "awake" else (),
        off=off,
        exceptions=tuple(schedule.Span(one.from_.timestamp(), one.to.timestamp()) for one in spec.exceptions),
    )


def _window(path: Path, spec: HoursSpec, days: schedule.Calendar | None, asked: Asked) -> schedule.CronWindow | None:
    problems = asked.problems
    if problems.attempt((*path, "timeZone"), lambda: schedule.known_zone(spec.time_zone), "bad-schedule") is None:
        return None
    return problems.attempt(
        (*path, "schedule"),
        lambda: schedule.window(spec.schedule, spec.duration, spec.time_zone, days),
        "bad-schedule",
    )
