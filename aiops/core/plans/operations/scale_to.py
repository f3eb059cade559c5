"""`ScaleTo`: replicas through the scale subresource, of any workload that has one."""

from __future__ import annotations

from dataclasses import dataclass, replace

from aiops.core.model import Looked, Reason, ScaleTo, SeenObject, TargetRef, Wanted
from aiops.core.plans.operations.bodies import around, at, found, gitops, missing, number, patch, selected
from aiops.core.plans.operations.verbs import Origin, Requests

HPAS = ("autoscaling/v2", "HorizontalPodAutoscaler")


@dataclass(frozen=True, slots=True)
class _ScaleTo:
    shown: bool = True
    again_s: float = 10.0

    def wanted(self, operation: ScaleTo) -> Wanted:
        return Wanted(objects=(operation.target,), selections=(around(operation.target, *HPAS),))

    def requests(self, operation: ScaleTo, looked: Looked, origin: Origin) -> Requests:
        del origin  # the scale subresource keeps no annotations
        seen = found(looked, operation.target)
        if seen is None or self.reached(operation, looked):
            return Requests()
        said = f"{seen.ref.kind} {seen.ref}: replicas {_replicas(seen)} -> {operation.replicas}"
        return Requests(steps=(patch(seen, {"spec": {"replicas": operation.replicas}}, said, "scale"),))

    def reached(self, operation: ScaleTo, looked: Looked) -> bool | None:
        seen = found(looked, operation.target)
        if seen is None:
            return None
        now = _replicas(seen)
        return now >= operation.replicas if operation.only_up else now == operation.replicas

    def undo(self, operation: ScaleTo, looked: Looked) -> tuple[ScaleTo, ...] | None:
        seen = found(looked, operation.target)
        if operation.only_up:
            return ()  # more than is needed harms nobody, and taking it away while it serves would (S7)
        if seen is None:
            return None
        now = _replicas(seen)
        return () if now == operation.replicas else (replace(operation, replicas=now),)

    def refusal(self, operation: ScaleTo, looked: Looked) -> tuple[Reason, str] | None:
        gone = missing(looked, operation.target)
        seen = found(looked, operation.target)
        if gone is not None or seen is None:
            return gone
        if self.reached(operation, looked):
            return None
        if _replicas(seen) == 0 and not operation.only_up:
            return Reason.SWITCHED_OFF, f"{seen.ref.kind} {seen.ref} has no replicas: somebody switched it off"
        hpas = selected(looked, around(operation.target, *HPAS))
        if hpas is None:
            return Reason.CLUSTER_UNAVAILABLE, "whether an autoscaler steers it cannot be read"
        owner = next((one for one in hpas if _steers(one, operation.target)), None)
        if owner is not None:
            return Reason.OWNED, f"HPA {owner.ref} steers its replicas: give that a minReplicas of {operation.replicas}"
        return gitops(seen)

    def touches(self, operation: ScaleTo) -> tuple[TargetRef, ...]:
        return (operation.target,)

    def says(self, operation: ScaleTo) -> str:
        least = "at least " if operation.only_up else ""
        target = operation.target
        return f"scale {target.kind} {target} in {target.cluster} to {least}{operation.replicas} replicas"


VERBS = _ScaleTo()


def _replicas(seen: SeenObject) -> int:
    return number(at(seen.body, "spec", "replicas"), 1) or 0


def _steers(hpa: SeenObject, target: TargetRef) -> bool:
    aim = at(hpa.body, "spec", "scaleTargetRef")
    return (at(aim, "kind"), at(aim, "name")) == (target.kind, target.name)
