"""Who steers a field, from managedFields and from the marks that other controllers leave (S4)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from aiops.core.model import STAMP_MANAGER, FieldOwner, Instant, OwnerKind

PREFIX = "policy.aiops/"

_MANAGERS: tuple[tuple[str, OwnerKind], ...] = (
    ("aiops", OwnerKind.AIOPS),
    ("argocd", OwnerKind.ARGO_CD),
    ("argo-cd", OwnerKind.ARGO_CD),
    ("kustomize-controller", OwnerKind.FLUX),
    ("helm-controller", OwnerKind.FLUX),
    ("flux", OwnerKind.FLUX),
    ("keda", OwnerKind.KEDA),
    ("flagger", OwnerKind.FLAGGER),
    ("rollouts-controller", OwnerKind.ARGO_ROLLOUTS),
    ("karpenter", OwnerKind.KARPENTER),
    ("cluster-autoscaler", OwnerKind.CLUSTER_AUTOSCALER),
    ("capi-topology", OwnerKind.CLUSTER_API),
    ("vpa", OwnerKind.VPA),
    ("kubectl", OwnerKind.CREATOR),
    ("helm", OwnerKind.CREATOR),
    ("terraform", OwnerKind.CREATOR),
)
_HPA_MANAGER = "kube-controller-manager"
_FLUX_LABELS = ("kustomize.toolkit.fluxcd.io/name", "helm.toolkit.fluxcd.io/name")
_ARGO_MARKS = ("argocd.argoproj.io/tracking-id", "argocd.argoproj.io/instance")
_KEDA_LABEL = "scaledobject.keda.sh/name"


def field_owners(item: Mapping[str, Any], field: str) -> tuple[FieldOwner, ...]:
    """Return the managers of `spec.FIELD`, with the time of their last write where the API keeps one."""
    owners = []
    for entry in (item.get("metadata") or {}).get("managedFields") or ():
        if str(entry.get("manager", "")).startswith(STAMP_MANAGER):
            continue  # an epoch moves nothing: who steered the field before still does
        spec = (entry.get("fieldsV1") or {}).get("f:spec") or {}
        if f"f:{field}" in spec:
            manager = str(entry.get("manager", ""))
            owners.append(FieldOwner(field=field, kind=kind_of(entry), manager=manager, at=instant(entry.get("time"))))
    return tuple(owners)


def kind_of(entry: Mapping[str, Any]) -> OwnerKind:
    """Return what kind of controller a managedFields entry belongs to."""
    manager = str(entry.get("manager", "")).lower()
    if manager == _HPA_MANAGER and entry.get("subresource") == "scale":
        return OwnerKind.HPA
    return next((kind for prefix, kind in _MANAGERS if manager.startswith(prefix)), OwnerKind.OTHER)


def hpa_owners(item: Mapping[str, Any]) -> tuple[FieldOwner, ...]:
    """Return who steers an HPA's floor: whoever made it for another controller, and the managers of the field.

    GitOps tools count only when the floor stands in what they apply; KEDA writes the whole HPA again and again.
    """
    metadata = item.get("metadata") or {}
    labels, annotations = metadata.get("labels") or {}, metadata.get("annotations") or {}
    owners = list(field_owners(item, "minReplicas"))
    made_by_keda = any(ref.get("kind") == "ScaledObject" for ref in metadata.get("ownerReferences") or ())
    if made_by_keda or _KEDA_LABEL in labels:
        owners.append(_marked(OwnerKind.KEDA, str(labels.get(_KEDA_LABEL, "ScaledObject"))))
    writes_floor = (item.get("spec") or {}).get("minReplicas") is not None and not _only_ours(owners)
    if writes_floor and any(mark in annotations or mark in labels for mark in _ARGO_MARKS):
        owners.append(_marked(OwnerKind.ARGO_CD, "tracking mark"))
    if writes_floor and any(label in labels for label in _FLUX_LABELS):
        owners.append(_marked(OwnerKind.FLUX, "label"))
    return tuple(owners)


def others(metadata: Mapping[str, Any]) -> tuple[FieldOwner, ...]:
    """Return who but us manages which part of an object: `spec.rules`, `spec.template`."""
    found: list[FieldOwner] = []
    managed = metadata.get("managedFields")
    for entry in managed if isinstance(managed, list) else ():
        if not isinstance(entry, Mapping):
            continue
        manager, kind = str(entry.get("manager", "")), kind_of(entry)
        if kind is OwnerKind.AIOPS or manager.startswith(STAMP_MANAGER):
            continue
        fields = entry.get("fieldsV1")
        spec = fields.get("f:spec") if isinstance(fields, Mapping) else None
        names = sorted(name for name in spec if name.startswith("f:")) if isinstance(spec, Mapping) else ()
        at = instant(entry.get("time"))
        found += [FieldOwner(field=f"spec.{name[2:]}", kind=kind, manager=manager, at=at) for name in names]
    return tuple(found)


def annotation_owners(item: Mapping[str, Any], annotation: str, field: str) -> tuple[FieldOwner, ...]:
    """Return the managers of an annotation, which stands for `field`."""
    owners = []
    for entry in (item.get("metadata") or {}).get("managedFields") or ():
        metadata = (entry.get("fieldsV1") or {}).get("f:metadata") or {}
        if f"f:{annotation}" in (metadata.get("f:annotations") or {}):
            manager = str(entry.get("manager", ""))
            owners.append(FieldOwner(field=field, kind=kind_of(entry), manager=manager, at=instant(entry.get("time"))))
    return tuple(owners)


def ours(metadata: Mapping[str, Any]) -> dict[str, str]:
    """Return the annotations that are ours."""
    annotations = metadata.get("annotations") or {}
    return {key: str(value) for key, value in annotations.items() if key.startswith(PREFIX)}


def instant(text: object) -> Instant | None:
    """Return Kubernetes' time as seconds, or None when there is none."""
    try:
        return datetime.fromisoformat(str(text)).timestamp() if text else None
    except ValueError:
        return None


def _only_ours(owners: list[FieldOwner]) -> bool:
    return bool(owners) and all(owner.kind is OwnerKind.AIOPS for owner in owners)


def _marked(kind: OwnerKind, manager: str) -> FieldOwner:
    return FieldOwner(field="minReplicas", kind=kind, manager=manager)
