"""Limits of change with the semantics of autoscaling/v2 `behavior`: tolerance, stabilisation, rate, bounds (S5)."""

from __future__ import annotations

import math
from bisect import bisect_right
from operator import itemgetter
from typing import TypeAlias

from aiops.core.guard.context import GuardContext, Wish
from aiops.core.model import Clamp, Instant, Pass, Reason, Ruling, ScaleEvent
from aiops.core.model.swift import making
from aiops.core.policies import RatePolicy, RateUnit, ScalingRules, Select

_DISABLED, _MAX, _PODS = Select.DISABLED, Select.MAX, RateUnit.PODS  # by its class a member costs ten times a name
Wishes: TypeAlias = tuple[tuple[Instant, int], ...]
"""When which level was wished, oldest first."""

_BEYOND = Pass(detail="beyond tolerance")
_STABLE = Pass(detail="stable")
_SLOW_ENOUGH = Pass(detail="within the rate")
_IN_BOUNDS = Pass(detail="within bounds")
_NO_LIMIT = 2**31 - 1
_level = itemgetter(1)
_STABILISED = Reason.STABILISATION
_clamp = making(Clamp)

GAP_TICKS = 3
"""So many ticks that are missing are a gap, in which nobody looked."""

_UNDISRUPTED = Pass(detail="above the disruption budget")


def tolerance(wish: Wish, ctx: GuardContext) -> Ruling | None:
    """Stay where the wanted use differs from the present by no more than the direction's tolerance."""
    if wish.delta == 0:
        return None
    rules = ctx.policy.up if wish.delta > 0 else ctx.policy.down
    usage = wish.proposal.need.usage_ratio
    if usage is None or abs(1.0 - usage) > rules.tolerance_ratio or wish.proposal.need.overloaded:
        return _BEYOND
    if wish.before < ctx.policy.bounds.at(ctx.now)[0]:
        return _BEYOND
    detail = f"{usage:.0%} of what runs is within {rules.tolerance_ratio:.0%}"
    return Clamp(after=wish.before, reason=Reason.TOLERANCE, detail=detail)


def stabilisation(wish: Wish, ctx: GuardContext) -> Ruling | None:
    """Go out to the least, and in to the most, that was wished within the direction's window."""
    if wish.delta == 0:
        return None
    wishes = _wishes(wish, ctx)
    if wish.delta > 0:
        bound, window_s = "least", ctx.policy.up.window_s(wish.delta, _step(wish, ctx))
        after = max(wish.before, min(_within(wish, wishes, ctx.now - window_s)))
    else:
        bound, rules = "most", ctx.policy.down
        window_s = rules.stabilisation_s
        after = min(wish.before, max(_within(wish, wishes, ctx.now - window_s)))
        if 0 < wish.before - after <= _step(wish, ctx) and rules.longest_s > window_s:  # a step's is longer
            window_s = rules.longest_s
            after = min(wish.before, max(_within(wish, wishes, ctx.now - window_s)))
    if after == wish.after:
        return _STABLE
    detail = f"{after} is the {bound} wished within {window_s:.0f} s"
    return _clamp(after=after, reason=_STABILISED, detail=detail)


def _step(wish: Wish, ctx: GuardContext) -> int:
    """Return how many replicas are one step: what a forecast asks for is in steps, what is needed now is not."""
    return 1 if wish.proposal.need.forecast is None else ctx.policy.step(wish.before)


def _within(wish: Wish, wishes: Wishes, since: Instant) -> list[int]:
    """Return the levels that were wished since, this one among them."""
    return [wish.after, *map(_level, wished_after(wishes, since))]


def wished_after(wishes: Wishes, at: Instant) -> Wishes:
    """Return the wishes after an instant; they are in order, so what is too old stands at the beginning."""
    return wishes[bisect_right(wishes, (at, math.inf)) :]


def _wishes(wish: Wish, ctx: GuardContext) -> Wishes:
    """Return the wishes that are remembered; the present level of a loop that begins, or that stood for a window.

    So no restart, no process that was stopped and no clock that was stepped forward drops replicas.
    """
    return ((ctx.now, wish.before),) if stood(ctx) else ctx.state.recommendations


