"""Telling the cluster's own people: an Event for what was done."""

from __future__ import annotations

from aiops.core.model import Outcome, OutcomeKind, Tick
from aiops.core.pipeline import touched
from aiops.ports import Cluster


def announce(cluster: Cluster, tick: Tick, outcomes: tuple[Outcome, ...]) -> None:
    """Emit an Event for each action that was accepted and for each that ended badly, and for what happened to plans."""
    stories = {decision.action_id: decision.story for decision in tick.decisions if decision.action_id}
    failed = {o.action_id: o for o in outcomes if o.kind is OutcomeKind.FAILED}
    for action in tick.actions:
        if action.dry_run:
            continue
        outcome = failed.get(action.id)
        reason = "ScalingFailed" if outcome else "Scaled"
        text = outcome.detail if outcome else stories.get(action.id, "handed back")
        cluster.announce(action.target, reason, text, action.id, tick.at)
    _announce_plans(cluster, tick)


def _announce_plans(cluster: Cluster, tick: Tick) -> None:
    """Emit an Event on what a plan changes whenever something happens to it."""
    for plan in tick.plans:
        told = plan.notes[-1] if plan.notes else None
        if told is None or told.at != tick.at or plan.dry_run:
            continue
        for ref in touched(plan)[:1]:
            status = plan.status.name.title().replace("_", "")
            cluster.announce(ref, f"Plan{status}", told.text, plan.id, tick.at)
