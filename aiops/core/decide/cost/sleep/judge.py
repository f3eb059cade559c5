"""What a policy of sleep makes of one instant: who is put to rest, who is woken, in time to be ready."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime

from aiops.core.decide.cost.rest.telling import held, judgement
from aiops.core.decide.cost.rest.turns import Night, Wish, turned
from aiops.core.decide.cost.rest.whom import too_many, workloads_of
from aiops.core.model import Instant, Judgement, SleepState
from aiops.core.model.saved.sleep import Sleeper
from aiops.core.planning import Judged, Situation
from aiops.core.planning.cost_sleep import SleepPolicy

FIRST_AHEAD_S = 300.0
"""How long before the end of sleep a workload is woken whose start-up time nobody has seen yet."""

SPARE = 1.25
"""The longest of the last start-ups, and this much of it."""

MOST_AHEAD_S = 3_600.0


def judged(policy: SleepPolicy, situation: Situation, memory: SleepState) -> Judged[SleepState]:
    """Return the plans that let workloads rest, those that are taken back so that others wake, and what is said."""
    now = situation.now
    memory = replace(memory, since=min(memory.since, now))
    found = workloads_of(policy, situation)
    if isinstance(found, Judgement):
        return Judged(memory=memory, judgement=found)
    until = policy.hours.active_until(now)

    def wish_of(sleeper: Sleeper) -> Wish:
        return _wish(policy, sleeper, until, situation)

    night = Night(policy=policy, situation=situation, wish_of=wish_of, bound=too_many(policy, found))
    made = turned(night, found, memory.sleepers)
    said = _said(until)
    after = replace(memory, sleepers=made.sleepers, wanted=made.wanted)
    told = judgement(made, said) if night.bound is None else held(night.bound[0], night.bound[1], made)
    return Judged(memory=after, judgement=told, plans=tuple(made.plans), back=tuple(made.back))


def ahead_s(policy: SleepPolicy, sleeper: Sleeper, tick_s: float) -> float:
    """Return how long before the end of sleep a workload is woken: as long as it took to be ready, and some more."""
    if policy.ahead_s is not None:
        return policy.ahead_s
    if not sleeper.startups_s:
        return FIRST_AHEAD_S
    return min(MOST_AHEAD_S, SPARE * max(sleeper.startups_s) + tick_s)


def _wish(policy: SleepPolicy, sleeper: Sleeper, until: Instant | None, situation: Situation) -> Wish:
    if until is None:
        return Wish(asleep=False, why="it is time to be awake")
    wakes = until - ahead_s(policy, sleeper, situation.tick_s)
    if situation.now >= wakes:
        return Wish(asleep=False, why=f"awake in {until - situation.now:.0f} s, in time to be ready")
    return Wish(asleep=True, why="it is time to sleep", until=wakes)


def _said(until: Instant | None) -> str:
    if until is None:
        return "hours of work"
    if math.isinf(until):
        return "hours of sleep"
    return f"hours of sleep until {datetime.fromtimestamp(until, UTC):%a %H:%M} UTC"
