"""`ShiftTraffic`: shares of traffic between backends, by four kinds of objects."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, assert_never

from aiops.core.model import Looked, Reason, SeenObject, ShiftTraffic, TargetRef, TrafficLever, Wanted
from aiops.core.objects.bodies import at, found, gitops, listed, missing, name_of, number, patch
from aiops.core.planning.weights import CANARY_WEIGHT, WEIGHTS, Weights, backend_label, counted, told
from aiops.core.plans.operations.verbs import Origin, Requests


@dataclass(frozen=True, slots=True)
class _ShiftTraffic:
    shown: bool = True
    again_s: float = 10.0

    def wanted(self, operation: ShiftTraffic) -> Wanted:
        return Wanted(objects=(operation.object,))

    def requests(self, operation: ShiftTraffic, looked: Looked, origin: Origin) -> Requests:
        seen = found(looked, operation.object)
        if seen is None or counted(operation, seen) == operation.weights:
            return Requests()
        body = _body(operation, seen)
        marks = dict(origin.annotations)
        metadata = body.get("metadata") or {}
        annotations = {**marks, **(metadata.get("annotations") or {})}
        whole = {**body, "metadata": {**metadata, "annotations": annotations}}
        return Requests(steps=(patch(seen, whole, f"{seen.ref.kind} {seen.ref}: {_said(operation.weights)}"),))

    def reached(self, operation: ShiftTraffic, looked: Looked) -> bool | None:
        seen = found(looked, operation.object)
        return None if seen is None else counted(operation, seen) == operation.weights

    def undo(self, operation: ShiftTraffic, looked: Looked) -> tuple[ShiftTraffic, ...] | None:
        seen = found(looked, operation.object)
        before = None if seen is None else counted(operation, seen)
        if before is None:
            return None
        return () if before == operation.weights else (replace(operation, weights=before),)

    def refusal(self, operation: ShiftTraffic, looked: Looked) -> tuple[Reason, str] | None:
        gone = missing(looked, operation.object)
        seen = found(looked, operation.object)
        if gone is not None or seen is None:
            return gone
        owner = gitops(seen)
        if owner is not None:
            return owner
        unfit = _unfit(operation, seen)
        if unfit is not None:
            return unfit
        if counted(operation, seen) is None:
            names = ", ".join(name for name, _ in operation.weights)
            return Reason.UNKNOWN_TARGET, f"{seen.ref.kind} {seen.ref} does not say how much goes to {names}"
        if operation.lever is TrafficLever.SERVICE_SELECTOR and {weight for _, weight in operation.weights} - {0, 100}:
            return Reason.BOUNDS, "a Service's selector sends everything to one backend: only 0 and 100 are possible"
        return None

    def touches(self, operation: ShiftTraffic) -> tuple[TargetRef, ...]:
        return (operation.object,)

    def says(self, operation: ShiftTraffic) -> str:
        return f"send {_said(operation.weights)} by {operation.object.kind} {operation.object}"


VERBS = _ShiftTraffic()


def _unfit(operation: ShiftTraffic, seen: SeenObject) -> tuple[Reason, str] | None:
    """Return why the weights make no sense for this object: nobody would be served, or not who is meant."""
    weights, what = dict(operation.weights), f"{seen.ref.kind} {seen.ref}"
    if min(weights.values(), default=0) < 0 or sum(weights.values()) <= 0 or len(weights) < len(operation.weights):
        return Reason.BOUNDS, f"{_said(operation.weights)} are no weights: nobody would be served, or twice"
    if operation.lever is TrafficLever.HTTP_ROUTE:
        names = [name_of(one) for one in _refs(operation, seen)]
        doubled = sorted({name for name in names if names.count(name) > 1 and name in weights})
        if doubled:
            return Reason.UNKNOWN_TARGET, f"rule {operation.rule} of {what} has {doubled[0]} more than once"
        served = [name_of(one) for one in _refs(operation, seen) if number(one.get("weight"), 1)]
        beside = sorted(set(served) - set(weights))
        if beside:
            return Reason.OWNED, f"rule {operation.rule} of {what} sends traffic to {beside[0]}, too, which is not ours"
    if operation.lever is TrafficLever.INGRESS_CANARY and len(operation.weights) == 2:
        canary = operation.weights[1][0]
        others = sorted(_services(seen) - {canary})
        if others:
            return Reason.UNKNOWN_TARGET, f"{what} is the canary of {others[0]}, not of {canary}, the second backend"
    return None


def _services(ingress: SeenObject) -> set[str]:
    """Return the services that an Ingress sends to."""
    spec = at(ingress.body, "spec")
    paths = [path for rule in listed(at(spec, "rules")) for path in listed(at(rule, "http", "paths"))]
    names = [at(one, "backend", "service", "name") for one in paths] + [at(spec, "defaultBackend", "service", "name")]
    return {name for name in names if isinstance(name, str)}


def _said(weights: Weights) -> str:
    return ", ".join(f"{weight} to {name}" for name, weight in weights)


def _refs(operation: ShiftTraffic, seen: SeenObject) -> list[Mapping[str, Any]]:
    return listed(at(seen.body, "spec", "rules", operation.rule, "backendRefs"))


def _body(operation: ShiftTraffic, seen: SeenObject) -> dict[str, Any]:
    """Return what is to be merged into the object; lists are whole, since a merge patch replaces them."""
    weights = dict(operation.weights)
    match operation.lever:
        case TrafficLever.HTTP_ROUTE:
            rules = list(at(seen.body, "spec", "rules"))
            refs = [
                {**one, "weight": weights[name_of(one)]} if name_of(one) in weights else dict(one)
                for one in _refs(operation, seen)
            ]
            rules[operation.rule] = {**rules[operation.rule], "backendRefs": refs}
            return {"spec": {"rules": rules}}
        case TrafficLever.SERVICE_SELECTOR:
            chosen = max(weights, key=lambda name: weights[name])
            return {"spec": {"selector": {backend_label(seen.body): chosen}}}
        case TrafficLever.INGRESS_CANARY:
            return {"metadata": {"annotations": {CANARY_WEIGHT: str(operation.weights[1][1])}}}
        case TrafficLever.WEIGHT_ANNOTATION:
            every = {**told(seen.body), **weights}
            text = ",".join(f"{name}={weight}" for name, weight in every.items())
            return {"metadata": {"annotations": {WEIGHTS: text}}}
        case unknown:
            assert_never(unknown)
