"""The world as an API server shows it, and takes patches and evictions with the preconditions that a real one has."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from aiops.core.model import (
    Action,
    Errand,
    Instant,
    Reason,
    SeenObject,
    Selection,
    Stamp,
    Step,
    StepResult,
    StepStatus,
    TargetRef,
    Verb,
)
from aiops.errors import ClusterUnavailable
from aiops.ports import Inventory
from simulators.remediation.rollout import APP, REPLICAS, Pod
from simulators.remediation.world import World
from simulators.shown import Objects

EPOCH = 1_700_000_000.0
"""The world's second 0."""

NAMESPACE, NAME = "shop", "checkout"
MANAGED = {"policy.aiops/managed": "true"}
_UID = "uid-checkout"


class WorldCluster(Objects):
    """ports.Cluster over the world: one Deployment, its ReplicaSets and pods, and the nodes."""

    def __init__(self, world: World) -> None:
        self._world = world

    def inventory(self, targets: Sequence[TargetRef], at: Instant) -> Inventory:
        """Return nothing: nothing is scaled here."""
        return Inventory(workloads={})

    def _one(self, ref: TargetRef, at: Instant) -> SeenObject | None:
        match ref.kind:
            case "Namespace":
                return _seen(ref, "uid-namespace", 1, at, {"metadata": {"labels": MANAGED}})
            case "Deployment" if ref.name == NAME:
                return _seen(ref, _UID, self._world.rollout.generation, at, self._deployment())
            case "Node" if ref.name in self._world.nodes:
                return self._node(ref, at)
            case _:
                return None

    def _several(self, one: Selection, at: Instant) -> Iterator[SeenObject]:
        match one.kind:
            case "Node":
                yield from (self._node(_ref(one, name, ""), at) for name in self._world.nodes)
            case "Pod":
                on = one.field.removeprefix("spec.nodeName=") if one.field else None
                for pod in self._world.rollout.pods:
                    if on in (None, pod.node):
                        yield _seen(_ref(one, pod.name, NAMESPACE), f"uid-{pod.name}", 1, at, self._pod(pod))
            case "ReplicaSet":
                yield from self._sets(one, at)
            case _:
                return

    def _sets(self, one: Selection, at: Instant) -> Iterator[SeenObject]:
        rollout = self._world.rollout
        for revision in rollout.revisions:
            count = sum(pod.revision == revision.hash for pod in rollout.pods)
            mark = {"pod-template-hash": revision.hash}
            metadata = revision.template["metadata"]
            template = {**revision.template, "metadata": {**metadata, "labels": {**metadata["labels"], **mark}}}
            body = {
                "metadata": {
                    "labels": {**APP, **mark},
                    "annotations": {"deployment.kubernetes.io/revision": str(revision.number)},
                    "ownerReferences": [{"kind": "Deployment", "uid": _UID, "controller": True}],
                },
                "spec": {"replicas": count, "template": template},
            }
            yield _seen(_ref(one, f"{NAME}-{revision.hash}", NAMESPACE), f"uid-{revision.hash}", 1, at, body)

    def _deployment(self) -> dict[str, Any]:
        world, rollout = self._world, self._world.rollout
        ready = sum(1 for pod in rollout.pods if world.known_ready(pod))
        stuck, whole = rollout.stuck(world.now), rollout.whole
        reason = "ProgressDeadlineExceeded" if stuck else "NewReplicaSetAvailable" if whole else "ReplicaSetUpdated"
        said = {"type": "Progressing", "status": "False" if stuck else "True", "reason": reason}
        return {
            "metadata": {"name": NAME, "labels": APP, "annotations": {}, "generation": rollout.generation},
            "spec": {"replicas": REPLICAS, "selector": {"matchLabels": APP}, "template": rollout.template},
            "status": {
                "observedGeneration": rollout.generation,
                "replicas": len(rollout.pods),
                "updatedReplicas": sum(pod.revision == rollout.current.hash for pod in rollout.pods),
                "readyReplicas": ready,
                "availableReplicas": ready,
                "conditions": [said],
            },
        }

    def _pod(self, pod: Pod) -> dict[str, Any]:
        world = self._world
        waiting = pod.back_s > world.now
        status: dict[str, Any] = {"name": "main", "restartCount": pod.restarts}
        if pod.restarts:
            ended = datetime.fromtimestamp(EPOCH + pod.ended_s, UTC).isoformat()
            status["lastState"] = {"terminated": {"exitCode": 1, "finishedAt": ended}}
            status["state"] = {"waiting": {"reason": "CrashLoopBackOff"}} if waiting and pod.restarts > 1 else {}
        ready = "True" if world.known_ready(pod) else "False"
        return {
            "metadata": {
                "name": pod.name,
                "labels": {**APP, "pod-template-hash": pod.revision},
                "ownerReferences": [{"kind": "ReplicaSet", "name": f"{NAME}-{pod.revision}", "controller": True}],
            },
            "spec": {"nodeName": pod.node, "containers": [{"name": "main", "image": pod.image}]},
            "status": {
                "phase": "Running" if pod.node else "Pending",
                "conditions": [{"type": "Ready", "status": ready}],
                "containerStatuses": [status],
            },
        }

    def _node(self, ref: TargetRef, at: Instant) -> SeenObject:
        node = self._world.nodes[ref.name]
        ready = "True" if node.ready(self._world.now) else "Unknown"
        body = {
            "metadata": {"name": node.name, "labels": MANAGED, "annotations": dict(node.notes)},
            "spec": {"unschedulable": True} if node.cordoned else {},
            "status": {"conditions": [{"type": "Ready", "status": ready}]},
        }
        return _seen(ref, f"uid-{node.name}", node.version, at, body)

    # -- what is changed -------------------------------------------------------------------------------

    def perform(self, errand: Errand, step: Step, at: Instant) -> StepResult:
        """Apply one request of a plan, or refuse it as the API would."""
        code, message = self._applied(step, at)
        status = StepStatus.DONE if code < 300 else StepStatus.REFUSED
        reason = None if code < 300 else Reason.UNKNOWN_TARGET if code == 404 else Reason.REFUSED
        return StepResult(action_id=errand.id, status=status, at=at, code=code, reason=reason, message=message)

    def _applied(self, step: Step, at: Instant) -> tuple[int, str]:
        ref, world = step.target, self._world
        gone = (404, f"{ref.kind} {ref} not found")
        if ref.kind == "Pod" and step.verb is Verb.CREATE and step.subresource == "eviction":
            return (201, "") if world.evict(ref.name) else gone
        seen = self._one(ref, at)
        if seen is None:
            return gone
        if step.uid != seen.uid or (step.resource_version and step.resource_version != seen.resource_version):
            return 409, "the object has been modified; read it again"
        if ref.kind == "Node":
            notes = world.nodes[ref.name].notes
            for name, value in step.body.get("metadata", {}).get("annotations", {}).items():
                notes.pop(name, None) if value is None else notes.__setitem__(name, value)
            world.cordon(ref.name, on=step.body["spec"].get("unschedulable") is True)
            return 200, ""
        if ref.kind == "Deployment" and "template" in step.body.get("spec", {}):
            world.patch(merged(world.rollout.template, step.body["spec"]["template"]))
            return 200, ""
        return 405, f"{ref.kind} cannot be changed here"

    def send(self, action: Action, step: Step, at: Instant) -> StepResult:
        """Refuse: nothing is scaled here."""
        raise ClusterUnavailable("nothing is scaled here")

    def stamp(self, stamp: Stamp, at: Instant, until: Instant) -> StepResult:
        """Say that it is done: a world has one leader."""
        return StepResult(action_id="", status=StepStatus.DONE, at=at, resource_version=stamp.step.resource_version)

    def announce(self, target: TargetRef, reason: str, message: str, action_id: str, at: Instant) -> None:
        """Tell nobody."""


def merged(now: Any, patch: Any) -> Any:
    """Return what a merge patch makes of a value (RFC 7396).

    >>> merged({"a": 1, "b": {"c": 2}}, {"a": None, "b": {"d": 3}})
    {'b': {'c': 2, 'd': 3}}
    """
    if not isinstance(patch, Mapping):
        return patch
    result = dict(now) if isinstance(now, Mapping) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = merged(result.get(name), value)
    return result


def _ref(one: Selection, name: str, namespace: str) -> TargetRef:
    return TargetRef(cluster=one.cluster, namespace=namespace, api_version=one.api_version, kind=one.kind, name=name)


def _seen(ref: TargetRef, uid: str, version: int, at: Instant, body: Mapping[str, Any]) -> SeenObject:
    return SeenObject(ref=ref, uid=uid, resource_version=str(version), as_of=at, body=body)
