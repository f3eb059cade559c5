"""The nodes of a cluster and the pods on them, as a scheduler reads them from the API's objects."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, TypeAlias

from aiops.core.decide.cost.pack.amounts import PODS, Amounts, Unreadable, amounts, most, total
from aiops.core.decide.cost.pack.needs import NAME, UNSCHEDULABLE, Needs, Rule, Taint, needs, node_terms, taints
from aiops.core.model import Instant, SeenObject, TargetRef

CORDONED = "policy.aiops/cordoned"
"""The annotation of a node that a plan of ours cordoned."""

OPT_IN = "policy.aiops/managed"
"""The label by which a node is opted in (S3)."""

KARPENTER = "karpenter.sh/nodepool"
"""The label of a node that Karpenter made."""

_HANDLED = {
    "ToBeDeletedByClusterAutoscaler": "the cluster autoscaler is removing it",
    "DeletionCandidateOfClusterAutoscaler": "the cluster autoscaler is about to remove it",
    "karpenter.sh/disrupted": "Karpenter is disrupting it",
    "karpenter.sh/disruption": "Karpenter is disrupting it",
    "node.cloudprovider.kubernetes.io/shutdown": "its machine is shut down",
}
"""Taints by which others say that a node is in their hands."""

_KEPT = {"cluster-autoscaler.kubernetes.io/scale-down-disabled": "true", "karpenter.sh/do-not-disrupt": "true"}
"""Annotations by which owners say that a node must stay."""

_MIRROR = "kubernetes.io/config.mirror"
_SAFE = "cluster-autoscaler.kubernetes.io/safe-to-evict"
_SAFE_VOLUMES = "cluster-autoscaler.kubernetes.io/safe-to-evict-local-volumes"
_STAYS = {_SAFE: "false", "karpenter.sh/do-not-disrupt": "true"}
_OVER = ("Succeeded", "Failed")
_SYSTEM = "kube-"
"""Pods of these namespaces are not evicted by any plan (S3)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pod:
    """A pod that takes room. stays: why it must not be moved, '' if it may. fixed: its node's own, or a DaemonSet's.

    gated: it waits for others than a scheduler. since: when it was made. controller: what makes it again. unread: what
    of it cannot be understood, '' for nothing.
    """

    ref: TargetRef
    uid: str
    node: str
    labels: Mapping[str, str]
    amounts: Amounts
    needs: Needs
    fixed: bool = False
    stays: str = ""
    going: bool = False
    ready: bool = False
    gated: bool = False
    since: Instant = 0.0
    controller: TargetRef | None = None
    unread: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A node. kept: why nobody may empty it, '' if one may. handled: why another is at work on it, '' while none is.

    cordoned: unschedulable; ours: by one of our plans. karpenter: whether Karpenter made it. opted: in,
    by its label.
    """

    ref: TargetRef
    uid: str
    labels: Mapping[str, str]
    taints: tuple[Taint, ...]
    allocatable: Amounts
    ready: bool
    cordoned: bool = False
    ours: bool = False
    kept: str = ""
    handled: str = ""
    karpenter: bool = False
    opted: bool = False

    @property
    def name(self) -> str:
        """Return its name."""
        return self.ref.name

    @property
    def takes(self) -> bool:
        """Return whether pods may be sent there at all."""
        return self.ready and not self.cordoned and not self.handled

    def opened(self) -> Node:
        """Return it as it is once it is uncordoned."""
        return replace(self, cordoned=False, taints=tuple(one for one in self.taints if one != UNSCHEDULABLE))


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """Nodes and pods of one cluster at one instant. by_node: pods by the node's name, those that wait under ''."""

    nodes: Mapping[str, Node]
    pods: tuple[Pod, ...]
    by_node: Mapping[str, tuple[Pod, ...]] = field(default_factory=dict)

    @property
    def waiting(self) -> tuple[Pod, ...]:
        """Return the pods that wait for a node."""
        return tuple(pod for pod in self.by_node.get("", ()) if not pod.gated and not pod.going)


def fleet(nodes: Iterable[SeenObject], pods: Iterable[SeenObject], volumes: Volumes, *, local: bool) -> Fleet:
    """Return what is there. local: whether pods may be moved that leave data behind."""
    known = {one.name: one for one in map(node, nodes)}
    read = tuple(made for made in (_pod(one, volumes, local=local) for one in pods) if made is not None)
    by_node: dict[str, list[Pod]] = {}
    for one in read:
        by_node.setdefault(one.node, []).append(one)
    return Fleet(nodes=known, pods=read, by_node={name: tuple(some) for name, some in by_node.items()})


