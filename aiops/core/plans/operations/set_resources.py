"""`SetResources`: requests and limits of one container; what is not named stays as it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from aiops.core.model import Looked, Reason, ResizePods, SeenObject, SetResources, TargetRef, Wanted
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
from aiops.core.objects.quantities import alike, amount
from aiops.core.objects.steering import HPAS, hpas_of
from aiops.core.plans.operations import sizes_in_git
from aiops.core.plans.operations.verbs import Origin, Requests

VPAS = ("autoscaling.k8s.io/v1", "VerticalPodAutoscaler")
PARTS = ("requests", "limits")

Resources = Mapping[str, Mapping[str, str]]

Sized: TypeAlias = SetResources | ResizePods
"""What sets requests and limits: on a template, or on pods that run."""


@dataclass(frozen=True, slots=True)
class _SetResources:
    """A quantity of '' takes a resource away. Where the sizes stand in Git it is a commit (`sizes_in_git`)."""

    shown: bool = True
    again_s: float = 30.0

    def wanted(self, operation: SetResources) -> Wanted:
        target = operation.target
        around_it = (around(target, *HPAS), around(target, *VPAS), around(target, *BUDGETS))
        return Wanted(objects=(target,), selections=around_it)

    def requests(self, operation: SetResources, looked: Looked, origin: Origin) -> Requests:
        seen = found(looked, operation.target)
        now = None if seen is None else _resources(seen, operation.container)
        if seen is None or now is None:
            return Requests()
        said = sizes_in_git.declared(operation, looked)
        if said is not None:
            return Requests(steps=sizes_in_git.commit(operation, said, origin))
        if holds(now, operation):
            return Requests()
        wished = merged(now, operation)
        containers = [
            with_resources(one, wished) if one.get("name") == operation.container else dict(one)
            for one in listed(at(seen.body, "spec", "template", "spec", "containers"))
        ]
        body = {
            "metadata": {"annotations": dict(origin.annotations)},
            "spec": {"template": {"spec": {"containers": containers}}},
        }
        return Requests(steps=(patch(seen, body, f"{seen.ref.kind} {seen.ref}: resources of {operation.container}"),))

    def reached(self, operation: SetResources, looked: Looked) -> bool | None:
        seen, there = found(looked, operation.target), stands(operation, looked)
        if seen is None or not there:
            return there
        said = sizes_in_git.declared(operation, looked)
        # what a branch still says otherwise comes back; a proposal is not merged, or is
        written = True if said is None or said.propose else sizes_in_git.says(operation, said)
        return rolled_out(seen) if written else written

    def undo(self, operation: SetResources, looked: Looked) -> tuple[SetResources, ...] | None:
        seen = found(looked, operation.target)
        now = None if seen is None else _resources(seen, operation.container)
        if now is None:
            return None
        if holds(now, operation):
            return ()
        before = {part: {name: now[part].get(name, "") for name in asked_of(operation)[part]} for part in PARTS}
        return (replace(operation, requests=before["requests"], limits=before["limits"]),)

    def refusal(self, operation: SetResources, looked: Looked) -> tuple[Reason, str] | None:
        gone = missing(looked, operation.target)
        seen = found(looked, operation.target)
        if gone is not None or seen is None:
            return gone
        now = _resources(seen, operation.container)
        if now is None:
            return Reason.UNKNOWN_TARGET, f"{seen.ref.kind} {seen.ref} has no container {operation.container}"
        said = sizes_in_git.declared(operation, looked)
        if holds(now, operation) and (said is None or sizes_in_git.says(operation, said)):
            return None
        return (
            nonsense(merged(now, operation))
            or scaled_on(operation, looked, now)
            or vertical(operation, looked)
            or (gitops(seen) if said is None else sizes_in_git.refusal(operation, said, now))
            or no_room(selected(looked, around(operation.target, *BUDGETS)), seen)
        )

    def touches(self, operation: SetResources) -> tuple[TargetRef, ...]:
        return (operation.target,)

    def says(self, operation: SetResources) -> str:
        asked = asked_of(operation)
        wished = [f"{part} {name} {value or 'none'}" for part in PARTS for name, value in sorted(asked[part].items())]
        target = operation.target
        return f"set {', '.join(wished) or 'nothing'} for {operation.container} of {target.kind} {target}"


VERBS = _SetResources()


def stands(operation: SetResources, looked: Looked) -> bool | None:
    """Return whether the template has what was set, rolled out or not; None while that is not known."""
    seen = found(looked, operation.target)
    if seen is None:
        return None
    now = _resources(seen, operation.container)
    return now is not None and holds(now, operation)


def asked_of(operation: Sized) -> Resources:
    """Return what is asked, by part and name."""
    return {"requests": operation.requests, "limits": operation.limits}


def _resources(seen: SeenObject, container: str) -> Resources | None:
    every = listed(at(seen.body, "spec", "template", "spec", "containers"))
    one = next((each for each in every if each.get("name") == container), None)
    return None if one is None else {part: strings(at(one, "resources", part)) for part in PARTS}


def with_resources(container: Mapping[str, Any], wished: Resources) -> dict[str, Any]:
    """Return a container with other requests and limits; what else its resources say stays."""
    other = at(container, "resources")
    kept = {key: value for key, value in other.items() if key not in PARTS} if isinstance(other, Mapping) else {}
    return {**container, "resources": {**kept, **{part: dict(some) for part, some in wished.items() if some}}}


def merged(now: Resources, operation: Sized) -> Resources:
    """Return what it would have after the operation."""
    asked = asked_of(operation)
    return {part: {name: one for name, one in {**now[part], **asked[part]}.items() if one} for part in PARTS}


def holds(now: Resources, operation: Sized) -> bool:
    """Return whether all that is asked is so already."""
    asked = asked_of(operation)
    return all(alike(now[part].get(name, ""), value) for part in PARTS for name, value in asked[part].items())


def nonsense(wished: Resources) -> tuple[Reason, str] | None:
    """Refuse what no API server would take: what is no quantity, and a request above its limit."""
    for name, text in wished["requests"].items():
        limit = wished["limits"].get(name, text)
        try:
            above = amount(text) > amount(limit)
        except ValueError as err:
            return Reason.BOUNDS, str(err)
        if above:
            return Reason.BOUNDS, f"a request of {text} {name} is above its limit of {limit}"
    return None


def scaled_on(operation: Sized, looked: Looked, now: Resources) -> tuple[Reason, str] | None:
    """Refuse to change the request that an HPA of the same target scales on: it would read as another load (S4)."""
    hpas = hpas_of(operation.target, looked)
    if hpas is None:
        return Reason.CLUSTER_UNAVAILABLE, "whether an autoscaler scales on its requests cannot be read"
    before = now["requests"]
    changed = {name for name, value in operation.requests.items() if not alike(before.get(name, ""), value)}
    for hpa in hpas:
        metrics = listed(at(hpa.body, "spec", "metrics"))
        named = (at(one, part, "name") for one in metrics for part in ("resource", "containerResource"))
        # an HPA without metrics scales on cpu
        read = {"cpu"} if not metrics else {name for name in named if isinstance(name, str)}
        both = sorted(changed & read)
        if both:
            return Reason.OWNED, f"HPA {hpa.ref} scales on the use of {both[0]} over its request"
    return None


def vertical(operation: Sized, looked: Looked) -> tuple[Reason, str] | None:
    """Refuse to act beside a VerticalPodAutoscaler that acts; a cluster without that kind has none."""
    vpas = selected(looked, around(operation.target, *VPAS))
    if vpas is None:
        return Reason.CLUSTER_UNAVAILABLE, "whether a VerticalPodAutoscaler sets its resources cannot be read"
    for one in vpas:
        aim, mode = at(one.body, "spec", "targetRef"), at(one.body, "spec", "updatePolicy", "updateMode")
        if (at(aim, "kind"), at(aim, "name")) == (operation.target.kind, operation.target.name) and mode != "Off":
            return Reason.OWNED, f"VerticalPodAutoscaler {one.ref} sets its resources"
    return None
