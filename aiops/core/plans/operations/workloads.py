"""`RestartWorkload`, `RollBack` and `SetResources`: what changes a workload's pod template."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from aiops.core.model import (
    Looked,
    Reason,
    RestartWorkload,
    RollBack,
    SeenObject,
    SetResources,
    TargetRef,
    Wanted,
)
from aiops.core.plans.operations.bodies import (
    around,
    at,
    found,
    gitops,
    listed,
    missing,
    no_headroom,
    patch,
    rolled_out,
    selected,
    strings,
)
from aiops.core.plans.operations.verbs import Origin, Requests

RESTARTED = "policy.aiops/restarted"
HASH = "pod-template-hash"
REVISION = "deployment.kubernetes.io/revision"
BUDGETS = ("policy/v1", "PodDisruptionBudget")
REPLICA_SETS = ("apps/v1", "ReplicaSet")
HPAS = ("autoscaling/v2", "HorizontalPodAutoscaler")
VPAS = ("autoscaling.k8s.io/v1", "VerticalPodAutoscaler")


@dataclass(frozen=True, slots=True)
class _Restart:
    shown: bool = True
    again_s: float = 30.0

    def wanted(self, operation: RestartWorkload) -> Wanted:
        return Wanted(objects=(operation.target,), selections=(around(operation.target, *BUDGETS),))

    def requests(self, operation: RestartWorkload, looked: Looked, origin: Origin) -> Requests:
        seen = found(looked, operation.target)
        if seen is None or _restarted(seen) == operation.mark:
            return Requests()
        annotations = {RESTARTED: operation.mark, **origin.annotations}
        body = {"spec": {"template": {"metadata": {"annotations": annotations}}}}
        return Requests(steps=(patch(seen, body, f"{seen.ref.kind} {seen.ref}: restart"),))

    def reached(self, operation: RestartWorkload, looked: Looked) -> bool | None:
        seen = found(looked, operation.target)
        return None if seen is None else _restarted(seen) == operation.mark and rolled_out(seen)

    def undo(self, operation: RestartWorkload, looked: Looked) -> tuple[RestartWorkload, ...] | None:
        del operation, looked
        return ()  # the pods are the same, only younger

    def refusal(self, operation: RestartWorkload, looked: Looked) -> tuple[Reason, str] | None:
        gone = missing(looked, operation.target)
        seen = found(looked, operation.target)
        if gone is not None or seen is None:
            return gone
        if _restarted(seen) == operation.mark:
            return None
        labels = strings(at(seen.body, "spec", "template", "metadata", "labels"))
        return no_headroom(selected(looked, around(operation.target, *BUDGETS)), labels)

    def touches(self, operation: RestartWorkload) -> tuple[TargetRef, ...]:
        return (operation.target,)

    def says(self, operation: RestartWorkload) -> str:
        return f"restart {operation.target.kind} {operation.target}"


@dataclass(frozen=True, slots=True)
class _RollBack:
    shown: bool = True
    again_s: float = 30.0

    def wanted(self, operation: RollBack) -> Wanted:
        return Wanted(objects=(operation.target,), selections=(around(operation.target, *REPLICA_SETS),))

    def requests(self, operation: RollBack, looked: Looked, origin: Origin) -> Requests:
        seen, aim = found(looked, operation.target), _template(operation, looked)
        if seen is None or aim is None:
            return Requests()
        now = at(seen.body, "spec", "template")
        if now == aim:
            return Requests()
        body = {"metadata": {"annotations": dict(origin.annotations)}, "spec": {"template": difference(now, aim)}}
        said = f"{seen.ref.kind} {seen.ref}: the pod template of {operation.template_hash}"
        return Requests(steps=(patch(seen, body, said),))

    def reached(self, operation: RollBack, looked: Looked) -> bool | None:
        seen, aim = found(looked, operation.target), _template(operation, looked)
        if seen is None or aim is None:
            return None
        return at(seen.body, "spec", "template") == aim and rolled_out(seen)

    def undo(self, operation: RollBack, looked: Looked) -> tuple[RollBack, ...] | None:
        seen = found(looked, operation.target)
        own = () if seen is None else revisions(looked, seen)
        now = None if seen is None else at(seen.body, "spec", "template")
        current = next((one for one in own if template_of(one) == now), None)
        if current is None:
            return None
        known = _hash(current)
        return () if known == operation.template_hash else (replace(operation, template_hash=known),)

    def refusal(self, operation: RollBack, looked: Looked) -> tuple[Reason, str] | None:
        gone = missing(looked, operation.target)
        seen = found(looked, operation.target)
        if gone is not None or seen is None:
            return gone
        if selected(looked, around(operation.target, *REPLICA_SETS)) is None:
            return Reason.CLUSTER_UNAVAILABLE, "its revisions cannot be read"
        if _template(operation, looked) is None:
            known = ", ".join(_hash(one) for one in revisions(looked, seen)) or "none"
            return Reason.UNKNOWN_TARGET, f"there is no revision {operation.template_hash or '?'}; there are {known}"
        return gitops(seen)

    def touches(self, operation: RollBack) -> tuple[TargetRef, ...]:
        return (operation.target,)

    def says(self, operation: RollBack) -> str:
        return (
            f"roll {operation.target.kind} {operation.target} back to {operation.template_hash or 'its last revision'}"
        )


@dataclass(frozen=True, slots=True)
class _SetResources:
    shown: bool = True
    again_s: float = 30.0

    def wanted(self, operation: SetResources) -> Wanted:
        target = operation.target
        return Wanted(objects=(target,), selections=(around(target, *HPAS), around(target, *VPAS)))

    def requests(self, operation: SetResources, looked: Looked, origin: Origin) -> Requests:
        seen = found(looked, operation.target)
        now = None if seen is None else _resources(seen, operation.container)
        if seen is None or now is None or now == _wished(operation):
            return Requests()
        containers = [
            {**one, "resources": _wished(operation)} if one.get("name") == operation.container else dict(one)
            for one in listed(at(seen.body, "spec", "template", "spec", "containers"))
        ]
        body = {
            "metadata": {"annotations": dict(origin.annotations)},
            "spec": {"template": {"spec": {"containers": containers}}},
        }
        return Requests(steps=(patch(seen, body, f"{seen.ref.kind} {seen.ref}: resources of {operation.container}"),))

    def reached(self, operation: SetResources, looked: Looked) -> bool | None:
        seen = found(looked, operation.target)
        if seen is None:
            return None
        return _resources(seen, operation.container) == _wished(operation) and rolled_out(seen)

    def undo(self, operation: SetResources, looked: Looked) -> tuple[SetResources, ...] | None:
        seen = found(looked, operation.target)
        now = None if seen is None else _resources(seen, operation.container)
        if now is None:
            return None
        if now == _wished(operation):
            return ()
        return (replace(operation, requests=now.get("requests", {}), limits=now.get("limits", {})),)

    def refusal(self, operation: SetResources, looked: Looked) -> tuple[Reason, str] | None:
        gone = missing(looked, operation.target)
        seen = found(looked, operation.target)
        if gone is not None or seen is None:
            return gone
        now = _resources(seen, operation.container)
        if now is None:
            return Reason.UNKNOWN_TARGET, f"{seen.ref.kind} {seen.ref} has no container {operation.container}"
        return _scaled_on(operation, looked, now) or _vertical(operation, looked) or gitops(seen)

    def touches(self, operation: SetResources) -> tuple[TargetRef, ...]:
        return (operation.target,)

    def says(self, operation: SetResources) -> str:
        wished = ", ".join(f"{name} {value}" for name, value in sorted(operation.requests.items()))
        return f"set {wished or 'no requests'} for {operation.container} of {operation.target.kind} {operation.target}"


RESTART, ROLL_BACK, SET_RESOURCES = _Restart(), _RollBack(), _SetResources()


# -- what is read -------------------------------------------------------------------------------------


def _restarted(seen: SeenObject) -> str:
    return strings(at(seen.body, "spec", "template", "metadata", "annotations")).get(RESTARTED, "")


def revisions(looked: Looked, deployment: SeenObject) -> tuple[SeenObject, ...]:
    """Return the ReplicaSets of a Deployment, the newest revision first."""
    every = selected(looked, around(deployment.ref, *REPLICA_SETS)) or ()
    own = [
        one
        for one in every
        if any(owner.get("uid") == deployment.uid for owner in listed(at(one.body, "metadata", "ownerReferences")))
    ]
    return tuple(sorted(own, key=_revision, reverse=True))


def _revision(replica_set: SeenObject) -> int:
    text = strings(at(replica_set.body, "metadata", "annotations")).get(REVISION, "0")
    return int(text) if text.isdecimal() else 0


def _hash(replica_set: SeenObject) -> str:
    return strings(at(replica_set.body, "metadata", "labels")).get(HASH, "")


def template_of(replica_set: SeenObject) -> Mapping[str, Any] | None:
    """Return a revision's pod template as its Deployment would have it: without the label that tells it apart."""
    template = at(replica_set.body, "spec", "template")
    if not isinstance(template, Mapping):
        return None
    metadata = dict(at(template, "metadata") or {})
    metadata["labels"] = {key: value for key, value in strings(metadata.get("labels")).items() if key != HASH}
    return {**template, "metadata": metadata}


