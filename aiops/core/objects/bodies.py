"""Reading objects as an API server shows them: whatever is missing or of another shape reads as nothing."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from aiops.core.model import Instant, Looked, Reason, SeenObject, Selection, Step, TargetRef

_GITOPS = {
    "argocd.argoproj.io/instance": "Argo CD",
    "argocd.argoproj.io/tracking-id": "Argo CD",
    "kustomize.toolkit.fluxcd.io/name": "Flux",
    "helm.toolkit.fluxcd.io/name": "Flux",
}
"""Labels and annotations that say who writes an object again and again from Git (S4)."""


def found(looked: Looked, ref: TargetRef) -> SeenObject | None:
    """Return the object, None when it is not there or not known."""
    return looked.objects.get(ref.key)


def absent(looked: Looked, ref: TargetRef) -> bool | None:
    """Return whether it is known not to be there, None while that is not known."""
    if ref.key in looked.objects:
        return False
    return None if ref.key in looked.errors else True


def missing(looked: Looked, ref: TargetRef) -> tuple[Reason, str] | None:
    """Return why nothing can be done to an object: it cannot be read, or it is not there, or it is going away."""
    if ref.key in looked.errors:
        return looked.errors[ref.key]
    seen = looked.objects.get(ref.key)
    if seen is None:
        return Reason.UNKNOWN_TARGET, f"there is no {ref.kind} {ref} in cluster {ref.cluster}"
    if at(seen.body, "metadata", "deletionTimestamp"):
        return Reason.UNKNOWN_TARGET, f"{ref.kind} {ref} is being deleted"
    return None


def gitops(seen: SeenObject) -> tuple[Reason, str] | None:
    """Return who owns an object from Git, and would undo what we write (S4)."""
    marks = {**strings(at(seen.body, "metadata", "labels")), **strings(at(seen.body, "metadata", "annotations"))}
    for mark, owner in _GITOPS.items():
        if mark in marks:
            return Reason.OWNED, f"{seen.ref.kind} {seen.ref} is {owner}'s: change it in Git"
    return None


def selected(looked: Looked, selection: Selection) -> tuple[SeenObject, ...] | None:
    """Return what a selection found, None while that is not known."""
    return looked.selections.get(selection.key)


def at(body: Any, *path: str | int) -> Any:
    """Return what lies at a path, None when anything on the way is missing or of another shape."""
    for step in path:
        if isinstance(step, str):
            # what was read of JSON is a dict, which is told much faster than a Mapping
            body = body.get(step) if type(body) is dict or isinstance(body, Mapping) else None
        else:
            body = body[step] if isinstance(body, list | tuple) and 0 <= step < len(body) else None
    return body


def listed(value: Any) -> list[Mapping[str, Any]]:
    """Return the mappings of a list."""
    return [one for one in value if isinstance(one, Mapping)] if isinstance(value, list | tuple) else []


def strings(value: Any) -> dict[str, str]:
    """Return the texts of a mapping by name."""
    if not isinstance(value, Mapping):
        return {}
    return {key: text for key, text in value.items() if isinstance(key, str) and isinstance(text, str)}


def name_of(one: Mapping[str, Any]) -> str:
    """Return the name of a part, such as a container, '' when it has none."""
    name = one.get("name")
    return name if isinstance(name, str) else ""


def number(value: Any, default: int | None = None) -> int | None:
    """Return a whole number that an API server may hold (int64), the default for anything else."""
    whole = isinstance(value, int) and not isinstance(value, bool) and -(2**63) <= value < 2**63
    return value if whole else default


def patch(seen: SeenObject, body: Mapping[str, Any], summary: str, subresource: str = "") -> Step:
    """Return a merge patch of what is seen and nothing else: its uid and version are preconditions."""
    return Step(
        target=seen.ref,
        subresource=subresource,
        body=body,
        uid=seen.uid,
        resource_version=seen.resource_version,
        summary=summary,
    )


def rolled_out(seen: SeenObject) -> bool:
    """Return whether a workload runs what its spec says, ready and whole, as `kubectl rollout status` tells."""
    body = seen.body
    generation, observed = at(body, "metadata", "generation"), at(body, "status", "observedGeneration")
    if (number(observed, 0) or 0) < (number(generation, 0) or 0):
        return False
    status = at(body, "status")
    if seen.ref.kind == "DaemonSet":
        wanted, names = number(at(status, "desiredNumberScheduled")), ["updatedNumberScheduled", "numberAvailable"]
    else:
        wanted = number(at(body, "spec", "replicas"), 1)
        names = ["updatedReplicas", "replicas", "availableReplicas"]
    return all(number(at(status, name), 0) == wanted for name in names)


def controlled(seen: SeenObject) -> bool:
    """Return whether a controller made an object, and would make it again."""
    return any(owner.get("controller") is True for owner in listed(at(seen.body, "metadata", "ownerReferences")))


def steers(autoscaler: SeenObject, target: TargetRef) -> bool:
    """Return whether an HPA points at a target."""
    aim = at(autoscaler.body, "spec", "scaleTargetRef")
    return (at(aim, "kind"), at(aim, "name")) == (target.kind, target.name)


def around(ref: TargetRef, api_version: str, kind: str) -> Selection:
    """Return the selection of every object of a kind in the namespace of another."""
    return Selection(cluster=ref.cluster, namespace=ref.namespace, api_version=api_version, kind=kind)


def instant(text: str) -> Instant | None:
    """Return the instant of a time with a zone, or of the end of a day in UTC; None for anything else.

    >>> instant("2026-11-26T06:00:00Z"), instant("1970-01-01"), instant("soon")
    (1795672800.0, 86400.0, None)
    """
    try:
        if len(text) == len("2026-11-26"):
            return datetime.fromisoformat(f"{text}T00:00:00+00:00").timestamp() + 86_400.0
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    if found.tzinfo is None:
        return None
    at_ = found.timestamp()
    return at_ if math.isfinite(at_) else None
