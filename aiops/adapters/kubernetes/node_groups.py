"""Groups of nodes of Cluster API: MachineDeployments, whose replicas are nodes and not pods."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiops.core.model import FieldOwner, NodeGroup, OwnerKind, TargetRef

GROUP = "cluster.x-k8s.io"
_SIZE = f"{GROUP}/cluster-api-autoscaler-node-group-{{}}-size"
_TOPOLOGY = "topology.cluster.x-k8s.io/deployment-name"
_CLUSTER = f"{GROUP}/cluster-name"

Item = Mapping[str, Any]


def serves(ref: TargetRef) -> bool:
    """Return whether a target is a group of nodes."""
    return ref.kind == "MachineDeployment" and ref.api_version.partition("/")[0] == GROUP


def group(item: Item) -> NodeGroup:
    """Return the range in which the group may be: the one that Cluster Autoscaler keeps to, by its annotations."""
    annotations = (item.get("metadata") or {}).get("annotations") or {}
    least, most = (_whole(annotations.get(_SIZE.format(end))) for end in ("min", "max"))
    return NodeGroup(least=least, most=most)


def ready(item: Item) -> int:
    """Return how many nodes of it are Ready."""
    return int((item.get("status") or {}).get("readyReplicas") or 0)


def rolling(item: Item, replicas: int) -> bool:
    """Return whether its machines are being replaced."""
    status = item.get("status") or {}
    current = status.get("upToDateReplicas", status.get("updatedReplicas"))
    return current is not None and int(current) < min(replicas, int(status.get("replicas") or 0))


def told(owners: tuple[FieldOwner, ...], item: Item) -> tuple[FieldOwner, ...]:
    """Return the owners with where a topology says the number, which is where it has to be changed."""
    labels = (item.get("metadata") or {}).get("labels") or {}
    named, cluster = labels.get(_TOPOLOGY, "?"), labels.get(_CLUSTER, "?")
    where = f"spec.topology.workers.machineDeployments, {named}, of Cluster {cluster}"
    return tuple(
        FieldOwner(field=one.field, kind=one.kind, manager=f"{one.manager}: {where}", at=one.at)
        if one.kind is OwnerKind.CLUSTER_API
        else one
        for one in owners
    )


def _whole(value: object) -> int | None:
    text = str(value)
    return int(text) if text.isdecimal() and len(text) <= 6 else None