def _template(operation: RollBack, looked: Looked) -> Mapping[str, Any] | None:
    deployment = found(looked, operation.target)
    if deployment is None or not operation.template_hash:
        return None
    found_ = next((one for one in revisions(looked, deployment) if _hash(one) == operation.template_hash), None)
    return None if found_ is None else template_of(found_)


def difference(now: Any, aim: Any) -> Any:
    """Return the merge patch that makes `aim` of `now` (RFC 7396): null takes a key away, lists are whole."""
    if not isinstance(now, Mapping) or not isinstance(aim, Mapping):
        return aim
    gone = {key: None for key in now if key not in aim}
    changed = {key: difference(now.get(key), value) for key, value in aim.items() if now.get(key) != value}
    return {**gone, **changed}


def _resources(seen: SeenObject, container: str) -> dict[str, dict[str, str]] | None:
    every = listed(at(seen.body, "spec", "template", "spec", "containers"))
    one = next((each for each in every if each.get("name") == container), None)
    if one is None:
        return None
    known = {name: strings(at(one, "resources", name)) for name in ("requests", "limits")}
    return {name: value for name, value in known.items() if value}


def _wished(operation: SetResources) -> dict[str, dict[str, str]]:
    wished = {"requests": dict(operation.requests), "limits": dict(operation.limits)}
    return {name: value for name, value in wished.items() if value}


