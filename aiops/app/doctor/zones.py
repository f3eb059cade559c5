"""Sites that are zones of one cluster: whether the pods of each start in its own zone alone (S8)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from aiops.app.doctor.findings import Finding, warn
from aiops.app.doctor.scene import Scene
from aiops.core.model import Looked, TargetRef
from aiops.core.planning.failover import FailoverPolicy

ZONE = "topology.kubernetes.io/zone"
"""The label of nodes by which Kubernetes knows their zone."""


def zoned(scene: Scene, cluster: str) -> Mapping[TargetRef, str]:
    """Return the workloads of sites that are zones of a cluster, and the zone of each."""
    groups = (one for one in scene.policies.plans if isinstance(one, FailoverPolicy))
    return {site.target: site.zone for one in groups for site in one.sites if site.zone and site.cluster == cluster}


def unbound(zones: Mapping[TargetRef, str], looked: Looked) -> Iterator[Finding]:
    """Find workloads whose pods may start in another zone; one that is not seen is told of elsewhere."""
    for ref, zone in zones.items():
        seen = looked.objects.get(ref.key)
        if seen is not None and not bound(seen.body, zone):
            what = (
                f"is to serve in zone {zone}, and its pods may start in others: ready there, they are lost with those"
            )
            yield warn(f"target {ref}", what, f"nodeSelector: {{{ZONE}: {zone}}} in its pod template")


def bound(body: Mapping[str, Any], zone: str) -> bool:
    """Return whether pods of a workload start in one zone only, by its node selector or a required node affinity.

    Of several terms of an affinity any one is enough for the scheduler, so each has to name the zone, and no other.
    """
    spec = _within(body, "spec", "template", "spec")
    if _within(spec, "nodeSelector").get(ZONE) == zone:
        return True
    required = _within(spec, "affinity", "nodeAffinity", "requiredDuringSchedulingIgnoredDuringExecution")
    terms = [one.get("matchExpressions") or [] for one in required.get("nodeSelectorTerms") or []]
    wanted = (ZONE, "In", [zone])
    return bool(terms) and all(
        any((one.get("key"), one.get("operator"), one.get("values")) == wanted for one in term) for term in terms
    )


def _within(body: Mapping[str, Any], *path: str) -> Mapping[str, Any]:
    for name in path:
        body = body.get(name) or {}
    return body
