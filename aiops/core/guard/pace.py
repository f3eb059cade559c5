"""How often: what is in flight, rollouts, cooldowns and the hour's budget; none blocks reactive need (S5)."""

from __future__ import annotations

from functools import lru_cache

from aiops.core.guard.context import GuardContext, Wish
from aiops.core.guard.people import only_firm
from aiops.core.model import Change, Pass, Reason, Ruling, SetFloor, Wait

HOUR_S = 3600.0

_NOTHING_IN_FLIGHT = Pass(detail="nothing in flight")
_COOL = Pass(detail="no cooldown")


def rollout(wish: Wish, ctx: GuardContext) -> Ruling | None:
    """Hold scale-in while a rollout is under way: what is ready is in motion."""
    if wish.delta >= 0 or ctx.workload is None or not ctx.workload.rollout:
        return None
    return Wait(reason=Reason.ROLLOUT, detail="a rollout is under way")


def in_flight(wish: Wish, ctx: GuardContext) -> Ruling | None:
    """Hold while it is not known whether the last write arrived; more reactive need goes on (S6)."""
    if wish.delta == 0:
        return None
    pending = ctx.state.pending
    if pending is None or pending.change.after == wish.before or _elsewhere(pending.change, wish.proposal.change):
        return _NOTHING_IN_FLIGHT
    low, _, _ = ctx.policy.bounds.at(ctx.now)
    if wish.delta > 0 and wish.firm(low) > pending.change.after:
        return _NOTHING_IN_FLIGHT
    detail = f"{pending.change.before} -> {pending.change.after} of action {pending.id} is not seen yet"
    return Wait(reason=Reason.IN_FLIGHT, detail=detail, until=pending.expires_at)


def _elsewhere(pending: Change, wished: Change) -> bool:
    """Return whether a write went to another autoscaler than the one that steers now: nothing is sent blindly again."""
    return isinstance(pending, SetFloor) and isinstance(wished, SetFloor) and pending.hpa != wished.hpa


def cooldown(wish: Wish, ctx: GuardContext) -> Ruling | None:
    """Keep a time between two changes in one direction; the time starts at the accepted write (S5)."""
    if wish.delta == 0:
        return None
    limits, state = ctx.policy.limits, ctx.state
    until = state.last_out_at + limits.cooldown_out_s if wish.delta > 0 else state.last_in_at + limits.cooldown_in_s
    if until <= ctx.now:
        return _COOL
    held = Wait(reason=Reason.COOLDOWN, detail=f"cooldown {until - ctx.now:.0f} s left", until=until)
    return only_firm(wish, ctx, held)


def budget(wish: Wish, ctx: GuardContext) -> Ruling | None:
    """Make at most so many changes in any hour (S5)."""
    if wish.delta == 0:
        return None
    recent = [event.at for event in ctx.state.events if event.at > ctx.now - HOUR_S]
    most = ctx.policy.limits.changes_per_hour
    if len(recent) < most:
        return _spent(len(recent), most)
    held = Wait(reason=Reason.BUDGET, detail=f"{len(recent)} of {most} changes this hour", until=recent[-most] + HOUR_S)
    return only_firm(wish, ctx, held)


@lru_cache(maxsize=1024)
def _spent(count: int, most: int) -> Pass:
    return Pass(detail=f"{count} of {most} changes this hour")
