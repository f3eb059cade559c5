"""From API objects to the workloads of the core."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from aiops.adapters.kubernetes import knative, node_groups
from aiops.adapters.kubernetes.ownership import field_owners, hpa_owners, instant, ours
from aiops.adapters.kubernetes.startups import ready_at
from aiops.core.model import Hpa, Instant, TargetRef, Workload

OPT_IN = "policy.aiops/managed"
OUR_METRICS = re.compile(r"(s\d+-)?aiops[_-]")
"""Names of our metrics; KEDA puts the number of the trigger before them."""


Item = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Around:
    """What stands around a target in its namespace. scale: the scale subresource of kinds that are not of apps/v1.

    podautoscalers: Knative's, for a Service of Knative.
    """

    namespace: Item | None
    pods: Sequence[Item]
    hpas: Sequence[Item]
    pdbs: Sequence[Item]
    scale: Item | None = None
    scalable: bool = True
    podautoscalers: Sequence[Item] = ()


def workload(ref: TargetRef, item: Item, around: Around, at: Instant, mine: Sequence[Item] | None = None) -> Workload:
    """Return the workload of an object and what stands around it. mine: its pods, where they are known already."""
    shown, pods = item, pods_of(ref, item, around) if mine is None else mine
    if knative.serves(ref):
        item, around = knative.as_scalable(item, around.podautoscalers), replace(around, scale=None)
    metadata, spec, status = item.get("metadata") or {}, item.get("spec") or {}, item.get("status") or {}
    alive = [pod for pod in pods if not (pod.get("metadata") or {}).get("deletionTimestamp")]
    replicas = _replicas(spec, around.scale)
    group = node_groups.group(item) if node_groups.serves(ref) else None
    autoscalers = [_hpa(one) for one in around.hpas if _points_at(one, ref)]
    labels = ((around.namespace or {}).get("metadata") or {}).get("labels") or {}
    return Workload(
        ref=ref,
        uid=str(metadata.get("uid", "")),
        resource_version=str(metadata.get("resourceVersion", "")),
        as_of=at,
        replicas=replicas,
        ready=sum(1 for pod in alive if ready_at(pod) is not None) if group is None else node_groups.ready(shown),
        created_at=instant(metadata.get("creationTimestamp")) or 0.0,
        opted_in=str(labels.get(OPT_IN, "")).lower() == "true",
        scalable=around.scalable,
        rollout=_rolling(metadata, status, replicas) or (group is not None and node_groups.rolling(shown, replicas)),
        deleting=bool(metadata.get("deletionTimestamp")),
        annotations=ours(metadata),
        owners=node_groups.told(field_owners(item, "replicas"), shown),
        nodes=group,
        hpas=(*autoscalers, *knative.serving(shown, around.podautoscalers)),
        left=knative.left(shown, around.podautoscalers),
        beside=knative.beside(shown, around.podautoscalers),
        pdb_min_available=_floor(around.pdbs, alive),
    )


def pods_of(ref: TargetRef, item: Item, around: Around) -> list[Item]:
    """Return the pods of a target among those of its namespace."""
    if knative.serves(ref):
        item, around = knative.as_scalable(item, around.podautoscalers), replace(around, scale=None)
    selector = _selector(item.get("spec") or {}, around.scale)
    return [pod for pod in around.pods if _belongs(pod, ref, selector)]


def _replicas(spec: Item, scale: Item | None) -> int:
    if scale is not None:
        return int((scale.get("spec") or {}).get("replicas") or 0)
    value = spec.get("replicas")
    return 1 if value is None else int(value)


def _selector(spec: Item, scale: Item | None) -> Item:
    """Return a label selector; a scale subresource says it as text, `a=b,c=d`."""
    if spec.get("selector") is not None or scale is None:
        return spec.get("selector") or {}
    text = str((scale.get("status") or {}).get("selector") or "")
    pairs = (part.split("=", 1) for part in text.split(",") if "=" in part and "!" not in part)
    return {"matchLabels": {key.strip(): value.strip("= ") for key, value in pairs}}


def matches(selector: Item, labels: Mapping[str, str]) -> bool:
    """Return whether a label selector selects; an empty one selects nothing here."""
    wanted = selector.get("matchLabels") or {}
    expressions = selector.get("matchExpressions") or ()
    if not wanted and not expressions:
        return False
    exact = all(labels.get(key) == value for key, value in wanted.items())
    return exact and all(_holds(one, labels) for one in expressions)


def _holds(expression: Item, labels: Mapping[str, str]) -> bool:
    key, values = str(expression.get("key")), expression.get("values") or ()
    match expression.get("operator"):
        case "In":
            return labels.get(key) in values
        case "NotIn":
            return labels.get(key) not in values
        case "Exists":
            return key in labels
        case "DoesNotExist":
            return key not in labels
        case _:
            return False


def _belongs(pod: Item, ref: TargetRef, selector: Item) -> bool:
    """Return whether a pod is the target's: by labels, and by the controller that owns it."""
    metadata = pod.get("metadata") or {}
    if not matches(selector, metadata.get("labels") or {}):
        return False
    controllers = [one for one in metadata.get("ownerReferences") or () if one.get("controller")]
    if not controllers:
        return True
    owner = controllers[0]
    if owner.get("kind") == "ReplicaSet":
        return str(owner.get("name", "")).startswith(f"{ref.name}-")
    return bool(owner.get("kind") != ref.kind or owner.get("name") == ref.name)


