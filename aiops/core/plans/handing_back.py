"""Savings that stand, and standbys that were lent replicas, are handed back when nobody stands for them any more (S9).

A saving gives capacity back, and that is always safe. A standby gives capacity up: only while nobody leans on it,
nobody is seen to be sent there, and it still holds what was lent (S7).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from aiops.core.model import GroupState, Mode, Plan, PlanKind, PlanStatus, PolicyKey, ScaleTo, Stage
from aiops.core.planning import arbiter
from aiops.core.planning.failover import FailoverPolicy
from aiops.core.plans.changes import noted, rolling_back, with_step
from aiops.core.plans.guards import Bounds, touched
from aiops.core.plans.operations import scale_to
from aiops.core.policies import PlanPolicy


def handed_back(plan: Plan, bounds: Bounds) -> Plan:
    """Return a saving or a standby that is taken back: its policy is gone or acts no more, or a person released it."""
    stands = plan.status in (PlanStatus.RUNNING, PlanStatus.DONE) and plan.touches_back and not plan.dry_run
    if not stands:
        return plan
    match plan.kind:
        case PlanKind.SAVING:
            why = _left(plan, bounds)
        case PlanKind.PREPARE:
            plan = _ours(plan, bounds)
            spare = plan.touches_back and not needed(plan, bounds) and _idle(plan, bounds)
            why = (_left(plan, bounds) or _unnamed(plan, bounds)) if spare else ""
        case _:
            return plan
    return rolling_back(replace(plan, ended_at=math.inf), bounds.now, why) if why else plan


def needed(plan: Plan, bounds: Bounds) -> bool:
    """Return whether somebody leans on a standby that a plan made ready: it never shrinks under a failover (S7)."""
    others = (one for one in bounds.plans if one.policy == plan.policy and one.kind is not PlanKind.PREPARE)
    if any(one.status in arbiter.AT_WORK for one in others):
        return True
    return any(ref.key in bounds.leaning for ref in touched(plan))


def leaned_on(policies: Iterable[PlanPolicy], groups: Mapping[PolicyKey, GroupState]) -> frozenset[str]:
    """Return the workloads that failover groups lean on now, by `TargetRef.key`.

    A site that gets any traffic, and every site of a group whose users may be failing or of which it is not known where
    they are sent: several groups may have one standby.
    """
    return frozenset(_leaned_on(policies, groups))


def _leaned_on(policies: Iterable[PlanPolicy], groups: Mapping[PolicyKey, GroupState]) -> Iterator[str]:
    for policy in policies:
        if not isinstance(policy, FailoverPolicy):
            continue
        group = groups.get(policy.key, GroupState())
        shares, doubted = dict(group.weights), math.isfinite(group.trouble_since) or not group.weights
        for site in policy.sites:
            if doubted or shares.get(site.backend, 0):
                yield site.target.key


def _left(plan: Plan, bounds: Bounds) -> str:
    if bounds.policy is None:
        return f"{plan.policy} is not in force any more"
    if bounds.mode.rank < Mode.APPROVE.rank:
        return f"mode {bounds.mode.value} lets nothing stand"
    targets = (bounds.policy.target, *touched(plan))
    for pause in bounds.snapshot.pauses:
        if pause.release and any(pause.concerns(target, plan.policy, bounds.now) for target in targets):
            return f"released by {pause.by}" + (f": {pause.reason}" if pause.reason else "")
    return ""


def _unnamed(plan: Plan, bounds: Bounds) -> str:
    """Return why a standby is none any more though its policy is there: it names another."""
    sites = bounds.policy.sites if isinstance(bounds.policy, FailoverPolicy) else ()
    named = {site.target.key for site in sites}
    gone = next((ref for ref in touched(plan) if ref.key not in named), None)
    return "" if gone is None else f"{plan.policy} names no standby {gone.kind} {gone} any more"


def _ours(plan: Plan, bounds: Bounds) -> Plan:
    """Return the preparation without what somebody changed since: theirs it is, and remains, whatever it becomes (S4).

    It is seen at every instant, since a number that somebody wrote may be by chance the one that was lent.
    """
    looked = bounds.snapshot.looked
    for number, step in enumerate(plan.steps):
        operation = step.operation
        if plan.status is not PlanStatus.DONE or not isinstance(operation, ScaleTo) or step.stage is Stage.UNDONE:
            continue
        seen = looked.objects.get(operation.target.key)
        if seen is None or seen.as_of <= step.sent_at or scale_to.stands(operation, looked) is not False:
            continue
        steps = with_step(plan.steps, number, replace(step, stage=Stage.UNDONE, detail="not ours any more"))
        said = f"step {number + 1} ({step.name}): somebody changed it after us, it is left as it is"
        plan = noted(replace(plan, steps=steps), bounds.now, said)
    return plan


def _idle(plan: Plan, bounds: Bounds) -> bool:
    scales = (step.operation for step in plan.steps if isinstance(step.operation, ScaleTo))
    return all(scale_to.idle(one, bounds.snapshot.looked) for one in scales)
