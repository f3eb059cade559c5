"""`ScaleTo`: replicas through the scale subresource, or the floor of the HPA that steers them (S4)."""

from __future__ import annotations

from dataclasses import dataclass, replace

from aiops.core.model import Looked, Reason, ScaleTo, SeenObject, TargetRef, Wanted
from aiops.core.objects.bodies import (
    around,
    at,
    found,
    gitops,
    listed,
    missing,
    number,
    patch,
    strings,
)
from aiops.core.objects.steering import HPAS, hpas_of
from aiops.core.planning.weights import counted
from aiops.core.plans.operations.verbs import Origin, Requests

KEDA = "scaledobject.keda.sh/name"


@dataclass(frozen=True, slots=True)
class _ScaleTo:
    shown: bool = True
    again_s: float = 10.0

    def wanted(self, operation: ScaleTo) -> Wanted:
        steering = () if operation.idle is None else (operation.idle.object,)
        return Wanted(objects=(operation.target, *steering), selections=(around(operation.target, *HPAS),))

    def requests(self, operation: ScaleTo, looked: Looked, origin: Origin) -> Requests:
        seen, hpas = found(looked, operation.target), hpas_of(operation.target, looked)
        if seen is None or hpas is None or self.reached(operation, looked):
            return Requests()
        if hpas:
            floor = _floor(hpas[0])
            if floor == operation.replicas or (operation.only_up and floor > operation.replicas):
                return Requests()  # it is the HPA's turn
            said = f"HPA {hpas[0].ref}: minReplicas {floor} -> {operation.replicas}"
            body = {
                "metadata": {"annotations": dict(origin.annotations)},
                "spec": {"minReplicas": operation.replicas},
            }
            return Requests(steps=(patch(hpas[0], body, said),))
        if operation.floor:
            return Requests()
        # the scale subresource keeps no annotations
        said = f"{seen.ref.kind} {seen.ref}: replicas {_replicas(seen)} -> {operation.replicas}"
        return Requests(steps=(patch(seen, {"spec": {"replicas": operation.replicas}}, said, "scale"),))

    def reached(self, operation: ScaleTo, looked: Looked) -> bool | None:
        seen, hpas = found(looked, operation.target), hpas_of(operation.target, looked)
        if seen is None or hpas is None:
            return None
        now = _replicas(seen)
        if operation.floor:
            return not hpas or _floor(hpas[0]) == operation.replicas
        if hpas:
            return _floored(operation, hpas[0]) and now >= operation.replicas
        return now >= operation.replicas if operation.only_up else now == operation.replicas

    def undo(self, operation: ScaleTo, looked: Looked) -> tuple[ScaleTo, ...] | None:
        seen, hpas = found(looked, operation.target), hpas_of(operation.target, looked)
        if seen is None or hpas is None:
            return None
        if hpas:
            held = _floored(operation, hpas[0])
            # a floor takes nothing away that the load needs, so it is given back
            given = replace(operation, replicas=_floor(hpas[0]), only_up=False, floor=True, lent=False, idle=None)
            return () if held else (given,)
        if operation.floor or (operation.only_up and not operation.lent):
            return ()  # more than is needed harms nobody, and taking it away while it serves would (S7)
        now = _replicas(seen)
        enough = now >= operation.replicas if operation.only_up else now == operation.replicas
        return () if enough else (replace(operation, replicas=now, only_up=False, lent=False),)

    def refusal(self, operation: ScaleTo, looked: Looked) -> tuple[Reason, str] | None:
        gone = missing(looked, operation.target)
        seen = found(looked, operation.target)
        if gone is not None or seen is None:
            return gone
        if operation.replicas < 0:
            return Reason.BOUNDS, f"{operation.replicas} replicas are none"
        if self.reached(operation, looked):
            return None
        hpas = hpas_of(operation.target, looked)
        if hpas is None:
            return Reason.CLUSTER_UNAVAILABLE, "whether an autoscaler steers it cannot be read"
        if hpas:
            return _of_hpas(operation, hpas)
        if _replicas(seen) == 0 and not operation.only_up:
            return Reason.SWITCHED_OFF, f"{seen.ref.kind} {seen.ref} has no replicas: somebody switched it off"
        return _in_use(operation, looked) or gitops(seen)

    def touches(self, operation: ScaleTo) -> tuple[TargetRef, ...]:
        return (operation.target,)

    def says(self, operation: ScaleTo) -> str:
        target = operation.target
        where = f"{target.kind} {target} in {target.cluster}"
        if operation.floor:
            return f"give the HPA of {where} a floor of {operation.replicas} again"
        least = "at least " if operation.only_up else ""
        return f"scale {where} to {least}{operation.replicas} replicas"


