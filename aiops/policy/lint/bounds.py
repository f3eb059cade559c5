"""Rules over bounds, windows, units: numbers that cannot be meant."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise, tee
from zoneinfo import ZoneInfo

from aiops.core.policies import ScalingPolicy, Then
from aiops.policy.lint.rule import Remark, Terms
from aiops.policy.schedule import CronWindow

LONG_S = 60.0
_FROM = datetime(2027, 1, 1, tzinfo=UTC)
_SPAN = timedelta(days=366)
_MOST_STARTS = 60_000


def nothing_to_scale(policy: ScalingPolicy, terms: Terms) -> Iterator[Remark]:
    """Find bounds that leave no choice."""
    bounds = policy.bounds
    if bounds.min_replicas == bounds.max_replicas and not bounds.windows:
        message = f"minReplicas and maxReplicas are both {bounds.min_replicas}: there is nothing to decide"
        yield Remark(path=("spec", "bounds"), message=message, hint="mode: observe, or a wider range")


def window_above_max(policy: ScalingPolicy, terms: Terms) -> Iterator[Remark]:
    """Find windows whose floor lifts the ceiling of the whole policy."""
    for number, one in enumerate(policy.bounds.windows):
        most = policy.bounds.max_replicas if one.max_replicas is None else one.max_replicas
        if one.min_replicas is not None and one.min_replicas > most:
            message = f"a floor of {one.min_replicas} is above the ceiling of {most}, which then does not count"
            yield Remark(path=("spec", "bounds", "windows", number, "minReplicas"), message=message, hint="raise both")


def window_never(policy: ScalingPolicy, terms: Terms) -> Iterator[Remark]:
    """Find windows that never begin, such as one on each Christmas that skips holidays."""
    for number, one in enumerate(policy.bounds.windows):
        if isinstance(one.schedule, CronWindow) and _never(one.schedule):
            why = " on the days that holidays leave" if one.schedule.calendar is not None else ""
            message = f"{one.schedule.text!r} never comes{why}"
            yield Remark(path=("spec", "bounds", "windows", number, "schedule"), message=message)


def window_always(policy: ScalingPolicy, terms: Terms) -> Iterator[Remark]:
    """Find windows that end after the next one has begun, all year round: they are no windows."""
    for number, one in enumerate(policy.bounds.windows):
        if not isinstance(one.schedule, CronWindow):
            continue
        starts, again = tee(_starts(one.schedule))
        gaps_s = ((after - before).total_seconds() for before, after in pairwise(starts))
        # looked at one by one: the first gap that is long enough ends the search
        if all(gap_s <= one.schedule.duration_s for gap_s in gaps_s) and len(tuple(islice(again, 2))) == 2:
            message = "the next window begins before this one ends, always: these bounds hold all the time"
            hint = "write them as the policy's own bounds, or a shorter duration"
            yield Remark(path=("spec", "bounds", "windows", number, "duration"), message=message, hint=hint)


def _never(window: CronWindow) -> bool:
    calendar = window.calendar
    if calendar is None or calendar.country or not window.only:
        return next(_starts(window), None) is None
    days = (datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(window.zone)) for day in calendar.days)
    return not any(start.date() == day.date() for day in days for start in _from(window, day - timedelta(minutes=1), 1))


def _starts(window: CronWindow) -> Iterator[datetime]:
    """Yield the starts of a year, holidays taken into account, or the first one of five years."""
    until = _FROM + 5 * _SPAN
    for start in _from(window, _FROM.astimezone(ZoneInfo(window.zone)), _MOST_STARTS):
        if start > until:
            return
        if window.calendar is None or window.calendar.has(start.date()) is window.only:
            until = _FROM + _SPAN
            yield start.astimezone(UTC)


def _from(window: CronWindow, since: datetime, most: int) -> Iterator[datetime]:
    from cronsim import CronSim

    return islice(CronSim(window.text, since), most)


def fallback_outside(policy: ScalingPolicy, terms: Terms) -> Iterator[Remark]:
    """Find fallbacks that the bounds undo."""
    bounds, fallback = policy.bounds, policy.fallback
    if fallback is None:
        return
    path = ("spec", "fallback", "replicas")
    if fallback.replicas > bounds.max_replicas:
        yield Remark(path=path, message=f"{fallback.replicas} is above maxReplicas {bounds.max_replicas}")
    elif fallback.replicas <= bounds.min_replicas:
        message = f"{fallback.replicas} is not above minReplicas {bounds.min_replicas}: a fallback never lowers"
        yield Remark(path=path, message=message, hint="what a busy hour needs")


def cap_outside(policy: ScalingPolicy, terms: Terms) -> Iterator[Remark]:
    """Find caps that bind nothing, or everything."""
    bounds = policy.bounds
    for number, one in enumerate(policy.guardrails):
        if one.then is not Then.CAP or one.max_replicas is None:
            continue
        path = ("spec", "guardrails", number, "maxReplicas")
        if one.max_replicas >= bounds.max_replicas:
            message = f"a cap of {one.max_replicas} binds nothing: maxReplicas is {bounds.max_replicas}"
            yield Remark(path=path, message=message)
        elif one.max_replicas < bounds.min_replicas:
            yield Remark(path=path, message=f"a cap of {one.max_replicas} is below minReplicas {bounds.min_replicas}")


def odd_unit(policy: ScalingPolicy, terms: Terms) -> Iterator[Remark]:
    """Find promises whose number does not fit to the unit of their signal, and sums of what is not of one unit."""
    slo, refused = policy.objective.slo, policy.objective.refused
    if refused is not None:
        yield from _summed(policy, refused)
    if slo is None:
        return
    unit = policy.signals[slo.signal].unit.strip().lower()
    path, level = ("spec", "objective", "slo", "atMost"), slo.at_most
    if unit in ("s", "sec", "seconds") and level > LONG_S:
        message = f"{level:g} s is long for {slo.signal}: are these milliseconds?"
        yield Remark(path=path, message=message, hint=f"{level:g}ms, or {level / 1000:g}")
    elif unit in ("ms", "milliseconds") and level < 1:
        message = f"{slo.signal} counts milliseconds, and this is {level:g} of one: durations are read as seconds"
        yield Remark(path=path, message=message, hint=f"{level * 1000:g}, or a query that answers seconds")
    elif unit in ("1", "ratio") and level > 1:
        yield Remark(path=path, message=f"{slo.signal} is a ratio, and {level:g} is above 1", hint=f"{level:g}%")


def _summed(policy: ScalingPolicy, refused: str) -> Iterator[Remark]:
    demand = policy.objective.demand
    units = [policy.signals[name].unit.strip() for name in (demand, refused)]
    if all(units) and len(set(units)) > 1:
        message = f"{refused} in {units[1]} is added to {demand} in {units[0]}: what is refused was asked for, too"
        yield Remark(
            path=("spec", "signals", refused, "unit"), message=message, hint=f"a query that answers {units[0]}"
        )