def stood(ctx: GuardContext) -> bool:
    """Return whether nobody looked for an ordinary window, or ever; the longer one of a single step hides no gap."""
    known = ctx.state.recommendations
    unseen_s = max(ctx.policy.up.stabilisation_s, ctx.policy.down.stabilisation_s, GAP_TICKS * ctx.tick_s)
    return not known or known[-1][0] <= ctx.now - unseen_s


def rate(wish: Wish, ctx: GuardContext) -> Ruling | None:
    """Change no faster than the direction's rate policies allow, counted from the level at the period's start."""
    if wish.delta == 0:
        return None
    out = wish.delta > 0
    rules = ctx.policy.up if out else ctx.policy.down
    allowed = rate_limit(rules, wish.before, ctx.state.events, ctx.now, out=out)
    if (wish.after <= allowed) if out else (wish.after >= allowed):
        return _SLOW_ENOUGH
    return Clamp(after=allowed, reason=Reason.RATE, detail=f"{_named(rules, out)} allows {allowed}")


def rate_limit(rules: ScalingRules, level: int, events: tuple[ScaleEvent, ...], now: Instant, *, out: bool) -> int:
    """Return the level to which the rate policies allow to go; never the other way than `out` says."""
    if rules.select is _DISABLED:
        return level
    if not rules.rates:
        return _NO_LIMIT if out else 0
    proposed = [_proposed(one, level, events, now, out=out) for one in rules.rates]
    widest = max(proposed) if out else min(proposed)
    narrowest = min(proposed) if out else max(proposed)
    limit = widest if rules.select is _MAX else narrowest
    return max(level, limit) if out else max(0, min(level, limit))


def disruption(wish: Wish, ctx: GuardContext) -> Ruling | None:
    """Take a disruption budget's integer `minAvailable` as a floor for scale-in (S5)."""
    if wish.delta >= 0 or ctx.workload is None:
        return None
    floor = ctx.workload.pdb_min_available
    if floor is None or wish.after >= floor:
        return _UNDISRUPTED
    detail = f"a PodDisruptionBudget wants {floor} available"
    return Clamp(after=min(floor, wish.before), reason=Reason.DISRUPTION_BUDGET, detail=detail)


def bounds(wish: Wish, ctx: GuardContext) -> Ruling | None:
    """Keep within the policy's bounds now. A ceiling stops growth; it never cuts what is needed (S5)."""
    low, high, window = ctx.policy.bounds.at(ctx.now)
    hpa = ctx.hpa
    if hpa is not None:
        high = min(high, hpa.max_replicas)
        low = min(low, high)
    after = max(wish.after, low)
    after = max(high, min(wish.before, after)) if after > high else after
    if after == wish.after:
        return None if wish.delta == 0 else _IN_BOUNDS
    named = f" (window {window})" if window else ""
    return Clamp(after=after, reason=Reason.BOUNDS, detail=f"bounds {low} to {high}{named}")


def _proposed(one: RatePolicy, level: int, events: tuple[ScaleEvent, ...], now: Instant, *, out: bool) -> int:
    since = now - one.period_s
    start = level - sum([event.delta for event in events if event.at > since]) if events else level
    if one.unit is _PODS:
        return start + one.value if out else start - one.value
    # rounded so that a small fleet can move at all: up when growing, down when shrinking
    grown = start * (1.0 + one.value / 100.0 if out else 1.0 - one.value / 100.0)
    return math.ceil(grown - 1e-9) if out else math.floor(grown + 1e-9)


def _named(rules: ScalingRules, out: bool) -> str:
    if rules.select is Select.DISABLED:
        return "a disabled direction"
    sign = "+" if out else "-"
    units = {RateUnit.PODS: " pods", RateUnit.PERCENT: " %"}
    each = [f"{sign}{one.value}{units[one.unit]} in {one.period_s:.0f} s" for one in rules.rates]
    return "at most " + " or ".join(each)
