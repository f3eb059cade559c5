"""What objects of a cluster say of trouble: pods that crash, rollouts that are stuck, nodes that are not ready.

Whatever is missing in an object, or of another shape, reads as nothing: what an API server shows is somebody else's.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from aiops.core.ids import digest
from aiops.core.model import Instant, Looked, SeenObject, Selection, TargetRef

HASH = "pod-template-hash"
REVISION = "deployment.kubernetes.io/revision"
OWN, RESTARTED = "policy.aiops/", "kubectl.kubernetes.io/restartedAt"
"""Annotations of a pod template that a restart writes."""

CRASH_S = 600.0
"""A container that has run for ten minutes is taken to run: then the kubelet forgets its crashes, too."""

CORDONED = "policy.aiops/cordoned"
"""The annotation of a node that we cordoned."""


def around(target: TargetRef, api_version: str, kind: str) -> Selection:
    """Return the selection of a kind in the namespace of an object."""
    return Selection(cluster=target.cluster, namespace=target.namespace, api_version=api_version, kind=kind)


def pods_selection(workload: SeenObject) -> Selection | None:
    """Return the selection of a workload's pods by its own selector's labels; None where it has none."""
    labels = _texts(_at(workload.body, "spec", "selector", "matchLabels"))
    if not labels:
        return None
    ref = workload.ref
    return Selection(cluster=ref.cluster, namespace=ref.namespace, api_version="v1", kind="Pod", labels=labels)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pod:
    """A pod of the target. crashing: why, '' while it does not crash again and again."""

    ref: TargetRef
    uid: str
    node: str
    ready: bool
    crashing: str


def pods(seen: Iterable[SeenObject], restarts: int, now: Instant) -> tuple[Pod, ...]:
    """Return the pods that are not going away, by name. restarts: of a container that crashes again and again."""
    alive = [one for one in seen if not _at(one.body, "metadata", "deletionTimestamp")]
    made = [
        Pod(
            ref=one.ref,
            uid=one.uid,
            node=_text(_at(one.body, "spec", "nodeName")),
            ready=_condition(one.body, "Ready") == "True",
            crashing=_crashing(one.body, restarts, now),
        )
        for one in alive
        if _at(one.body, "status", "phase") not in ("Succeeded", "Failed")
    ]
    return tuple(sorted(made, key=lambda pod: pod.ref.name))


def _crashing(body: Mapping[str, Any], restarts: int, now: Instant) -> str:
    """Return why a pod counts as crashing: it waits in back-off, or crashed lately after so many restarts."""
    for kind in ("containerStatuses", "initContainerStatuses"):
        for one in _maps(_at(body, "status", kind)):
            count = one.get("restartCount")
            count = count if isinstance(count, int) else 0
            name = _text(one.get("name"))
            if _at(one, "state", "waiting", "reason") == "CrashLoopBackOff":
                return f"{name} waits to be started again after {count} restarts"
            ended = _instant(_at(one, "lastState", "terminated", "finishedAt"))
            failed = _at(one, "lastState", "terminated", "exitCode") != 0
            if count >= restarts and failed and ended is not None and now - ended < CRASH_S:
                return f"{name} was restarted {count} times, the last {max(0.0, now - ended):.0f} s ago"
    return ""


def ending(seen: Iterable[SeenObject], revision: str) -> int:
    """Return how many pods of a revision have a container that ended by itself, and not well, since they were made."""
    return sum(1 for one in seen if _text(_at(one.body, "metadata", "labels", HASH)) == revision and _ended(one.body))


def _ended(body: Mapping[str, Any]) -> bool:
    every = _maps(_at(body, "status", "containerStatuses"))
    codes = (_at(one, part, "terminated", "exitCode") for one in every for part in ("state", "lastState"))
    return any(isinstance(code, int) and code != 0 for code in codes)


def stuck(workload: SeenObject) -> str:
    """Return what a Deployment says of a rollout that makes no progress, '' where none is stuck."""
    for one in _maps(_at(workload.body, "status", "conditions")):
        if one.get("type") == "Progressing" and one.get("reason") == "ProgressDeadlineExceeded":
            return _text(one.get("message")) or "its progress deadline is exceeded"
    return ""


def rolling(workload: SeenObject) -> bool:
    """Return whether a Deployment says that a rollout is under way and makes progress."""
    for one in _maps(_at(workload.body, "status", "conditions")):
        if one.get("type") == "Progressing":
            return one.get("status") == "True" and one.get("reason") in ("NewReplicaSetCreated", "ReplicaSetUpdated")
    return False


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A node. statuses: of its conditions by type. cordoned: unschedulable; ours: by one of our plans."""

    ref: TargetRef
    statuses: Mapping[str, str]
    cordoned: bool
    ours: bool

    @property
    def ready(self) -> bool:
        """Return whether its kubelet says that it is ready."""
        return self.statuses.get("Ready") == "True"


