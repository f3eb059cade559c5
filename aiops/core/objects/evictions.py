"""Which pods leave a node that is drained: mirror and daemon pods stay, as do those of the cluster itself (S3)."""

from __future__ import annotations

from aiops.core.model import Looked, SeenObject, Selection, TargetRef
from aiops.core.objects.bodies import at, listed, selected, strings

MIRROR = "kubernetes.io/config.mirror"
_SYSTEM = "kube-"
_OVER = ("Succeeded", "Failed")


def pods_of(node: TargetRef) -> Selection:
    """Return the selection of the pods of a node, of every namespace."""
    return Selection(
        cluster=node.cluster, namespace="", api_version="v1", kind="Pod", field=f"spec.nodeName={node.name}"
    )


def leaving(node: TargetRef, looked: Looked) -> list[SeenObject] | None:
    """Return the pods that a drain of the node evicts, None when those of it cannot be read."""
    pods = selected(looked, pods_of(node))
    return None if pods is None else [one for one in pods if _evictable(one)]


def _evictable(pod: SeenObject) -> bool:
    if pod.ref.namespace.startswith(_SYSTEM) or at(pod.body, "status", "phase") in _OVER:
        return False
    if MIRROR in strings(at(pod.body, "metadata", "annotations")):
        return False
    owners = listed(at(pod.body, "metadata", "ownerReferences"))
    return not any(owner.get("kind") == "DaemonSet" and owner.get("controller") for owner in owners)
