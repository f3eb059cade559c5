"""The objects of a world as plans look at them and change them: Deployments, their pods, nodes of pools.

A pod asks for one core, and a node of a pool has as many as it has room for pods: so what a scheduler is asked here is
what the pool itself goes by. Whoever deletes empty nodes is the pool (`empty_for_s`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from aiops.core.model import (
    Errand,
    Instant,
    Reason,
    SeenObject,
    Selection,
    Step,
    StepResult,
    StepStatus,
    TargetRef,
    Verb,
)
from simulators.autoscalers.hpa import HpaController
from simulators.nodes import Node, NodePool
from simulators.pods import Pod
from simulators.shown import Objects
from simulators.world import Service, World

NODE_MEMORY = "64Gi"
MANAGED = {"policy.aiops/managed": "true"}


@dataclass(slots=True)
class Stored:
    """A Kubernetes object of the world: its version moves with every write."""

    uid: str
    version: int = 1
    annotations: dict[str, str] = field(default_factory=dict)


class SimObjects(Objects):
    """The part of ports.Cluster that plans use, over a world. deployments, floors (of HPAs): by `namespace/name`."""

    def __init__(
        self,
        world: World,
        deployments: Mapping[str, Stored],
        hpas: Mapping[str, HpaController],
        floors: Mapping[str, Stored],
    ) -> None:
        self._world = world
        self._floors = floors
        self._deployments = deployments
        self._hpas = hpas

    # -- what is there ---------------------------------------------------------------------------------

    def _one(self, ref: TargetRef, at: Instant) -> SeenObject | None:
        match ref.kind:
            case "Namespace":
                return _seen(ref, "uid-namespace", 1, at, {"metadata": {"labels": MANAGED}})
            case "Deployment":
                service = self._world.services.get(f"{ref.namespace}/{ref.name}")
                return None if service is None else self._deployment(ref, service, at)
            case "ReplicaSet":
                service = self._world.services.get(f"{ref.namespace}/{ref.name}")
                spec = {} if service is None else {"spec": {"replicas": service.sim.pods.count}}
                return None if service is None else _seen(ref, "uid-set", 1, at, spec)
            case "HorizontalPodAutoscaler":
                key = f"{ref.namespace}/{ref.name}"
                hpa = self._hpas.get(key)
                return None if hpa is None else self._autoscaler(ref, key, hpa, at)
            case "Node":
                pool, _, name = ref.name.rpartition("-")
                node = self._world.pools[pool].nodes.get(int(name)) if pool in self._world.pools else None
                return None if node is None else self._node(ref, self._world.pools[pool], node, at)
            case _:
                return None

    def _several(self, one: Selection, at: Instant) -> Iterator[SeenObject]:
        match one.kind:
            case "Node":
                for pool in self._world.pools.values():
                    for number, node in pool.nodes.items():
                        yield self._node(_ref(one, f"{pool.spec.name}-{number}", ""), pool, node, at)
            case "Pod":
                for service in self._services(one):
                    yield from self._pods(one, service, at)
            case "Deployment":
                for service in self._services(one):
                    yield self._deployment(_ref(one, service.spec.name, service.spec.namespace), service, at)
            case "HorizontalPodAutoscaler":
                yield from self._autoscalers(one, at)

    def _autoscalers(self, one: Selection, at: Instant) -> Iterator[SeenObject]:
        for key, hpa in self._hpas.items():
            namespace, _, name = key.partition("/")
            if one.namespace in ("", namespace):
                yield self._autoscaler(_ref(one, name, namespace), key, hpa, at)

    def _autoscaler(self, ref: TargetRef, key: str, hpa: HpaController, at: Instant) -> SeenObject:
        stored = self._floors[key]
        spec = {
            "scaleTargetRef": {"kind": "Deployment", "name": ref.name},
            "minReplicas": hpa.floor,
            "maxReplicas": hpa.ceiling,
        }
        body = {"metadata": {"name": ref.name, "annotations": dict(stored.annotations)}, "spec": spec}
        return _seen(ref, stored.uid, stored.version, at, body)

    def _services(self, one: Selection) -> Iterator[Service]:
        for service in self._world.services.values():
            labels = {"app": service.spec.name, **service.spec.labels}
            chosen = all(labels.get(name) == value for name, value in one.labels.items())
            if one.namespace in ("", service.spec.namespace) and chosen:
                yield service

    def _deployment(self, ref: TargetRef, service: Service, at: Instant) -> SeenObject:
        stored, pods = self._deployments[service.key], service.sim.pods
        labels = {"app": service.spec.name, **service.spec.labels}
        body = {
            "metadata": {"name": ref.name, "labels": labels, "annotations": dict(stored.annotations), "generation": 1},
            "spec": {
                "replicas": pods.count,
                "selector": {"matchLabels": {"app": service.spec.name}},
                "template": {
                    "metadata": {"labels": labels},
                    "spec": {"containers": [_container()], "nodeSelector": _capacity(service.pool)},
                },
            },
            "status": {
                "observedGeneration": 1,
                "replicas": pods.count,
                "updatedReplicas": pods.count,
                "readyReplicas": pods.ready,
                "availableReplicas": pods.ready,
            },
        }
        return _seen(ref, stored.uid, stored.version, at, body)

    def _pods(self, one: Selection, service: Service, at: Instant) -> Iterator[SeenObject]:
        pools = (pool.spec.name for pool in self._world.pools.values() if pool is service.pool)
        pool = next(pools, "")
        on = one.field.removeprefix("spec.nodeName=") if one.field else None
        for pod, ready in service.sim.pods.placed_pods:
            node = f"{pool}-{pod.node}" if pool else "elsewhere"
            if on in (None, node):
                yield self._pod(one, service, (pod, node, ready), at)
        if on is None:
            for number in range(service.sim.pods.pending):
                waiting = Pod(at, at - 1.0, number=-1 - number)
                yield self._pod(one, service, (waiting, "", False), at)

    def _pod(self, one: Selection, service: Service, seen: tuple[Pod, str, bool], at: Instant) -> SeenObject:
        pod, node, ready = seen
        name = f"{service.spec.name}-{pod.number}"
        created_at = max(pod.created_at, self._world.start - 86_400.0)
        controller = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": service.spec.name, "controller": True}
        body = {
            "metadata": {
                "name": name,
                "labels": {"app": service.spec.name, **service.spec.labels},
                "ownerReferences": [controller],
                "creationTimestamp": datetime.fromtimestamp(created_at, UTC).isoformat(),
            },
            "spec": {"nodeName": node, "containers": [_container()]},
            "status": {
                "phase": "Running" if ready else "Pending",
                "conditions": [{"type": "Ready", "status": "True" if ready else "False"}],
            },
        }
        return _seen(_ref(one, name, service.spec.namespace), f"uid-{service.key}-{pod.number}", 1, at, body)

    def _node(self, ref: TargetRef, pool: NodePool, node: Node, at: Instant) -> SeenObject:
        ready = node.ready_at <= at
        room = {"cpu": str(pool.spec.pods_per_node), "memory": NODE_MEMORY, "pods": "110"}
        where = {"topology.kubernetes.io/zone": pool.spec.zone_of(int(ref.name.rpartition("-")[2]))}
        labels = {"kubernetes.io/hostname": ref.name, "pool": pool.spec.name, **where, **_capacity(pool), **MANAGED}
        body = {
            "metadata": {"name": ref.name, "labels": labels, "annotations": dict(node.notes)},
            "spec": {"unschedulable": True} if node.cordoned else {},
            "status": {
                "allocatable": room,
                "conditions": [{"type": "Ready", "status": "True" if ready else "False"}],
            },
        }
        return _seen(ref, f"uid-{ref.name}", node.version, at, body)

    # -- what is changed -------------------------------------------------------------------------------

    def perform(self, errand: Errand, step: Step, at: Instant) -> StepResult:
        """Apply one request of a plan, or refuse it as the API would."""
        code, message = self._applied(step, at)
        status = StepStatus.DONE if code < 300 else StepStatus.REFUSED
        reason = None if code < 300 else Reason.UNKNOWN_TARGET if code == 404 else Reason.REFUSED
        return StepResult(action_id=errand.id, status=status, at=at, code=code, reason=reason, message=message)

    def _applied(self, step: Step, at: Instant) -> tuple[int, str]:
        ref = step.target
        gone = (404, f"{ref.kind} {ref} not found")
        if ref.kind == "Pod" and step.verb is Verb.CREATE and step.subresource == "eviction":
            service = next((one for one in self._world.services.values() if _is_of(ref, one)), None)
            number = int(ref.name.rpartition("-")[2])
            return (201, "") if service is not None and service.sim.pods.evict(number, at) else gone
        seen = self._one(ref, at)
        if seen is None:
            return gone
        if step.uid != seen.uid or (step.resource_version and step.resource_version != seen.resource_version):
            return 409, "the object has been modified; read it again"
        if ref.kind == "Node":
            return self._patch_node(ref, step.body)
        if ref.kind == "Deployment":
            return self._patch_deployment(ref, step.body, at)
        if ref.kind == "HorizontalPodAutoscaler":
            return self._patch_autoscaler(ref, step.body)
        return 405, f"{ref.kind} cannot be changed here"

    def _patch_node(self, ref: TargetRef, body: Mapping[str, Any]) -> tuple[int, str]:
        pool, _, name = ref.name.rpartition("-")
        node = self._world.pools[pool].nodes[int(name)]
        node.cordoned = body.get("spec", {}).get("unschedulable") is True
        noted(node.notes, body.get("metadata", {}).get("annotations", {}))
        node.version += 1
        return 200, ""

    def _patch_autoscaler(self, ref: TargetRef, body: Mapping[str, Any]) -> tuple[int, str]:
        key = f"{ref.namespace}/{ref.name}"
        spec = body.get("spec", {})
        if set(spec) - {"minReplicas"}:
            return 405, "only the floor of an HPA can be changed here"
        self._hpas[key].floor = int(spec.get("minReplicas", self._hpas[key].floor))
        noted(self._floors[key].annotations, body.get("metadata", {}).get("annotations", {}))
        self._floors[key].version += 1
        return 200, ""

    def _patch_deployment(self, ref: TargetRef, body: Mapping[str, Any], at: Instant) -> tuple[int, str]:
        key = f"{ref.namespace}/{ref.name}"
        stored, spec = self._deployments[key], body.get("spec", {})
        if set(spec) - {"replicas"}:
            return 405, "only the replicas of a Deployment can be changed here"
        if "replicas" in spec:
            self._world.services[key].sim.pods.resize(int(spec["replicas"]), at)
        noted(stored.annotations, body.get("metadata", {}).get("annotations", {}))
        stored.version += 1
        return 200, ""


def noted(annotations: dict[str, str], patch: Mapping[str, str | None]) -> None:
    """Apply a merge patch to annotations."""
    for name, value in patch.items():
        if value is None:
            annotations.pop(name, None)
        else:
            annotations[name] = value


def _is_of(pod: TargetRef, service: Service) -> bool:
    return service.spec.namespace == pod.namespace and pod.name.rpartition("-")[0] == service.spec.name


def _ref(one: Selection, name: str, namespace: str) -> TargetRef:
    return TargetRef(cluster=one.cluster, namespace=namespace, api_version=one.api_version, kind=one.kind, name=name)


def _capacity(pool: NodePool | None) -> dict[str, str]:
    """Return the label by which nodes of a pool say whether they may be taken away."""
    if pool is None:
        return {}
    return {"karpenter.sh/capacity-type": "on-demand" if pool.spec.spot is None else "spot"}


def _container() -> dict[str, Any]:
    return {"name": "main", "image": "none", "resources": {"requests": {"cpu": "1"}}}


def _seen(ref: TargetRef, uid: str, version: int, at: Instant, body: Mapping[str, Any]) -> SeenObject:
    return SeenObject(ref=ref, uid=uid, resource_version=str(version), as_of=at, body=body)
