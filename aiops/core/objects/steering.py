"""Who steers the replicas of a workload: an HPA, or KEDA (S4)."""

from __future__ import annotations

from aiops.core.model import Looked, Reason, RestLever, SeenObject, TargetRef
from aiops.core.objects.bodies import around, at, number, selected, steers
from aiops.core.objects.resting import PAUSED

HPAS = ("autoscaling/v2", "HorizontalPodAutoscaler")
SCALED_OBJECTS = ("keda.sh/v1alpha1", "ScaledObject")
OFF = "0"


def hpas_of(target: TargetRef, looked: Looked) -> tuple[SeenObject, ...] | None:
    """Return the HPAs that point at a target, None while that is not known."""
    every = selected(looked, around(target, *HPAS))
    return None if every is None else tuple(one for one in every if steers(one, target))


def steered(target: TargetRef, lever: RestLever, to: str, looked: Looked) -> tuple[Reason, str] | None:
    """Return which autoscaler would not let a workload rest by its replicas (S4).

    An HPA stands still while its target has no replicas (ScalingActive is False, ScalingDisabled), unless it may go to
    none by itself; any other number it would correct. What KEDA steers rests by its ScaledObject.
    """
    if lever is not RestLever.REPLICAS:
        return None
    hpas, scaled = hpas_of(target, looked), scaled_objects_of(target, looked)
    if hpas is None or scaled is None:
        return Reason.CLUSTER_UNAVAILABLE, "whether an autoscaler steers it cannot be read"
    if scaled:
        return Reason.OWNED, f"ScaledObject {scaled[0].ref} steers its replicas"
    for hpa in hpas:
        if to != OFF:
            return Reason.OWNED, f"HPA {hpa.ref} steers its replicas: it can rest at 0 alone, not at {to}"
        if number(at(hpa.body, "spec", "minReplicas"), 1) == 0:
            return Reason.OWNED, f"HPA {hpa.ref} goes to 0 by itself (minReplicas: 0)"
    return None


def scaled_objects_of(target: TargetRef, looked: Looked) -> tuple[SeenObject, ...] | None:
    """Return the ScaledObjects that point at a workload, None while that is not known."""
    every = selected(looked, around(target, *SCALED_OBJECTS))
    return None if every is None else tuple(one for one in every if _points_at(one, target))


def paused_by_a_person(scaled: SeenObject) -> bool:
    """Return whether somebody holds a ScaledObject where it is."""
    return bool(at(scaled.body, "metadata", "annotations", PAUSED) == "true")


def _points_at(scaled: SeenObject, target: TargetRef) -> bool:
    aim = at(scaled.body, "spec", "scaleTargetRef")
    return bool((at(aim, "kind") or "Deployment", at(aim, "name")) == (target.kind, target.name))
