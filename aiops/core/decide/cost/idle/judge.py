"""What a policy of idleness makes of one instant: rest on evidence, wake at the first sign of demand (S2)."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

from aiops.core.decide.cost.rest.telling import held, judgement
from aiops.core.decide.cost.rest.turns import Night, Often, Wish, turned
from aiops.core.decide.cost.rest.whom import too_many, workloads_of
from aiops.core.model import IdleState, Instant, Judgement, Reason
from aiops.core.model.saved.sleep import Sleeper
from aiops.core.planning import Judged, Situation
from aiops.core.planning.cost_sleep import IdlePolicy

DAY_S = 86_400.0

GAP_S, GAP_TICKS = 120.0, 4.0
"""Longer than that without a look, and nobody knows whether it was idle meanwhile: its time begins anew."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Signs:
    """What the signals say together. demand: the signs that say demand. blind: those that say nothing."""

    idle: bool
    demand: tuple[str, ...]
    blind: tuple[str, ...]
    lines: tuple[str, ...]


def judged(policy: IdlePolicy, situation: Situation, memory: IdleState) -> Judged[IdleState]:
    """Return the plans that let workloads rest, those that are taken back so that others wake, and what is said."""
    now = situation.now
    signs = read(policy, situation)
    if now - memory.seen_at > max(GAP_S, GAP_TICKS * situation.tick_s):
        memory = replace(memory, idle_since=math.inf)
    memory = remembered(policy, replace(memory, since=min(memory.since, now), seen_at=now), signs, now)
    found = workloads_of(policy, situation)
    if isinstance(found, Judgement):
        return Judged(memory=memory, judgement=found)
    rests, why = memory.resting, said(policy, memory, signs, now)

    def wish_of(sleeper: Sleeper) -> Wish:
        del sleeper
        return Wish(asleep=rests, why=why)

    bound = too_many(policy, found)
    night = Night(policy=policy, situation=situation, wish_of=wish_of, bound=bound, often=_often(policy, now))
    made = turned(night, found, memory.sleepers)
    made.evidence[:0] = signs.lines
    after = replace(memory, sleepers=made.sleepers, wanted=made.wanted)
    told = judgement(made, why) if bound is None else held(bound[0], bound[1], made)
    return Judged(memory=after, judgement=told, plans=tuple(made.plans), back=tuple(made.back))


def _often(policy: IdlePolicy, now: Instant) -> Often:
    def often(sleeper: Sleeper) -> tuple[Reason, str] | None:
        naps = [one for one in sleeper.naps if one > now - DAY_S]
        if len(naps) < policy.naps_a_day:
            return None
        return Reason.BUDGET, f"it rested {len(naps)} times within a day, of {policy.naps_a_day} that it may"

    return often


# -- what the signals say ------------------------------------------------------------------------------


def read(policy: IdlePolicy, situation: Situation) -> Signs:
    """Return what all signs say; a signal that is not a value says nothing, and that is not idle (S1)."""
    demand, blind, lines, idle = [], [], [], True
    for sign in policy.signs:
        signal = situation.signals.get(sign.signal)
        if signal is None or not signal.usable:
            why = "not asked" if signal is None else signal.detail or signal.state.value
            blind.append(f"{sign.signal} ({why})")
            lines.append(f"{sign.signal} is not known: {why}")
            idle = False
            continue
        word = "idle" if signal.value < sign.below else "demand" if signal.value > sign.above else "between"
        lines.append(f"{sign.signal} is {signal.value:.4g}, {word} (idle below {sign.below:g})")
        idle = idle and word == "idle"
        if word == "demand" or (sign.above <= sign.below and word != "idle"):
            demand.append(f"{sign.signal} is {signal.value:.4g}")
    return Signs(idle=idle, demand=tuple(demand), blind=tuple(blind), lines=tuple(lines))


def remembered(policy: IdlePolicy, memory: IdleState, signs: Signs, now: Instant) -> IdleState:
    """Return since when it is idle, since when that is not known, and whether workloads should rest."""
    idle_since = min(memory.idle_since, now) if signs.idle else math.inf
    blind_since = min(memory.blind_since, now) if signs.blind else math.inf
    rests = memory.resting
    if signs.demand or now - blind_since >= policy.blind_s:
        rests = False
    elif signs.idle and now - idle_since >= policy.for_s:
        rests = True
    return replace(memory, idle_since=idle_since, blind_since=blind_since, resting=rests)


def said(policy: IdlePolicy, memory: IdleState, signs: Signs, now: Instant) -> str:
    """Return why workloads should rest, or why not."""
    return next(_reasons(policy, memory, signs, now))


def _reasons(policy: IdlePolicy, memory: IdleState, signs: Signs, now: Instant) -> Iterator[str]:
    if signs.demand:
        yield f"in demand: {', '.join(signs.demand)}"
    if memory.resting:
        yield "idle" if not math.isfinite(memory.idle_since) else f"idle for {now - memory.idle_since:.0f} s"
    if signs.blind:
        yield f"awake: whether it is idle is not known: {', '.join(signs.blind)}"
    if math.isfinite(memory.idle_since):
        yield f"idle for {now - memory.idle_since:.0f} of {policy.for_s:.0f} s"
    yield "neither idle nor in demand"
