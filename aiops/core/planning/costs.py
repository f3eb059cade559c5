"""What a plan takes away: pods within the hour, and ready ones at once; and what no budget can ever hold (S5)."""

from __future__ import annotations

import math
from dataclasses import replace

from aiops.core.model import (
    BlastRadius,
    DeletePod,
    Drain,
    Looked,
    Plan,
    PlanKind,
    PlanStep,
    RestartWorkload,
    RollBack,
    SetResources,
    Stage,
)
from aiops.core.objects.bodies import found
from aiops.core.objects.budgets import ready_of, ready_taken, replicas_of
from aiops.core.objects.evictions import leaving


def counted(plan: Plan, looked: Looked) -> Plan:
    """Return the plan whose steps to come know what they take away, as far as that is seen.

    Of a saving what is evicted counts; its rollouts go at a pace of their own.
    """
    if plan.kind not in (PlanKind.REMEDIATION, PlanKind.SAVING):
        return plan
    steps = tuple(_counted(step, plan.kind, looked) for step in plan.steps)
    return plan if all(map(_is, steps, plan.steps)) else replace(plan, steps=steps)


def _counted(step: PlanStep, kind: PlanKind, looked: Looked) -> PlanStep:
    if step.stage is not Stage.PENDING:
        return step
    pods, out = step.pods, step.out
    match step.operation:
        case DeletePod():
            pods = 1
        case Drain(node=node):
            going = leaving(node, looked)
            pods = pods if going is None else len(going)
        case RestartWorkload(target=target) | RollBack(target=target) | SetResources(target=target):
            workload = found(looked, target) if kind is PlanKind.REMEDIATION else None
            if workload is not None:
                pods, out = replicas_of(workload), ready_taken(workload)
        case _:
            pass
    return step if (pods, out) == (step.pods, step.out) else replace(step, pods=pods, out=out)


def _is(one: PlanStep, other: PlanStep) -> bool:
    return one is other


def pods_gone(plan: Plan) -> int:
    """Return how many pods a plan has taken away, or will; of one that has ended, what it never came to is none."""
    steps = (step for step in plan.steps if not plan.status.ended or math.isfinite(step.since))
    # a plan of an older checkpoint knows no numbers, but those that are plain
    return sum(max(step.pods, isinstance(step.operation, DeletePod)) for step in steps)


def ready_out(plan: Plan) -> int:
    """Return how many ready pods of its subject a plan has away at once."""
    return sum(step.out for step in plan.steps)


def share(ratio: float, of: int) -> int:
    """Return how many of `of` a share is, rounded down, one at least.

    >>> share(0.5, 7), share(0.1, 3)
    (3, 1)
    """
    return max(1, math.floor(ratio * of + 1e-9))


def too_much(plan: Plan, looked: Looked, limits: BlastRadius) -> str:
    """Return why the budgets can never hold a plan, however long it waits; '' where they can."""
    pods = pods_gone(plan)
    if pods > limits.pods_per_hour:
        return f"it takes {pods} pods, and {limits.pods_per_hour} may go in an hour"
    out, ready = ready_out(plan), ready_of(looked.objects.get(plan.subject))
    allowed = share(limits.capacity_ratio, ready)
    if out > allowed:
        what = f"{allowed} may be ({limits.capacity_ratio:.0%})"
        return f"it has {out} of {ready} ready pods away at once, and {what}"
    return ""
