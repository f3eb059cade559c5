"""PodDisruptionBudgets, against what takes pods away without asking them: a rollout (S5)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from aiops.core.model import Reason, SeenObject
from aiops.core.objects.bodies import at, listed, number, strings

BUDGETS = ("policy/v1", "PodDisruptionBudget")
_DEFAULT_SHARE = "25%"


def no_room(budgets: Iterable[SeenObject] | None, workload: SeenObject) -> tuple[Reason, str] | None:
    """Return which budget a rollout of the workload would break.

    A Deployment's rollout keeps all but `maxUnavailable` of its pods available and replaces sick ones first, so one
    within that never breaks a budget that wants no more. Other kinds take the next pod whatever the others are like: a
    budget must have room now. Where nothing is healthy there is nothing to lose.
    """
    if budgets is None:
        return Reason.CLUSTER_UNAVAILABLE, "PodDisruptionBudgets cannot be read"
    labels = strings(at(workload.body, "spec", "template", "metadata", "labels"))
    loss = taken_at_once(workload)
    for one in budgets:
        if loss == 0 or not selects(at(one.body, "spec", "selector"), labels):
            continue
        status = at(one.body, "status")
        allowed, healthy, desired, expected = (
            number(at(status, name), 0) or 0
            for name in ("disruptionsAllowed", "currentHealthy", "desiredHealthy", "expectedPods")
        )
        kept = workload.ref.kind == "Deployment" and 0 < desired <= expected - loss
        nothing_to_lose = healthy == 0 and expected > 0
        if not (allowed >= loss or kept or nothing_to_lose):
            said = f"allows {allowed} of the {loss} that a rollout takes at once"
            return Reason.DISRUPTION_BUDGET, f"PodDisruptionBudget {one.ref} {said}"
    return None


def taken_at_once(workload: SeenObject) -> int:
    """Return how many pods a rollout may take away before others are there."""
    spec, replicas = at(workload.body, "spec"), replicas_of(workload)
    if workload.ref.kind == "Deployment":
        strategy = at(spec, "strategy")
        if at(strategy, "type") == "Recreate":
            return replicas
        most, surge = (at(strategy, "rollingUpdate", name) for name in ("maxUnavailable", "maxSurge"))
        loss = _part(_DEFAULT_SHARE if most is None else most, replicas, math.floor)
        if loss == 0 and _part(_DEFAULT_SHARE if surge is None else surge, replicas, math.ceil) == 0:
            return 1
        return min(loss, replicas)
    most = at(spec, "updateStrategy", "rollingUpdate", "maxUnavailable")
    return max(1, _part(1 if most is None else most, replicas, math.ceil))


def replicas_of(workload: SeenObject) -> int:
    """Return how many pods a workload wants."""
    if workload.ref.kind == "DaemonSet":
        return number(at(workload.body, "status", "desiredNumberScheduled"), 0) or 0
    return number(at(workload.body, "spec", "replicas"), 1) or 0


def ready_of(workload: SeenObject | None) -> int:
    """Return how many pods of a workload are ready; 0 for what has none."""
    name = "numberReady" if workload is not None and workload.ref.kind == "DaemonSet" else "readyReplicas"
    return 0 if workload is None else max(0, number(at(workload.body, "status", name), 0) or 0)


def ready_taken(workload: SeenObject) -> int:
    """Return how many ready pods a rollout may have away at once: a Deployment's replaces those that are not first."""
    loss, ready = taken_at_once(workload), ready_of(workload)
    if workload.ref.kind == "Deployment":
        loss = max(0, loss - max(0, replicas_of(workload) - ready))
    return min(loss, ready)


def selects(selector: Any, labels: Mapping[str, str]) -> bool:
    """Return whether a budget's selector selects pods with these labels; an empty one does, as in policy/v1.

    One that cannot be understood counts as selecting: a budget is kept rather once too often.
    """
    if not isinstance(selector, Mapping):
        return False
    if any(labels.get(name) != value for name, value in strings(selector.get("matchLabels")).items()):
        return False
    return all(_meets(one, labels) for one in listed(selector.get("matchExpressions")))


def _meets(requirement: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    key, values = str(requirement.get("key")), requirement.get("values")
    known = [one for one in values if isinstance(one, str)] if isinstance(values, list | tuple) else []
    match requirement.get("operator"):
        case "In":
            return labels.get(key) in known
        case "NotIn":
            return labels.get(key) not in known
        case "Exists":
            return key in labels
        case "DoesNotExist":
            return key not in labels
        case _:
            return True


def _part(value: Any, of: int, rounded: Any) -> int:
    """Return a number or a percentage of `of`; 0 for anything else."""
    if isinstance(value, str) and value.endswith("%") and value[:-1].isdecimal() and len(value) <= 10:
        return int(rounded(of * int(value[:-1]) / 100))
    return max(0, number(value, 0) or 0)
