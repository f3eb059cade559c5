"""`RestartWorkload` and `RollBack`: a rollout of a workload's pods, of the same template or of an earlier one."""

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
    TargetRef,
    Wanted,
)
from aiops.core.objects.bodies import (
    around,
    at,
    found,
    gitops,
    listed,
    missing,
    patch,
    rolled_out,
    selected,
    strings,
)
from aiops.core.objects.budgets import BUDGETS, no_room
from aiops.core.plans.operations.verbs import Origin, Requests

RESTARTED = "policy.aiops/restarted"
HASH = "pod-template-hash"
REVISION = "deployment.kubernetes.io/revision"
REPLICA_SETS = ("apps/v1", "ReplicaSet")


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
        return _held(seen) or no_room(selected(looked, around(operation.target, *BUDGETS)), seen)

    def touches(self, operation: RestartWorkload) -> tuple[TargetRef, ...]:
        return (operation.target,)

    def says(self, operation: RestartWorkload) -> str:
        return f"restart {operation.target.kind} {operation.target}"


@dataclass(frozen=True, slots=True)
class _RollBack:
    shown: bool = True
    again_s: float = 30.0

    def wanted(self, operation: RollBack) -> Wanted:
        target = operation.target
        return Wanted(objects=(target,), selections=(around(target, *REPLICA_SETS), around(target, *BUDGETS)))

    def requests(self, operation: RollBack, looked: Looked, origin: Origin) -> Requests:
        seen, aim = found(looked, operation.target), _template(operation, looked)
        if seen is None or aim is None:
            return Requests()
        now = at(seen.body, "spec", "template")
        if _same(now, aim):
            return Requests()
        body = {"metadata": {"annotations": dict(origin.annotations)}, "spec": {"template": difference(now, aim)}}
        said = f"{seen.ref.kind} {seen.ref}: the pod template of {operation.template_hash}"
        return Requests(steps=(patch(seen, body, said),))

    def reached(self, operation: RollBack, looked: Looked) -> bool | None:
        seen, there = found(looked, operation.target), stands(operation, looked)
        return there if seen is None or not there else rolled_out(seen)

    def undo(self, operation: RollBack, looked: Looked) -> tuple[RollBack, ...] | None:
        seen = found(looked, operation.target)
        own = () if seen is None else revisions(looked, seen)
        now = None if seen is None else at(seen.body, "spec", "template")
        current = next((one for one in own if _same(template_of(one), now)), None)
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
        if _same(at(seen.body, "spec", "template"), _template(operation, looked)):
            return None
        owned = gitops(seen) or _held(seen)
        return owned or no_room(selected(looked, around(operation.target, *BUDGETS)), seen)

    def touches(self, operation: RollBack) -> tuple[TargetRef, ...]:
        return (operation.target,)

    def says(self, operation: RollBack) -> str:
        return (
            f"roll {operation.target.kind} {operation.target} back to {operation.template_hash or 'its last revision'}"
        )


RESTART, ROLL_BACK = _Restart(), _RollBack()


def stands(operation: RollBack, looked: Looked) -> bool | None:
    """Return whether a Deployment has the template of that revision, rolled out or not; None while not known."""
    seen, aim = found(looked, operation.target), _template(operation, looked)
    return None if seen is None or aim is None else _same(at(seen.body, "spec", "template"), aim)


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
    return int(text) if text.isdecimal() and len(text) <= 18 else 0


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


def _held(seen: SeenObject) -> tuple[Reason, str] | None:
    """Return why a new template would not be rolled out: it is paused, or waits for somebody to delete pods."""
    if at(seen.body, "spec", "paused") is True:
        return Reason.PAUSED, f"{seen.ref.kind} {seen.ref} is paused: nothing is rolled out"
    if at(seen.body, "spec", "updateStrategy", "type") == "OnDelete":
        return Reason.REFUSED, f"{seen.ref.kind} {seen.ref} has the strategy OnDelete: nothing is rolled out"
    return None


def _same(one: Any, other: Any) -> bool:
    """Return whether two templates are alike; null and nothing are the same."""
    return bool(_whole(one) == _whole(other))


def _whole(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _whole(one) for key, one in value.items() if one is not None}
    return [_whole(one) for one in value] if isinstance(value, list | tuple) else value


def difference(now: Any, aim: Any) -> Any:
    """Return the merge patch that makes `aim` of `now` (RFC 7396): null takes a key away, lists are whole."""
    if not isinstance(now, Mapping) or not isinstance(aim, Mapping):
        return aim
    gone = {key: None for key in now if key not in aim}
    changed = {key: difference(now.get(key), value) for key, value in aim.items() if now.get(key) != value}
    return {**gone, **changed}