def nodes(seen: Iterable[SeenObject]) -> tuple[Node, ...]:
    """Return the nodes that are not being deleted, by name."""
    made = [
        Node(
            ref=one.ref,
            statuses={
                _text(condition.get("type")): _text(condition.get("status"))
                for condition in _maps(_at(one.body, "status", "conditions"))
            },
            cordoned=_at(one.body, "spec", "unschedulable") is True,
            ours=CORDONED in _texts(_at(one.body, "metadata", "annotations")),
        )
        for one in seen
        if not _at(one.body, "metadata", "deletionTimestamp")
    ]
    return tuple(sorted(made, key=lambda node: node.ref.name))


def labels_of(seen: SeenObject) -> Mapping[str, str]:
    """Return the labels of an object."""
    return _texts(_at(seen.body, "metadata", "labels"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Revision:
    """A ReplicaSet of a Deployment. hash: of its pod template; number: of the revision; replicas: that it wants.

    sense: of the template without what a restart writes: a restarted revision is another one, and the same.
    """

    hash: str
    number: int
    replicas: int
    sense: str


def revisions(looked: Looked, deployment: SeenObject) -> tuple[Revision, ...]:
    """Return the revisions of a Deployment, the newest first."""
    found = []
    for one in looked.selections.get(around(deployment.ref, "apps/v1", "ReplicaSet").key, ()):
        owners = _maps(_at(one.body, "metadata", "ownerReferences"))
        if not any(owner.get("uid") == deployment.uid for owner in owners):
            continue
        number = _texts(_at(one.body, "metadata", "annotations")).get(REVISION, "0")
        replicas = _at(one.body, "spec", "replicas")
        found.append(
            Revision(
                hash=labels_of(one).get(HASH, ""),
                number=int(number) if number.isdecimal() else 0,
                replicas=replicas if isinstance(replicas, int) else 0,
                sense=_sense(_at(one.body, "spec", "template")),
            )
        )
    return tuple(sorted((one for one in found if one.hash), key=lambda one: one.number, reverse=True))


def before(every: Sequence[Revision]) -> Revision | None:
    """Return the newest revision that is another than the present one in more than a restart."""
    return next((one for one in every[1:] if one.sense != every[0].sense), None) if every else None


def _sense(template: Any) -> str:
    metadata = _at(template, "metadata")
    labels = {key: text for key, text in _texts(_at(metadata, "labels")).items() if key != HASH}
    noted = _texts(_at(metadata, "annotations"))
    annotations = {key: text for key, text in noted.items() if not key.startswith(OWN) and key != RESTARTED}
    return digest(json.dumps([labels, annotations, _at(template, "spec")], sort_keys=True, default=str))


# -- shapes --------------------------------------------------------------------------------------------


def _condition(body: Mapping[str, Any], kind: str) -> str:
    found = (one for one in _maps(_at(body, "status", "conditions")) if one.get("type") == kind)
    return next((_text(one.get("status")) for one in found), "")


def _at(body: Any, *path: str) -> Any:
    for step in path:
        body = body.get(step) if isinstance(body, Mapping) else None
    return body


def _maps(value: Any) -> list[Mapping[str, Any]]:
    return [one for one in value if isinstance(one, Mapping)] if isinstance(value, list | tuple) else []


def _texts(value: Any) -> dict[str, str]:
    if not isinstance(value, Mapping):
        return {}
    return {key: text for key, text in value.items() if isinstance(key, str) and isinstance(text, str)}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _instant(value: Any) -> Instant | None:
    try:
        return datetime.fromisoformat(_text(value)).timestamp()
    except ValueError:
        return None
