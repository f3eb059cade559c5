"""The policy's own conditions. One that cannot be told holds scale-in (S2)."""

from __future__ import annotations

from aiops.core.guard.context import GuardContext, Wish
from aiops.core.model import Clamp, Direction, Pass, Reason, Ruling, Wait
from aiops.core.policies import Guardrail, Then
from aiops.core.protocols import ConditionError, Env

_CLEAR = Pass(detail="no guardrail binds")


def guardrails(wish: Wish, ctx: GuardContext) -> Ruling | None:
    """Return the first guardrail that binds this change."""
    if not ctx.policy.guardrails or wish.delta == 0:
        return None
    low, high, _ = ctx.policy.bounds.at(ctx.now)
    limits = {"replicas.wanted": float(wish.after), "replicas.min": float(low), "replicas.max": float(high)}
    env = {**ctx.env, **limits}
    for rail in ctx.policy.guardrails:
        ruling = _ruling(rail, env, wish)
        if ruling is not None:
            return ruling
    return _CLEAR


def _ruling(rail: Guardrail, env: Env, wish: Wish) -> Ruling | None:
    try:
        holds = rail.when.holds(env)
    except ConditionError as err:
        if wish.delta > 0:
            return None
        detail = f"{rail.when.text} cannot be told ({err}), so scale-in is held"
        return Wait(reason=Reason.GUARDRAIL_UNDECIDED, detail=detail)
    if not holds:
        return None
    if rail.then is Then.CAP:
        return _capped(rail, wish)
    binds = rail.direction is Direction.ALL or (wish.delta < 0) == (rail.direction is Direction.IN)
    return Wait(reason=Reason.GUARDRAIL, detail=f"{rail.when.text}: {rail.then.value}") if binds else None


def _capped(rail: Guardrail, wish: Wish) -> Ruling | None:
    """Stop growth above a cap, and never cut what runs (S5)."""
    cap = max(rail.max_replicas or 0, wish.before)
    if wish.after <= cap:
        return None
    return Clamp(after=cap, reason=Reason.GUARDRAIL, detail=f"{rail.when.text}: cap at {rail.max_replicas}")
