"""Traffic that is gone because something above fails is no less demand: scale-in waits until it is back (keda#5166).

A drop counts together with callers that fail, or with siblings whose traffic dropped within the same minutes: a service
that people leave of their own will drops alone, and its callers are well.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from aiops.core.guard.context import GuardContext, Wish
from aiops.core.model import Instant, Pass, Reason, Ruling, TargetState, Wait
from aiops.core.model.swift import changed
from aiops.core.policies import Upstream

STEP_S = 60.0
"""Of each minute the highest value is remembered."""

AGREE_RATIO = 0.5
"""So many of the siblings that are known must have dropped, and one at least."""

_CLEAR = Pass(detail="nothing above seems to fail")

Traffic = Mapping[str, tuple[tuple[Instant, float], ...]]


def upstream(wish: Wish, ctx: GuardContext) -> Ruling | None:
    """Hold scale-in while traffic is missing that something above keeps back."""
    rule = ctx.policy.upstream
    if rule is None or wish.delta >= 0:
        return None
    state = noticed(ctx.state, ctx)
    if not math.isfinite(state.upstream_since):
        return _CLEAR
    detail = (
        f"{ctx.policy.objective.demand} dropped from {state.upstream_from:.4g} "
        f"{ctx.now - state.upstream_since:.0f} s ago while {state.upstream_why}: that is no less demand"
    )
    return Wait(reason=Reason.UPSTREAM_OUTAGE, detail=detail, until=state.upstream_since + rule.hold_s)


def noticed(state: TargetState, ctx: GuardContext) -> TargetState:
    """Return the state that knows of this instant's traffic, and of an outage above that began, goes on or is over."""
    rule = ctx.policy.upstream
    if rule is None:
        return state
    traffic = {
        name: _with(state.traffic.get(name, ()), ctx, name) for name in (ctx.policy.objective.demand, *rule.siblings)
    }
    state = changed(state, traffic=traffic)
    signal = ctx.signals.get(ctx.policy.objective.demand)
    if signal is None or not signal.usable:
        return state  # what is not seen is neither back nor gone (S1)
    if math.isfinite(state.upstream_since):
        back = signal.value > (1.0 - rule.drop_ratio) * state.upstream_from
        over = ctx.now - state.upstream_since >= rule.hold_s
        # what stays away for longer is how it is now: the high of before is forgotten with it
        forgotten = {name: history[-1:] for name, history in traffic.items()} if over and not back else traffic
        return _well(changed(state, traffic=forgotten)) if back or over else state
    high = _high(traffic[ctx.policy.objective.demand], rule, ctx.now)
    if not _dropped(signal.value, high, rule):
        return state
    why = _failing(rule, ctx) or _together(traffic, rule, ctx)
    return changed(state, upstream_since=ctx.now, upstream_from=high, upstream_why=why) if why else state


def _well(state: TargetState) -> TargetState:
    return changed(state, upstream_since=math.inf, upstream_from=0.0, upstream_why="")


def _failing(rule: Upstream, ctx: GuardContext) -> str:
    signal = ctx.signals.get(rule.errors) if rule.errors else None
    if signal is None or not signal.usable or signal.value <= rule.above:
        return ""
    return f"callers fail ({rule.errors} {signal.value:.4g})"


def _together(traffic: Traffic, rule: Upstream, ctx: GuardContext) -> str:
    known = [name for name in rule.siblings if (one := ctx.signals.get(name)) is not None and one.usable]
    dropped = [name for name in known if _dropped(ctx.signals[name].value, _high(traffic[name], rule, ctx.now), rule)]
    if not dropped or len(dropped) < AGREE_RATIO * len(known):
        return ""
    return f"{', '.join(dropped)} dropped, too"


def _dropped(value: float, high: float, rule: Upstream) -> bool:
    return high > 0.0 and value <= (1.0 - rule.drop_ratio) * high


def _high(history: tuple[tuple[Instant, float], ...], rule: Upstream, now: Instant) -> float:
    return max((value for at, value in history if now - at <= rule.within_s), default=math.nan)


def _with(
    history: tuple[tuple[Instant, float], ...], ctx: GuardContext, name: str
) -> tuple[tuple[Instant, float], ...]:
    rule, signal = ctx.policy.upstream, ctx.signals.get(name)
    kept_s = 0.0 if rule is None else rule.within_s + STEP_S
    kept = tuple(one for one in history if ctx.now - one[0] <= kept_s)
    if signal is None or not signal.usable:
        return kept
    if kept and ctx.now - kept[-1][0] < STEP_S:
        at, value = kept[-1]
        return (*kept[:-1], (at, max(value, signal.value)))
    return (*kept, (ctx.now, signal.value))
