"""Who else has the replicas of a workload, or of its companion on spot nodes (S4)."""

from __future__ import annotations

from aiops.core.model import Looked, Reason, RestLever, TargetRef
from aiops.core.objects.bodies import found, gitops
from aiops.core.objects.resting import ignored_by_gitops
from aiops.core.objects.steering import hpas_of, scaled_objects_of


def steered(base: TargetRef, spot: TargetRef, looked: Looked) -> tuple[Reason, str] | None:
    """Return who else has the replicas, so that no share is begun (S4).

    An HPA of the base is welcome, where its floor can be raised for a fallback.
    """
    hpas, others = hpas_of(base, looked), hpas_of(spot, looked)
    scaled = [scaled_objects_of(one, looked) for one in (base, spot)]
    if hpas is None or others is None or any(one is None for one in scaled):
        return Reason.CLUSTER_UNAVAILABLE, "whether an autoscaler steers it cannot be read"
    for one in (*(scaled[0] or ()), *(scaled[1] or ())):
        return Reason.OWNED, f"ScaledObject {one.ref} steers replicas, and its floor is not ours to raise in a fallback"
    if others:
        return Reason.OWNED, f"HPA {others[0].ref} steers the replicas of {spot.name}"
    if len(hpas) > 1:
        return Reason.OWNED, f"several HPAs steer its replicas: {', '.join(one.ref.name for one in hpas)}"
    for hpa in hpas:
        marked = gitops(hpa)
        if marked is not None:
            return marked[0], f"{marked[1]}; its floor could not be raised in a fallback"
    for ref in (base, spot) if not hpas else (spot,):
        seen = found(looked, ref)
        if seen is not None and not ignored_by_gitops(seen, RestLever.REPLICAS):
            marked = gitops(seen)
            if marked is not None:
                return marked
    return None