VERBS = _ScaleTo()


def stands(operation: ScaleTo, looked: Looked) -> bool | None:
    """Return whether the number that was written is there, the floor where an HPA has it; None while not known.

    A floor that is higher than that is somebody else's, as are more replicas than were lent.
    """
    hpas, seen = hpas_of(operation.target, looked), found(looked, operation.target)
    if not hpas or seen is None:
        reached = VERBS.reached(operation, looked)
        return _replicas(seen) == operation.replicas if reached and operation.lent and seen is not None else reached
    return _floor(hpas[0]) == operation.replicas


def idle(operation: ScaleTo, looked: Looked) -> bool:
    """Return whether it is seen that nobody is sent there; so it is where nothing is said of how that is seen."""
    if operation.idle is None:
        return True
    seen = found(looked, operation.idle.object)
    now = None if seen is None else counted(operation.idle, seen)
    spared = {name for name, weight in operation.idle.weights if not weight}
    return now is not None and all(not weight for name, weight in now if name in spared)


def _in_use(operation: ScaleTo, looked: Looked) -> tuple[Reason, str] | None:
    """Return why nothing is taken away there: users are sent there, or whether they are cannot be seen (S7)."""
    if operation.only_up or idle(operation, looked):
        return None
    target = operation.target
    return Reason.INCONCLUSIVE, f"it is not seen that nobody is sent to {target.kind} {target} in {target.cluster}"


def _floored(operation: ScaleTo, hpa: SeenObject) -> bool:
    floor = _floor(hpa)
    return floor >= operation.replicas if operation.only_up else floor == operation.replicas


def _of_hpas(operation: ScaleTo, hpas: tuple[SeenObject, ...]) -> tuple[Reason, str] | None:
    """Return why the floor of an autoscaler is not ours to move (S4)."""
    hpa = hpas[0]
    if len(hpas) > 1:
        return Reason.OWNED, f"several HPAs steer its replicas: {', '.join(one.ref.name for one in hpas)}"
    if not (operation.only_up or operation.floor):
        return Reason.OWNED, f"HPA {hpa.ref} steers its replicas"
    owners = listed(at(hpa.body, "metadata", "ownerReferences"))
    if KEDA in strings(at(hpa.body, "metadata", "labels")) or any(one.get("kind") == "ScaledObject" for one in owners):
        return Reason.OWNED, f"HPA {hpa.ref} is KEDA's: give its ScaledObject a minReplicaCount of {operation.replicas}"
    most = number(at(hpa.body, "spec", "maxReplicas"))
    if most is None or operation.replicas > most:
        return Reason.BOUNDS, f"HPA {hpa.ref} allows {most} replicas at most, {operation.replicas} are wanted"
    if operation.floor and operation.replicas < _floor(hpa) and _inactive(hpa):
        return Reason.SCALING_INACTIVE, f"HPA {hpa.ref} cannot scale now, its floor is all there is"
    return gitops(hpa)


def _inactive(hpa: SeenObject) -> bool:
    conditions = listed(at(hpa.body, "status", "conditions"))
    return any(one.get("type") == "ScalingActive" and one.get("status") == "False" for one in conditions)


def _replicas(seen: SeenObject) -> int:
    return number(at(seen.body, "spec", "replicas"), 1) or 0


def _floor(hpa: SeenObject) -> int:
    return number(at(hpa.body, "spec", "minReplicas"), 1) or 0
