"""A ScalingPolicy beside plans at work on its target: safety before the SLO, one actor for each field (S4, S5)."""

from __future__ import annotations

from aiops.core.guard.context import GuardContext, Wish
from aiops.core.model import Reason, Ruling, Wait
from aiops.core.planning.arbiter import Part, beside


def arbiter(wish: Wish, ctx: GuardContext) -> Ruling | None:
    """Hold while a plan is changing the replicas at this moment; take nothing away while one is at work on the target.

    A resize and a scale-in would each rest on what the other changes. More replicas are always given beside a plan
    that changes something else: the SLO goes before cost.
    """
    if wish.delta == 0 or not ctx.plans:
        return None
    for one in beside(ctx.policy.target, ctx.plans):
        what = f"plan {one.plan.id} ({one.plan.kind.value} of {one.plan.policy})"
        if one.part is Part.REPLICAS and one.now:
            return Wait(reason=Reason.IN_FLIGHT, detail=f"{what} is changing the replicas")
        if wish.delta < 0 and one.part in (Part.REPLICAS, Part.TEMPLATE):
            return Wait(reason=Reason.IN_FLIGHT, detail=f"{what} is at work on it: nothing is taken away")
    return None
