"""`Cordon`, `Drain`, `AwaitRemoval` and `DeletePod`: nodes, and the pods that leave them by eviction."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from aiops.core.model import (
    AwaitRemoval,
    Cordon,
    DeletePod,
    Drain,
    Looked,
    Reason,
    SeenObject,
    Step,
    TargetRef,
    Verb,
    Wanted,
)
from aiops.core.objects.bodies import absent, at, controlled, found, missing, patch, strings
from aiops.core.objects.evictions import MIRROR, leaving, pods_of
from aiops.core.plans.operations.verbs import Origin, Requests

CORDONED = "policy.aiops/cordoned"
EVICTIONS_A_TURN = 20
_STAYS = {"cluster-autoscaler.kubernetes.io/safe-to-evict": "false", "karpenter.sh/do-not-disrupt": "true"}
"""Annotations by which owners of pods say that these must not be moved."""


@dataclass(frozen=True, slots=True)
class _Cordon:
    shown: bool = True
    again_s: float = 10.0

    def wanted(self, operation: Cordon) -> Wanted:
        return Wanted(objects=(operation.node,))

    def requests(self, operation: Cordon, looked: Looked, origin: Origin) -> Requests:
        seen = found(looked, operation.node)
        if seen is None or self.reached(operation, looked):
            return Requests()
        mark = origin.plan_id if operation.unschedulable else None
        body = {
            "metadata": {"annotations": {CORDONED: mark}},
            "spec": {"unschedulable": True if operation.unschedulable else None},
        }
        return Requests(steps=(patch(seen, body, f"Node {seen.ref.name}: {_word(operation)}"),))

    def reached(self, operation: Cordon, looked: Looked) -> bool | None:
        seen = found(looked, operation.node)
        if seen is None:
            # a node that is gone is not cordoned any more: there is nothing to take back, and nothing of it stands
            return None if absent(looked, operation.node) is not True else not operation.unschedulable
        return _cordoned(seen) is operation.unschedulable

    def undo(self, operation: Cordon, looked: Looked) -> tuple[Cordon, ...] | None:
        seen = found(looked, operation.node)
        if seen is None:
            return None
        # a node that somebody cordoned before us stays so
        back = replace(operation, unschedulable=not operation.unschedulable)
        return () if _cordoned(seen) is operation.unschedulable else (back,)

    def refusal(self, operation: Cordon, looked: Looked) -> tuple[Reason, str] | None:
        gone = missing(looked, operation.node)
        seen = found(looked, operation.node)
        if gone is not None or seen is None:
            return gone
        ours = CORDONED in strings(at(seen.body, "metadata", "annotations"))
        if not operation.unschedulable and _cordoned(seen) and not ours:
            return Reason.OWNED, f"Node {seen.ref.name} was cordoned by somebody else"
        return None

    def touches(self, operation: Cordon) -> tuple[TargetRef, ...]:
        return (operation.node,)

    def says(self, operation: Cordon) -> str:
        return f"{_word(operation)} node {operation.node.name}"


@dataclass(frozen=True, slots=True)
class _Drain:
    """Pods of namespaces that begin with `kube-` stay, as do those of DaemonSets and of the node itself (S3)."""

    shown: bool = True
    again_s: float = 5.0

    def wanted(self, operation: Drain) -> Wanted:
        return Wanted(objects=(operation.node,), selections=(pods_of(operation.node),))

    def requests(self, operation: Drain, looked: Looked, origin: Origin) -> Requests:
        del origin
        going = leaving(operation.node, looked) or ()
        waiting = [one for one in going if not at(one.body, "metadata", "deletionTimestamp")]
        return Requests(steps=tuple(eviction(one, operation.grace_s) for one in waiting[:EVICTIONS_A_TURN]))

    def reached(self, operation: Drain, looked: Looked) -> bool | None:
        going = leaving(operation.node, looked)
        return None if going is None else not going

    def undo(self, operation: Drain, looked: Looked) -> tuple[Drain, ...] | None:
        del operation, looked
        return ()  # evicted pods run elsewhere; the node takes new ones once it is uncordoned

    def refusal(self, operation: Drain, looked: Looked) -> tuple[Reason, str] | None:
        gone = missing(looked, operation.node)
        seen = found(looked, operation.node)
        if gone is not None or seen is None:
            return gone
        if not _cordoned(seen):
            return Reason.REFUSED, f"Node {seen.ref.name} is not cordoned: what leaves it could come back"
        going = leaving(operation.node, looked)
        if going is None:
            return Reason.CLUSTER_UNAVAILABLE, f"the pods of Node {seen.ref.name} cannot be read"
        return next((why for why in map(_staying, going) if why is not None), None)

    def touches(self, operation: Drain) -> tuple[TargetRef, ...]:
        return (operation.node,)

    def says(self, operation: Drain) -> str:
        return f"drain node {operation.node.name}"


@dataclass(frozen=True, slots=True)
class _AwaitRemoval:
    shown: bool = True
    again_s: float = math.inf

    def wanted(self, operation: AwaitRemoval) -> Wanted:
        return Wanted(objects=(operation.node,))

    def requests(self, operation: AwaitRemoval, looked: Looked, origin: Origin) -> Requests:
        del operation, looked, origin
        return Requests()

    def reached(self, operation: AwaitRemoval, looked: Looked) -> bool | None:
        seen = found(looked, operation.node)
        return absent(looked, operation.node) if seen is None else seen.uid != operation.uid

    def undo(self, operation: AwaitRemoval, looked: Looked) -> tuple[AwaitRemoval, ...] | None:
        del operation, looked
        return ()

    def refusal(self, operation: AwaitRemoval, looked: Looked) -> tuple[Reason, str] | None:
        return looked.errors.get(operation.node.key)

    def touches(self, operation: AwaitRemoval) -> tuple[TargetRef, ...]:
        return (operation.node,)

    def says(self, operation: AwaitRemoval) -> str:
        return f"wait until {operation.by} has removed node {operation.node.name}"


@dataclass(frozen=True, slots=True)
class _DeletePod:
    shown: bool = True
    again_s: float = 5.0

    def wanted(self, operation: DeletePod) -> Wanted:
        return Wanted(objects=(operation.pod,))

    def requests(self, operation: DeletePod, looked: Looked, origin: Origin) -> Requests:
        del origin
        seen = found(looked, operation.pod)
        if seen is None or seen.uid != operation.uid or at(seen.body, "metadata", "deletionTimestamp"):
            return Requests()
        return Requests(steps=(eviction(seen, None),))

    def reached(self, operation: DeletePod, looked: Looked) -> bool | None:
        seen = found(looked, operation.pod)
        return absent(looked, operation.pod) if seen is None else seen.uid != operation.uid

    def undo(self, operation: DeletePod, looked: Looked) -> tuple[DeletePod, ...] | None:
        del operation, looked
        return ()  # its owner makes another one

    def refusal(self, operation: DeletePod, looked: Looked) -> tuple[Reason, str] | None:
        if operation.pod.key in looked.errors:
            return looked.errors[operation.pod.key]
        seen = found(looked, operation.pod)
        if seen is None or seen.uid != operation.uid:
            return None
        if MIRROR in strings(at(seen.body, "metadata", "annotations")):
            return Reason.PROTECTED, f"Pod {seen.ref} is its node's own: the API has no say in it"
        return _staying(seen)

    def touches(self, operation: DeletePod) -> tuple[TargetRef, ...]:
        return (operation.pod,)

    def says(self, operation: DeletePod) -> str:
        return f"delete Pod {operation.pod}"


CORDON, DRAIN, AWAIT_REMOVAL, DELETE_POD = _Cordon(), _Drain(), _AwaitRemoval(), _DeletePod()


def eviction(pod: SeenObject, grace_s: int | None) -> Step:
    """Return the eviction of one pod: budgets hold it (429), and it is that pod or none."""
    options: dict[str, object] = {"preconditions": {"uid": pod.uid}}
    if grace_s is not None:
        options["gracePeriodSeconds"] = grace_s
    return Step(
        target=pod.ref,
        subresource="eviction",
        body={
            "apiVersion": "policy/v1",
            "kind": "Eviction",
            "metadata": {"name": pod.ref.name, "namespace": pod.ref.namespace},
            "deleteOptions": options,
        },
        uid=pod.uid,
        resource_version="",
        summary=f"Pod {pod.ref}: evict",
        verb=Verb.CREATE,
    )


def _word(operation: Cordon) -> str:
    return "cordon" if operation.unschedulable else "uncordon"


def _cordoned(node: SeenObject) -> bool:
    return at(node.body, "spec", "unschedulable") is True


def _staying(pod: SeenObject) -> tuple[Reason, str] | None:
    """Return why a pod must not be evicted: nobody would make it again, or its owner says so."""
    annotations = strings(at(pod.body, "metadata", "annotations"))
    for name, value in _STAYS.items():
        if annotations.get(name) == value:
            return Reason.PROTECTED, f"Pod {pod.ref} says {name}: {value!r}"
    if not controlled(pod):
        return Reason.NOT_UNDOABLE, f"nobody would make Pod {pod.ref} again"
    return None
