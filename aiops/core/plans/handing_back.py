"""Savings that stand are handed back when nobody stands for them any more (S9)."""

from __future__ import annotations

import math
from dataclasses import replace

from aiops.core.model import Mode, Plan, PlanKind, PlanStatus
from aiops.core.plans.changes import rolling_back
from aiops.core.plans.guards import Bounds, touched


def handed_back(plan: Plan, bounds: Bounds) -> Plan:
    """Return a saving that is taken back because its policy is gone, acts no more, or a person released it."""
    stands = plan.status in (PlanStatus.RUNNING, PlanStatus.DONE) and plan.touches_back and not plan.dry_run
    if plan.kind is not PlanKind.SAVING or not stands:
        return plan
    why = _left(plan, bounds)
    return rolling_back(replace(plan, ended_at=math.inf), bounds.now, why) if why else plan


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
