"""Services of Knative: the PodAutoscaler of the revision that serves, whose `min-scale` is the floor.

Knative's own controller writes a PodAutoscaler's annotations once, when it makes it from the revision, and reads
`min-scale` from there ever after: a floor that is moved there makes no new revision. It belongs to one revision, so
that a new one begins with what the template says, and what was written on the former one is to be handed back.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from aiops.adapters.kubernetes.ownership import annotation_owners, ours
from aiops.core.act.set_floor import MIN_SCALE, RESTORE
from aiops.core.model import Autoscaler, Hpa, TargetRef

Item = Mapping[str, Any]

GROUP = "serving.knative.dev/"
PODAUTOSCALERS = "/apis/autoscaling.internal.knative.dev/v1alpha1/namespaces/{namespace}/podautoscalers"
SERVICE, REVISION = "serving.knative.dev/service", "serving.knative.dev/revision"

_MAX_SCALE = "autoscaling.knative.dev/max-scale"
_UNBOUNDED = 2**31 - 1
_MAKER = "controller"
"""The field manager of Knative's own controller: what it writes is what the revision's template says."""


def serves(ref: TargetRef) -> bool:
    """Return whether a target is a Service of Knative, and none of Kubernetes."""
    return ref.kind == "Service" and ref.api_version.startswith(GROUP)


def as_scalable(item: Item, podautoscalers: Sequence[Item]) -> Item:
    """Return a Service in the shape of kinds that scale: replicas wanted now, and how its pods are found.

    While a new revision is coming, or traffic is split, it reads as a rollout.
    """
    status = item.get("status") or {}
    serving = _serving(item, podautoscalers)
    wanted = int(((serving or {}).get("status") or {}).get("desiredScale") or 0)
    revision = str(status.get("latestReadyRevisionName", ""))
    seen = _generation(item) if _calm(item) else _generation(item) - 1
    return {
        "metadata": item.get("metadata") or {},
        "spec": {"replicas": max(0, wanted), "selector": {"matchLabels": {REVISION: revision}}},
        "status": {"observedGeneration": seen, "latestReadyRevisionName": revision},
    }


def serving(item: Item, podautoscalers: Sequence[Item]) -> tuple[Hpa, ...]:
    """Return the autoscaler of the revision that serves."""
    found = _serving(item, podautoscalers)
    return () if found is None else (_autoscaler(found),)


def left(item: Item, podautoscalers: Sequence[Item]) -> tuple[Hpa, ...]:
    """Return the autoscalers of other revisions of the Service that still carry a restore record of ours."""
    current = _serving(item, podautoscalers)
    others = (one for one in _of(item, podautoscalers) if one is not current)
    return tuple(_autoscaler(one) for one in others if RESTORE in (_metadata(one).get("annotations") or {}))


def _serving(item: Item, podautoscalers: Sequence[Item]) -> Item | None:
    revision = (item.get("status") or {}).get("latestReadyRevisionName")
    return next((one for one in _of(item, podautoscalers) if _metadata(one).get("name") == revision), None)


def _of(item: Item, podautoscalers: Sequence[Item]) -> Iterator[Item]:
    name = _metadata(item).get("name")
    return (one for one in podautoscalers if (_metadata(one).get("labels") or {}).get(SERVICE) == name)


def _autoscaler(item: Item) -> Hpa:
    metadata, status = _metadata(item), item.get("status") or {}
    annotations = metadata.get("annotations") or {}
    owners = annotation_owners(item, MIN_SCALE, "minReplicas")
    return Hpa(
        name=str(metadata.get("name", "")),
        uid=str(metadata.get("uid", "")),
        resource_version=str(metadata.get("resourceVersion", "")),
        min_replicas=_number(annotations.get(MIN_SCALE)),
        max_replicas=_number(annotations.get(_MAX_SCALE)) or _UNBOUNDED,
        desired_replicas=int(status.get("desiredScale") or 0),
        owners=tuple(owner for owner in owners if owner.manager != _MAKER),
        annotations=ours(metadata),
        kind=Autoscaler.KNATIVE,
    )


def _calm(item: Item) -> bool:
    """Return whether one revision serves, and no other is on its way."""
    status = item.get("status") or {}
    if status.get("latestCreatedRevisionName") != status.get("latestReadyRevisionName"):
        return False
    routed = [one for one in status.get("traffic") or () if int(one.get("percent") or 0) > 0]
    return len(routed) <= 1 and int(status.get("observedGeneration") or 0) >= _generation(item)


def _generation(item: Item) -> int:
    return int(_metadata(item).get("generation") or 0)


def _metadata(item: Item) -> Item:
    return item.get("metadata") or {}


def _number(text: object) -> int:
    """Return the number of an annotation; 0, Knative's default for both, of one that is not there or none."""
    value = str(text or "")
    return int(value) if value.isascii() and value.isdigit() else 0
