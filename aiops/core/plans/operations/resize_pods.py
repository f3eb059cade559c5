"""`ResizePods`: requests and limits of one container of running pods, in place through the subresource `resize`.

The kubelet does it without a new pod, where the pod's resize policy does not ask for a restart of the container. What
cannot be done at once stands in the pod's conditions. The class of its quality of service cannot change.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from aiops.core.model import Looked, Reason, ResizePods, SeenObject, TargetRef, Wanted
from aiops.core.objects.bodies import around, at, found, listed, missing, patch, selected, strings
from aiops.core.objects.steering import HPAS
from aiops.core.plans.operations.set_resources import (
    PARTS,
    VPAS,
    Resources,
    asked_of,
    holds,
    merged,
    nonsense,
    scaled_on,
    vertical,
    with_resources,
)
from aiops.core.plans.operations.verbs import Origin, Requests

RESIZE = "resize"
PODS = ("v1", "Pod")
_AT_WORK = ("PodResizePending", "PodResizeInProgress")


@dataclass(frozen=True, slots=True)
class _ResizePods:
    shown: bool = True
    again_s: float = 30.0

    def wanted(self, operation: ResizePods) -> Wanted:
        target = operation.target
        return Wanted(
            objects=(target,), selections=(around(target, *PODS), around(target, *HPAS), around(target, *VPAS))
        )

    def requests(self, operation: ResizePods, looked: Looked, origin: Origin) -> Requests:
        del origin  # the subresource takes resources and nothing else
        steps = []
        for seen, now in _there(operation, looked):
            if holds(now, operation):
                continue
            wished = merged(now, operation)
            containers = [
                with_resources(one, wished) if one.get("name") == operation.container else dict(one)
                for one in listed(at(seen.body, "spec", "containers"))
            ]
            said = f"Pod {seen.ref}: resources of {operation.container}"
            steps.append(patch(seen, {"spec": {"containers": containers}}, said, RESIZE))
        return Requests(steps=tuple(steps))

    def reached(self, operation: ResizePods, looked: Looked) -> bool | None:
        # a pod that is gone needs nothing more: its successor is made from the template
        if found(looked, operation.target) is None or _unseen(operation, looked) is not None:
            return None
        there = list(_there(operation, looked))
        return all(holds(now, operation) and not at_work(seen) for seen, now in there)

    def undo(self, operation: ResizePods, looked: Looked) -> tuple[ResizePods, ...] | None:
        if _unseen(operation, looked) is not None:
            return None
        before: dict[str, ResizePods] = {}
        for seen, now in _there(operation, looked):
            if holds(now, operation):
                continue
            was = {part: {name: now[part].get(name, "") for name in asked_of(operation)[part]} for part in PARTS}
            one = replace(operation, pods=(seen.ref.name,), requests=was["requests"], limits=was["limits"])
            key = repr(was)
            before[key] = one if key not in before else replace(one, pods=(*before[key].pods, seen.ref.name))
        return tuple(before.values())

    def refusal(self, operation: ResizePods, looked: Looked) -> tuple[Reason, str] | None:
        gone = missing(looked, operation.target)
        if gone is not None:
            return gone
        unseen = _unseen(operation, looked)
        if unseen is not None:
            return unseen
        for _, now in _there(operation, looked):
            if holds(now, operation):
                continue
            said = nonsense(merged(now, operation)) or scaled_on(operation, looked, now) or vertical(operation, looked)
            if said is not None:
                return said
        return None

    def touches(self, operation: ResizePods) -> tuple[TargetRef, ...]:
        return (operation.target,)

    def says(self, operation: ResizePods) -> str:
        asked = asked_of(operation)
        wished = [f"{part} {name} {value or 'none'}" for part in PARTS for name, value in sorted(asked[part].items())]
        target, count = operation.target, len(operation.pods)
        of = f"{count} pod{'' if count == 1 else 's'} of {target.kind} {target}"
        return f"resize {operation.container} of {of} in place: {', '.join(wished) or 'nothing'}"


VERBS = _ResizePods()


def stands(operation: ResizePods, looked: Looked) -> bool | None:
    """Return whether pods ask for what was set, done by the kubelet or not; None while that is not known.

    Nothing of it stands once the pods are gone.
    """
    if found(looked, operation.target) is None or _unseen(operation, looked) is not None:
        return None
    there = list(_there(operation, looked))
    return bool(there) and all(holds(now, operation) for _, now in there)


def resources_of(pod: SeenObject, container: str) -> Resources | None:
    """Return what a container of a pod requests and is limited to, None where it has no such container."""
    every = listed(at(pod.body, "spec", "containers"))
    one = next((each for each in every if each.get("name") == container), None)
    return None if one is None else {part: strings(at(one, "resources", part)) for part in PARTS}


def at_work(pod: SeenObject) -> str:
    """Return why a resize is not done yet, '' when it is."""
    for one in listed(at(pod.body, "status", "conditions")):
        if one.get("type") in _AT_WORK and one.get("status") == "True":
            return f"{one.get('type')}: {one.get('reason') or one.get('message') or 'at work'}"
    return ""


def _unseen(operation: ResizePods, looked: Looked) -> tuple[Reason, str] | None:
    """Return why pods are not known, None when they are: one that was not listed is gone."""
    selection = around(operation.target, *PODS)
    if selection.key in looked.errors:
        return looked.errors[selection.key]
    if selected(looked, selection) is None:
        return Reason.CLUSTER_UNAVAILABLE, f"the pods of {operation.target.namespace} were not seen yet"
    return None


def _there(operation: ResizePods, looked: Looked) -> Iterator[tuple[SeenObject, Resources]]:
    """Yield the pods that are there and not going away, with what the container has."""
    for seen in selected(looked, around(operation.target, *PODS)) or ():
        if seen.ref.name not in operation.pods or at(seen.body, "metadata", "deletionTimestamp"):
            continue
        now = resources_of(seen, operation.container)
        if now is not None:
            yield seen, now
