"""Budgets: what will cost too much stops growing, and nothing that is needed now is cut (S5)."""

from __future__ import annotations

from aiops.core.guard.context import GuardContext, Wish
from aiops.core.model import Allowance, Clamp, Pass, Reason, Ruling


def ceiling(wish: Wish, ctx: GuardContext) -> Ruling | None:
    """Hold growth at the lowest ceiling that a budget sets now; never below reactive need and the floor in force."""
    if wish.delta <= 0 or not ctx.allowances:
        return None
    tight = [one for one in ctx.allowances if one.ceiling is not None]
    if not tight:
        return Pass(detail=f"{_told(ctx.allowances[0])}: no ceiling")
    lowest = min(tight, key=lambda one: (not one.binds, one.ceiling or 0, one.standing.budget))
    low, _, _ = ctx.policy.bounds.at(ctx.now)
    after = max(lowest.ceiling or 0, wish.firm(low))
    said = f"{_told(lowest)}: ceiling {lowest.ceiling}"
    if wish.after <= after:
        beyond = "" if wish.after <= (lowest.ceiling or 0) else f", and {wish.after} are needed now"
        return Pass(detail=f"{said}{beyond}")
    if not lowest.binds:
        return Pass(detail=f"{said}, which would hold it at {after} (the budget is in dry-run)")
    return Clamp(after=after, reason=Reason.COST_BUDGET, detail=said)


def _told(one: Allowance) -> str:
    """Return a budget and how it stands, as people read it."""
    stands = one.standing
    kind, _, name = stands.budget.partition("/")
    if stands.exhausted:
        return f"{kind} {name} {stands.spent:,.2f} spent of {stands.amount:,.2f} USD this {stands.period.value}"
    if stands.projected is None:
        return f"{kind} {name}: {stands.why or 'its projection is not known'}"
    share = "" if stands.ratio is None else f" ({stands.ratio:.0%})"
    return (
        f"{kind} {name} projects {stands.projected:,.2f} of {stands.amount:,.2f} USD this {stands.period.value}{share}"
    )