# -- nodes ---------------------------------------------------------------------------------------------


def node(seen: SeenObject) -> Node:
    """Return a node; what it can hold and cannot be read is nothing."""
    body, spec = seen.body, _map(seen.body.get("spec"))
    metadata, status = _map(body.get("metadata")), _map(body.get("status"))
    labels, marks = _texts(metadata.get("labels")), _texts(metadata.get("annotations"))
    every = [_text(one.get("key")) for one in _maps(spec.get("taints"))]
    handled = next((said for key, said in _HANDLED.items() if key in every), "")
    if metadata.get("deletionTimestamp"):
        handled = "it is being deleted"
    kept = next((f"it says {key}: {value!r}" for key, value in _KEPT.items() if marks.get(key) == value), "")
    try:
        room = amounts(status.get("allocatable"))
    except Unreadable:
        room = {}
    return Node(
        ref=seen.ref,
        uid=seen.uid,
        labels={**labels, NAME: seen.ref.name},
        taints=taints(spec),
        allocatable=room,
        ready=_condition(status, "Ready"),
        cordoned=spec.get("unschedulable") is True,
        ours=CORDONED in marks,
        kept=kept,
        handled=handled,
        karpenter=KARPENTER in labels,
        opted=labels.get(OPT_IN) == "true",
    )


# -- pods ----------------------------------------------------------------------------------------------


def _pod(seen: SeenObject, volumes: Volumes, *, local: bool) -> Pod | None:
    """Return a pod, None for one that is over and takes no room any more."""
    body = seen.body
    metadata, spec, status = (_map(body.get(name)) for name in ("metadata", "spec", "status"))
    if status.get("phase") in _OVER:
        return None
    labels, marks = _texts(metadata.get("labels")), _texts(metadata.get("annotations"))
    unread, taken, wants = "", {PODS: 1000}, Needs()
    try:
        taken = {**requests(spec, status), PODS: 1000}
        wants = needs(seen.ref.namespace, labels, spec)
    except Unreadable as err:
        unread = str(err)
    reached = volumes.terms(seen.ref.namespace, spec)
    wants = wants if reached is None else replace(wants, volumes=reached)
    lost = "where the volumes of its claims lie is not known" if reached is None else ""
    owner = next((one for one in _maps(metadata.get("ownerReferences")) if one.get("controller") is True), {})
    fixed = _MIRROR in marks or owner.get("kind") == "DaemonSet"
    made = Pod(
        ref=seen.ref,
        uid=seen.uid,
        node=_text(spec.get("nodeName")),
        labels=labels,
        amounts=taken,
        needs=wants,
        fixed=fixed,
        going=bool(metadata.get("deletionTimestamp")),
        ready=any(
            one.get("type") == "Ready" and one.get("status") == "True" for one in _maps(status.get("conditions"))
        ),
        gated=bool(_maps(spec.get("schedulingGates"))),
        since=_instant(metadata.get("creationTimestamp")),
        controller=_controller(seen.ref, owner),
        unread=unread,
    )
    return made if fixed else replace(made, stays=lost or _staying(made, marks, spec, local=local))


def requests(spec: Mapping[str, Any], status: Mapping[str, Any]) -> dict[str, int]:
    """Return what a pod takes of a node, as `resourcehelper.PodRequests` adds it up; raise Unreadable.

    Init containers run one after another beside those that stay on (sidecars); containers run together. What the
    kubelet has allocated counts while a resize is under way; requests of the whole pod stand above its containers'.
    """
    sidecars: dict[str, int] = {}
    peak: dict[str, int] = {}
    for one in _maps(spec.get("initContainers")):
        asked = _asked(one, {})
        if one.get("restartPolicy") == "Always":
            sidecars = total((sidecars, asked))
            peak = most(peak, sidecars)
        else:
            peak = most(peak, total((sidecars, asked)))
    allocated = {
        _text(one.get("name")): amounts(one.get("allocatedResources")) for one in _maps(status.get("containerStatuses"))
    }
    running = total(_asked(one, allocated) for one in _maps(spec.get("containers")))
    made = most(total((running, sidecars)), peak)
    made.update(amounts(_map(spec.get("resources")).get("requests")))
    return total((made, amounts(spec.get("overhead"))))


