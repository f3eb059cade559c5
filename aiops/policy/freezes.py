"""The change freezes of a policy, compiled: by schedule, between two instants, or on holidays (S9)."""

from __future__ import annotations

from aiops.core.decide.scaling.spec import CalendarSpec, FreezeSpec
from aiops.core.policies import CalendarFreeze
from aiops.core.protocols import Schedule
from aiops.policy import schedule
from aiops.policy.compile import Problems
from aiops.policy.document import Path


def calendar(spec: CalendarSpec | None, path: Path, problems: Problems) -> schedule.Calendar | None:
    """Return a calendar of days, None when there is none or problems were noted."""
    if spec is None:
        return None
    return problems.attempt(path, lambda: schedule.calendar(spec.country, spec.subdivision, spec.dates), "bad-calendar")


def freeze(number: int, spec: FreezeSpec, problems: Problems, field: str = "freezes") -> CalendarFreeze | None:
    """Return a compiled change freeze, None when problems were noted. number: its place in the field."""
    path: Path = ("spec", field, number)
    problems.attempt((*path, "timeZone"), lambda: schedule.known_zone(spec.time_zone), "bad-schedule")
    if problems.fatal:
        return None
    when: Schedule | None
    if spec.schedule is not None:
        text, duration_s = spec.schedule, spec.duration or 0.0
        when = problems.attempt(
            (*path, "schedule"), lambda: schedule.window(text, duration_s, spec.time_zone), "bad-schedule"
        )
    elif spec.from_ is not None and spec.to is not None:
        when = schedule.Span(spec.from_.timestamp(), spec.to.timestamp())
    else:
        days = calendar(spec.holidays, (*path, "holidays"), problems)
        when = None if days is None else schedule.Holidays(days, spec.time_zone)
    return None if when is None else CalendarFreeze(name=spec.name, schedule=when)
