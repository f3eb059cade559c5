"""How much remediations and savings of all policies together may do (S5): plans and pods in any hour, nodes at once.

Remediations may have a share of the ready pods away at once, too: of each workload, and of all that are remedied.

What users need at once is never held by it: a failover, a failback or a drill passes, as does what only tells people,
gives back what was taken, or lets rest what nobody needs. A remediation is not held by what savings did either: cost
takes what safety leaves, never the other way round. A standby that is made ready on a mere suspicion is bound by it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from aiops.core.model import (
    AwaitRemoval,
    BlastRadius,
    Cordon,
    Deny,
    Fleet,
    Instant,
    Notify,
    Pass,
    Plan,
    PlanKind,
    PlanStatus,
    PlanStep,
    Reason,
    Sleep,
    Snapshot,
    Stage,
    StartJob,
    Wait,
    Wake,
)
from aiops.core.objects.budgets import ready_of
from aiops.core.planning.costs import pods_gone, ready_out, share, too_much
from aiops.core.plans.operations import verbs

HOUR_S = 3600.0
NODES = "Node"

_BOUND_BY: Mapping[PlanKind, frozenset[PlanKind]] = {
    PlanKind.REMEDIATION: frozenset({PlanKind.REMEDIATION}),
    PlanKind.SAVING: frozenset({PlanKind.REMEDIATION, PlanKind.SAVING}),
    PlanKind.PREPARE: frozenset({PlanKind.REMEDIATION, PlanKind.PREPARE}),
}
"""Whose plans use up what a plan of a kind may do."""

_SAID = {
    PlanKind.REMEDIATION: "remediations",
    PlanKind.SAVING: "savings",
    PlanKind.PREPARE: "standbys made ready",
}

_FREE = (Notify, AwaitRemoval, Sleep, Wake, StartJob)
"""What takes nothing away that anybody needs: people are told, what nobody asks anything of rests, or is woken."""

_AT_WORK = frozenset({PlanStatus.RUNNING, PlanStatus.PAUSED, PlanStatus.ASKING})
_AWAY = _AT_WORK | {PlanStatus.ROLLING_BACK}
_NEVER_BEGUN = frozenset({PlanStatus.PROPOSED, PlanStatus.REFUSED, PlanStatus.REHEARSED})


_WITHIN = Pass(detail="within the budgets of all policies")


@dataclass(frozen=True, slots=True, kw_only=True)
class There:
    """Of what shares are taken. nodes: of the cluster, None where nobody has counted them.

    why_never: why the budgets can never hold the plan, '' where they can. ready: pods of all that is remedied.
    """

    nodes: int | None = None
    why_never: str = ""
    ready: int = 0


def there(plan: Plan, snapshot: Snapshot, fleet: Fleet) -> There:
    """Return what there is where a plan would act."""
    looked = snapshot.looked
    touched = (ref for step in plan.steps for ref in verbs(step.operation).touches(step.operation))
    clusters = {ref.cluster for ref in touched if ref.kind == NODES}
    seen = {
        one.ref.key
        for found in looked.selections.values()
        for one in found
        if one.ref.kind == NODES and one.ref.cluster in clusters
    }
    return There(
        nodes=len(seen) if seen else None,
        why_never=too_much(plan, looked, snapshot.scope.blast),
        ready=max(fleet.ready, ready_of(looked.objects.get(plan.subject))),
    )


def ruling(
    plan: Plan, plans: Sequence[Plan], now: Instant, limits: BlastRadius, of: There | None = None
) -> Wait | Deny | Pass:
    """Return whether a plan may begin beside what was begun lately. of: what shares are taken of."""
    if plan.kind not in _BOUND_BY or not _counts(plan):
        return Pass(detail="no budget binds it")
    of = There() if of is None else of
    if of.why_never:
        return Deny(reason=Reason.BUDGET, detail=of.why_never)
    kinds = _BOUND_BY[plan.kind]
    others = [one for one in plans if one.id != plan.id and one.kind in kinds and not one.dry_run]
    lately = [one for one in others if _counts(one) and _begun_at(one) > now - HOUR_S]
    until = min((_begun_at(one) for one in lately), default=now) + HOUR_S
    if len(lately) >= limits.plans_per_hour:
        what = " and ".join(_SAID[kind] for kind in _SAID if kind in kinds)
        detail = f"{len(lately)} {what} were begun within an hour, of {limits.plans_per_hour} that may be"
        return Wait(reason=Reason.BUDGET, detail=detail, until=until)
    gone, mine = sum(map(pods_gone, lately)), pods_gone(plan)
    if mine and gone + mine > limits.pods_per_hour:
        detail = f"plans took {gone} pods within an hour and this one takes {mine}, {limits.pods_per_hour} may go"
        return Wait(reason=Reason.BUDGET, detail=detail, until=until)
    held = _of_nodes(plan, others, limits, of.nodes)
    return _of_capacity(plan, others, limits, of.ready) if isinstance(held, Pass) else held


def _of_nodes(plan: Plan, others: Sequence[Plan], limits: BlastRadius, nodes: int | None) -> Wait | Pass:
    mine = _cordons(plan.steps)
    if not mine:
        return _WITHIN
    taken = _taken(others)
    allowed = 1 if nodes is None else share(limits.nodes_ratio, nodes)
    if len(taken | mine) <= allowed:
        return _WITHIN
    of = "how many there are is not known" if nodes is None else f"{limits.nodes_ratio:.0%} of {nodes}"
    detail = f"plans have cordoned {len(taken)} nodes, {allowed} may be at once ({of})"
    return Wait(reason=Reason.BUDGET, detail=detail)


def _of_capacity(plan: Plan, others: Sequence[Plan], limits: BlastRadius, ready: int) -> Wait | Pass:
    mine, taken = ready_out(plan), sum(ready_out(one) for one in others if one.status in _AWAY)
    allowed = share(limits.capacity_ratio, ready)
    if not mine or taken + mine <= allowed:
        return _WITHIN
    of = f"{allowed} of {ready} may be at once ({limits.capacity_ratio:.0%})"
    return Wait(reason=Reason.BUDGET, detail=f"plans have {taken} ready pods away and this one takes {mine}, {of}")


def _counts(plan: Plan) -> bool:
    """Return whether a plan costs capacity: one that only tells people, or gives nodes back, costs none."""
    return any(
        not isinstance(step.operation, _FREE)
        and not (isinstance(step.operation, Cordon) and not step.operation.unschedulable)
        for step in plan.steps
    )


def _begun_at(plan: Plan) -> Instant:
    if plan.status in _NEVER_BEGUN:
        return -math.inf
    begun = [step.since for step in plan.steps if math.isfinite(step.since)]
    return min(begun, default=plan.created_at)


def _cordons(steps: Iterable[PlanStep]) -> set[str]:
    operations = (step.operation for step in steps)
    return {one.node.key for one in operations if isinstance(one, Cordon) and one.unschedulable}


def _stands(step: PlanStep) -> bool:
    """Return whether what a step did stands, or may stand any moment."""
    return step.stage in (Stage.BEGUN, Stage.DONE, Stage.UNDOING, Stage.UNKNOWN)


def _taken(plans: Sequence[Plan]) -> set[str]:
    """Return the nodes that plans have cordoned, or are about to, that are still there and that no later gave back."""
    back: dict[str, Instant] = {}
    for one in plans:
        for step in one.steps:
            operation = step.operation
            if isinstance(operation, Cordon) and not operation.unschedulable and step.stage is Stage.DONE:
                back[operation.node.key] = max(back.get(operation.node.key, -math.inf), _begun_at(one))
    return {
        name
        for one in plans
        for name in _cordons(step for step in one.steps if _stands(step) or _will(one, step)) - _gone(one)
        if back.get(name, -math.inf) < _begun_at(one)
    }


def _will(plan: Plan, step: PlanStep) -> bool:
    """Return whether a plan that was begun at this very instant, or stands still, is about to do a step."""
    return step.stage is Stage.PENDING and plan.status in _AT_WORK


def _gone(plan: Plan) -> set[str]:
    """Return the nodes whose removal a plan has waited for, and seen."""
    waited = ((step.operation, step.stage) for step in plan.steps)
    return {one.node.key for one, stage in waited if isinstance(one, AwaitRemoval) and stage is Stage.DONE}