def _asked(container: Mapping[str, Any], allocated: Mapping[str, Amounts]) -> dict[str, int]:
    """Return a container's requests; a limit without a request is a request, as the API server fills in."""
    resources = _map(container.get("resources"))
    asked = {**amounts(resources.get("limits")), **amounts(resources.get("requests"))}
    return most(asked, allocated.get(_text(container.get("name")), {}))


def _controller(pod: TargetRef, owner: Mapping[str, Any]) -> TargetRef | None:
    if not owner:
        return None
    return TargetRef(
        cluster=pod.cluster,
        namespace=pod.namespace,
        api_version=_text(owner.get("apiVersion")) or "v1",
        kind=_text(owner.get("kind")),
        name=_text(owner.get("name")),
    )


def _staying(pod: Pod, marks: Mapping[str, str], spec: Mapping[str, Any], *, local: bool) -> str:
    """Return why a pod must stay where it is, '' if it may be moved."""
    for name, value in _STAYS.items():
        if marks.get(name) == value:
            return f"it says {name}: {value!r}"
    if pod.unread:
        return pod.unread
    if pod.ref.namespace.startswith(_SYSTEM):
        return f"pods of {pod.ref.namespace} are not moved"
    if pod.controller is None:
        return "nobody would make it again"
    if pod.controller.kind == "Job":
        return "what its Job has done so far would be lost"
    if _maps(spec.get("resourceClaims")):
        return "it has claims on devices"
    if spec.get("schedulerName", "default-scheduler") != "default-scheduler":
        return f"another scheduler places it: {spec.get('schedulerName')}"
    return "" if local or marks.get(_SAFE) == "true" else _local(marks, spec)


def _local(marks: Mapping[str, str], spec: Mapping[str, Any]) -> str:
    """Return which data would be left behind, as the cluster autoscaler tells local storage."""
    safe = {one.strip() for one in marks.get(_SAFE_VOLUMES, "").split(",")}
    for one in _maps(spec.get("volumes")):
        name = _text(one.get("name"))
        scratch = one.get("emptyDir")
        on_disk = isinstance(scratch, Mapping) and scratch.get("medium") != "Memory"
        if name not in safe and (on_disk or "hostPath" in one or "ephemeral" in one):
            return f"what is in its volume {name} would be lost"
    return ""


# -- volumes -------------------------------------------------------------------------------------------


_Terms: TypeAlias = tuple[tuple[Rule, ...], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Volumes:
    """Claims and the volumes bound to them. places: by `namespace/claim`, the alternatives of nodes for its volume."""

    places: Mapping[str, _Terms] = field(default_factory=dict)

    def terms(self, namespace: str, spec: Mapping[str, Any]) -> tuple[_Terms, ...] | None:
        """Return what the volumes of a pod ask of a node, None while that is not known of one of them."""
        named = (_text(_map(one.get("persistentVolumeClaim")).get("claimName")) for one in _maps(spec.get("volumes")))
        keys = [f"{namespace}/{name}" for name in named if name]
        if any(key not in self.places for key in keys):
            return None
        return tuple(self.places[key] for key in keys if self.places[key])


def volumes(claims: Iterable[SeenObject], seen: Iterable[SeenObject]) -> Volumes:
    """Return where the volumes of claims can be reached; a claim that is not bound is left out."""
    places: dict[str, _Terms] = {}
    for one in seen:
        spec = _map(one.body.get("spec"))
        try:
            places[one.ref.name] = node_terms(_map(_map(spec.get("nodeAffinity")).get("required")))
        except Unreadable:
            continue
    bound = [(str(one.ref), _text(_map(one.body.get("spec")).get("volumeName"))) for one in claims]
    return Volumes(places={claim: places[name] for claim, name in bound if name in places})


# -- shapes --------------------------------------------------------------------------------------------


def _condition(status: Mapping[str, Any], name: str) -> bool:
    return any(one.get("type") == name and one.get("status") == "True" for one in _maps(status.get("conditions")))


def _map(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _maps(value: Any) -> list[Mapping[str, Any]]:
    return [one for one in value if isinstance(one, Mapping)] if isinstance(value, list | tuple) else []


def _texts(value: Any) -> dict[str, str]:
    return {key: one for key, one in _map(value).items() if isinstance(key, str) and isinstance(one, str)}


def _instant(value: Any) -> Instant:
    try:
        return datetime.fromisoformat(_text(value)).timestamp()
    except ValueError:
        return 0.0


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