def _rolling(metadata: Item, status: Item, replicas: int) -> bool:
    observed = status.get("observedGeneration")
    if observed is not None and int(observed) < int(metadata.get("generation") or 0):
        return True
    updated = status.get("updatedReplicas")
    return updated is not None and int(updated) < min(replicas, int(status.get("replicas") or 0))


def _points_at(hpa: Item, ref: TargetRef) -> bool:
    target = (hpa.get("spec") or {}).get("scaleTargetRef") or {}
    group = str(target.get("apiVersion", ref.api_version)).rpartition("/")[0]
    return (target.get("kind"), target.get("name"), group) == (ref.kind, ref.name, ref.api_version.rpartition("/")[0])


def _hpa(item: Item) -> Hpa:
    metadata, spec, status = item.get("metadata") or {}, item.get("spec") or {}, item.get("status") or {}
    active = {one.get("type"): one.get("status") for one in status.get("conditions") or ()}.get("ScalingActive")
    least = spec.get("minReplicas")
    return Hpa(
        name=str(metadata.get("name", "")),
        uid=str(metadata.get("uid", "")),
        resource_version=str(metadata.get("resourceVersion", "")),
        min_replicas=1 if least is None else int(least),
        max_replicas=int(spec.get("maxReplicas") or 0),
        desired_replicas=int(status.get("desiredReplicas") or 0),
        scaling_active=None if active is None else active == "True",
        owners=hpa_owners(item),
        reads_our_metric=any(OUR_METRICS.match(name) for name in _metrics(spec)),
        annotations=ours(metadata),
    )


def _metrics(spec: Item) -> list[str]:
    """Return the names of an HPA's metrics: another adapter may serve ours as any of these kinds."""
    kinds = [one.get(kind) or {} for one in spec.get("metrics") or () for kind in ("external", "object", "pods")]
    return [str((one.get("metric") or {}).get("name", "")) for one in kinds]


def _floor(pdbs: Sequence[Item], pods: Sequence[Item]) -> int | None:
    """Return the greatest `minAvailable` of the budgets that select one of the pods (S5)."""
    floors = []
    for pdb in pdbs:
        spec, status = pdb.get("spec") or {}, pdb.get("status") or {}
        least = spec.get("minAvailable")
        chosen = any(
            matches(spec.get("selector") or {}, (pod.get("metadata") or {}).get("labels") or {}) for pod in pods
        )
        if least is None or not chosen:
            continue
        if isinstance(least, str) and least.endswith("%"):
            expected = int(status.get("expectedPods") or len(pods))
            floors.append(math.ceil(expected * float(least[:-1]) / 100.0))
        else:
            floors.append(int(least))
    return max(floors, default=None)
