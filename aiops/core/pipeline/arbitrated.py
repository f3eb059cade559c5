"""What plans and ScalingPolicies of one tick know of each other, so that one actor alone changes a field at a time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from aiops.core.model import Action, Errand, Instant, Plan, PolicyKey, Scaling, Snapshot, TargetRef, TargetState
from aiops.core.pipeline.effects import acts
from aiops.core.planning.arbiter import OUT_S, Part, Rank, beside, claim, rank
from aiops.core.policies import ScalingPolicy


def scalings(
    policies: Iterable[ScalingPolicy], states: Mapping[PolicyKey, TargetState], snapshot: Snapshot
) -> tuple[Scaling, ...]:
    """Return what ScalingPolicies that act have under way, or did a moment ago; the others are left out."""
    found = []
    for policy in policies:
        state = states.get(policy.key)
        if state is None:
            continue
        pending = state.pending is not None and not state.pending.dry_run
        moves = pending or _lately(max(state.last_out_at, state.last_in_at), snapshot.at)
        if moves and not policy.candidate_for and acts(policy, snapshot):
            out = state.pending is not None and state.pending.change.after > state.pending.change.before
            found.append(
                Scaling(
                    policy=policy.key,
                    target=policy.target,
                    pending=pending,
                    pending_out=pending and out,
                    out_at=state.last_out_at,
                    in_at=state.last_in_at,
                )
            )
    return tuple(found)


def _lately(at: Instant, now: Instant) -> bool:
    return now - at < OUT_S


def at_work_on(target: TargetRef, plans: Iterable[Plan]) -> tuple[Plan, ...]:
    """Return the plans that are at work on a target."""
    return tuple({one.plan.id: one.plan for one in beside(target, plans)}.values())


def displaced(action: Action | None, errands: Iterable[Errand], plans: Mapping[str, Plan]) -> bool:
    """Return whether a plan of safety changes at this very tick what a ScalingPolicy's action would change."""
    if action is None or action.dry_run:
        return False
    for one in errands:
        plan = plans.get(one.plan_id)
        if plan is None or one.dry_run or rank(plan) is not Rank.SAFETY:
            continue
        wanted = claim(plan.steps[one.step].operation)
        if wanted is not None and wanted[1] is Part.REPLICAS and wanted[0].key == action.target.key:
            return True
    return False
