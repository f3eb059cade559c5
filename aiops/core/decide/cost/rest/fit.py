"""Why a workload is not put to rest now: who else steers it, what guards it, how it is."""

from __future__ import annotations

from aiops.core.decide.cost.rest.beds import Bed
from aiops.core.model import Instant, Reason, RestLever
from aiops.core.objects.bodies import around, at, gitops, instant, number, rolled_out, selected, strings
from aiops.core.objects.budgets import BUDGETS, selects
from aiops.core.objects.resting import GITOPS_IGNORES, ignored_by_gitops
from aiops.core.objects.steering import steered
from aiops.core.planning.cost_sleep import RestPolicy


def unfit(bed: Bed, policy: RestPolicy) -> tuple[Reason, str] | None:
    """Return why it is left awake, None when it may rest (S3, S4, S5)."""
    if at(bed.seen.body, "metadata", "deletionTimestamp"):
        return Reason.UNKNOWN_TARGET, "it is being deleted"
    owned = None if ignored_by_gitops(bed.object, bed.lever) else gitops(bed.object)
    if owned is not None:
        hint = f"or say {GITOPS_IGNORES}: {bed.lever.value} on it, where that is ignored"
        return owned[0], f"{owned[1]}, {hint}"
    steers = steered(bed.seen.ref, bed.lever, bed.to, bed.near)
    if steers is not None or bed.seen.ref.kind == "CronJob":
        return steers
    if bed.seen.ref.kind == "StatefulSet" and not rolled_out(bed.seen):
        return Reason.ROLLOUT, "a StatefulSet rests only while all of it is ready"
    return _budget(bed, policy)


def _budget(bed: Bed, policy: RestPolicy) -> tuple[Reason, str] | None:
    """Return the budget whose least number of pods would not run at rest (S5)."""
    if not policy.budgets_bind:
        return None
    every = selected(bed.near, around(bed.seen.ref, *BUDGETS))
    if every is None:
        return Reason.CLUSTER_UNAVAILABLE, "PodDisruptionBudgets cannot be read"
    labels = strings(at(bed.seen.body, "spec", "template", "metadata", "labels"))
    for one in every:
        least = number(at(one.body, "spec", "minAvailable"))
        if least is not None and least > policy.to and selects(at(one.body, "spec", "selector"), labels):
            why = f"PodDisruptionBudget {one.ref.name} wants {least} pods at least (disruptionBudgets: ignore)"
            return Reason.DISRUPTION_BUDGET, why
    return None


def made_at(bed: Bed) -> Instant | None:
    """Return when the workload was made, None when that cannot be read."""
    text = at(bed.seen.body, "metadata", "creationTimestamp")
    return instant(text) if isinstance(text, str) else None


def by_scale(bed: Bed) -> bool:
    """Return whether it rests by a number of pods."""
    return bed.lever is not RestLever.SUSPEND