def _scaled_on(
    operation: SetResources, looked: Looked, now: Mapping[str, Mapping[str, str]]
) -> tuple[Reason, str] | None:
    """Refuse to change the request that an HPA of the same target scales on: it would read as another load (S4)."""
    hpas = selected(looked, around(operation.target, *HPAS))
    if hpas is None:
        return Reason.CLUSTER_UNAVAILABLE, "whether an autoscaler scales on its requests cannot be read"
    before = now.get("requests", {})
    changed = {key for key in {*before, *operation.requests} if before.get(key) != operation.requests.get(key)}
    for hpa in hpas:
        aim = at(hpa.body, "spec", "scaleTargetRef")
        if (at(aim, "kind"), at(aim, "name")) != (operation.target.kind, operation.target.name):
            continue
        metrics = listed(at(hpa.body, "spec", "metrics"))
        named = {at(one, part, "name") for one in metrics for part in ("resource", "containerResource")}
        both = sorted(changed & {name for name in named if isinstance(name, str)})
        if both:
            return Reason.OWNED, f"HPA {hpa.ref} scales on the use of {both[0]} over its request"
    return None


def _vertical(operation: SetResources, looked: Looked) -> tuple[Reason, str] | None:
    """Refuse to act beside a VerticalPodAutoscaler that acts; a cluster without that kind has none."""
    for one in selected(looked, around(operation.target, *VPAS)) or ():
        aim, mode = at(one.body, "spec", "targetRef"), at(one.body, "spec", "updatePolicy", "updateMode")
        if (at(aim, "kind"), at(aim, "name")) == (operation.target.kind, operation.target.name) and mode != "Off":
            return Reason.OWNED, f"VerticalPodAutoscaler {one.ref} sets its resources"
    return None
