"""Nodes, pods and budgets as an API server shows them, for what packs them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiops.core.decide.cost.pack.fleet import Fleet, Volumes, fleet
from aiops.core.model import SeenObject, TargetRef

AT = 1_700_000_000.0
ZONE, HOST = "topology.kubernetes.io/zone", "kubernetes.io/hostname"


def ref(kind: str, name: str, namespace: str = "", api_version: str = "v1") -> TargetRef:
    """Return a reference."""
    return TargetRef(namespace=namespace, api_version=api_version, kind=kind, name=name)


def seen(of: TargetRef, body: dict[str, Any], uid: str = "", version: str = "1") -> SeenObject:
    """Return an object as it is seen."""
    metadata = {"name": of.name, "namespace": of.namespace, **body.get("metadata", {})}
    made = {**body, "kind": of.kind, "metadata": metadata}
    return SeenObject(ref=of, uid=uid or f"uid-{of.name}", resource_version=version, as_of=AT, body=made)


def a_node(name: str, zone: str = "a", cpu: str = "4", memory: str = "16Gi", **more: Any) -> SeenObject:
    """Return a ready node. more: labels, annotations, taints, unschedulable, ready, pods."""
    room = {"cpu": cpu, "memory": memory, "pods": more.get("pods", "110")}
    labels = {HOST: name, ZONE: zone, "policy.aiops/managed": "true", **more.get("labels", {})}
    spec = {"taints": more.get("taints", []), "unschedulable": more.get("unschedulable", False)}
    ready = {"type": "Ready", "status": "True" if more.get("ready", True) else "False"}
    metadata = {"labels": labels, "annotations": more.get("annotations", {}), **more.get("metadata", {})}
    return seen(
        ref("Node", name),
        {"metadata": metadata, "spec": spec, "status": {"allocatable": room} | {"conditions": [ready]}},
    )


def a_pod(name: str, node: str = "", cpu: str = "1", memory: str = "1Gi", **more: Any) -> SeenObject:
    """Return a pod of a ReplicaSet. more: labels, annotations, owner (kind, or '' for none), spec, status, metadata."""
    owner = more.get("owner", "ReplicaSet")
    owners = [{"apiVersion": "apps/v1", "kind": owner, "name": more.get("by", "web-1"), "uid": "o", "controller": True}]
    metadata = {
        "labels": {"app": "web", **more.get("labels", {})},
        "annotations": more.get("annotations", {}),
        "ownerReferences": owners if owner else [],
        **more.get("metadata", {}),
    }
    container = {"name": "main", "resources": {"requests": {"cpu": cpu, "memory": memory}}}
    spec = {"containers": [container], "nodeName": node, **more.get("spec", {})}
    conditions = [{"type": "Ready", "status": "True" if node else "False"}]
    status = {"phase": "Running" if node else "Pending", "conditions": conditions, **more.get("status", {})}
    namespace = more.get("namespace", "shop")
    return seen(ref("Pod", name, namespace), {"metadata": metadata, "spec": spec, "status": status})


def a_fleet(*objects: SeenObject, local: bool = False, volumes: Volumes | None = None) -> Fleet:
    """Return the fleet of some nodes and pods."""
    nodes = [one for one in objects if one.ref.kind == "Node"]
    pods = [one for one in objects if one.ref.kind == "Pod"]
    return fleet(nodes, pods, volumes or Volumes(), local=local)


def spread(key: str = HOST, skew: int = 1, **more: Any) -> dict[str, Any]:
    """Return a spec with a topology spread constraint over pods of the app web."""
    one = {
        "maxSkew": skew,
        "topologyKey": key,
        "whenUnsatisfiable": "DoNotSchedule",
        "labelSelector": {"matchLabels": {"app": "web"}},
        **more,
    }
    return {"topologySpreadConstraints": [one]}


def apart(key: str = HOST, app: str = "web", **more: Any) -> dict[str, Any]:
    """Return a spec with required anti-affinity to pods of an app."""
    return {"affinity": {"podAntiAffinity": _required(key, app, more)}}


def near(key: str = HOST, app: str = "cache", **more: Any) -> dict[str, Any]:
    """Return a spec with required affinity to pods of an app."""
    return {"affinity": {"podAffinity": _required(key, app, more)}}


def _required(key: str, app: str, more: Mapping[str, Any]) -> dict[str, Any]:
    term = {"topologyKey": key, "labelSelector": {"matchLabels": {"app": app}}, **more}
    return {"requiredDuringSchedulingIgnoredDuringExecution": [term]}


def on_nodes(*expressions: Mapping[str, Any]) -> dict[str, Any]:
    """Return a spec with required node affinity."""
    terms = {"nodeSelectorTerms": [{"matchExpressions": list(expressions)}]}
    return {"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": terms}}}
